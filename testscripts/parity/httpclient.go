package parity

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"

	"github.com/waxosuit/waxo/capability"
	pb "github.com/waxosuit/waxo/capability/payload/httppb"
)

// HTTPClient is the suite of "wascap:http_client". The guest's requests go to
// servers that the suite starts on the loopback interface, and to nowhere else. Its
// provider needs the keys "allow" and "max_response" in its configuration.
func HTTPClient() Suite {
	suite := Suite{Capability: capability.HTTPClient}
	for _, c := range []struct {
		name  string
		rules []string
		run   func(s *Session)
	}{
		{"methods, headers and bodies", rules("HTTPC-1"), sentRequests},
		{"GET where there is no method", rules("HTTPC-1"), sentByDefault},
		{"large bodies", rules("HTTPC-1"), sentLarge},
		{"query_string", rules("HTTPC-2"), sentQueries},
		{"URLs that are none", rules("HTTPC-3"), badURLs},
		{"any status is an answer", rules("HTTPC-4"), anyStatus},
		{"headers that are there twice", rules("HTTPC-5"), repeatedHeaders},
		{"cookies", rules("HTTPC-5"), receivedCookies},
		{"headers that HTTP does not allow", rules("HTTPC-6"), badHeaders},
		{"a server that breaks off", rules("HTTPC-10"), breaksOff},
		{"secrets on a redirect", rules("HTTPC-11"), secretsOnRedirect},
		{"nothing is sent twice", rules("HTTPC-12", "CAP-45"), sentOnce},
		{"redirects", rules("HTTPC-300"), redirects},
		{"redirects without end", rules("HTTPC-300"), endlessRedirects},
		{"headers of the connection", rules("HTTPC-302"), connectionHeaders},
		{"codings that the guest does not ask for", rules("HTTPC-301"), undoneCodings},
		{"a server that does not answer", rules("CAP-46"), slowServer},
		{"requests at once", rules("CAP-48"), requestsSideBySide},
		{"Unbind waits for a call", rules("CAP-38"), unbindInRequest},
	} {
		suite.Cases = append(suite.Cases, Case{
			Name: c.name, Rules: c.rules, Operations: []string{send}, Prepare: serveOrigin, Optional: []string{"allow"}, Run: c.run,
		})
	}
	suite.Cases = append(suite.Cases,
		Case{Name: "a server that is not there", Rules: rules("HTTPC-10"), Operations: []string{send}, Prepare: closedOrigin, Optional: []string{"allow"}, Run: unreachable},
		Case{Name: "addresses out of reach", Rules: rules("HTTPC-7"), Operations: []string{send}, Prepare: serveOrigin, Run: outOfReach},
		Case{Name: "redirects out of reach", Rules: rules("HTTPC-7"), Operations: []string{send}, Prepare: serveOrigin, Run: redirectOutOfReach},
		Case{Name: "private addresses", Rules: rules("HTTPC-8"), Operations: []string{send}, Prepare: forbiddenOrigin, Run: privateAddresses},
		Case{Name: "a response that is too large", Rules: rules("HTTPC-9"), Operations: []string{send}, Prepare: limitedOrigin, Optional: []string{"allow"}, Run: largeResponses})
	c := contract{
		config:   serveOrigin,
		optional: []string{"allow"},
		sample: func(s *Session) (string, Message) {
			return send, &pb.Request{Method: "GET", Path: s.origin.url + "/sample", QueryString: "a=b"}
		},
		decoy: func(s *Session) Message {
			return &pb.Request{Method: "PUT", Path: s.origin.url + "/decoy", QueryString: "decoy"}
		},
		answer:     func() Message { return new(pb.Response) },
		text:       1,
		operations: []string{send},
		remote:     true,
		steady:     true,
	}
	c.addTo(&suite)
	c.addPayloads(&suite)
	return suite
}

const send = capability.OpPerformRequest

// http sends a request of the guest, which must be answered, to a path of the origin.
func (s *Session) http(method, path string, header map[string]string, body []byte) *pb.Response {
	answer := &pb.Response{}
	s.perform(send, &pb.Request{Method: method, Path: s.origin.url + path, Header: header, Body: body}, answer)
	s.Note("%s %.100q -> %d, %d bytes", method, path, answer.StatusCode, len(answer.Body))
	return answer
}

func sentRequests(s *Session) {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	for _, c := range []struct {
		method, path string
		header       map[string]string
		body         string
	}{
		{"GET", "/", nil, ""},
		{"POST", "/a%20b/%2F/c;d=e@f:g", map[string]string{"X-Request-Id": "42", "Content-Type": "text/odd"}, string(every)},
		{"PUT", "/%e4%b8%96", map[string]string{"x-lower": "a, b"}, "body"},
		{"DELETE", "//double/../dots", nil, ""},
		{"PATCH", "/", map[string]string{"User-Agent": "parity"}, "\x00"},
		{"OPTIONS", "/", map[string]string{"X-Empty": ""}, ""},
		{"REPORT", "/", nil, "x"},
	} {
		s.http(c.method, c.path, c.header, []byte(c.body))
		got := Receive(s, s.origin.seen, "the request")
		if got.method != c.method || got.uri != c.path || string(got.body) != c.body {
			s.Errorf("%s %s with %q is sent as %s %s with %q", c.method, c.path, c.body, got.method, got.uri, got.body)
		}
		for name, want := range c.header {
			if values := got.header.Values(name); len(values) != 1 || values[0] != want {
				s.Errorf("the header %s is sent as %q; want %q", name, values, want)
			}
		}
	}
}

func sentByDefault(s *Session) {
	s.http("", "/", nil, nil)
	if got := Receive(s, s.origin.seen, "the request"); got.method != http.MethodGet {
		s.Errorf("it is sent as %s", got.method)
	}
}

