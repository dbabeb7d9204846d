package guest_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/waxosuit/waxo/capability/payload/httppb"
	waxo "github.com/waxosuit/waxo/guest/go"
	"github.com/waxosuit/waxo/guest/go/waxotest"
	"github.com/waxosuit/waxo/guest/guesttest"
)

// probe runs testdata/probe against an in-memory host.
func probe(t testing.TB) (*guesttest.Guest, *waxotest.Host) {
	t.Helper()
	h := waxotest.New(t)
	h.Grant("wascap:http_server", "wascap:keyvalue", "wascap:logging", "wascap:extras", "waxo:clock")
	return guesttest.Run(t, guesttest.Build(t, "testdata/probe"), waxo.Call), h
}

func do(t testing.TB, g *guesttest.Guest, req *httppb.Request) (*httppb.Response, error) {
	t.Helper()
	payload, err := g.Call(t, "wascap:httpserver!HandleRequest", req.AppendProto(nil))
	if err != nil {
		return nil, err
	}
	resp := new(httppb.Response)
	if err := resp.UnmarshalProto(payload); err != nil {
		t.Fatal(err)
	}
	return resp, nil
}

func TestGuest(t *testing.T) {
	g, h := probe(t)
	t.Run("failures", func(t *testing.T) { testFailures(t, g) })
	t.Run("health", func(t *testing.T) { testHealth(t, g) })
	t.Run("dispatch", func(t *testing.T) { testDispatch(t, g) })
	t.Run("capabilities", func(t *testing.T) { testCapabilities(t, g, h) })
	t.Run("strings", func(t *testing.T) { testStrings(t, g) })
	t.Run("stray", func(t *testing.T) { testStray(t, g) })
	t.Run("heads", func(t *testing.T) { testHeads(t, g) })
	t.Run("memory", func(t *testing.T) { testMemory(t, g) })
	t.Run("bodies", func(t *testing.T) { testBodies(t, g) })
	t.Run("deadlock", func(t *testing.T) { testDeadlock(t, g) }) // ends the instance
}

func testFailures(t *testing.T, g *guesttest.Guest) {
	for how, want := range map[string]string{
		"error":       "the deed failed",
		"panic":       "panic: the deed panicked",
		"nil":         "panic: runtime error: invalid memory address or nil pointer dereference",
		"index":       "panic: runtime error: index out of range [0] with length 0",
		"map":         "panic: assignment to entry in nil map",
		"typed%20nil": "panic: runtime error: invalid memory address or nil pointer dereference",
		"none":        "internal: http: the handler returned neither a response nor an error",
		"header":      "internal: http: the header X-Split holds a control character or is not UTF-8",
	} {
		_, err := do(t, g, &httppb.Request{Method: "POST", Path: "/fail/" + how})
		if err == nil || err.Error() != want {
			t.Errorf("fail %s: %v, want %s", how, err, want)
		}
		if resp, err := do(t, g, &httppb.Request{Method: "POST", Path: "/echo", Body: []byte("x")}); err != nil || string(resp.Body) != "x" {
			t.Fatalf("after %s the guest does not serve: %v", how, err)
		}
	}
	console := strings.Join(g.Console(), "\n")
	if !strings.Contains(console, "panic: the deed panicked\nmain.fail(") || !strings.Contains(console, "main.go:") {
		t.Errorf("the console has no stack that starts at the panic:\n%s", console)
	}
}

func testHealth(t *testing.T, g *guesttest.Guest) {
	for _, operation := range []string{"wascap:httpsrv!HealthRequest", "HealthRequest"} {
		if _, err := g.Call(t, operation, nil); err != nil {
			t.Errorf("%s: %v", operation, err)
		}
	}
	if _, err := do(t, g, &httppb.Request{Method: "POST", Path: "/fail/unwell"}); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Call(t, "HealthRequest", nil); err == nil || err.Error() != "the probe is unwell" {
		t.Errorf("health = %v", err)
	}
}

func testDispatch(t *testing.T, g *guesttest.Guest) {
	for _, operation := range []string{"vendor:echo!Reverse", "Reverse"} {
		if got, err := g.Call(t, operation, []byte("abc")); err != nil || string(got) != "cba" {
			t.Errorf("%s = %q, %v", operation, got, err)
		}
	}
	for _, operation := range []string{"vendor:other!Reverse", "Absent", "", "!", strings.Repeat("x", 5000)} {
		_, err := g.Call(t, operation, nil)
		if err == nil || !errors.Is(waxo.ParseError(err.Error()), waxo.ErrUnsupported) || !strings.Contains(err.Error(), "vendor:echo!Reverse") {
			t.Errorf("%q = %v", operation, err)
		}
	}
	if _, err := g.Call(t, "HandleRequest", []byte{0x0a, 0x05, 'G'}); err == nil || !errors.Is(waxo.ParseError(err.Error()), waxo.ErrInvalid) {
		t.Errorf("a truncated request = %v", err)
	}
}

