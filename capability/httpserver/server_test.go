package httpserver

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/waxosuit/waxo/capability/payload/httppb"
)

// TestWithoutSockets runs the other tests where net/http serves all connections,
// as it does on systems without sockets that can be looked at.
func TestWithoutSockets(t *testing.T) {
	t.Parallel()
	if os.Getenv(noSockets) != "" {
		t.Skip("this is the other run")
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^Test")
	cmd.Env = append(os.Environ(), noSockets+"=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// failingListener fails, before it accepts.
type failingListener struct {
	net.Listener
	failures atomic.Int32
}

func (l *failingListener) Accept() (net.Conn, error) {
	if l.failures.Add(-1) >= 0 {
		return nil, errors.New("too many open files")
	}
	return l.Listener.Accept()
}

// A connection that could not be accepted does not end the server.
func TestAcceptIsTriedAgain(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s := open(t, answers(&httppb.Response{Body: []byte("done")}), Options{
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
		Listen: func(ctx context.Context, network, address string) (net.Listener, error) {
			inner, err := new(net.ListenConfig).Listen(ctx, network, address)
			l := &failingListener{Listener: inner}
			l.failures.Store(3)
			return l, err
		},
	}, false)
	if _, body := s.get(t, "/"); body != "done" {
		t.Errorf("got %q", body)
	}
	if err := s.Unbind(t.Context(), bindingID); err != nil {
		t.Error(err)
	}
	if got := log.String(); strings.Count(got, "could not be accepted") != 3 || !strings.Contains(got, "too many open files") {
		t.Errorf("the log has %q", got)
	}
}

// A listener that somebody else closes is told, and Unbind still works.
func TestListenerIsClosed(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s := open(t, answers(&httppb.Response{}), Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}, false)
	server := s.servers[bindingID]
	if err := server.listener.Close(); err != nil {
		t.Fatal(err)
	}
	<-server.served
	if got := log.String(); !strings.Contains(got, "has stopped") {
		t.Errorf("the log has %q", got)
	}
	_ = s.Unbind(t.Context(), bindingID) // the listener cannot be closed twice
}

// TestBothServers: one binding answers HTTP/1 by our server and HTTP/2 by
// net/http's, and both are drained.
func TestBothServers(t *testing.T) {
	t.Parallel()
	h := newHeld()
	s := open(t, h, Options{}, false)
	results := make(chan string, 4)
	for i := range cap(results) {
		transport := &http.Transport{Protocols: new(http.Protocols)}
		transport.Protocols.SetHTTP1(i%2 == 0)
		transport.Protocols.SetUnencryptedHTTP2(i%2 == 1)
		defer transport.CloseIdleConnections()
		go func() {
			res, err := (&http.Client{Transport: transport, Timeout: patience}).Post("http://"+s.addr, "a/b", strings.NewReader("body"))
			if err != nil {
				results <- err.Error()
				return
			}
			b, err := io.ReadAll(res.Body)
			_ = res.Body.Close()
			if err != nil {
				results <- err.Error()
				return
			}
			results <- res.Proto + " " + string(b)
		}()
	}
	for range cap(results) {
		<-h.calls
	}
	unbound := make(chan error, 1)
	go func() { unbound <- s.Unbind(t.Context(), bindingID) }()
	s.waitUntilRefused()
	close(h.release)
	count := make(map[string]int)
	for range cap(results) {
		count[<-results]++
	}
	if count["HTTP/1.1 done"] != 2 || count["HTTP/2.0 done"] != 2 {
		t.Errorf("got %v", count)
	}
	if err := <-unbound; err != nil {
		t.Error(err)
	}
}

// Many connections come and go at once while a server is drained: each is either
// served or closed, and none is left.
func TestDrainAmongNewConnections(t *testing.T) {
	t.Parallel()
	for range 5 {
		s := open(t, answers(&httppb.Response{}), Options{}, false)
		stop, stopped := make(chan struct{}), make(chan struct{}, 8)
		for i := range cap(stopped) {
			go func() {
				defer func() { stopped <- struct{}{} }()
				for {
					select {
					case <-stop:
						return
					default:
					}
					c, err := net.Dial("tcp", s.addr)
					if err != nil {
						return // refused: the drain has begun
					}
					text := "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
					if i%2 == 1 {
						text = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
					}
					_, _ = io.WriteString(c, text) // it may be closed already
					_ = c.Close()
				}
			}()
		}
		if err := s.Unbind(t.Context(), bindingID); err != nil {
			t.Error(err)
		}
		close(stop)
		for range cap(stopped) {
			<-stopped
		}
	}
}

// wrapped serves with a handler that stands in front of a guest that is not asked.
func wrapped(t *testing.T, handler http.HandlerFunc, o Options) *site {
	t.Helper()
	o.Wrap = func(http.Handler) http.Handler { return handler }
	return open(t, never(t), o, false)
}

// A handler that ends its goroutine leaves nothing behind that a drain waits for.
func TestHandlerThatEndsItsGoroutine(t *testing.T) {
	t.Parallel()
	s := wrapped(t, func(http.ResponseWriter, *http.Request) { runtime.Goexit() }, Options{})
	if got := s.raw(t, "GET / HTTP/1.1\nHost: h\n\n"); got != "" {
		t.Errorf("got %q", got)
	}
	if err := s.Unbind(t.Context(), bindingID); err != nil {
		t.Error(err)
	}
}

// A drain does not cut an answer short whose request was not read to its end.
func TestDrainLetsAnswersOut(t *testing.T) {
	t.Parallel()
	const size = 1 << 20
	called, release := make(chan struct{}), make(chan struct{})
	s := wrapped(t, func(w http.ResponseWriter, _ *http.Request) {
		close(called)
		<-release
		_, _ = w.Write(bytes.Repeat([]byte("x"), size)) // what arrives is looked at
	}, Options{})
	c := s.dial(t).(*net.TCPConn)
	if err := c.SetReadBuffer(32 << 10); err != nil {
		t.Fatal(err)
	}
	send(t, c, "POST / HTTP/1.1\nHost: h\nContent-Length: 900000\n\nsome of it")
	<-called
	unbound := make(chan error, 1)
	go func() { unbound <- s.Unbind(t.Context(), bindingID) }()
	for server := s.servers[bindingID]; os.Getenv(noSockets) == "" && !server.closing.Load(); {
		runtime.Gosched()
	}
	close(release)
	go func() { _, _ = c.Write(make([]byte, 500_000)) }() // more than the server reads for the connection's sake
	res, body := response(t, bufio.NewReader(c), "POST")
	if res.StatusCode != 200 || len(body) != size || !res.Close {
		t.Errorf("got %s, %d bytes", res.Status, len(body))
	}
	_ = c.Close()
	if err := <-unbound; err != nil {
		t.Error(err)
	}
}

// odd reads and writes in its own way.
type odd struct{ *net.TCPConn }

func (c odd) Read(b []byte) (int, error) {
	n, err := c.TCPConn.Read(b)
	for i := range b[:n] {
		b[i] ^= 1
	}
	return n, err
}

func (c odd) Write(b []byte) (int, error) {
	b = bytes.Clone(b)
	for i := range b {
		b[i] ^= 1
	}
	return c.TCPConn.Write(b)
}

type oddListener struct{ net.Listener }

func (l oddListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return odd{c.(*net.TCPConn)}, nil
}

// What a listener makes of a socket is not gone around.
func TestConnectionsWithWaysOfTheirOwn(t *testing.T) {
	t.Parallel()
	s := open(t, answers(&httppb.Response{Body: []byte("done")}), Options{Listen: func(ctx context.Context, network, address string) (net.Listener, error) {
		l, err := new(net.ListenConfig).Listen(ctx, network, address)
		return oddListener{l}, err
	}}, false)
	c := odd{s.dial(t).(*net.TCPConn)}
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if res, body := response(t, bufio.NewReader(c), "GET"); res.StatusCode != 200 || body != "done" {
		t.Errorf("got %s %q", res.Status, body)
	}
}

func TestNegativeTimeouts(t *testing.T) {
	t.Parallel()
	s := open(t, answers(&httppb.Response{Body: []byte("done")}), Options{ReadHeaderTimeout: -1, ReadTimeout: -1, WriteTimeout: -1, IdleTimeout: -1}, false)
	for range 2 {
		if _, body := s.get(t, "/"); body != "done" {
			t.Errorf("got %q", body)
		}
	}
}

// A drain ends connections that are kept alive and wait for a request.
func TestDrainEndsIdleConnections(t *testing.T) {
	t.Parallel()
	s := open(t, answers(&httppb.Response{Body: []byte("done")}), Options{DrainTimeout: time.Hour}, false)
	c := s.dial(t)
	r := bufio.NewReader(c)
	send(t, c, "GET / HTTP/1.1\nHost: h\n\n")
	if res, _ := response(t, r, "GET"); res.Close {
		t.Fatal("the connection is not kept")
	}
	unbound := make(chan error, 1)
	go func() { unbound <- s.Unbind(t.Context(), bindingID) }()
	if b, err := io.ReadAll(r); err != nil || len(b) > 0 {
		t.Errorf("then %q %v", b, err)
	}
	_ = c.Close() // which ends the drain in any case
	if err := <-unbound; err != nil {
		t.Error(err)
	}
}
