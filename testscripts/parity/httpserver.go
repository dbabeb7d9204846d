package parity

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/waxosuit/waxo/capability"
	pb "github.com/waxosuit/waxo/capability/payload/httppb"
)

// HTTPServer is the suite of "wascap:http_server": the suite is the guest, and its
// clients. Its provider needs the key "address" in its configuration, and listens on
// free ports of the loopback interface.
func HTTPServer() Suite {
	suite := Suite{Capability: capability.HTTPServer}
	for _, c := range []struct {
		name  string
		rules []string
		run   func(h *site)
	}{
		{"a request is handled once", rules("HTTP-1"), handledOnce},
		{"a request that does not arrive", rules("HTTP-1"), neverArrived},
		{"methods", rules("HTTP-2"), handledMethods},
		{"paths", rules("HTTP-3"), handledPaths},
		{"queries", rules("HTTP-4"), handledQueries},
		{"names of headers", rules("HTTP-5"), canonicalNames},
		{"headers that are there twice", rules("HTTP-6"), joinedHeaders},
		{"Host and Content-Length", rules("HTTP-7"), hostAndLength},
		{"headers of the connection", rules("HTTP-8"), hopHeaders},
		{"bodies", rules("HTTP-9"), handledBodies},
		{"headers that are not UTF-8", rules("HTTP-10"), latinHeaders},
		{"a body that is too large", rules("HTTP-11"), largeRequest},
		{"what is no HTTP", rules("HTTP-12"), noHTTP},
		{"status, headers and body", rules("HTTP-20"), sentResponses},
		{"the status 0", rules("HTTP-21"), statusZero},
		{"a status that is none", rules("HTTP-22"), badStatus},
		{"a response that is none", rules("HTTP-23"), noResponse},
		{"headers that HTTP does not allow", rules("HTTP-24"), forgedHeaders},
		{"Content-Length is that of the body", rules("HTTP-25"), ownLength},
		{"cookies", rules("HTTP-26"), sentCookies},
		{"responses without a body", rules("HTTP-27"), bodiless},
		{"the guest's headers of the connection", rules("HTTP-28"), sentHops},
		{"a guest that fails", rules("HTTP-40"), failedGuest},
		{"a guest whose provider fails", rules("HTTP-41"), statusOf(502, capability.CodeProvider)},
		{"a guest that is not there", rules("HTTP-42"), statusOf(503, capability.CodeUnavailable, capability.CodeOverloaded)},
		{"a guest that takes too long", rules("HTTP-43"), statusOf(504, capability.CodeDeadline)},
		{"a client that goes away", rules("HTTP-44"), goneClient},
		{"nothing of an error is shown", rules("HTTP-300"), hiddenErrors},
		{"requests at once", rules("CAP-48"), handledAtOnce},
		{"Unbind waits for a request", rules("CAP-38"), unbindInHandler},
		{"nothing after Unbind", rules("CAP-36"), nothingHandled},
	} {
		suite.Cases = append(suite.Cases, Case{Name: c.name, Rules: c.rules, Prepare: chooseAddress, Run: func(s *Session) { c.run(newSite(s)) }})
	}
	contract{config: chooseAddress, delivered: []string{handle}}.addTo(&suite)
	return suite
}

const handle = capability.OpHandleRequest

// chooseAddress finds a port to listen on.
func chooseAddress(s *Session) map[string]string {
	s.address = freeAddress(s)
	return map[string]string{"address": s.address}
}

// site is a guest that serves HTTP, and its clients.
type site struct {
	*Session
	requests chan *pb.Request
	handled  atomic.Int32
	answer   func(ctx context.Context, r *pb.Request) ([]byte, error)
}

func newSite(s *Session) *site {
	h := &site{Session: s, requests: make(chan *pb.Request, 1000)}
	h.respond(&pb.Response{StatusCode: 200, Body: []byte("ok")})
	s.Handle(handle, func(ctx context.Context, payload []byte) ([]byte, error) {
		r := new(pb.Request)
		if err := r.UnmarshalProto(payload); err != nil {
			s.Errorf("%s %.200q: %v", handle, payload, err)
			return nil, err
		}
		h.handled.Add(1)
		answer := h.answer // it is set before the request is sent
		h.requests <- r
		return answer(ctx, r)
	})
	return h
}

// respond has the guest answer what comes next.
func (h *site) respond(r *pb.Response) {
	payload := r.AppendProto(nil)
	h.answer = func(context.Context, *pb.Request) ([]byte, error) { return payload, nil }
}

// exchange sends bytes as a client, and returns the answer with its body.
func (h *site) exchange(method, sent string) (*http.Response, string) {
	response, body := h.quietly(method, sent)
	h.Note("%.100q -> %d, %d bytes", sent, response.StatusCode, len(body))
	return response, body
}

