package httpclient_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/httpclient"
	"github.com/waxosuit/waxo/capability/payload/httppb"
)

// seen is what a server was sent.
type seen struct {
	Method, Target, Host, Body string
	Header                     http.Header
}

func recorder(t testing.TB, answer http.HandlerFunc) (server *httptest.Server, last func() seen) {
	t.Helper()
	var mu sync.Mutex
	var is seen
	server = serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		is = seen{r.Method, r.URL.String(), r.Host, string(body), r.Header}
		mu.Unlock()
		if answer != nil {
			answer(w, r)
		}
	})
	return server, func() seen { mu.Lock(); defer mu.Unlock(); return is }
}

func TestRequest(t *testing.T) {
	server, last := recorder(t, nil)
	host := strings.TrimPrefix(server.URL, "http://")
	p := open(t, nil)
	usual := http.Header{"Accept-Encoding": {"gzip"}, "User-Agent": {"waxo/0.1.0"}}
	with := func(more http.Header) http.Header {
		h := usual.Clone()
		maps.Copy(h, more)
		return h
	}
	for _, test := range []struct {
		request httppb.Request
		want    seen
	}{
		{httppb.Request{Path: server.URL}, seen{"GET", "/", host, "", usual}},
		{httppb.Request{Method: "DELETE", Path: server.URL + "/a%2Fb%20c?x=1&y=%26#part"}, seen{"DELETE", "/a%2Fb%20c?x=1&y=%26", host, "", usual}},
		{httppb.Request{Method: "GET", Path: server.URL + "/a", QueryString: "q=1"}, seen{"GET", "/a?q=1", host, "", usual}},
		{httppb.Request{Method: "GET", Path: server.URL + "/a?p", QueryString: "q=1"}, seen{"GET", "/a?p&q=1", host, "", usual}},
		{httppb.Request{Method: "POST", Path: server.URL, Body: []byte("body")}, seen{"POST", "/", host, "body", with(http.Header{"Content-Length": {"4"}})}},
		{httppb.Request{Method: "PUT", Path: server.URL}, seen{"PUT", "/", host, "", with(http.Header{"Content-Length": {"0"}})}},
		{httppb.Request{Method: "PURGE", Path: strings.ToUpper(server.URL[:4]) + server.URL[4:]}, seen{"PURGE", "/", host, "", usual}},
		{
			httppb.Request{Method: "GET", Path: server.URL, Header: map[string]string{
				"accept": "text/plain", "X-Latin": "\u00e9", "Host": host, "Connection": "close, X-Hop", "X-Hop": "1", "Te": "trailers",
				"Upgrade": "websocket", "Proxy-Authorization": "Basic x", "Content-Length": "99", "Expect": "100-continue",
				"Transfer-Encoding": "chunked", "User-Agent": "mine", "Cookie": "a=b; c=d",
			}},
			seen{"GET", "/", host, "", http.Header{
				"Accept": {"text/plain"}, "X-Latin": {"\u00e9"}, "User-Agent": {"mine"}, "Cookie": {"a=b; c=d"}, "Accept-Encoding": {"gzip"},
			}},
		},
		{httppb.Request{Path: "http://user:p%20w@" + host}, seen{"GET", "/", host, "", with(http.Header{"Authorization": {"Basic dXNlcjpwIHc="}})}},
	} {
		if _, err := send(t, p, test.request); err != nil {
			t.Errorf("%+v: %v", test.request, err)
		} else if got := last(); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%+v\nis sent as %+v\nwant       %+v", test.request, got, test.want)
		}
	}
}

