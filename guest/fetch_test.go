package guest_test

import (
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/httpclient"
	"github.com/waxosuit/waxo/capability/payload/httppb"
	waxo "github.com/waxosuit/waxo/guest/go"
	"github.com/waxosuit/waxo/guest/guesttest"
)

// sender runs a guest with the provider of production, which may go to one server
// alone.
func sender(t testing.TB, dir string, server *httptest.Server) *guesttest.Guest {
	t.Helper()
	p, id := httpclient.New(nil), capability.BindingID{Guest: "MGUEST", Name: capability.DefaultBinding}
	t.Cleanup(func() {
		if err := p.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	config := map[string]string{"allow": strings.TrimPrefix(server.URL, "http://")}
	if err := p.Bind(t.Context(), capability.Binding{BindingID: id, Config: config}, nil); err != nil {
		t.Fatal(err)
	}
	return guesttest.Run(t, guesttest.Build(t, dir), func(binding, namespace, operation string, payload []byte) ([]byte, error) {
		name, operation, err := capability.Resolve(namespace, operation)
		if err != nil || name != capability.HTTPClient || binding != id.Name {
			t.Errorf("a host call to %q %q, %v", name, binding, err)
		}
		return p.Call(t.Context(), capability.Call{BindingID: id, Operation: operation, Payload: payload})
	})
}

func TestFetch(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Seen", r.Method+" "+r.URL.String()+" "+r.Header.Get("X-Sent"))
		w.Header()["Set-Cookie"] = []string{"a=1", "b=2"}
		w.Header()["Date"] = nil
		w.WriteHeader(http.StatusTeapot)
		w.Write(body)
	}))
	defer server.Close()
	g := sender(t, "testdata/probe", server)
	large := strings.Repeat("a large body\x00", 100_000)
	resp, err := do(t, g, &httppb.Request{
		Method: "POST", Path: "/fetch", QueryString: "url=" + url.QueryEscape(server.URL+"/a%20b?c=d"),
		Header: map[string]string{"X-Sent": "ä", "Content-Type": "text/plain"}, Body: []byte(large),
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"X-Seen": "POST /a%20b?c=d ä", "Set-Cookie": "a=1\nb=2", "Content-Type": resp.Header["Content-Type"]}
	if resp.StatusCode != http.StatusTeapot || string(resp.Body) != large || !maps.Equal(resp.Header, want) {
		t.Errorf("%d %q, a body of %d bytes", resp.StatusCode, resp.Header, len(resp.Body))
	}
	for _, test := range []struct {
		url, method string
		code, text  string
	}{
		{"http://127.0.0.1:1/", "GET", "denied", `add "127.0.0.1:1" to allow`},
		{"/relative", "GET", "invalid", "absolute URL"},
		{server.URL, "GE T", "invalid", "no method"},
	} {
		_, err := do(t, g, &httppb.Request{Method: test.method, Path: "/fetch", QueryString: "url=" + url.QueryEscape(test.url)})
		if err == nil || waxo.ParseError(err.Error()).Code != test.code || !strings.Contains(err.Error(), test.text) {
			t.Errorf("%s %s: %v, want %s with %q", test.method, test.url, err, test.code, test.text)
		}
	}
}

// BenchmarkFetch measures a guest's requests to a server in this process, in turns
// with those of net/http alone: the metric x-bare is their ratio.
func BenchmarkFetch(b *testing.B) {
	text := strings.Repeat("x", 1024)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, text) }))
	defer server.Close()
	g := sender(b, "testdata/bench", server)
	client := server.Client()
	bare := func() {
		for range turn {
			resp, err := client.Get(server.URL)
			if err == nil {
				_, err = io.ReadAll(resp.Body)
				resp.Body.Close()
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	var ours, limit time.Duration
	calls := 0
	for b.Loop() {
		ours += measure(b, g, "bench:x!Fetch", []byte(server.URL))
		begun := time.Now()
		bare()
		limit += time.Since(begun)
		calls += turn
	}
	b.ReportMetric(float64(ours.Nanoseconds())/float64(calls), "ns/call")
	b.ReportMetric(float64(limit.Nanoseconds())/float64(calls), "ns/bare-call")
	b.ReportMetric(float64(ours)/float64(limit), "x-bare")
	b.ReportMetric(0, "ns/op") // of no meaning: it is of both, a hundred times
}
