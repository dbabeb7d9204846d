package http1

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"
)

// refused are texts that no handler may see.
var refused = map[string]struct {
	request string
	status  string
	why     string
}{
	"no HTTP":                     {"hello\n\n", "400 Bad Request", "no HTTP request"},
	"TLS":                         {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n\n", "400 Bad Request", "no HTTP request"},
	"a blank first":               {"\nGET / HTTP/1.1\nHost: h\n\n", "400 Bad Request", "no HTTP request"},
	"no host":                     {"GET / HTTP/1.1\n\n", "400 Bad Request", "Host is missing"},
	"no host, absolute form":      {"GET http://h/ HTTP/1.1\nX-Host: h\n\nHost: h\n\n", "400 Bad Request", "Host is missing"},
	"two hosts":                   {"GET / HTTP/1.1\nHost: a\nHost: b\n\n", "400 Bad Request", "no HTTP request"},
	"an odd host":                 {"GET / HTTP/1.1\nHost: a/b\n\n", "400 Bad Request", "names no host"},
	"an odd host, absolute form":  {"GET http://h/ HTTP/1.1\nHost: a b\n\n", "400 Bad Request", "names no host"},
	"a host that goes on":         {"GET http://h/ HTTP/1.1\nHost: a\n b\n\n", "400 Bad Request", "names no host"},
	"a space before the colon":    {"GET / HTTP/1.1\nHost: h\nX-A : 1\n\n", "400 Bad Request", "no token"},
	"a header without a name":     {"GET / HTTP/1.1\nHost: h\n: 1\n\n", "400 Bad Request", "no HTTP request"},
	"a control character":         {"GET / HTTP/1.1\nHost: h\nX-A: a\x00b\n\n", "400 Bad Request", "no HTTP request"},
	"a first line that goes on":   {"GET / HTTP/1.1\n Host: h\n\n", "400 Bad Request", "no HTTP request"},
	"lengths that differ":         {"POST / HTTP/1.1\nHost: h\nContent-Length: 1\nContent-Length: 2\n\nab", "400 Bad Request", "no HTTP request"},
	"a length with a sign":        {"POST / HTTP/1.1\nHost: h\nContent-Length: +1\n\na", "400 Bad Request", "no HTTP request"},
	"a negative length":           {"POST / HTTP/1.1\nHost: h\nContent-Length: -1\n\na", "400 Bad Request", "no HTTP request"},
	"another coding":              {"POST / HTTP/1.1\nHost: h\nTransfer-Encoding: gzip\n\nabc", "501 Not Implemented", "chunked"},
	"codings":                     {"POST / HTTP/1.1\nHost: h\nTransfer-Encoding: gzip, chunked\n\nabc", "501 Not Implemented", "chunked"},
	"a coding twice":              {"POST / HTTP/1.1\nHost: h\nTransfer-Encoding: chunked\nTransfer-Encoding: chunked\n\n0\n\n", "501 Not Implemented", "chunked"},
	"another version":             {"GET / HTTP/3.0\nHost: h\n\n", "505 HTTP Version Not Supported", "HTTP/1.1"},
	"HTTP/2 that goes on as text": {"PRI * HTTP/2.0\nHost: h\nX-A: 1234567890\n\n", "505 HTTP Version Not Supported", "HTTP/1.1"},
	"no version":                  {"GET /\n\n", "400 Bad Request", "no HTTP request"},
	"large headers":               {"GET / HTTP/1.1\nHost: h\nX-A: " + strings.Repeat("a", 30_000) + "\n\n", "431 Request Header Fields Too Large", "larger than"},
	"headers without an end":      {"GET / HTTP/1.1\nHost: h\n" + strings.Repeat("X-A: 1\n", 5000), "431 Request Header Fields Too Large", "larger than"},
	"a line without an end":       {"GET /" + strings.Repeat("a", 40_000), "431 Request Header Fields Too Large", "larger than"},
}

func TestRefused(t *testing.T) {
	t.Parallel()
	s := open(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("a handler got %s %s", r.Method, r.RequestURI)
	}), nil)
	for name, test := range refused {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// What follows is not taken for a request.
			c := dial(t, s.addr)
			send(t, c, test.request+"GET /after HTTP/1.1\nHost: h\n\n")
			res, body := nextResponse(t, bufio.NewReader(c), "GET")
			if res.Status != test.status || !res.Close || !strings.Contains(body, test.why) || res.Header.Get("Date") == "" {
				t.Errorf("got %s, close %t, %q", res.Status, res.Close, body)
			}
			_ = c.CloseWrite()
			if more := rest(t, c); more != "" {
				t.Errorf("then %q", more)
			}
		})
	}
}