func TestBadRequests(t *testing.T) {
	p := open(t, nil)
	header := func(name, value string) httppb.Request {
		return httppb.Request{Path: "http://example.com", Header: map[string]string{name: value}}
	}
	for _, test := range []struct {
		request httppb.Request
		want    string
	}{
		{httppb.Request{}, "absolute URL"},
		{httppb.Request{Path: "/path"}, "absolute URL"},
		{httppb.Request{Path: "//example.com/"}, "absolute URL"},
		{httppb.Request{Path: "mailto:someone@example.com"}, "absolute URL"},
		{httppb.Request{Path: "http://"}, "names no host"},
		{httppb.Request{Path: "http:///path"}, "names no host"},
		{httppb.Request{Path: "http://example.com:port"}, "absolute URL"},
		{httppb.Request{Path: "http://example.com:0"}, "port"},
		{httppb.Request{Path: "http://example.com:65536"}, "port"},
		{httppb.Request{Path: "file:///etc/passwd"}, "http:// or https://"},
		{httppb.Request{Path: "unix://socket"}, "http:// or https://"},
		{httppb.Request{Path: "http://exa_m!ple.com"}, "is none"},
		{httppb.Request{Path: "http://bücher.example"}, "percent-encoded"},
		{httppb.Request{Path: "http://example.com/a b"}, "percent-encoded"},
		{httppb.Request{Path: "http://example.com/", QueryString: "a b"}, "percent-encoded"},
		{httppb.Request{Path: "http://example.com/\r\nX: y"}, "percent-encoded"},
		{httppb.Request{Method: "CONNECT", Path: "http://example.com"}, "tunnel"},
		{httppb.Request{Method: "GE T", Path: "http://example.com"}, "no method"},
		{httppb.Request{Method: "GET\r\n", Path: "http://example.com"}, "no method"},
		{header("Host", "other.example.com"), "leave it out"},
		{header("", "x"), "no name"},
		{header("a b", "x"), "no name"},
		{header("X-Ä", "x"), "no name"},
		{header("X", "a\r\nY: b"), "the character"},
		{header("X", "a\x00b"), "the character"},
		{httppb.Request{Path: "http://example.com", Header: map[string]string{"x-a": "1", "X-A": "2"}}, "spelt in two ways"},
	} {
		_, err := send(t, p, test.request)
		is(t, err, capability.CodeInvalid, test.want)
	}
	_, err := p.Call(t.Context(), capability.Call{BindingID: id, Operation: capability.OpPerformRequest, Payload: []byte("\x0a\x05k")})
	is(t, err, capability.CodeInvalid, "cannot be decoded")
	_, err = p.Call(t.Context(), capability.Call{BindingID: id, Operation: "Connect"})
	is(t, err, capability.CodeUnsupported, `"Connect"`)
}

func TestResponse(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h["Date"] = nil
		switch r.URL.Path {
		case "/fields":
			h["X-Many"] = []string{"a", "b, c"}
			h["Set-Cookie"] = []string{"a=1; Expires=Mon, 1 Jan 2035", "b=2"}
			h["X-Latin"] = []string{"caf\xe9"}
			h["Connection"] = []string{"X-Hop"}
			h["X-Hop"] = []string{"1"}
			h["Keep-Alive"] = []string{"timeout=5"}
			h["Content-Type"] = nil
			w.WriteHeader(299)
		case "/chunked":
			io.WriteString(w, "first ")
			w.(http.Flusher).Flush()
			io.WriteString(w, "second")
		case "/missing":
			http.Error(w, "not here", 404)
		case "/nothing":
			w.WriteHeader(204)
		default:
			h["Content-Type"], h["Content-Length"] = []string{"text/plain"}, []string{"100000"}
			io.WriteString(w, strings.Repeat("x", 100_000))
		}
	})
	p := open(t, nil)
	for _, test := range []struct {
		method, path string
		want         httppb.Response
	}{
		{"GET", "/fields", httppb.Response{StatusCode: 299, Status: "status code 299", Header: map[string]string{
			"X-Many": "a, b, c", "Set-Cookie": "a=1; Expires=Mon, 1 Jan 2035\nb=2", "X-Latin": "café", "Content-Length": "0",
		}}},
		{"GET", "/chunked", httppb.Response{StatusCode: 200, Status: "OK", Header: map[string]string{"Content-Type": "text/plain; charset=utf-8"}, Body: []byte("first second")}},
		{"GET", "/missing", httppb.Response{StatusCode: 404, Status: "Not Found", Header: map[string]string{
			"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff", "Content-Length": "9",
		}, Body: []byte("not here\n")}},
		{"GET", "/nothing", httppb.Response{StatusCode: 204, Status: "No Content"}},
		{"HEAD", "/large", httppb.Response{StatusCode: 200, Status: "OK", Header: map[string]string{"Content-Type": "text/plain", "Content-Length": "100000"}}},
		{"GET", "/large", httppb.Response{StatusCode: 200, Status: "OK", Header: map[string]string{"Content-Type": "text/plain", "Content-Length": "100000"}, Body: bytes.Repeat([]byte("x"), 100_000)}},
	} {
		got, err := send(t, p, httppb.Request{Method: test.method, Path: server.URL + test.path})
		if err != nil {
			t.Errorf("%s: %v", test.path, err)
		} else if !reflect.DeepEqual(got, &test.want) {
			t.Errorf("%s: %v\nwant %v", test.path, got, &test.want)
		}
	}
}

// TestIntoIsUsed: the answer lies in the room that the caller gave, where it fits.
func TestIntoIsUsed(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "a body") })
	request := httppb.Request{Path: server.URL}
	room := make([]byte, 3, 4096)
	answer, err := open(t, nil).Call(t.Context(), capability.Call{BindingID: id, Operation: capability.OpPerformRequest, Payload: request.AppendProto(nil), Into: room})
	if err != nil || &answer[0] != &room[0] {
		t.Errorf("%q, %v", answer, err)
	}
}

