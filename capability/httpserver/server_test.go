package httpserver

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/waxosuit/waxo/capability/payload/httppb"
)

// TestWithoutSockets runs the other tests where net/http serves all connections,
// as it does on systems without sockets that can be looked at.
func TestWithoutSockets(t *testing.T) {
	t.Parallel()
	if os.Getenv(noSockets) != "" {
		t.Skip("this is the other run")
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^Test", "-test.short="+shortFlag())
	cmd.Env = append(os.Environ(), noSockets+"=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func shortFlag() string {
	if testing.Short() {
		return "true"
	}
	return "false"
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
