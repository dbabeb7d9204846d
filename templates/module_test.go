package templates_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waxosuit/waxo/capability/payload/httppb"
	waxo "github.com/waxosuit/waxo/guest/go"
	"github.com/waxosuit/waxo/guest/go/waxotest"
	"github.com/waxosuit/waxo/guest/guesttest"
	"github.com/waxosuit/waxo/templates"
)

// build writes a template's project and compiles it to WebAssembly.
func build(t *testing.T, name string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "project")
	if _, err := templates.Write(dir, name, nil); err != nil {
		t.Fatal(err)
	}
	return guesttest.Build(t, dir)
}

func do(t *testing.T, g *guesttest.Guest, method, path, query, body string) *httppb.Response {
	t.Helper()
	req := httppb.Request{Method: method, Path: path, QueryString: query, Body: []byte(body),
		Header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}}
	payload, err := g.Call(t, "wascap:httpserver!HandleRequest", req.AppendProto(nil))
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	resp := new(httppb.Response)
	if err := resp.UnmarshalProto(payload); err != nil {
		t.Fatal(err)
	}
	return resp
}

func TestKVCounterModule(t *testing.T) {
	h := waxotest.New(t)
	h.Grant("wascap:keyvalue")
	module := build(t, "kvcounter")
	info, err := os.Stat(module)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the module has %d bytes", info.Size())
	if info.Size() > 2300<<10 {
		t.Errorf("the module has %d bytes: has a large package come in?", info.Size())
	}
	g := guesttest.Run(t, module, waxo.Call)
	for _, step := range []struct {
		method, path string
		status       uint32
		body         string
	}{
		{"GET", "/", 200, `{"count":0}`},
		{"POST", "/", 200, `{"count":1}`},
		{"POST", "/", 200, `{"count":2}`},
		{"GET", "/", 200, `{"count":2}`},
		{"HEAD", "/", 200, ""},
		{"PUT", "/", 405, "method not allowed"},
		{"GET", "/other", 404, "not found"},
	} {
		resp := do(t, g, step.method, step.path, "", "")
		if resp.StatusCode != step.status || strings.TrimSuffix(string(resp.Body), "\n") != step.body {
			t.Errorf("%s %s = %d %s, want %d %s", step.method, step.path, resp.StatusCode, resp.Body, step.status, step.body)
		}
	}
	h.Grant()
	_, err = g.Call(t, "HandleRequest", (&httppb.Request{Method: "POST", Path: "/"}).AppendProto(nil))
	if err == nil || !strings.HasPrefix(err.Error(), "denied: ") {
		t.Errorf("without the capability: %v", err)
	}
}

func TestHTTPModule(t *testing.T) {
	waxotest.New(t).Grant("wascap:logging")
	g := guesttest.Run(t, build(t, "http"), waxo.Call)
	if resp := do(t, g, "GET", "/", "", ""); !strings.Contains(string(resp.Body), "<form") {
		t.Errorf("GET / = %d %s", resp.StatusCode, resp.Body)
	}
	if resp := do(t, g, "POST", "/", "", "name=%3Ci%3E"); !strings.Contains(string(resp.Body), "Hello, &lt;i&gt;!") {
		t.Errorf("POST / = %d %s", resp.StatusCode, resp.Body)
	}
	if resp := do(t, g, "GET", "/api/greetings/fr", "name=Ada", ""); !strings.Contains(string(resp.Body), "Bonjour, Ada!") {
		t.Errorf("GET /api/greetings/fr = %d %s", resp.StatusCode, resp.Body)
	}
}