func TestResponseLimit(t *testing.T) {
	for _, length := range []string{"known", "unknown", "compressed"} {
		server := serve(t, func(w http.ResponseWriter, r *http.Request) {
			size := 1000
			if r.URL.Path == "/more" {
				size = 1001
			}
			body := bytes.Repeat([]byte("x"), size)
			switch length {
			case "unknown":
				w.(http.Flusher).Flush()
			case "compressed":
				w.Header().Set("Content-Encoding", "gzip")
				z := gzip.NewWriter(w)
				z.Write(body)
				z.Close()
				return
			}
			w.Write(body)
		})
		p := open(t, map[string]string{"max_response": "1000"})
		get(t, p, server.URL, 200, strings.Repeat("x", 1000))
		_, err := send(t, p, httppb.Request{Path: server.URL + "/more"})
		is(t, err, capability.CodeTooLarge, "1000 bytes", "max_response")
	}
}

func TestGzip(t *testing.T) {
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	io.WriteString(w, "a text")
	w.Close()
	server, last := recorder(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(z.Bytes())
		}
	})
	p := open(t, nil)
	resp, err := send(t, p, httppb.Request{Path: server.URL})
	if err != nil || string(resp.Body) != "a text" || resp.Header["Content-Encoding"] != "" || resp.Header["Content-Length"] != "" {
		t.Errorf("what was asked for by the provider: %v, %v", resp, err)
	}
	resp, err = send(t, p, httppb.Request{Path: server.URL, Header: map[string]string{"Accept-Encoding": "br, gzip"}})
	if err != nil || !bytes.Equal(resp.Body, z.Bytes()) || resp.Header["Content-Encoding"] != "gzip" {
		t.Errorf("what was asked for by the guest: %v, %v", resp, err)
	}
	if _, err = send(t, p, httppb.Request{Path: server.URL, Header: map[string]string{"Range": "bytes=0-5"}}); err != nil || last().Header.Get("Accept-Encoding") != "" {
		t.Errorf("a range of what is compressed is asked for: %v, %v", last(), err)
	}
}

func TestRedirects(t *testing.T) {
	var other *httptest.Server
	server, last := recorder(t, func(w http.ResponseWriter, r *http.Request) {
		var status, left int
		switch n, _ := fmt.Sscanf(r.URL.Path, "/%d/%d", &status, &left); {
		case n < 2 || left == 0:
			fmt.Fprint(w, "there")
		case left == 99:
			http.Redirect(w, r, other.URL, status)
		default:
			http.Redirect(w, r, fmt.Sprintf("/%d/%d", status, left-1), status)
		}
	})
	other, otherLast := recorder(t, nil)
	other.URL = strings.Replace(other.URL, "127.0.0.1", "localhost", 1)
	p := open(t, nil)
	get(t, p, server.URL+"/302/10", 200, "there")
	_, err := send(t, p, httppb.Request{Path: server.URL + "/302/11"})
	is(t, err, capability.CodeInternal, "more than 10 times", "raise redirects")
	get(t, open(t, map[string]string{"redirects": "2"}), server.URL+"/307/2", 200, "there")
	resp, err := send(t, open(t, map[string]string{"redirects": "0"}), httppb.Request{Path: server.URL + "/301/1"})
	if err != nil || resp.StatusCode != 301 || resp.Header["Location"] != "/301/0" {
		t.Errorf("with no redirects followed: %v, %v", resp, err)
	}
	for status, want := range map[string]string{"301": "GET ", "302": "GET ", "303": "GET ", "307": "POST body", "308": "POST body"} {
		if _, err := send(t, p, httppb.Request{Method: "POST", Path: server.URL + "/" + status + "/1", Body: []byte("body")}); err != nil {
			t.Error(err)
		}
		if got := last().Method + " " + last().Body; got != want {
			t.Errorf("%s is followed with %q, want %q", status, got, want)
		}
	}
	secrets := map[string]string{"Authorization": "Bearer x", "Cookie": "a=b", "X-Other": "kept"}
	if _, err := send(t, p, httppb.Request{Path: server.URL + "/302/1", Header: secrets}); err != nil || last().Header.Get("Authorization") == "" {
		t.Errorf("on the same host: %v, %v", last(), err)
	}
	if _, err := send(t, p, httppb.Request{Path: server.URL + "/302/99", Header: secrets}); err != nil {
		t.Error(err)
	}
	if h := otherLast().Header; h.Get("Authorization")+h.Get("Cookie") != "" || h.Get("X-Other") != "kept" {
		t.Errorf("another host was sent %v", h)
	}
}

