package http1

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience bounds every wait for something that should happen at once.
const patience = 10 * time.Second

// halfCloser is a *net.TCPConn or a *net.UnixConn.
type halfCloser interface {
	net.Conn
	CloseWrite() error
}

// conn is a Conn.
type conn struct {
	halfCloser
	entered func(http.ConnState) bool
}

func (c conn) WriteBuffers(b *net.Buffers) (int64, error) { return b.WriteTo(c.halfCloser) }
func (c conn) Enter(state http.ConnState) bool            { return c.entered(state) }

// listen listens, for a fuzz test on a path: ports run out where connections come
// by the thousand.
func listen(t testing.TB) net.Listener {
	t.Helper()
	network, address := "tcp", "127.0.0.1:0"
	if _, ok := t.(*testing.F); ok {
		network, address = "unix", filepath.Join(t.TempDir(), "s")
	}
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// site is a Server that listens.
type site struct {
	*Server
	addr    string
	log     *lines
	preface chan []byte // what Serve returns
	closing func() bool
	ctx     context.Context
}

// lines is a log.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// open serves with a handler until the test ends.
func open(t testing.TB, handler http.Handler, change func(*site)) *site {
	t.Helper()
	l := listen(t)
	s := &site{addr: l.Addr().String(), log: new(lines), preface: make(chan []byte, 100), closing: func() bool { return false }}
	s.Server = &Server{
		Handler:           handler,
		Logger:            slog.New(slog.NewTextHandler(s.log, nil)),
		MaxHeader:         16 << 10,
		ReadHeaderTimeout: patience,
		ReadTimeout:       patience,
		WriteTimeout:      patience,
		IdleTimeout:       patience,
	}
	s.ctx = context.Background()
	if change != nil {
		change(s)
	}
	ctx, cancel := context.WithCancel(s.ctx)
	var served sync.WaitGroup
	served.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			served.Go(func() {
				defer c.Close()
				http2 := s.Serve(ctx, conn{c.(halfCloser), func(state http.ConnState) bool {
					return state == http.StateActive || !s.closing()
				}})
				select {
				case s.preface <- http2:
				default: // nobody looks
				}
			})
		}
	})
	t.Cleanup(func() {
		cancel()
		_ = l.Close()
		served.Wait() // the clients have closed their connections
	})
	return s
}

// dial opens a connection that does not outlive the test.
func dial(t testing.TB, addr string) halfCloser {
	t.Helper()
	network := "tcp"
	if filepath.IsAbs(addr) {
		network = "unix"
	}
	c, err := net.Dial(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c.(halfCloser)
}

// raw sends text, with "\n" as "\r\n", and returns all that comes back.
func raw(t testing.TB, addr, text string) string {
	t.Helper()
	c := dial(t, addr)
	send(t, c, text)
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	return rest(t, c)
}

func send(t testing.TB, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, strings.ReplaceAll(text, "\n", "\r\n")); err != nil {
		t.Fatal(err)
	}
}

// rest returns all that comes until the server closes the connection.
func rest(t testing.TB, c net.Conn) string {
	t.Helper()
	b, err := io.ReadAll(c)
	if err != nil {
		t.Fatalf("after %q: %v", b, err)
	}
	return string(b)
}

// nextResponse reads one response off r.
func nextResponse(t testing.TB, r *bufio.Reader, method string) (*http.Response, string) {
	t.Helper()
	res, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	return res, string(b)
}
