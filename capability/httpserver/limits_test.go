package httpserver

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/payload/httppb"
)

func TestBodyTooLarge(t *testing.T) {
	t.Parallel()
	for name, request := range map[string]string{
		"announced":                      "POST / HTTP/1.1\nHost: h\nContent-Length: 11\n\n12345678901GET / HTTP/1.1\nHost: h\n\n",
		"announced, far larger":          "POST / HTTP/1.1\nHost: h\nContent-Length: 99999999999\n\n1",
		"announced, waiting for consent": "POST / HTTP/1.1\nHost: h\nContent-Length: 11\nExpect: 100-continue\n\n",
		"chunked":                        "POST / HTTP/1.1\nHost: h\nTransfer-Encoding: chunked\n\nb\n12345678901\n0\n\nGET / HTTP/1.1\nHost: h\n\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, never(t), Options{MaxBody: 10}, false)
			answer := s.raw(t, request)
			if !strings.HasPrefix(answer, "HTTP/1.1 413 ") || strings.Count(answer, "HTTP/1.1 ") != 1 || !strings.Contains(answer, "larger than 10 bytes") {
				t.Errorf("got %q", answer)
			}
			if !strings.Contains(answer, "\r\nConnection: close\r\n") {
				t.Errorf("the connection stays open: %q", answer)
			}
		})
	}
}

func TestBodiesInHandAreBounded(t *testing.T) {
	t.Parallel()
	arrived, leave := make(chan struct{}, 2), make(chan struct{})
	s := open(t, guest(func(r *httppb.Request) *httppb.Response {
		arrived <- struct{}{}
		<-leave
		return &httppb.Response{}
	}), Options{MaxBody: 10, MaxBodies: 15}, false)
	post := func() int {
		res, err := s.client.Post("http://"+s.addr+"/", "a/b", strings.NewReader("1234567890"))
		if err != nil {
			t.Error(err)
			return 0
		}
		_ = res.Body.Close()
		return res.StatusCode
	}
	first := make(chan int)
	go func() { first <- post() }()
	<-arrived
	if got := post(); got != 503 {
		t.Errorf("beyond the bound the status is %d", got)
	}
	close(leave)
	if got := <-first; got != 200 {
		t.Errorf("the request in hand got %d", got)
	}
	if got := post(); got != 200 {
		t.Errorf("after it the status is %d", got)
	}
	if held := s.held.Load(); held != 0 {
		t.Errorf("%d bytes are held by nobody", held)
	}
}

func TestLimitsOfBodiesChangeWhileServing(t *testing.T) {
	t.Parallel()
	s := open(t, guest(func(r *httppb.Request) *httppb.Response { return &httppb.Response{Body: r.Body} }), Options{MaxBody: 10}, false)
	for _, test := range []struct {
		request, response int64
		status            int
	}{{10, 10, 413}, {11, 10, 500}, {11, 11, 200}, {10, 11, 413}} {
		s.SetMaxBody(test.request, test.response)
		res, err := s.client.Post("http://"+s.addr+"/", "a/b", strings.NewReader("12345678901"))
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != test.status {
			t.Errorf("limits %d and %d: status %d, want %d", test.request, test.response, res.StatusCode, test.status)
		}
	}
}

func TestBodyAtTheLimit(t *testing.T) {
	t.Parallel()
	const limit = 3 << 20 // several times what is read or kept at once
	s := open(t, guest(func(r *httppb.Request) *httppb.Response { return &httppb.Response{Body: r.Body} }), Options{MaxBody: limit}, false)
	want := bytes.Repeat([]byte("0123456789abcdef"), limit/16)
	for name, body := range map[string]io.Reader{"announced": bytes.NewReader(want), "chunked": io.MultiReader(bytes.NewReader(want))} {
		res, err := s.client.Post("http://"+s.addr+"/", "a/b", body)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || res.StatusCode != 200 || !bytes.Equal(got, want) {
			t.Errorf("%s: %v, status %d, %d bytes of %d", name, err, res.StatusCode, len(got), len(want))
		}
		if a := s.lastAccess(t); a.BytesIn != limit || a.BytesOut != limit {
			t.Errorf("%s: access log says %d in, %d out", name, a.BytesIn, a.BytesOut)
		}
	}
}

