package harness_test

import (
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/payload/corepb"
	"github.com/waxosuit/waxo/devhost/manifest"
	"github.com/waxosuit/waxo/harness"
	"github.com/waxosuit/waxo/templates"
)

// TestEverything: a guest that performs every operation of every capability,
// through the SDK, gets what is expected from embedded services, and the same from
// real ones, byte by byte. UPDATE_GOLDEN=1 writes anew what is expected.
func TestEverything(t *testing.T) {
	t.Parallel()
	const golden = "testdata/everything.golden"
	server := httptest.NewServer(http.HandlerFunc(serveEverything))
	t.Cleanup(server.Close)
	dir := projectOf(t, "testdata/everything")
	embedded := performEverything(t, dir, server.URL, manifest.ProviderEmbedded)
	if os.Getenv("UPDATE_GOLDEN") != "" {
		must(t, os.WriteFile(golden, []byte(embedded), 0o644))
	}
	want, err := os.ReadFile(golden)
	must(t, err)
	sameLines(t, "embedded", embedded, string(want))
	checkCoverage(t, embedded)
	t.Run("container", func(t *testing.T) {
		needEngine(t)
		sameLines(t, "container", performEverything(t, dir, server.URL, manifest.ProviderContainer), embedded)
	})
}

// projectOf makes a project of the guest in a folder, with the SDK of this checkout.
func projectOf(t testing.TB, folder string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), filepath.Base(folder))
	_, err := templates.Write(dir, "http", nil)
	must(t, err)
	for _, old := range []string{"main.go", "main_test.go"} {
		must(t, os.Remove(filepath.Join(dir, old)))
	}
	sources, err := filepath.Glob(filepath.Join(folder, "*"))
	must(t, err)
	for _, source := range sources {
		content, err := os.ReadFile(source)
		must(t, err)
		must(t, os.WriteFile(filepath.Join(dir, filepath.Base(source)), content, 0o600))
	}
	return dir
}

// serveEverything is the server that the guest sends requests to.
func serveEverything(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("X-Seen", r.Method+" "+r.URL.String()+" "+r.Header.Get("X-Sent"))
	w.Header().Set("Set-Cookie", "a=1")
	switch r.URL.Path {
	case "/redirect":
		http.Redirect(w, r, "/there", http.StatusFound)
	case "/absent":
		http.Error(w, "not here", http.StatusNotFound)
	default:
		w.Write(body) //nolint:errcheck // the guest's loss
	}
}

// lines is a log that keeps the lines of a guest.
type lines struct {
	slog.Handler
	mu   *sync.Mutex
	text *strings.Builder
}

func (l lines) Handle(ctx context.Context, r slog.Record) error {
	if strings.HasPrefix(r.Message, "everything: ") {
		l.mu.Lock()
		defer l.mu.Unlock()
		fmt.Fprintf(l.text, "logged %d %s\n", r.Level, r.Message)
	}
	return l.Handler.Handle(ctx, r)
}

// String is what the guest has logged so far.
func (l lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l lines) WithAttrs(attrs []slog.Attr) slog.Handler {
	l.Handler = l.Handler.WithAttrs(attrs)
	return l
}

func (l lines) WithGroup(name string) slog.Handler {
	l.Handler = l.Handler.WithGroup(name)
	return l
}

// performEverything has the guest perform everything and returns the transcript.
func performEverything(t *testing.T, dir, server, providers string) string {
	t.Helper()
	logged := lines{slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug - 4}), new(sync.Mutex), new(strings.Builder)}
	address := strings.TrimPrefix(server, "http://")
	g := harness.Start(t, &harness.Options{
		Project: dir, Log: slog.New(logged),
		Providers: providers,
		Lookup:    func(name string) (string, bool) { return address, name == "SERVER" },
	})
	var transcript strings.Builder
	section := func(id string, texts ...string) {
		fmt.Fprintf(&transcript, "# %s\n%s", id, strings.Join(texts, ""))
	}
	section(capability.HTTPServer, askToEcho(t, g))
	section(capability.HTTPClient, ask(t, g, "/http_client?url="+server))
	section(capability.KeyValue, ask(t, g, "/keyvalue"))
	section(capability.Messaging, ask(t, g, "/messaging"), awaitDelivered(t, g, 2))
	section(capability.Blobstore, ask(t, g, "/blobstore"),
		ask(t, g, "/blobstore/download?id=pieces&size=4"), awaitDelivered(t, g, 3),
		ask(t, g, "/blobstore/download?id=%C3%A4/small&size=0"), awaitDelivered(t, g, 1),
		ask(t, g, "/blobstore/download?id=nothing&size=1"), ask(t, g, "/blobstore/download?id=none&size=1"),
		ask(t, g, "/blobstore/tidy"))
	section(capability.EventStreams, ask(t, g, "/eventstreams"), awaitDelivered(t, g, 3))
	section(capability.Logging, ask(t, g, "/logging"), logged.String())
	section(capability.Extras, ask(t, g, "/extras"))
	section(capability.Clock, ask(t, g, "/clock?since="+strconv.FormatInt(time.Now().UnixNano(), 10)))
	section(capability.Core, health(t, g))
	return strings.ReplaceAll(transcript.String(), address, "SERVER")
}