func testCapabilities(t *testing.T, g *guesttest.Guest, h *waxotest.Host) {
	resp, err := do(t, g, &httppb.Request{Method: "GET", Path: "/host"})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(resp.Body), "2020-01-01T00:00:00Z 36 false true"; got != want {
		t.Errorf("host calls answered %q, want %q", got, want)
	}
	if logs := h.Logs(); len(logs) != 1 || logs[0] != (waxotest.Entry{Level: "info", Text: "hello"}) {
		t.Errorf("logs = %v", logs)
	}
	if lines := g.Console(); lines[len(lines)-1] != "plain" {
		t.Errorf("console = %q", lines)
	}
	if _, err := do(t, g, &httppb.Request{Method: "POST", Path: "/goroutines"}); err != nil {
		t.Errorf("goroutines: %v", err)
	}
}

// testStrings keeps strings of one request until the next, whose bytes lie where
// the first one's were.
func testStrings(t *testing.T, g *guesttest.Guest) {
	keep := func(s string) *httppb.Request {
		return &httppb.Request{Method: "POST", Path: "/keep", QueryString: s, Header: map[string]string{"x-keep": s}}
	}
	if _, err := do(t, g, keep("first")); err != nil {
		t.Fatal(err)
	}
	resp, err := do(t, g, keep("other"))
	if err != nil || string(resp.Body) != "firstfirst" {
		t.Errorf("kept %q, %v", resp.Body, err)
	}
}

// testStray has a goroutine look at a request after its handler returned.
func testStray(t *testing.T, g *guesttest.Guest) {
	for _, which := range []string{"first", "other"} {
		left := &httppb.Request{Method: "POST", Path: "/stray", QueryString: which, Header: map[string]string{"X-Keep": which}}
		if _, err := do(t, g, left); err != nil {
			t.Fatal(err)
		}
		if _, err := do(t, g, &httppb.Request{Method: "POST", Path: "/echo", QueryString: "x", Header: map[string]string{"X-Keep": "wrong"}}); err != nil {
			t.Fatal(err)
		}
		resp, err := do(t, g, &httppb.Request{Method: "POST", Path: "/stray/ask"})
		if want := "/stray?" + which + " " + which; err != nil || string(resp.Body) != want {
			t.Errorf("the goroutine saw %q, %v, want %q", resp.Body, err, want)
		}
	}
}

// testHeads sends requests that share their header or their request line with the
// one before, or fail, and looks whether each gets its own.
func testHeads(t *testing.T, g *guesttest.Guest) {
	for i := range 300 {
		path := []string{"/echo", "/echo", "/fail/panic", "/echo"}[i%4]
		header := map[string]string{"X-A": []string{"1", "2", "ä"}[i/2%3], "X-B": strings.Repeat("b", i/8%3*100)}
		if i%7 == 0 {
			header = nil
		}
		body := strings.Repeat("x", i%5)
		resp, err := do(t, g, &httppb.Request{Method: "POST", Path: path, Header: header, Body: []byte(body)})
		if path != "/echo" {
			if err == nil || err.Error() != "panic: the deed panicked" {
				t.Fatalf("request %d: %v", i, err)
			}
			continue
		}
		if err != nil || string(resp.Body) != body || !maps.Equal(resp.Header, header) {
			t.Fatalf("request %d: %q %q %v, want %q %q", i, resp.Body, resp.Header, err, body, header)
		}
	}
}

func testBodies(t *testing.T, g *guesttest.Guest) {
	for _, size := range []int{0, 1, 511, 512, 513, 1 << 20, 32 << 20, 100} {
		body := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
		resp, err := do(t, g, &httppb.Request{Method: "POST", Path: "/echo", Body: body, Header: map[string]string{"X-A": "ä"}})
		if err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		if !bytes.Equal(resp.Body, body) || resp.Header["X-A"] != "ä" || resp.StatusCode != 200 {
			t.Errorf("%d bytes: answered %d bytes, status %d, header %v", size, len(resp.Body), resp.StatusCode, resp.Header)
		}
	}
	for range 8 { // in total beyond the memory's limit
		if _, err := do(t, g, &httppb.Request{Method: "POST", Path: "/echo", Body: make([]byte, 32<<20)}); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("memory after bodies of 32 MiB: %d MiB", g.MemorySize()>>20)
}

func testMemory(t *testing.T, g *guesttest.Guest) {
	req := &httppb.Request{Method: "POST", Path: "/echo", Body: make([]byte, 4<<10), Header: map[string]string{"Accept": "*/*", "User-Agent": "test"}}
	for range 20_000 { // until the heap has the size at which it stays
		if _, err := do(t, g, req); err != nil {
			t.Fatal(err)
		}
	}
	before := g.MemorySize()
	for range 10_000 {
		if _, err := do(t, g, req); err != nil {
			t.Fatal(err)
		}
	}
	// The Go runtime takes memory by the arena; a leak of 32 bytes a call shows.
	if grown := g.MemorySize() - before; grown > 10_000*32 {
		t.Errorf("memory grew by %d bytes over 10,000 calls", grown)
	}
}

func testDeadlock(t *testing.T, g *guesttest.Guest) {
	if _, err := do(t, g, &httppb.Request{Method: "POST", Path: "/fail/deadlock"}); !errors.Is(err, guesttest.ErrTrap) {
		t.Errorf("a deadlock = %v, want a trap", fmt.Sprint(err))
	}
}
