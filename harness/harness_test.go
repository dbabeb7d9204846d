package harness_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/payload/httppb"
	"github.com/waxosuit/waxo/devhost/build"
	"github.com/waxosuit/waxo/devhost/project"
	"github.com/waxosuit/waxo/harness"
	"github.com/waxosuit/waxo/harness/companion"
	"github.com/waxosuit/waxo/harness/containers"
	"github.com/waxosuit/waxo/templates"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// counter writes the project kvcounter.
func counter(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "counter")
	_, err := templates.Write(dir, "kvcounter", nil)
	must(t, err)
	return dir
}

// post counts one up and returns what the guest says.
func post(t *testing.T, g *harness.Guest) (status int, body string) {
	t.Helper()
	response, err := http.Post(g.URL(), "", nil)
	must(t, err)
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	must(t, err)
	return response.StatusCode, string(content)
}

func counts(t *testing.T, g *harness.Guest, want int) {
	t.Helper()
	if status, body := post(t, g); status != http.StatusOK || body != fmt.Sprintf("{\"count\":%d}\n", want) {
		t.Errorf("%d %s, want the count %d", status, body, want)
	}
}

// stored asks a Redis itself for the count.
func stored(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	must(t, err)
	conn, err := net.Dial("tcp", u.Host)
	must(t, err)
	defer conn.Close()
	must(t, conn.SetDeadline(time.Now().Add(time.Minute)))
	_, err = io.WriteString(conn, "GET count\r\n")
	must(t, err)
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		if line := lines.Text(); !strings.HasPrefix(line, "$") || line == "$-1" {
			return line
		}
	}
	t.Fatal(lines.Err())
	return ""
}

// TestProject: a project is built and counts, in the service that the handle leads
// to; the project keeps nothing of it.
func TestProject(t *testing.T) {
	t.Parallel()
	dir := counter(t)
	g := harness.Start(t, &harness.Options{Project: dir})
	counts(t, g, 1)
	counts(t, g, 2)
	if got := stored(t, g.Redis()); got != "2" {
		t.Errorf("the store has %q", got)
	}
	if g.NATS() != "" || g.S3() != "" || g.Service(capability.KeyValue, "other") != "" || g.Faults(capability.KeyValue, capability.DefaultBinding) != nil {
		t.Error("there are handles on what there is not")
	}
	for _, name := range []string{"keys", "state"} {
		if _, err := os.Stat(filepath.Join(dir, ".waxo", name)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the project keeps %s: %v", name, err)
		}
	}
	other := harness.Start(t, &harness.Options{Project: dir, Services: map[string]string{"wascap:keyvalue/default": g.Redis()}})
	counts(t, other, 3)
	address := g.URL()
	must(t, g.Close(t.Context()))
	must(t, g.Close(t.Context()))
	if _, err := http.Get(address); err == nil {
		t.Error("it serves after Close")
	}
	if err := g.Compiled(t.Context()); err == nil {
		t.Error("it is compiled after Close")
	}
}

// needEngine skips a test where no container engine is there, but for CI.
func needEngine(t testing.TB) {
	t.Helper()
	if err := containers.Check(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
}

// TestContainer: the same guest counts in a real Redis.
func TestContainer(t *testing.T) {
	needEngine(t)
	t.Parallel()
	g := harness.Start(t, &harness.Options{Project: counter(t), Providers: "container", Faults: true})
	counts(t, g, 1)
	if got := stored(t, g.Redis()); got != "1" {
		t.Errorf("the store has %q", got)
	}
	before := g.Redis()
	proxy := g.Faults(capability.KeyValue, capability.DefaultBinding)
	if strings.Contains(before, proxy.Addr()) {
		t.Error("the handle leads through the proxy")
	}
	must(t, proxy.Cut())
	if status, body := post(t, g); status != http.StatusBadGateway {
		t.Errorf("cut off: %d %s", status, body)
	}
	must(t, proxy.Heal())
	counts(t, g, 2)
	must(t, g.Close(t.Context()))
	if conn, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(before, "redis://"), "/0")); err == nil {
		conn.Close()
		t.Error("the container is there after Close")
	}
}