func sentLarge(s *Session) {
	body := bytes.Repeat([]byte("0123456789abcdef"), 1<<19)
	answer := s.http("POST", "/echo", nil, body)
	if !bytes.Equal(answer.Body, body) {
		s.Errorf("of 8 MiB there and back, %d bytes came", len(answer.Body))
	}
}

func sentQueries(s *Session) {
	for _, c := range []struct{ path, query, want string }{
		{"/p", "a=b&c=%20d", "/p?a=b&c=%20d"},
		{"/p?x=1", "a=b", "/p?x=1&a=b"},
		{"/p?x=1", "", "/p?x=1"},
		{"/p", "", "/p"},
		{"/p", "?a?b", "/p??a?b"},
	} {
		s.perform(send, &pb.Request{Path: s.origin.url + c.path, QueryString: c.query}, &pb.Response{})
		if got := Receive(s, s.origin.seen, "the request"); got.uri != c.want {
			s.Errorf("%s with the query_string %q is sent as %s; want %s", c.path, c.query, got.uri, c.want)
		}
	}
}

// refuses checks that a request is refused, and nothing of it sent.
func (s *Session) refuses(what string, req *pb.Request, text string) {
	_, err := s.Quiet(send, req.AppendProto(nil))
	s.Note("%s: %s", what, s.outcome(nil, err))
	s.wantError(what, err, text)
	if n := s.origin.requests.Load(); n > 0 {
		s.Errorf("%s is sent", what)
		s.origin.requests.Store(0)
	}
}

func badURLs(s *Session) {
	for _, url := range []string{"", "/path", "example.com/path", "ftp://127.0.0.1/", "file:///etc/passwd", "http://", "http:///path", "http://127.0.0.1:99999/", "http://127.0.0.1:x/", "://", "http://[::1/"} {
		s.refuses(fmt.Sprintf("a request to %q", url), &pb.Request{Method: "GET", Path: url}, "invalid: ...")
	}
	s.refuses("a space in the URL", &pb.Request{Path: s.origin.url + "/a b"}, "invalid: ...")
	s.refuses("a line break in the URL", &pb.Request{Path: s.origin.url + "/a HTTP/1.1\r\nX-Forged: 1\r\n"}, "invalid: ...")
	s.refuses("a line break in the query", &pb.Request{Path: s.origin.url + "/", QueryString: "\r\nX-Forged: 1"}, "invalid: ...")
	s.refuses("a method that is none", &pb.Request{Method: "GET / HTTP/1.1\r\nX-Forged: 1\r\n", Path: s.origin.url + "/"}, "invalid: ...")
}

func anyStatus(s *Session) {
	for _, status := range []uint32{200, 201, 204, 304, 400, 401, 404, 418, 429, 500, 502, 503, 599} {
		if got := s.http("GET", fmt.Sprint("/status/", status), nil, nil); got.StatusCode != status {
			s.Errorf("the status %d comes as %d", status, got.StatusCode)
		}
	}
}

func repeatedHeaders(s *Session) {
	s.origin.handle(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["X-Many"] = []string{"a", "b, c", "d"}
		w.Header()["X-One"] = []string{"e"}
	})
	got := s.http("GET", "/", nil, nil).Header
	if got["X-Many"] != "a, b, c, d" || got["X-One"] != "e" {
		s.Errorf("the headers come as %q", got)
	}
}

func receivedCookies(s *Session) {
	s.origin.handle(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Set-Cookie"] = []string{"a=1; Expires=Thu, 01 Jan 2037 00:00:00 GMT", "b=2"}
	})
	if got := s.http("GET", "/", nil, nil).Header["Set-Cookie"]; got != "a=1; Expires=Thu, 01 Jan 2037 00:00:00 GMT\nb=2" {
		s.Errorf("two cookies come as %q", got)
	}
}

func badHeaders(s *Session) {
	for name, value := range ordered(map[string]string{
		"": "x", "X Y": "x", "X:Y": "x", "X\r\nForged": "x", "Ü": "x",
		"X-Break": "a\r\nX-Forged: 1", "X-Line": "a\nb", "X-Null": "a\x00b", "X-Delete": "a\x7fb",
	}) {
		s.refuses(fmt.Sprintf("the header %q: %q", name, value), &pb.Request{Method: "GET", Path: s.origin.url + "/", Header: map[string]string{name: value}}, "invalid: ...")
	}
}

func connectionHeaders(s *Session) {
	s.origin.handle(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Connection"] = []string{"X-Hop"}
		w.Header()["X-Hop"] = []string{"1"}
		w.Header()["Keep-Alive"] = []string{"timeout=5"}
		w.Header()["Proxy-Authenticate"] = []string{"Basic"}
		w.Header()["X-End"] = []string{"1"}
	})
	for _, name := range []string{"Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade"} {
		answer := s.http("POST", "/", map[string]string{name: "x-hop", "X-End": "1"}, []byte("body"))
		got := Receive(s, s.origin.seen, "the request")
		if value := got.header.Get(name); strings.Contains(value, "x-hop") || got.header.Get("X-End") != "1" || string(got.body) != "body" {
			s.Errorf("a request with the header %s is sent with %q and the body %q", name, got.header, got.body)
		}
		for _, hop := range []string{"Connection", "X-Hop", "Keep-Alive", "Proxy-Authenticate", "Transfer-Encoding"} {
			if v, ok := answer.Header[hop]; ok || answer.Header["X-End"] != "1" {
				s.Fatalf("the response comes with %s: %q, in %q", hop, v, answer.Header)
			}
		}
	}
}