// What is cut off before it is a request is answered where somebody may hear it.
func TestCutOff(t *testing.T) {
	t.Parallel()
	s := open(t, http.NotFoundHandler(), nil)
	for text, want := range map[string]string{
		"":                                "",
		"GET":                             "HTTP/1.1 400",
		"GET / HTTP/1.1\nHost: h\n":       "HTTP/1.1 400",
		"GET / HTTP/1.1\nHost: h\n\nGET ": "HTTP/1.1 404",
	} {
		if got := raw(t, s.addr, text); !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestHTTP2IsLeftToOthers(t *testing.T) {
	t.Parallel()
	s := open(t, http.NotFoundHandler(), nil)
	for _, pieces := range [][]string{
		{preface},
		{preface + "\x00\x00\x00\x04\x00\x00\x00\x00\x00"},
		{preface[:1], preface[1:10], preface[10:]},
	} {
		c := dial(t, s.addr)
		for _, p := range pieces {
			if _, err := io.WriteString(c, p); err != nil {
				t.Fatal(err)
			}
		}
		if got := <-s.preface; string(got) != strings.Join(pieces, "") {
			t.Errorf("got %q", got)
		}
		_ = c.Close()
	}
	// Once HTTP/1 was spoken, it stays.
	if got := raw(t, s.addr, "GET / HTTP/1.1\nHost: h\n\n"+strings.ReplaceAll(preface, "\r", "")); !strings.Contains(got, "HTTP/1.1 404 ") || !strings.Contains(got, "HTTP/1.1 505 ") {
		t.Errorf("got %q", got)
	}
}

// All bounds on a client's time end its connection, and not the others'.
func TestDeadlines(t *testing.T) {
	t.Parallel()
	const short = 30 * time.Millisecond
	large := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, err := w.Write(bytes.Repeat([]byte("x"), 64<<20))
		if n, ok := err.(net.Error); !ok || !n.Timeout() {
			t.Errorf("slow reader: %v", err)
		}
	})
	reads := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			w.WriteHeader(http.StatusRequestTimeout)
		}
	})
	for name, test := range map[string]struct {
		handler http.Handler
		set     func(*Server)
		send    string
		want    string // what the answer begins with
	}{
		"silent":         {reads, func(s *Server) { s.ReadHeaderTimeout = short }, "", ""},
		"slow headers":   {reads, func(s *Server) { s.ReadHeaderTimeout = short }, "GET / HTTP/1.1\nHost", "HTTP/1.1 408 "},
		"slow preface":   {reads, func(s *Server) { s.ReadHeaderTimeout = short }, "PRI * HT", "HTTP/1.1 408 "},
		"slow header":    {reads, func(s *Server) { s.ReadHeaderTimeout = short }, "GET / HTTP/1.1\nHost: h\n", "HTTP/1.1 408 "},
		"slow second":    {reads, func(s *Server) { s.ReadHeaderTimeout = short }, "GET / HTTP/1.1\nHost: h\n\nGET / HT", "HTTP/1.1 200 OK"},
		"slow body":      {reads, func(s *Server) { s.ReadTimeout = short }, "POST / HTTP/1.1\nHost: h\nContent-Length: 9\n\nabc", "HTTP/1.1 408 "},
		"idle":           {reads, func(s *Server) { s.IdleTimeout = short }, "GET / HTTP/1.1\nHost: h\n\n", "HTTP/1.1 200 OK"},
		"slow, unwanted": {http.NotFoundHandler(), func(s *Server) { s.ReadTimeout = short }, "POST / HTTP/1.1\nHost: h\nContent-Length: 9\n\nabc", "HTTP/1.1 404 "},
		"slow reader":    {large, func(s *Server) { s.WriteTimeout = short }, "GET / HTTP/1.1\nHost: h\n\n", "HTTP/1.1 200 OK"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, test.handler, func(s *site) { test.set(s.Server) })
			c := dial(t, s.addr)
			send(t, c, test.send)
			if name == "slow reader" {
				<-s.preface // the server has given up
			}
			b, err := io.ReadAll(c)
			if n, ok := err.(net.Error); ok && n.Timeout() {
				t.Fatalf("the connection stays open: %q", b)
			}
			if !strings.HasPrefix(string(b), test.want) || test.want == "" && len(b) > 0 {
				t.Errorf("got %.100q", b)
			}
		})
	}
}