// TestModule: a signed module runs without its project, and can be called as
// providers do.
func TestModule(t *testing.T) {
	t.Parallel()
	p, err := project.Open(counter(t), nil)
	must(t, err)
	keys, err := p.Keys()
	must(t, err)
	made, err := p.Make(t.Context(), build.New(nil), &project.MakeOptions{Account: keys.Account, Module: keys.Module, Dev: true, Brief: true})
	must(t, err)
	signed, unsigned := filepath.Join(t.TempDir(), "signed.wasm"), filepath.Join(t.TempDir(), "unsigned.wasm")
	must(t, os.WriteFile(signed, made.Signed, 0o600))
	must(t, os.WriteFile(unsigned, made.Sealed, 0o600))

	g := harness.Start(t, &harness.Options{Module: signed})
	request := httppb.Request{Method: "POST", Path: "/"}
	answer, err := g.Call(t.Context(), capability.HTTPServer, capability.OpHandleRequest, request.AppendProto(nil))
	must(t, err)
	var response httppb.Response
	must(t, response.UnmarshalProto(answer))
	if response.StatusCode != 200 || string(response.Body) != "{\"count\":1}\n" {
		t.Errorf("%d %s", response.StatusCode, response.Body)
	}
	if _, err := g.Call(t.Context(), capability.Messaging, capability.OpDeliverMessage, nil); err == nil {
		t.Error("a call of a capability that was not granted")
	}
	if _, err := harness.Launch(t.Context(), &harness.Options{Module: unsigned}); err == nil || !strings.Contains(err.Error(), "unsigned.wasm") {
		t.Errorf("an unsigned module: %v", err)
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	dir := counter(t)
	broken := counter(t)
	must(t, os.WriteFile(filepath.Join(broken, "main.go"), []byte("package main\n\nfunc main() { nonsense }\n"), 0o600))
	bind := counter(t)
	manifest := filepath.Join(bind, "waxo.toml")
	content, err := os.ReadFile(manifest)
	must(t, err)
	must(t, os.WriteFile(manifest, append(content, "\n[[bind]]\ncapability = \"wascap:keyvalue\"\nprovider = \"url\"\nurl = \"${STORE}\"\n"...), 0o600))
	for want, opts := range map[string]harness.Options{
		`there are no providers "embeded"`:                    {Project: dir, Providers: "embeded"},
		"no service wascap:messaging; it has wascap:keyvalue": {Project: dir, Services: map[string]string{"wascap:messaging": "embedded"}},
		"no service wascap:http_server":                       {Project: dir, Services: map[string]string{"wascap:http_server": "embedded"}},
		`"docker" is neither`:                                 {Project: dir, Services: map[string]string{"wascap:keyvalue": "docker"}},
		"waxo.toml":                                           {Project: t.TempDir()},
		"undefined: nonsense":                                 {Project: broken},
		"no such file":                                        {Module: filepath.Join(dir, "none.wasm")},
		"leave Project empty":                                 {Module: "x", Project: dir},
		"STORE":                                               {Project: bind, Providers: "manifest"},
		"context deadline exceeded":                           {Project: dir, Timeout: time.Nanosecond},
	} {
		if g, err := harness.Launch(t.Context(), &opts); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
			if g != nil {
				must(t, g.Close(t.Context()))
			}
		}
	}
}

// TestNoEngine: who asks for a container where there is no engine is told what to
// do.
func TestNoEngine(t *testing.T) {
	t.Setenv("DOCKER_CERT_PATH", t.TempDir())
	t.Setenv("DOCKER_TLS_VERIFY", "1")
	_, err := harness.Launch(t.Context(), &harness.Options{Project: counter(t), Providers: "container"})
	if !errors.Is(err, companion.ErrNoEngine) || !strings.Contains(err.Error(), "docker.io") || !strings.Contains(err.Error(), "embedded") {
		t.Errorf("got %v", err)
	}
}

// recorder is a test that notes its failure.
type recorder struct {
	testing.TB
	fatal string
}

func (r *recorder) Fatal(args ...any) {
	r.fatal = fmt.Sprint(args...)
	runtime.Goexit()
}

func TestStartFails(t *testing.T) {
	t.Parallel()
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		harness.Start(r, &harness.Options{Project: t.TempDir()})
	}()
	<-done
	if !strings.HasPrefix(r.fatal, "harness: ") {
		t.Errorf("the test ended with %q", r.fatal)
	}
}

func Example() {
	folder, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(folder)
	dir := filepath.Join(folder, "hello") // yours is there already
	if _, err := templates.Write(dir, "kvcounter", nil); err != nil {
		panic(err)
	}

	// In a test: guest := harness.Start(t, nil)
	guest, err := harness.Launch(context.Background(), &harness.Options{Project: dir, Faults: true})
	if err != nil {
		panic(err)
	}
	defer guest.Close(context.Background())
	for _, cut := range []bool{false, true, false} {
		store := guest.Faults("wascap:keyvalue", "default")
		if err = store.Heal(); cut {
			err = store.Cut()
		}
		if err != nil {
			panic(err)
		}
		response, err := http.Post(guest.URL(), "", nil)
		if err != nil {
			panic(err)
		}
		fmt.Println(response.Status)
		response.Body.Close()
	}
	// Output:
	// 200 OK
	// 502 Bad Gateway
	// 200 OK
}
