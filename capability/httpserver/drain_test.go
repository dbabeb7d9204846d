package httpserver

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/payload/httppb"
)

// held is a guest whose requests wait for release.
type held struct {
	calls   chan struct{} // one for each call that has begun
	release chan struct{}
}

func newHeld() *held { return &held{make(chan struct{}, 100), make(chan struct{})} }

func (h *held) Dispatch(ctx context.Context, _ string, _ []byte) (capability.Reply, error) {
	h.calls <- struct{}{}
	select {
	case <-h.release:
		return capability.Reply{Payload: (&httppb.Response{Body: []byte("done")}).AppendProto(nil)}, nil
	case <-ctx.Done():
		return capability.Reply{}, capability.AsError(ctx.Err())
	}
}

func TestUnbindLetsRequestsFinish(t *testing.T) {
	t.Parallel()
	h := newHeld()
	s := open(t, h, Options{}, false)
	c := s.dial(t)
	send(t, c, "GET / HTTP/1.1\nHost: h\n\n")
	<-h.calls
	idle := s.dial(t) // as browsers open them in advance

	unbound := make(chan error, 1)
	go func() { unbound <- s.Unbind(t.Context(), bindingID) }()
	// The idle connection ends while the request is still in hand.
	if b, err := io.ReadAll(idle); err != nil || len(b) > 0 {
		t.Errorf("idle connection: %q %v", b, err)
	}
	if c, err := net.Dial("tcp", s.addr); err == nil {
		_ = c.Close()
		t.Error("a new connection was accepted")
	}
	select {
	case err := <-unbound:
		t.Fatalf("Unbind did not wait: %v", err)
	default:
	}
	close(h.release)
	res, body := response(t, bufio.NewReader(c), "GET")
	if body != "done" || !res.Close {
		t.Errorf("got %q, Connection: close %t", body, res.Close)
	}
	if err := <-unbound; err != nil {
		t.Errorf("Unbind: %v", err)
	}
	if a := s.Addr(bindingID); a != nil {
		t.Errorf("still bound to %v", a)
	}
}

func TestUnbindCutsWhatDoesNotFinish(t *testing.T) {
	t.Parallel()
	h := newHeld()
	s := open(t, h, Options{DrainTimeout: 20 * time.Millisecond}, false)
	c := s.dial(t)
	send(t, c, "GET / HTTP/1.1\nHost: h\n\n")
	<-h.calls
	err := s.Unbind(t.Context(), bindingID)
	if !errors.Is(err, &capability.Error{Code: capability.CodeDeadline}) {
		t.Errorf("Unbind: %v", err)
	}
	if b, err := io.ReadAll(c); err != nil && !errors.Is(err, syscall.ECONNRESET) || len(b) > 0 {
		t.Errorf("the client got %q %v", b, err)
	}
	if a := s.lastAccess(t); a.Status != StatusClientGone {
		t.Errorf("access log: %+v", a)
	}
}

// A second, impatient Unbind cuts the first one short.
func TestSecondUnbindCuts(t *testing.T) {
	t.Parallel()
	h := newHeld()
	s := open(t, h, Options{}, false)
	send(t, s.dial(t), "GET / HTTP/1.1\nHost: h\n\n")
	<-h.calls
	first := make(chan error, 1)
	go func() { first <- s.Unbind(t.Context(), bindingID) }()
	for { // until the first is under way
		c, err := net.Dial("tcp", s.addr)
		if err != nil {
			break
		}
		_ = c.Close()
	}
	now, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range []error{s.Unbind(now, bindingID), <-first} {
		if !errors.Is(err, &capability.Error{Code: capability.CodeDeadline}) {
			t.Errorf("Unbind: %v", err)
		}
	}
}

// Under load, every request that a client could send gets its answer.
func TestDrainUnderLoadLosesNothing(t *testing.T) {
	t.Parallel()
	const clients = 32
	var handled, answered atomic.Int64
	s := open(t, counted(answers(&httppb.Response{Body: []byte("done")}), &handled), Options{}, false)
	var warm, over sync.WaitGroup
	warm.Add(clients)
	for range clients {
		over.Go(func() {
			transport := new(http.Transport)
			defer transport.CloseIdleConnections()
			client := &http.Client{Transport: transport, Timeout: patience}
			for n := 0; ; n++ {
				if n == 5 {
					warm.Done()
				}
				res, err := client.Get("http://" + s.addr)
				if errors.Is(err, syscall.ECONNREFUSED) {
					return // nobody listens any more, and nothing was sent
				}
				if err != nil {
					t.Error(err)
					return
				}
				body, err := io.ReadAll(res.Body)
				_ = res.Body.Close()
				if err != nil || res.StatusCode != 200 || string(body) != "done" {
					t.Errorf("%d %q %v", res.StatusCode, body, err)
				}
				answered.Add(1)
				<-s.access
			}
		})
	}
	warm.Wait()
	if err := s.Unbind(t.Context(), bindingID); err != nil {
		t.Errorf("Unbind: %v", err)
	}
	over.Wait()
	if handled.Load() != answered.Load() {
		t.Errorf("%d requests were handled, %d answered", handled.Load(), answered.Load())
	}
}

func TestDrainHTTP2(t *testing.T) {
	t.Parallel()
	h := newHeld()
	s := open(t, h, Options{}, false)
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	type result struct {
		status int
		err    error
	}
	results := make(chan result, 3)
	for range cap(results) {
		go func() {
			res, err := (&http.Client{Transport: transport, Timeout: patience}).Get("http://" + s.addr)
			if err != nil {
				results <- result{err: err}
				return
			}
			_ = res.Body.Close()
			results <- result{status: res.StatusCode}
		}()
	}
	for range cap(results) {
		<-h.calls
	}
	unbound := make(chan error, 1)
	go func() { unbound <- s.Unbind(t.Context(), bindingID) }()
	for { // until the listener is closed
		c, err := net.Dial("tcp", s.addr)
		if err != nil {
			break
		}
		_ = c.Close()
	}
	close(h.release)
	for range cap(results) {
		if r := <-results; r.err != nil || r.status != 200 {
			t.Errorf("got %+v", r)
		}
	}
	if err := <-unbound; err != nil {
		t.Errorf("Unbind: %v", err)
	}
}

// Not parallel: it looks at all goroutines of the test binary.
func TestCloseLeavesNoGoroutine(t *testing.T) {
	h := newHeld()
	s := open(t, h, Options{DrainTimeout: 20 * time.Millisecond}, false)
	for _, request := range []string{
		"GET / HTTP/1.1\nHost: h\n\n", // in hand when Close comes
		"GET / HTTP/1.1\nHost: h\n\n",
		"",                         // silent
		"GET / HT",                 // half a request
		"PRI * HTTP/2.0\n\nSM\n\n", // HTTP/2, idle
		"POST / HTTP/1.1\nHost: h\nContent-Length: 5\n\nab", // in mid-upload
	} {
		send(t, s.dial(t), request)
	}
	<-h.calls
	<-h.calls
	if err := s.Close(t.Context()); !errors.Is(err, &capability.Error{Code: capability.CodeDeadline}) {
		t.Errorf("Close: %v", err)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Errorf("second Close: %v", err)
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); ; <-tick.C { // what has ended may take a moment to vanish
		var b bytes.Buffer
		if err := pprof.Lookup("goroutine").WriteTo(&b, 2); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(b.String(), "net/http.") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("goroutines are left:\n%s", b.String())
		}
	}
}
