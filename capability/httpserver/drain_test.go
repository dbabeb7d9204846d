package httpserver

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
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

func (h *held) Dispatch(ctx context.Context, _ string, _, _ []byte) (capability.Reply, error) {
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
	// The idle connection ends while the request is still in hand. net/http
	// alone would take 5 s to think so.
	if err := idle.SetReadDeadline(time.Now().Add(3 * time.Second)); err != nil {
		t.Fatal(err)
	}
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

// With nothing in hand there is nothing to cut, however little time there is.
func TestUnbindInNoTime(t *testing.T) {
	t.Parallel()
	now, cancel := context.WithCancel(t.Context())
	cancel()
	for range 20 {
		s := open(t, answers(&httppb.Response{}), Options{}, false)
		s.get(t, "/") // leaves an idle connection
		s.dial(t)
		for s.servers[bindingID].watch.busy() { // until the server sees it as idle too
			runtime.Gosched()
		}
		if err := s.Unbind(now, bindingID); err != nil {
			t.Fatal(err)
		}
	}
}

// A second, impatient Unbind cuts the first one short.
func TestSecondUnbindCuts(t *testing.T) {
	t.Parallel()
	h := newHeld()
	s := open(t, h, Options{DrainTimeout: time.Hour}, false)
	send(t, s.dial(t), "GET / HTTP/1.1\nHost: h\n\n")
	<-h.calls
	errs := make(chan error, 2)
	go func() { errs <- s.Unbind(t.Context(), bindingID) }()
	s.waitUntilRefused()
	now, cancel := context.WithCancel(t.Context())
	cancel()
	go func() { errs <- s.Unbind(now, bindingID) }()
	for range cap(errs) {
		select {
		case err := <-errs:
			if !errors.Is(err, &capability.Error{Code: capability.CodeDeadline}) {
				t.Errorf("Unbind: %v", err)
			}
		case <-time.After(patience):
			t.Fatal("Unbind still waits")
		}
	}
}

// waitUntilRefused returns when nobody listens any more.
func (s *site) waitUntilRefused() {
	for {
		c, err := net.Dial("tcp", s.addr)
		if err != nil {
			return
		}
		_ = c.Close()
	}
}

// An answer that nobody waits for is not replaced by an empty one: a client
// that has closed its sending half may still read.
func TestCanceledAnswersNothing(t *testing.T) {
	t.Parallel()
	s := open(t, newHeld(), Options{}, false)
	if answer := s.raw(t, "GET / HTTP/1.1\nHost: h\n\n"); answer != "" {
		t.Errorf("got %q", answer)
	}
}

// Under load, every request that a client could send gets its answer, and
// learns that it is the last on its connection.
func TestDrainUnderLoadLosesNothing(t *testing.T) {
	t.Parallel()
	const clients = 32
	var handled, answered atomic.Int64
	s := open(t, counted(answers(&httppb.Response{Body: []byte("done")}), &handled), Options{}, false)
	var warm, over sync.WaitGroup
	warm.Add(clients)
	for range clients {
		c := s.dial(t)
		over.Go(func() {
			r := bufio.NewReader(c)
			last := time.Now() // when the latest answer came
			for n := 0; ; n++ {
				if n == 5 {
					warm.Done()
				}
				_, err := io.WriteString(c, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx")
				idle := time.Since(last)
				var res *http.Response
				if err == nil {
					res, err = http.ReadResponse(r, nil)
				}
				if err != nil {
					if idle < settle/2 { // else this client was too slow to count
						t.Errorf("after %d requests: %v", n, err)
					}
					return
				}
				body, err := io.ReadAll(res.Body)
				if err != nil || res.StatusCode != 200 || string(body) != "done" {
					t.Errorf("%d %q %v", res.StatusCode, body, err)
				}
				answered.Add(1)
				last = time.Now()
				if res.Close {
					return
				}
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

// What Wrap answers in a drain tells the client too, and so does the answer to
// a request that came before it.
func TestDrainShowsInEveryAnswer(t *testing.T) {
	t.Parallel()
	var s *site
	drains := dispatch(func(context.Context, string, []byte) (capability.Reply, error) {
		s.servers[bindingID].draining.Store(true)
		return capability.Reply{}, nil
	})
	wrap := func(guest http.Handler) http.Handler {
		mux := http.NewServeMux()
		mux.Handle("/", guest)
		mux.HandleFunc("/healthz", func(http.ResponseWriter, *http.Request) {})
		return mux
	}
	s = open(t, drains, Options{Wrap: wrap}, false)
	for _, path := range []string{"/", "/healthz"} {
		w := httptest.NewRecorder()
		s.servers[bindingID].ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if got := w.Header().Get("Connection"); got != "close" {
			t.Errorf("%s: Connection: %q", path, got)
		}
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
	s.waitUntilRefused()
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

// A request of HTTP/2 may start when its connection has ended already: after a
// drain it does not reach the guest.
func TestHTTP2RequestAfterDrain(t *testing.T) {
	t.Parallel()
	s := open(t, never(t), Options{}, false)
	server := s.servers[bindingID]
	if err := s.Unbind(t.Context(), bindingID); err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.ProtoMajor = 2
	defer func() {
		if v := recover(); v != http.ErrAbortHandler {
			t.Errorf("ended with %v", v)
		}
	}()
	server.ServeHTTP(httptest.NewRecorder(), r)
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