func request(t *testing.T, g *harness.Guest, method, target, body string, header http.Header) (int, http.Header, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, g.URL()+target, strings.NewReader(body))
	must(t, err)
	maps.Copy(r.Header, header)
	response, err := http.DefaultClient.Do(r)
	must(t, err)
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	must(t, err)
	return response.StatusCode, response.Header, string(content)
}

func ask(t *testing.T, g *harness.Guest, target string) string {
	t.Helper()
	status, _, text := request(t, g, http.MethodGet, target, "", nil)
	if status != http.StatusOK {
		t.Fatalf("%s: %d %s", target, status, text)
	}
	return text
}

func askToEcho(t *testing.T, g *harness.Guest) string {
	t.Helper()
	status, header, text := request(t, g, http.MethodPost, "/http_server/a%20b?q=c+d", "a body\x00", http.Header{"X-Sent": {"ä"}})
	return fmt.Sprintf("%sanswered %d %s\n", text, status, header.Get("X-Answered"))
}

// awaitDelivered waits until so much was delivered to the guest, and returns it.
func awaitDelivered(t *testing.T, g *harness.Guest, n int) string {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		status, _, text := request(t, g, http.MethodGet, "/delivered?n="+strconv.Itoa(n), "", nil)
		switch {
		case status == http.StatusOK:
			return text
		case status != http.StatusAccepted || time.Now().After(deadline):
			t.Fatalf("of %d deliveries there are, with status %d:\n%s", n, status, text)
		}
		<-again.C
	}
}

// health asks the guest how it is, as hosts do.
func health(t *testing.T, g *harness.Guest) string {
	t.Helper()
	var text strings.Builder
	for _, state := range []string{"well", "unwell", "well"} {
		if status, _, answer := request(t, g, http.MethodPost, "/health/"+state, "", nil); status != http.StatusOK {
			t.Fatalf("%d %s", status, answer)
		}
		_, err := g.Call(t.Context(), capability.Core, capability.OpHealthRequest, (&corepb.HealthRequest{}).AppendProto(nil))
		answer := "ok"
		if err != nil {
			answer = "error " + err.Error()
		}
		fmt.Fprintf(&text, "%s when %s = %s\n", capability.OpHealthRequest, state, answer)
	}
	return text.String()
}

// sameLines compares transcripts.
func sameLines(t *testing.T, name, got, want string) {
	t.Helper()
	if got == want {
		return
	}
	has, wants := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range max(len(has), len(wants)) {
		line := func(of []string) string {
			if i < len(of) {
				return of[i]
			}
			return "(the end)"
		}
		if line(has) != line(wants) {
			t.Fatalf("%s: line %d of the transcript:\n got %s\nwant %s\nall of it:\n%s", name, i+1, line(has), line(wants), got)
		}
	}
}

// checkCoverage fails where a capability has no section in the transcript, or an
// operation no line, and where a line names no operation.
func checkCoverage(t *testing.T, transcript string) {
	t.Helper()
	capabilities, operations := declared(t)
	for id := range capabilities {
		if !strings.Contains(transcript, "# "+id+"\n") {
			t.Errorf("the guest does not use %s", id)
		}
	}
	used := map[string]bool{
		// A guest has no part in it: it is asked of the host by people, and refused
		// where a guest asks.
		capability.OpPerformLiveUpdate: true,
	}
	for line := range strings.Lines(transcript) {
		operation, _, _ := strings.Cut(line, " ")
		switch operation {
		case "#", "answered", "logged":
			continue
		}
		if !operations[operation] {
			t.Errorf("there is no operation %q", operation)
		}
		used[operation] = true
	}
	for operation := range operations {
		if !used[operation] {
			t.Errorf("the guest does not use the operation %s", operation)
		}
	}
}

// declared reads the capabilities and operations that there are from their
// constants in package capability.
func declared(t *testing.T) (capabilities, operations map[string]bool) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../capability/operations.go", nil, 0)
	must(t, err)
	capabilities, operations = make(map[string]bool), make(map[string]bool)
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		if literal, ok := spec.Values[0].(*ast.BasicLit); ok && literal.Kind == token.STRING {
			value, err := strconv.Unquote(literal.Value)
			must(t, err)
			if strings.HasPrefix(spec.Names[0].Name, "Op") {
				operations[value] = true
			} else {
				capabilities[value] = true
			}
		}
		return true
	})
	// What the standard has, and ours: fewer would be a mistake of this function.
	if len(capabilities) != 10 || len(operations) != 38 {
		t.Fatalf("package capability declares %d capabilities and %d operations: %v, %v",
			len(capabilities), len(operations), slices.Sorted(maps.Keys(capabilities)), slices.Sorted(maps.Keys(operations)))
	}
	return capabilities, operations
}
