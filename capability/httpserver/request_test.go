package httpserver

import (
	"bufio"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/waxosuit/waxo/capability/payload/httppb"
)

func TestRequestReachesGuest(t *testing.T) {
	t.Parallel()
	host := map[string]string{"Host": "h"}
	tests := []struct {
		name, raw string
		want      httppb.Request
	}{
		{"plain", "GET / HTTP/1.1\nHost: h\n\n", httppb.Request{Method: "GET", Path: "/", Header: host}},
		{"path and query stay encoded", "GET /a%2Fb/c%20d;v=1?x=1&y=%20+;z HTTP/1.1\nHost: h\n\n",
			httppb.Request{Method: "GET", Path: "/a%2Fb/c%20d;v=1", QueryString: "x=1&y=%20+;z", Header: host}},
		{"path is not cleaned", "GET //a/../b/./ HTTP/1.1\nHost: h\n\n", httppb.Request{Method: "GET", Path: "//a/../b/./", Header: host}},
		{"broken escape in the query", "GET /?%zz HTTP/1.1\nHost: h\n\n", httppb.Request{Method: "GET", Path: "/", QueryString: "%zz", Header: host}},
		{"bytes outside ASCII", "GET /caf\xc3\xa9?q=\xff\xc3\xa9 HTTP/1.1\nHost: h\n\n",
			httppb.Request{Method: "GET", Path: "/caf%C3%A9", QueryString: "q=%FF%C3%A9", Header: host}},
		{"fragment", "GET /a#b HTTP/1.1\nHost: h\n\n", httppb.Request{Method: "GET", Path: "/a%23b", Header: host}},
		{"method of its own", "BREW /pot HTTP/1.1\nHost: h\n\n", httppb.Request{Method: "BREW", Path: "/pot", Header: host}},
		{"options of the server", "OPTIONS * HTTP/1.1\nHost: h\n\n", httppb.Request{Method: "OPTIONS", Path: "*", Header: host}},
		{"absolute form", "GET http://other:81/p?q HTTP/1.1\nHost: h\n\n",
			httppb.Request{Method: "GET", Path: "/p", QueryString: "q", Header: map[string]string{"Host": "other:81"}}},
		{"absolute form without a path", "GET http://h HTTP/1.1\nHost: h\n\n", httppb.Request{Method: "GET", Path: "/", Header: host}},
		{"options in absolute form", "OPTIONS http://h HTTP/1.1\nHost: h\n\n", httppb.Request{Method: "OPTIONS", Path: "*", Header: host}},
		{"HTTP/1.0 without a host", "GET / HTTP/1.0\n\n", httppb.Request{Method: "GET", Path: "/"}},
		{"repeated headers", "GET / HTTP/1.1\nHost: h\naccept: a\nACCEPT: b, c\nCookie: x=1\ncookie: y=2; z=3\nx_y: 1\n\n",
			httppb.Request{Method: "GET", Path: "/", Header: map[string]string{"Host": "h", "Accept": "a, b, c", "Cookie": "x=1; y=2; z=3", "X_y": "1"}}},
		{"headers of the connection", "GET / HTTP/1.1\nHost: h\nConnection: keep-alive, X-Hop,host\nX-Hop: 1\nKeep-Alive: timeout=5\n" +
			"TE: trailers\nUpgrade: h2c\nProxy-Connection: x\nProxy-Authorization: x\nX-Forwarded-For: 1.2.3.4\n\n",
			httppb.Request{Method: "GET", Path: "/", Header: map[string]string{"Host": "h", "X-Forwarded-For": "1.2.3.4"}}},
		{"header in Latin-1", "GET / HTTP/1.1\nHost: h\nX-A: caf\xe9\nX-B: caf\xc3\xa9\n\n",
			httppb.Request{Method: "GET", Path: "/", Header: map[string]string{"Host": "h", "X-A": "café", "X-B": "café"}}},
		{"body", "POST / HTTP/1.1\nHost: h\nContent-Length: 3\n\nabc",
			httppb.Request{Method: "POST", Path: "/", Header: map[string]string{"Host": "h", "Content-Length": "3"}, Body: []byte("abc")}},
		{"body of a GET", "GET / HTTP/1.1\nHost: h\nContent-Length: 1\n\na",
			httppb.Request{Method: "GET", Path: "/", Header: map[string]string{"Host": "h", "Content-Length": "1"}, Body: []byte("a")}},
		{"empty body", "POST / HTTP/1.1\nHost: h\nContent-Length: 0\n\n",
			httppb.Request{Method: "POST", Path: "/", Header: map[string]string{"Host": "h", "Content-Length": "0"}}},
		{"no body", "POST / HTTP/1.1\nHost: h\n\n", httppb.Request{Method: "POST", Path: "/", Header: host}},
		{"chunked, with a trailer", "POST / HTTP/1.1\nHost: h\nTransfer-Encoding: chunked\nTrailer: X-T\n\n2\nab\n1;ext=1\nc\n0\nX-T: 1\n\n",
			httppb.Request{Method: "POST", Path: "/", Header: map[string]string{"Host": "h", "Content-Length": "3"}, Body: []byte("abc")}},
		{"chunked and empty", "POST / HTTP/1.1\nHost: h\nTransfer-Encoding: chunked\n\n0\n\n",
			httppb.Request{Method: "POST", Path: "/", Header: map[string]string{"Host": "h", "Content-Length": "0"}}},
		{"chunks win over a length", "POST / HTTP/1.1\nHost: h\nContent-Length: 99\nTransfer-Encoding: chunked\n\n1\na\n0\n\n",
			httppb.Request{Method: "POST", Path: "/", Header: map[string]string{"Host": "h", "Content-Length": "1"}, Body: []byte("a")}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var got *httppb.Request
			s := open(t, guest(func(r *httppb.Request) *httppb.Response {
				got = r
				return &httppb.Response{}
			}), Options{}, false)
			if answer := s.raw(t, test.raw); !strings.HasPrefix(answer, "HTTP/1.1 200 OK\r\n") && !strings.HasPrefix(answer, "HTTP/1.0 200 OK\r\n") {
				t.Fatalf("answer: %q", answer)
			}
			if len(got.Body) == 0 {
				got.Body = nil
			}
			if !reflect.DeepEqual(*got, test.want) {
				t.Errorf("the guest got\n%+v\nwant\n%+v", *got, test.want)
			}
		})
	}
}