// quietly does the same and leaves nothing in the transcript.
func (h *site) quietly(method, sent string) (*http.Response, string) {
	conn, err := new(net.Dialer).DialContext(h.Context, "tcp", h.address)
	if err != nil {
		h.Fatalf("nobody listens on %s: %v", h.address, err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(receiveTimeout)) // a TCP connection has deadlines
	if _, err := io.WriteString(conn, sent); err != nil {
		h.Fatalf("%.100q cannot be sent: %v", sent, err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		h.Fatalf("%.100q has no answer: %v", sent, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	// Who refuses to read on may hang up.
	if err != nil && response.StatusCode != http.StatusBadRequest && response.StatusCode != http.StatusRequestEntityTooLarge {
		h.Errorf("of the answer to %.100q, the body cannot be read: %v", sent, err)
	}
	return response, string(body)
}

// ask sends a request, with lines of headers, and returns what the guest was given.
func (h *site) ask(method, target, headers, body string) *pb.Request {
	sent := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n%s\r\n%s", method, target, headers, body)
	if response, _ := h.exchange(method, sent); response.StatusCode != 200 {
		h.Fatalf("%.200q is answered by %s", sent, response.Status)
	}
	return Receive(h.Session, h.requests, "the request")
}

// answerTo sends a request and returns the answer.
func (h *site) answerTo(method string) (*http.Response, string) {
	return h.exchange(method, method+" / HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n")
}

func handledOnce(h *site) {
	for i := range 5 {
		h.ask("POST", "/", "Content-Length: 4\r\n", "body")
		if n := h.handled.Load(); n != int32(i+1) {
			h.Fatalf("after %d requests, the guest handled %d", i+1, n)
		}
	}
}

func neverArrived(h *site) {
	conn, err := new(net.Dialer).DialContext(h.Context, "tcp", h.address)
	if err != nil {
		h.Fatalf("%v", err)
	}
	_, err = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: example.com\r\nContent-Length: 10\r\n\r\nhalf")
	if conn.Close(); err != nil {
		h.Fatalf("%v", err)
	}
	h.ask("GET", "/after", "", "")
	if n := h.handled.Load(); n != 1 {
		h.Errorf("the guest handled a request of which half has arrived")
	}
}

func handledMethods(h *site) {
	for _, method := range []string{"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "REPORT", "get", "X-Y_Z!"} {
		if got := h.ask(method, "/", "", ""); got.Method != method {
			h.Errorf("the method %s comes as %q", method, got.Method)
		}
	}
}

func handledPaths(h *site) {
	for target, want := range ordered(map[string]string{
		"/": "/", "/a%20b%2Fc": "/a%20b%2Fc", "//double//": "//double//", "/a/../b/.": "/a/../b/.", "/a;b=c@d:e": "/a;b=c@d:e",
		"/%e4%b8%96": "/%e4%b8%96", "/p?q": "/p", "/?": "/", "http://example.com": "/", "http://example.com/p": "/p", "/~!$&'()*+,": "/~!$&'()*+,",
	}) {
		if got := h.ask("GET", target, "", ""); got.Path != want {
			h.Errorf("the path of %s comes as %q; want %q", target, got.Path, want)
		}
	}
}

func handledQueries(h *site) {
	for target, want := range ordered(map[string]string{"/": "", "/?": "", "/?a=b&c=%20d+e": "a=b&c=%20d+e", "/p??a?b": "?a?b", "/?a;b": "a;b", "http://example.com?q": "q"}) {
		if got := h.ask("GET", target, "", ""); got.QueryString != want {
			h.Errorf("the query of %s comes as %q; want %q", target, got.QueryString, want)
		}
	}
}

// wantHeaders checks headers that the guest is given; "" is for those that it is not.
func (h *site) wantHeaders(got *pb.Request, want map[string]string) {
	for name, value := range want {
		if v, ok := got.Header[name]; v != value || ok != (value != "") {
			h.Errorf("the header %s comes as %q; want %q (%q)", name, v, value, got.Header)
		}
	}
}

func canonicalNames(h *site) {
	h.wantHeaders(h.ask("GET", "/", "x-request-ID: 1\r\nACCEPT: a\r\nuser-agent: u\r\nX_under: 2\r\n", ""), map[string]string{
		"X-Request-Id": "1", "Accept": "a", "User-Agent": "u", "X_under": "2", "x-request-ID": "", "ACCEPT": "",
	})
}

func joinedHeaders(h *site) {
	h.wantHeaders(h.ask("GET", "/", "X-Many: a\r\nx-many: b, c\r\nX-MANY: d\r\nCookie: a=1\r\nCookie: b=2; c=3\r\n", ""), map[string]string{
		"X-Many": "a, b, c, d", "Cookie": "a=1; b=2; c=3",
	})
}

func hostAndLength(h *site) {
	h.wantHeaders(h.ask("GET", "/", "", ""), map[string]string{"Host": "example.com", "Content-Length": ""})
	h.wantHeaders(h.ask("POST", "/", "Content-Length: 5\r\n", "hello"), map[string]string{"Host": "example.com", "Content-Length": "5"})
	h.wantHeaders(h.ask("POST", "/", "Content-Length: 0\r\n", ""), map[string]string{"Content-Length": "0"})
}

func hopHeaders(h *site) {
	got := h.ask("POST", "/", "Connection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nProxy-Connection: close\r\nTE: trailers\r\nTrailer: X-T\r\nUpgrade: h2c\r\nX-End: 1\r\nTransfer-Encoding: chunked\r\n",
		"1\r\nx\r\n0\r\nX-T: 1\r\n\r\n")
	h.wantHeaders(got, map[string]string{
		"Connection": "", "X-Hop": "", "Keep-Alive": "", "Proxy-Connection": "", "Te": "", "Trailer": "", "Upgrade": "", "Transfer-Encoding": "", "X-T": "", "X-End": "1",
	})
}

func handledBodies(h *site) {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	for _, body := range []string{"", "x", string(every), strings.Repeat("0123456789abcdef", 1<<16)} {
		if got := h.ask("POST", "/", fmt.Sprintf("Content-Length: %d\r\n", len(body)), body); string(got.Body) != body {
			h.Errorf("a body of %d bytes comes with %d, or others", len(body), len(got.Body))
		}
	}
	got := h.ask("POST", "/", "Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n6;extension\r\n world\r\n0\r\n\r\n")
	if string(got.Body) != "hello world" {
		h.Errorf("a body that was sent in chunks comes as %q", got.Body)
	}
	got = h.ask("POST", "/", "Content-Encoding: gzip\r\nContent-Length: 4\r\n", "\x1f\x8b\x00\xff")
	if string(got.Body) != "\x1f\x8b\x00\xff" {
		h.Errorf("a body with a content coding comes as %q", got.Body)
	}
}

func latinHeaders(h *site) {
	h.wantHeaders(h.ask("GET", "/", "X-Latin: caf\xe9\r\nX-Utf: café\r\n", ""), map[string]string{"X-Latin": "café", "X-Utf": "café"})
}

func largeRequest(h *site) {
	response, _ := h.exchange("POST", "POST / HTTP/1.1\r\nHost: example.com\r\nContent-Length: 1099511627776\r\n\r\n")
	if response.StatusCode != http.StatusRequestEntityTooLarge || h.handled.Load() > 0 {
		h.Errorf("a body of a tebibyte is answered by %s, and the guest handled %d requests", response.Status, h.handled.Load())
	}
}

func noHTTP(h *site) {
	for _, sent := range []string{
		"GET\r\nHost: example.com\r\n\r\n", "this is no request at all\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nX Y: z\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n: z\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n", "G\x00T / HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
	} {
		response, _ := h.exchange("GET", sent)
		if response.StatusCode != http.StatusBadRequest {
			h.Errorf("%q is answered by %s", sent, response.Status)
		}
	}
	if n := h.handled.Load(); n > 0 {
		h.Errorf("the guest handled %d of them", n)
	}
}

func sentResponses(h *site) {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	for _, status := range []uint32{200, 201, 206, 299, 301, 404, 418, 451, 500, 503, 599, 799, 999} {
		for _, body := range [][]byte{nil, []byte("body"), every, bytes.Repeat([]byte("x"), 1<<20)} {
			h.respond(&pb.Response{StatusCode: status, Status: "whatever", Header: map[string]string{"X-A": "1", "x-lower": "a, b", "Content-Type": "text/odd"}, Body: body})
			response, got := h.answerTo("GET")
			if response.StatusCode != int(status) || got != string(body) {
				h.Errorf("the status %d with %d bytes is sent as %s with %d", status, len(body), response.Status, len(got))
			}
			for name, want := range ordered(map[string]string{"X-A": "1", "X-Lower": "a, b", "Content-Type": "text/odd"}) {
				if values := response.Header[name]; len(values) != 1 || values[0] != want {
					h.Errorf("the header %s is sent as %q; want %q", name, values, want)
				}
			}
		}
	}
}

func statusZero(h *site) {
	h.respond(&pb.Response{Body: []byte("body")})
	if response, body := h.answerTo("GET"); response.StatusCode != 200 || body != "body" {
		h.Errorf("it is sent as %s with %q", response.Status, body)
	}
}

func badStatus(h *site) {
	for _, status := range []uint32{1, 99, 100, 101, 199, 1000, 1 << 31, 1<<32 - 56} {
		h.respond(&pb.Response{StatusCode: status})
		h.fails(fmt.Sprint("the status ", status), http.StatusInternalServerError)
	}
}

// fails checks that a GET is answered by an error.
func (h *site) fails(what string, status int) (body string) {
	response, body := h.answerTo("GET")
	if response.StatusCode != status {
		h.Errorf("%s is answered by %s, not by %d", what, response.Status, status)
	}
	return body
}