// A client that goes on sending gets its answer all the same, and not a reset.
func TestAnswerBeforeTheEnd(t *testing.T) {
	t.Parallel()
	s := open(t, http.NotFoundHandler(), nil)
	for _, size := range []int{maxUnread + 1, maxUnread + maxLinger, 50 << 20} {
		for _, request := range []string{
			"POST / HTTP/1.1\nHost: h\nContent-Length: 90000000\n\n",
			"nonsense\n\n",
		} {
			c := dial(t, s.addr)
			send(t, c, request)
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				_, _ = c.Write(bytes.Repeat([]byte("x"), size)) // fails at last where it is large
			}()
			res, _ := nextResponse(t, bufio.NewReader(c), "POST")
			if res.StatusCode < 400 || !res.Close {
				t.Errorf("got %s", res.Status)
			}
			_ = c.Close()
			<-sent
		}
		res, err := http.Post("http://"+s.addr, "a/b", bytes.NewReader(make([]byte, size)))
		if err != nil {
			t.Errorf("%d bytes: %v", size, err)
			continue
		}
		_ = res.Body.Close()
		if res.StatusCode != 404 {
			t.Errorf("%d bytes: got %s", size, res.Status)
		}
	}
}

// Where the state may not be entered the connection ends, after its answer.
func TestEnter(t *testing.T) {
	t.Parallel()
	closing := make(chan struct{})
	s := open(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { close(closing) }), func(s *site) {
		s.closing = func() bool {
			select {
			case <-closing:
				return true
			default:
				return false
			}
		}
	})
	c := dial(t, s.addr)
	send(t, c, "GET / HTTP/1.1\nHost: h\n\n")
	if got := rest(t, c); !strings.HasPrefix(got, "HTTP/1.1 200 OK\r\n") {
		t.Errorf("got %q", got)
	}
}

// The context of a request ends with the server's.
func TestContext(t *testing.T) {
	t.Parallel()
	type key struct{}
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "value"))
	s := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a := r.Context().Value(http.LocalAddrContextKey); a == nil || r.RemoteAddr == "" || r.Context().Value(key{}) != "value" {
			t.Errorf("from %q to %v", r.RemoteAddr, a)
		}
		if r.URL.Path != "/end" {
			return
		}
		if err := r.Context().Err(); err != nil {
			t.Errorf("it has ended: %v", err)
		}
		cancel()
		<-r.Context().Done()
	}), func(s *site) { s.ctx = ctx })
	c := dial(t, s.addr)
	r := bufio.NewReader(c)
	for _, path := range []string{"/", "/end"} {
		send(t, c, "GET "+path+" HTTP/1.1\nHost: h\n\n")
		nextResponse(t, r, "GET")
	}
}

// A handler that ends its goroutine ends its connection, and no buffer that it may
// still read from is used again.
func TestGoexit(t *testing.T) {
	t.Parallel()
	s := open(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { runtime.Goexit() }), nil)
	if got := raw(t, s.addr, "POST / HTTP/1.1\nHost: h\nContent-Length: 3\n\nab"); got != "" {
		t.Errorf("got %q", got)
	}
	if buf := s.readers.Get(); buf != nil {
		t.Error("its buffer is kept")
	}
}

func TestNegativeTimeouts(t *testing.T) {
	t.Parallel()
	s := open(t, http.NotFoundHandler(), func(s *site) {
		s.ReadHeaderTimeout, s.ReadTimeout, s.WriteTimeout, s.IdleTimeout = -1, -1, -1, -1
	})
	got := raw(t, s.addr, "POST / HTTP/1.1\nHost: h\nContent-Length: 1\n\naGET / HTTP/1.1\nHost: h\n\n")
	if strings.Count(got, "HTTP/1.1 404 ") != 2 {
		t.Errorf("got %q", got)
	}
}

func TestPanicIsLogged(t *testing.T) {
	t.Parallel()
	s := open(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/abort" {
			panic(http.ErrAbortHandler)
		}
		panic("on purpose")
	}), nil)
	for path, logged := range map[string]bool{"/abort": false, "/": true} {
		before := s.log.String()
		if got := raw(t, s.addr, "GET "+path+" HTTP/1.1\nHost: h\n\n"); got != "" {
			t.Errorf("%s: got %q", path, got)
		}
		<-s.preface
		if now := s.log.String(); strings.Contains(now[len(before):], "on purpose") != logged {
			t.Errorf("%s: log has %q", path, now)
		}
	}
}