// What is ambiguous or malformed must not become a request, nor leave bytes
// behind that become one.
func TestRequestRefused(t *testing.T) {
	t.Parallel()
	const smuggled = "GET /smuggled HTTP/1.1\nHost: h\n\n"
	tests := []struct{ name, raw, want string }{
		{"tunnel", "CONNECT h:443 HTTP/1.1\nHost: h:443\n\n", "501"},
		{"two lengths", "POST / HTTP/1.1\nHost: h\nContent-Length: 1\nContent-Length: 2\n\nab" + smuggled, "400"},
		{"signed length", "POST / HTTP/1.1\nHost: h\nContent-Length: +1\n\na" + smuggled, "400"},
		{"negative length", "POST / HTTP/1.1\nHost: h\nContent-Length: -1\n\na" + smuggled, "400"},
		{"length list", "POST / HTTP/1.1\nHost: h\nContent-Length: 1, 2\n\nab" + smuggled, "400"},
		{"unknown coding", "POST / HTTP/1.1\nHost: h\nTransfer-Encoding: xchunked\n\n0\n\n" + smuggled, "501"},
		{"two codings", "POST / HTTP/1.1\nHost: h\nTransfer-Encoding: gzip, chunked\n\n0\n\n" + smuggled, "501"},
		{"space before the colon", "POST / HTTP/1.1\nHost: h\nContent-Length : 1\n\na" + smuggled, "400"},
		{"chunk size too large", "POST / HTTP/1.1\nHost: h\nTransfer-Encoding: chunked\n\nfffffffffffffffff\na\n0\n\n" + smuggled, "400"},
		{"chunk size malformed", "POST / HTTP/1.1\nHost: h\nTransfer-Encoding: chunked\n\n0x1\na\n0\n\n" + smuggled, "400"},
		{"chunk without an end", "POST / HTTP/1.1\nHost: h\nTransfer-Encoding: chunked\n\n1\nab\n0\n\n" + smuggled, "400"},
		{"no host", "GET / HTTP/1.1\n\n" + smuggled, "400"},
		{"two hosts", "GET / HTTP/1.1\nHost: a\nHost: b\n\n" + smuggled, "400"},
		{"broken escape in the path", "GET /%zz HTTP/1.1\nHost: h\n\n" + smuggled, "400"},
		{"space in the path", "GET /a b HTTP/1.1\nHost: h\n\n" + smuggled, "400"},
		{"control character in a value", "GET / HTTP/1.1\nHost: h\nX-A: a\x00b\n\n" + smuggled, "400"},
		{"no path", "GET mailto:x HTTP/1.1\nHost: h\n\n" + smuggled, "400"},
		{"the server itself", "GET * HTTP/1.1\nHost: h\n\n" + smuggled, "400"},
		{"unknown expectation", "GET / HTTP/1.1\nHost: h\nExpect: miracle\n\n" + smuggled, "417"},
		{"body that ends early", "POST / HTTP/1.1\nHost: h\nContent-Length: 5\n\nabc", "400"},
		{"chunks that end early", "POST / HTTP/1.1\nHost: h\nTransfer-Encoding: chunked\n\n5\nabc", "400"},
		{"not HTTP", "\x16\x03\x01\x02\x00\x01\n\n", "400"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := open(t, never(t), Options{}, false)
			answer := s.raw(t, test.raw)
			if !strings.HasPrefix(answer, "HTTP/1.1 "+test.want+" ") {
				t.Errorf("answer: %q, want %s", answer, test.want)
			}
			if n := strings.Count(answer, "HTTP/1.1 "); n != 1 {
				t.Errorf("%d answers: %q", n, answer)
			}
		})
	}
}