func TestDeadlines(t *testing.T) {
	release := make(chan struct{})
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/body" {
			io.WriteString(w, "x")
			w.(http.Flusher).Flush()
		}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	defer close(release)
	quick := open(t, map[string]string{"timeout": "30ms"})
	for _, path := range []string{"/", "/body"} {
		_, err := send(t, quick, httppb.Request{Path: server.URL + path})
		is(t, err, capability.CodeDeadline, "30ms", server.URL)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		_, err = sendWith(ctx, open(t, nil), httppb.Request{Path: server.URL + path})
		is(t, err, capability.CodeDeadline, server.URL)
		cancel()
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(10*time.Millisecond, cancel)
		_, err = sendWith(ctx, open(t, nil), httppb.Request{Path: server.URL + path})
		is(t, err, capability.CodeCanceled)
	}
}

// TestNothingIsDoneTwice: a server that takes a request on a connection that was
// kept, and breaks off, gets it again only if it is idempotent.
func TestNothingIsDoneTwice(t *testing.T) {
	for _, test := range []struct {
		method, key string
		times       int32
	}{
		{"GET", "", 2}, {"HEAD", "", 2}, {"POST", "", 1}, {"PUT", "", 1}, {"PATCH", "", 1}, {"DELETE", "", 1}, {"POST", "Idempotency-Key", 2},
	} {
		var came atomic.Int32
		url := raw(t, func(n int32, _ string) string {
			if came.Store(n - 1); n == 2 {
				return ""
			}
			return "HTTP/1.1 204 No Content\r\n\r\n"
		})
		p := open(t, nil)
		if _, err := send(t, p, httppb.Request{Path: url}); err != nil {
			t.Fatal(err)
		}
		r := httppb.Request{Method: test.method, Path: url, Body: []byte("body")}
		if test.key != "" {
			r.Header = map[string]string{test.key: "1"}
		}
		if test.method == "GET" || test.method == "HEAD" {
			r.Body = nil
		}
		_, err := send(t, p, r)
		if test.times == 1 {
			is(t, err, capability.CodeUnavailable, "closed the connection")
		} else if err != nil {
			t.Error(test, err)
		}
		if got := came.Load(); got != test.times {
			t.Errorf("%s %s came %d times, want %d", test.method, test.key, got, test.times)
		}
	}
}

func TestBrokenServers(t *testing.T) {
	p := open(t, nil)
	for _, test := range []struct {
		answer string
		want   string
	}{
		{"", "closed the connection"},
		{"nonsense\r\n\r\n", "malformed"},
		{"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\nshort", "cannot be reached"},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "cannot be reached"},
		{"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", "cannot be reached"},
	} {
		url := raw(t, func(n int32, _ string) string { return test.answer })
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		if strings.HasSuffix(test.answer, "short") {
			url = hangUp(t, test.answer)
		}
		_, err := sendWith(ctx, p, httppb.Request{Method: "POST", Path: url + "/path?secret"})
		is(t, err, capability.CodeUnavailable, url, test.want)
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the error shows the query: %v", err)
		}
		cancel()
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	_, err = send(t, p, httppb.Request{Path: "http://" + l.Addr().String()})
	is(t, err, capability.CodeUnavailable, "refused")
}

func TestTLS(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) }))
	server.EnableHTTP2 = true
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of the handshake that fails
	server.StartTLS()
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	development := capability.Binding{BindingID: id, Development: true}
	get(t, bindAs(t, &httpclient.Options{TLS: &tls.Config{RootCAs: roots}}, development), server.URL, 200, "HTTP/2.0")
	_, err := send(t, open(t, nil), httppb.Request{Path: server.URL})
	is(t, err, capability.CodeUnavailable, "certificate")
}

func TestBindings(t *testing.T) {
	var connections atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	p := httpclient.New(nil)
	ctx := t.Context()
	_, err := send(t, p, httppb.Request{Path: server.URL})
	is(t, err, capability.CodeUnavailable, "not bound")
	allowed := capability.Binding{BindingID: id, Config: map[string]string{"allow": strings.TrimPrefix(server.URL, "http://")}}
	strict := capability.Binding{BindingID: capability.BindingID{Guest: id.Guest, Name: "strict"}}
	for _, b := range []capability.Binding{allowed, strict} {
		if err := p.Bind(ctx, b, nil); err != nil {
			t.Fatal(err)
		}
		is(t, p.Bind(ctx, b, nil), capability.CodeConflict)
	}
	for range 3 {
		get(t, p, server.URL, 200, "")
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("three requests took %d connections", n)
	}
	// The connection that stands is of no use to another binding.
	request := httppb.Request{Path: server.URL}
	_, err = p.Call(ctx, capability.Call{BindingID: strict.BindingID, Operation: capability.OpPerformRequest, Payload: request.AppendProto(nil)})
	is(t, err, capability.CodeDenied, `named "strict"`)
	for range 2 {
		if err := p.Unbind(ctx, id); err != nil {
			t.Error(err)
		}
		if err := p.Close(ctx); err != nil {
			t.Error(err)
		}
	}
	is(t, p.Bind(ctx, allowed, nil), capability.CodeUnavailable, "closed")
}
