//go:build unix

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/cmd/internal/cli"
	"github.com/waxosuit/waxo/devhost/workbench"
	"github.com/waxosuit/waxo/testscripts/guests"
	"github.com/waxosuit/waxo/wascap"
)

// patience is how long a test waits for what must come.
const patience = 90 * time.Second

// process is a waxo that runs beside the test.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	url    string
	events chan workbench.Event
	all    *transcript
	ended  chan struct{}
}

// transcript is everything that a process printed.
type transcript struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *transcript) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *transcript) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// waxo starts the command in a process group of its own, so that what it
// leaves behind can be found.
func waxo(t *testing.T, dir string, args ...string) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, events: make(chan workbench.Event, 100000), all: &transcript{}, ended: make(chan struct{})}
	p.cmd = exec.Command(self, args...)
	p.cmd.Dir = dir
	p.cmd.Env = append(os.Environ(), asWaxo+"=1", "GOPROXY=off", "GOFLAGS=", "REDIS_URL=", "WAXO_KEYVALUE_URL=", "PORT=",
		"XDG_CACHE_HOME="+filepath.Join(os.TempDir(), "waxo-test-cache"))
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.cmd.Stdout = p.all
	lines, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go p.read(lines)
	t.Cleanup(func() {
		if err := syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL); err == nil {
			<-p.ended
		}
		if t.Failed() {
			t.Logf("it printed:\n%s", p.all)
		}
	})
	return p
}

func (p *process) read(lines io.Reader) {
	s := bufio.NewScanner(io.TeeReader(lines, p.all))
	s.Buffer(nil, 16<<20)
	for s.Scan() {
		var e workbench.Event
		if json.Unmarshal(s.Bytes(), &e) == nil && e.Kind != "" {
			p.events <- e
		}
	}
	close(p.events)
	p.cmd.Wait() //nolint:errcheck // the status is read where it matters
	close(p.ended)
}

// dev starts waxo dev on a free port and waits for the first build.
func dev(t *testing.T, dir string, args ...string) *process {
	t.Helper()
	p := waxo(t, dir, append([]string{"dev", "--port", "0", "--log-format", "json"}, args...)...)
	p.url = p.wait(workbench.KindListening).Message
	p.wait(workbench.KindServing)
	return p
}

func (p *process) wait(kind workbench.Kind) workbench.Event {
	p.t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case e, ok := <-p.events:
			switch {
			case !ok:
				p.t.Fatalf("it ended before %s", kind)
			case e.Kind == kind:
				return e
			case e.Kind == workbench.KindServing || e.Kind == workbench.KindFailed:
				p.t.Fatalf("waiting for %s: %+v", kind, e)
			}
		case <-timeout:
			p.t.Fatalf("no event %s", kind)
		}
	}
}

// stop interrupts and returns the exit status, and finds what was left running.
func (p *process) stop(s os.Signal) int {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.t.Fatal("it does not end")
	}
	if err := syscall.Kill(-p.cmd.Process.Pid, 0); !errors.Is(err, syscall.ESRCH) {
		p.t.Errorf("it left processes behind: %v", err)
	}
	return p.cmd.ProcessState.ExitCode()
}