func TestPipelining(t *testing.T) {
	t.Parallel()
	s := open(t, guest(func(r *httppb.Request) *httppb.Response { return &httppb.Response{Body: []byte(r.Path)} }), Options{}, false)
	c := s.dial(t)
	send(t, c, "GET /1 HTTP/1.1\nHost: h\n\nPOST /2 HTTP/1.1\nHost: h\nContent-Length: 2\n\nabGET /3 HTTP/1.1\nHost: h\nConnection: close\n\n")
	r := bufio.NewReader(c)
	for _, want := range []string{"/1", "/2", "/3"} {
		if _, body := response(t, r, "GET"); body != want {
			t.Errorf("got %q, want %q", body, want)
		}
	}
}

// The buffers of one request must not show in the next.
func TestBuffersDoNotMix(t *testing.T) {
	t.Parallel()
	var wrong atomic.Int64
	s := open(t, guest(func(r *httppb.Request) *httppb.Response {
		if r.Header["X-Only"] != "" && r.Path != "/first" || len(r.Body) > 0 && r.Path != "/first" {
			wrong.Add(1)
		}
		return &httppb.Response{}
	}), Options{}, false)
	for range 50 {
		s.raw(t, "POST /first HTTP/1.1\nHost: h\nX-Only: 1\nContent-Length: 3\n\nabcGET /second HTTP/1.1\nHost: h\nConnection: close\n\n")
	}
	if n := wrong.Load(); n > 0 {
		t.Errorf("%d requests had parts of another", n)
	}
}