func TestExpectContinue(t *testing.T) {
	t.Parallel()
	s := open(t, guest(func(r *httppb.Request) *httppb.Response {
		return &httppb.Response{Body: append(r.Body, r.Header["Expect"]...)}
	}), Options{}, false)
	c := s.dial(t)
	r := bufio.NewReader(c)
	send(t, c, "POST / HTTP/1.1\nHost: h\nContent-Length: 3\nExpect: 100-continue\n\n")
	for _, want := range []string{"HTTP/1.1 100 Continue\r\n", "\r\n"} {
		if line, err := r.ReadString('\n'); err != nil || line != want {
			t.Fatalf("got %q, %v", line, err)
		}
	}
	send(t, c, "abc")
	if res, body := response(t, r, "POST"); res.StatusCode != 200 || body != "abc" {
		t.Errorf("got %d %q", res.StatusCode, body)
	}
}

func TestClientHangsUpWhileUploading(t *testing.T) {
	t.Parallel()
	for name, request := range map[string]string{
		"announced": "POST / HTTP/1.1\nHost: h\nContent-Length: 5\n\nabc",
		"chunked":   "POST / HTTP/1.1\nHost: h\nTransfer-Encoding: chunked\n\n5\nabc",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, never(t), Options{}, false)
			c := s.dial(t)
			send(t, c, request)
			if err := c.(*net.TCPConn).SetLinger(0); err != nil { // a reset, as from a client that crashed
				t.Fatal(err)
			}
			_ = c.Close()
			if a := s.lastAccess(t); a.Status != 400 || a.Err == nil {
				t.Errorf("access log: %+v", a)
			}
		})
	}
}

func TestClientHangsUpWhileWaiting(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		request string
		hangUp  func(*net.TCPConn) error
		in      int64 // bytes of the body
	}{
		"closes":                    {"POST / HTTP/1.1\nHost: h\nContent-Length: 3\n\nabc", (*net.TCPConn).Close, 3},
		"closes, no body":           {"GET / HTTP/1.1\nHost: h\n\n", (*net.TCPConn).Close, 0},
		"closes its sending half":   {"GET / HTTP/1.1\nHost: h\n\n", (*net.TCPConn).CloseWrite, 0},
		"resets":                    {"GET / HTTP/1.1\nHost: h\n\n", reset, 0},
		"closes in a later request": {"GET /at-once HTTP/1.1\nHost: h\n\nGET / HTTP/1.1\nHost: h\n\n", (*net.TCPConn).Close, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			called := make(chan struct{})
			s := open(t, dispatch(func(ctx context.Context, _ string, payload []byte) (capability.Reply, error) {
				if strings.Contains(string(payload), "/at-once") {
					return capability.Reply{}, nil
				}
				close(called)
				<-ctx.Done()
				return capability.Reply{}, capability.AsError(ctx.Err())
			}), Options{}, false)
			c := s.dial(t)
			send(t, c, test.request)
			<-called
			if strings.Contains(test.request, "/at-once") {
				if a := s.lastAccess(t); a.Status != 200 {
					t.Errorf("access log: %+v", a)
				}
			}
			if err := test.hangUp(c.(*net.TCPConn)); err != nil {
				t.Fatal(err)
			}
			if a := s.lastAccess(t); a.Status != StatusClientGone || a.Err == nil || a.Err.Code != capability.CodeCanceled || a.BytesIn != test.in {
				t.Errorf("access log: %+v", a)
			}
		})
	}
}

// reset ends a connection without the usual courtesies.
func reset(c *net.TCPConn) error {
	if err := c.SetLinger(0); err != nil {
		return err
	}
	return c.Close()
}

// A client that sends its next request early has not gone.
func TestPipeliningWhileWaiting(t *testing.T) {
	t.Parallel()
	s := open(t, dispatch(func(ctx context.Context, _ string, _ []byte) (capability.Reply, error) {
		select {
		case <-time.After(3 * maxLook):
			return capability.Reply{}, nil
		case <-ctx.Done():
			return capability.Reply{}, capability.AsError(ctx.Err())
		}
	}), Options{}, false)
	c := s.dial(t)
	send(t, c, "GET /1 HTTP/1.1\nHost: h\n\n")
	send(t, c, "GET /2 HTTP/1.1\nHost: h\n\n")
	r := bufio.NewReader(c)
	for range 2 {
		if res, body := response(t, r, "GET"); res.StatusCode != 200 {
			t.Errorf("got %d %q", res.StatusCode, body)
		}
	}
}

func TestSlowBody(t *testing.T) {
	t.Parallel()
	s := open(t, never(t), Options{ReadTimeout: 20 * time.Millisecond}, false)
	c := s.dial(t)
	send(t, c, "POST / HTTP/1.1\nHost: h\nContent-Length: 5\n\nabc")
	r := bufio.NewReader(c)
	if res, body := response(t, r, "POST"); res.StatusCode != 408 || !strings.Contains(body, "too long") || !res.Close {
		t.Errorf("got %d %q", res.StatusCode, body)
	}
	if _, err := r.ReadByte(); err == nil || isTimeout(err) {
		t.Errorf("the connection stays open: %v", err)
	}
}