// do sends a request and returns status, body and the build that answered.
func (p *process) do(method, path string) (int, string, string) {
	p.t.Helper()
	r, err := http.NewRequest(method, p.url+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return response.StatusCode, strings.TrimSpace(string(body)), response.Header.Get("X-Waxo-Build")
}

func (p *process) expect(method, path, want string) {
	p.t.Helper()
	if status, body, build := p.do(method, path); status != 200 || body != want {
		p.t.Fatalf("%s %s: %d %q (%s), want %q", method, path, status, body, build, want)
	}
}

// edit replaces text in a file of the project.
func edit(t *testing.T, file, old, replacement string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(data, []byte(old)) {
		t.Fatalf("%s does not contain %q", file, old)
	}
	if err := os.WriteFile(file, bytes.Replace(data, []byte(old), []byte(replacement), 1), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestDevFromNothing(t *testing.T) {
	dir := t.TempDir()
	main := filepath.Join(dir, "hello", "main.go")
	p := dev(t, dir, "hello")
	p.expect("GET", "/", `{"count":0}`)
	p.expect("POST", "/", `{"count":1}`)
	p.expect("POST", "/", `{"count":2}`)
	p.expect("GET", "/healthz", `{"status":"healthy"}`)
	if status, body, _ := p.do("GET", "/id"); status != 200 || !strings.HasPrefix(body, `{"module":"M`) {
		t.Errorf("/id: %d %s", status, body)
	}
	if status, body, _ := p.do("POST", "/liveupdate"); status != 403 || !strings.Contains(body, "live update is off here") {
		t.Errorf("/liveupdate: %d %s", status, body)
	}

	edit(t, main, `{"count":`, `{"total":`)
	p.wait(workbench.KindServing)
	p.expect("GET", "/", `{"total":2}`)

	edit(t, main, "func main() {}", "func main() {")
	failed := p.wait(workbench.KindFailed)
	if !strings.Contains(failed.Detail, "main.go:") || failed.Stage != "build" {
		t.Errorf("the compiler's words are missing: %+v", failed)
	}
	if _, body, build := p.do("GET", "/"); body != `{"total":2}` || !strings.HasSuffix(build, fmt.Sprintf("; build %d failed", failed.Build)) {
		t.Errorf("%q answers as %q", body, build)
	}
	edit(t, main, "func main() {", "func main() {}\n\nvar _ = 1")
	p.wait(workbench.KindServing)
	p.expect("POST", "/", `{"total":3}`)
	if status := p.stop(os.Interrupt); status != cli.ExitInterrupted {
		t.Errorf("the status is %d", status)
	}

	// Compiled code is machine code: it is never read from a project.
	if _, err := os.Lstat(filepath.Join(dir, "hello", ".waxo", "cache")); err == nil {
		t.Error("compiled code is kept in the project")
	}

	again := dev(t, filepath.Join(dir, "hello"))
	again.expect("GET", "/", `{"total":3}`)
	if status := again.stop(syscall.SIGTERM); status != cli.ExitOK {
		t.Errorf("after a termination the status is %d", status)
	}
}

func TestDenialSaysWhatToAdd(t *testing.T) {
	dir := t.TempDir()
	p := dev(t, dir, "hello")
	p.expect("POST", "/", `{"count":1}`)
	file := filepath.Join(dir, "hello", "waxo.toml")
	edit(t, file, `, "wascap:keyvalue"`, "")
	p.wait(workbench.KindCapabilities)
	p.wait(workbench.KindServing)
	status, body, _ := p.do("POST", "/")
	if status != 500 || !strings.Contains(body, `add "wascap:keyvalue" to capabilities in waxo.toml`) || !strings.Contains(body, "Add") {
		t.Errorf("%d %q", status, body)
	}
	edit(t, file, `"wascap:http_server"`, `"wascap:http_server", "wascap:keyvalue"`)
	p.wait(workbench.KindServing)
	p.expect("GET", "/", `{"count":1}`)
}

func TestATakenPortIsNeverHopped(t *testing.T) {
	dir := t.TempDir()
	first := dev(t, dir, "hello")
	_, port, _ := strings.Cut(strings.TrimPrefix(first.url, "http://"), ":")
	second := waxo(t, dir, "dev", "other", "--port", port)
	<-second.ended
	if status := second.cmd.ProcessState.ExitCode(); status != cli.ExitFailure {
		t.Errorf("the status is %d", status)
	}
	if said := second.all.String(); !strings.Contains(said, fmt.Sprint(first.cmd.Process.Pid)) || !strings.Contains(said, port) {
		t.Errorf("the holder, process %d, is not named: %s", first.cmd.Process.Pid, said)
	}
}

func TestRunServesWhatDevMade(t *testing.T) {
	dir := t.TempDir()
	p := dev(t, dir, "hello")
	p.stop(os.Interrupt)
	module := filepath.Join(dir, "hello", ".waxo", "build", "hello.wasm")
	r := serve(t, dir, module, "--allow-dev", "--timings", "--probes", "/_host")
	r.expect("GET", "/_host/healthz", `{"status":"healthy"}`)
	if _, body, _ := r.do("GET", "/healthz"); strings.Contains(body, "healthy") {
		t.Errorf("/healthz is not the guest's: %s", body)
	}
	r.expect("POST", "/", `{"count":1}`)
	r.expect("GET", "/", `{"count":1}`)
	r.timed()
	if _, _, build := r.do("GET", "/"); build != "" {
		t.Errorf("production tells its build: %q", build)
	}
	if status := r.stop(syscall.SIGTERM); status != cli.ExitOK {
		t.Errorf("the status is %d", status)
	}
}

// timed expects what --timings promises: each step, none longer than all of them.
func (p *process) timed() {
	p.t.Helper()
	for line := range strings.Lines(p.all.String()) {
		var record map[string]any
		if json.Unmarshal([]byte(line), &record) != nil || record["msg"] != "started" {
			continue
		}
		total, _ := record["total_ms"].(float64)
		for _, step := range []string{"read", "connect", "verify", "hash", "cache", "start", "health", "listen"} {
			if took, ok := record[step+"_ms"].(float64); !ok || took < 0 || took > total {
				p.t.Errorf("%s took %v of %v ms", step, record[step+"_ms"], total)
			}
		}
		if tier := record["tier"]; tier != "compiled" && tier != "interpreted" {
			p.t.Errorf("the guest is %v", tier)
		}
		return
	}
	p.t.Errorf("there are no timings in\n%s", p.all)
}

// serve starts waxo run on a free port and waits until it serves.
func serve(t *testing.T, dir, module string, args ...string) *process {
	t.Helper()
	p := waxo(t, dir, append([]string{"run", module, "--port", "0", "--log-format", "json"}, args...)...)
	deadline := time.Now().Add(patience)
	for p.url == "" {
		for line := range strings.Lines(p.all.String()) {
			var record struct{ Msg, URL string }
			if json.Unmarshal([]byte(line), &record) == nil && record.Msg == "serving" {
				p.url = record.URL
			}
		}
		select {
		case <-p.ended:
			t.Fatalf("it ended: %s", p.all)
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatal("it does not serve")
		}
	}
	return p
}

func TestOriginalSDKCountsHere(t *testing.T) {
	account, err := wascap.Generate(wascap.Account)
	if err != nil {
		t.Fatal(err)
	}
	key, err := wascap.Generate(wascap.Module)
	if err != nil {
		t.Fatal(err)
	}
	claims := wascap.Claims{
		Subject: key.PublicKey().String(), Name: "original", Tags: []string{wascap.DevTag},
		Capabilities: []string{capability.HTTPServer, capability.KeyValue},
	}
	signed, err := wascap.Sign(guests.WaxosuitRust(t), claims, account, nil)
	if err != nil {
		t.Fatal(err)
	}
	module := filepath.Join(t.TempDir(), "original.wasm")
	if err := os.WriteFile(module, signed, 0o644); err != nil {
		t.Fatal(err)
	}
	p := serve(t, t.TempDir(), module, "--allow-dev")
	p.expect("GET", "/", `{"count":0}`)
	p.expect("POST", "/", `{"counter":1}`)
	p.expect("POST", "/", `{"counter":2}`)
	p.expect("GET", "/", `{"count":2}`)
}

func TestOutputThatIsKeptInTheProjectMakesNoLoop(t *testing.T) {
	dir := t.TempDir()
	p := waxo(t, dir, "dev", "--port", "0", "--log-format", "json", "hello")
	log := filepath.Join(dir, "hello", "dev.log")
	grow := func() {
		t.Helper()
		f, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err == nil {
			_, err = f.WriteString("one more line\n")
			err = errors.Join(err, f.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	p.wait(workbench.KindBuilding)
	grow()
	if e := p.wait(workbench.KindServing); e.Build != 1 {
		t.Errorf("build %d is the first that serves: it was cancelled", e.Build)
	}
	if e := p.wait(workbench.KindBuilding); !slices.Equal(e.Paths, []string{"dev.log"}) {
		t.Errorf("got %+v", e)
	}
	p.wait(workbench.KindUnchanged)
	grow()
	edit(t, filepath.Join(dir, "hello", "main.go"), `{"count":`, `{"total":`)
	if e := p.wait(workbench.KindBuilding); !slices.Contains(e.Paths, "main.go") {
		t.Errorf("the log that is known not to matter began a build: %+v", e)
	}
	p.wait(workbench.KindServing)
	p.stop(os.Interrupt)
}

func TestTheSecondInterruptStopsAtOnce(t *testing.T) {
	dir := t.TempDir()
	main := filepath.Join(dir, "hello", "main.go")
	p := dev(t, dir, "hello")
	edit(t, main, "return answer(count), nil", "println(\"it hangs\")\n\tfor count != \"\" {\n\t}\n\treturn answer(count), nil")
	p.wait(workbench.KindServing)
	p.hang()
	edit(t, main, `{"count":`, `{"total":`) // the call stays with the build that it began on
	p.wait(workbench.KindServing)
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	p.wait(workbench.KindStopping)
	if status := p.stop(os.Interrupt); status != cli.ExitInterrupted {
		t.Errorf("the status is %d", status)
	}
	if said := p.all.String(); !strings.Contains(said, "left unfinished: 1 call") {
		t.Errorf("what was left is not named: %s", said)
	}

	// One interrupt, and a request that does not end in time.
	p = serve(t, t.TempDir(), filepath.Join(dir, "hello", ".waxo", "build", "hello.wasm"), "--allow-dev", "--drain", "1ms")
	p.hang()
	if status := p.stop(os.Interrupt); status != cli.ExitInterrupted {
		t.Errorf("the status is %d", status)
	}
	if said := p.all.String(); !strings.Contains(said, "cut off") || strings.Contains(said, "earlier builds") {
		t.Errorf("it said %s", said)
	}
}

// TestInterruptWhileAPayloadIsRead: what is read from has not to end first.
func TestInterruptWhileAPayloadIsRead(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	p := waxo(t, dir, "invoke", "HandleRequest", "@pipe")
	var writer *os.File
	p.until(func() bool { // it can be opened when somebody reads
		writer, _ = os.OpenFile(pipe, os.O_WRONLY|syscall.O_NONBLOCK, 0)
		return writer != nil
	}, "nobody reads")
	defer writer.Close()
	if status := p.stop(os.Interrupt); status != cli.ExitInterrupted {
		t.Errorf("the status is %d", status)
	}
}

// hang sends a request that is never answered, and returns when the guest says
// that it has it.
func (p *process) hang() {
	p.t.Helper()
	request, err := http.NewRequestWithContext(p.t.Context(), "GET", p.url, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	go http.DefaultClient.Do(request)
	p.says("it hangs")
}