// The bound for a body must not end a request that has been read.
func TestSlowGuestOutlivesReadTimeout(t *testing.T) {
	t.Parallel()
	const timeout = 250 * time.Millisecond
	s := open(t, dispatch(func(ctx context.Context, _ string, _ []byte) (capability.Reply, error) {
		select {
		case <-ctx.Done():
			return capability.Reply{}, capability.AsError(ctx.Err())
		case <-time.After(2 * timeout):
			return capability.Reply{}, nil
		}
	}), Options{ReadTimeout: timeout, ReadHeaderTimeout: timeout, WriteTimeout: timeout, IdleTimeout: timeout}, false)
	c := s.dial(t)
	send(t, c, "POST / HTTP/1.1\nHost: h\nContent-Length: 3\n\nabc")
	if res, _ := response(t, bufio.NewReader(c), "POST"); res.StatusCode != 200 {
		t.Errorf("HTTP/1.1: %d", res.StatusCode)
	}
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	res, err := (&http.Client{Transport: transport, Timeout: patience}).Post("http://"+s.addr, "a/b", strings.NewReader("abc"))
	if err != nil {
		t.Fatalf("HTTP/2: %v", err)
	}
	_ = res.Body.Close()
	if res.StatusCode != 200 {
		t.Errorf("HTTP/2: %d", res.StatusCode)
	}
}

func TestSlowHeaders(t *testing.T) {
	t.Parallel()
	s := open(t, never(t), Options{ReadHeaderTimeout: 20 * time.Millisecond}, false)
	c := s.dial(t)
	send(t, c, "GET / HTTP/1.1\nHost: h\nX-A")
	if b, err := io.ReadAll(c); err != nil {
		t.Errorf("the connection stays open: %q %v", b, err)
	}
}

func TestIdleConnectionEnds(t *testing.T) {
	t.Parallel()
	s := open(t, answers(&httppb.Response{}), Options{IdleTimeout: 20 * time.Millisecond}, false)
	c := s.dial(t)
	send(t, c, "GET / HTTP/1.1\nHost: h\n\n")
	if b, err := io.ReadAll(c); err != nil || !bytes.HasPrefix(b, []byte("HTTP/1.1 200 ")) {
		t.Errorf("%q %v", b, err)
	}
}

// A client that does not read its answer is given up.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	s := open(t, answers(&httppb.Response{Body: make([]byte, 31<<20)}), Options{WriteTimeout: 20 * time.Millisecond}, false)
	c := s.dial(t)
	send(t, c, "GET / HTTP/1.1\nHost: h\n\n")
	if a := s.lastAccess(t); a.Status != 200 || a.Err == nil || a.BytesOut >= 31<<20 {
		t.Errorf("access log: %+v", a)
	}
}

func TestHeadersTooLarge(t *testing.T) {
	t.Parallel()
	s := open(t, never(t), Options{MaxHeader: 4096}, false)
	answer := s.raw(t, fmt.Sprintf("GET / HTTP/1.1\nHost: h\nX-A: %s\n\n", strings.Repeat("a", 10_000)))
	if !strings.HasPrefix(answer, "HTTP/1.1 431 ") {
		t.Errorf("got %q", answer)
	}
}

// Wrap stands in front of the guest, and the bounds still hold behind it.
func TestWrap(t *testing.T) {
	t.Parallel()
	wrap := func(guest http.Handler) http.Handler {
		mux := http.NewServeMux()
		mux.Handle("/", guest)
		mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "fine") })
		return mux
	}
	s := open(t, answers(&httppb.Response{Body: []byte("guest")}), Options{Wrap: wrap}, false)
	if _, body := s.get(t, "/healthz"); body != "fine" {
		t.Errorf("got %q", body)
	}
	if _, body := s.get(t, "/other"); body != "guest" {
		t.Errorf("got %q", body)
	}
}

// A body that Wrap has changed in length must not reach the guest cut off.
func TestWrapThatChangesTheBody(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"12", "1234"} {
		wrap := func(guest http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r.Body = io.NopCloser(strings.NewReader(body))
				guest.ServeHTTP(w, r)
			})
		}
		s := open(t, never(t), Options{Wrap: wrap}, false)
		if answer := s.raw(t, "POST / HTTP/1.1\nHost: h\nContent-Length: 3\n\nabc"); !strings.HasPrefix(answer, "HTTP/1.1 400 ") {
			t.Errorf("got %q", answer)
		}
	}
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}
