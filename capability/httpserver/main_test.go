package httpserver

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/payload/httppb"
)

// holdPort makes this test binary the process that holds a port, for
// TestBindTakenPort.
const holdPort = "HTTPSERVER_TEST_HOLD_PORT"

// sendLoad makes this test binary send requests, for BenchmarkEcho.
const sendLoad = "HTTPSERVER_TEST_SEND_LOAD"

// noSockets makes this test binary hide from the provider that connections are
// sockets, for TestWithoutSockets.
const noSockets = "HTTPSERVER_TEST_NO_SOCKETS"

func TestMain(m *testing.M) {
	if args := os.Getenv(sendLoad); args != "" {
		if err := sendRequests(args); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if os.Getenv(holdPort) != "" {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(listener.Addr())
		_, _ = io.Copy(io.Discard, os.Stdin) // until the parent closes it
		return
	}
	os.Exit(m.Run())
}

var bindingID = capability.BindingID{Guest: "MTEST", Name: capability.DefaultBinding}

// patience bounds every wait for something that should happen at once.
const patience = 10 * time.Second

// dispatch is a Dispatcher. Its answers lie in the room that it was given, where
// they fit, as those of a host do.
type dispatch func(ctx context.Context, operation string, payload []byte) (capability.Reply, error)

func (d dispatch) Dispatch(ctx context.Context, operation string, payload, into []byte) (capability.Reply, error) {
	reply, err := d(ctx, operation, payload)
	reply.Payload = append(into[:0], reply.Payload...)
	return reply, err
}

// guest is a Dispatcher that behaves as a host with this guest would.
func guest(handle func(*httppb.Request) *httppb.Response) dispatch {
	return func(_ context.Context, operation string, payload []byte) (capability.Reply, error) {
		if operation != capability.OpHandleRequest {
			return capability.Reply{}, &capability.Error{Code: capability.CodeUnsupported, Message: operation}
		}
		var r httppb.Request
		if err := r.UnmarshalProto(payload); err != nil {
			return capability.Reply{}, &capability.Error{Code: capability.CodeGuest, Message: err.Error()}
		}
		r.Body = append([]byte(nil), r.Body...) // the payload is not ours for longer
		return capability.Reply{Payload: handle(&r).AppendProto(nil)}, nil
	}
}

// answers is a guest that always answers r.
func answers(r *httppb.Response) dispatch {
	return guest(func(*httppb.Request) *httppb.Response { return r })
}

// fails is a Dispatcher that always reports err.
func fails(err error) dispatch {
	return func(context.Context, string, []byte) (capability.Reply, error) {
		return capability.Reply{Build: "b7"}, err
	}
}

// never is a Dispatcher that must not be called.
func never(t *testing.T) dispatch {
	return func(context.Context, string, []byte) (capability.Reply, error) {
		t.Error("the guest was called")
		return capability.Reply{}, &capability.Error{Code: capability.CodeInternal, Message: "the guest was called"}
	}
}

// site is a provider with one binding.
type site struct {
	*Provider
	addr   string
	client *http.Client
	access chan Access
}

// open serves d on a port of its own until the test ends.
func open(t testing.TB, d capability.Dispatcher, o Options, development bool) *site {
	t.Helper()
	s := &site{access: make(chan Access, 1000)}
	if o.Listen == nil && os.Getenv(noSockets) != "" {
		o.Listen = listenHidden
	}
	o.AccessLog = func(a Access) { s.access <- a }
	s.Provider = New(&o)
	b := capability.Binding{BindingID: bindingID, Config: map[string]string{ConfigAddress: "127.0.0.1:0"}, Development: development}
	if err := s.Bind(t.Context(), b, d); err != nil {
		t.Fatal(err)
	}
	s.addr = s.Addr(bindingID).String()
	s.client = &http.Client{Transport: new(http.Transport), Timeout: patience}
	t.Cleanup(func() {
		s.client.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

// hidingListener hides from the provider that connections are sockets, which
// leaves them to net/http.
type hidingListener struct {
	net.Listener
	hide atomic.Bool
}

func (l *hidingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil || !l.hide.Load() {
		return c, err
	}
	return struct{ halfCloser }{c.(halfCloser)}, nil
}

// halfCloser is what a server uses of a socket, but for the system's end of it.
type halfCloser interface {
	net.Conn
	CloseWrite() error
}

func listenHidden(ctx context.Context, network, address string) (net.Listener, error) {
	inner, err := new(net.ListenConfig).Listen(ctx, network, address)
	if err != nil {
		return nil, err
	}
	l := &hidingListener{Listener: inner}
	l.hide.Store(true)
	return l, nil
}

// lastAccess waits for the next record of the access log.
func (s *site) lastAccess(t *testing.T) Access {
	t.Helper()
	select {
	case a := <-s.access:
		return a
	case <-time.After(patience):
		t.Fatal("no request has ended")
		panic("not reached")
	}
}

// dial opens a connection that does not outlive the test.
func (s *site) dial(t testing.TB) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

// raw sends text, with "\n" as "\r\n", and returns all that comes back.
func (s *site) raw(t testing.TB, text string) string {
	t.Helper()
	c := s.dial(t)
	send(t, c, text)
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(c)
	if err != nil {
		t.Fatalf("after %q: %v", b, err)
	}
	return string(b)
}

func send(t testing.TB, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, strings.ReplaceAll(text, "\n", "\r\n")); err != nil {
		t.Fatal(err)
	}
}

// response reads one response off r.
func response(t testing.TB, r *bufio.Reader, method string) (*http.Response, string) {
	t.Helper()
	res, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(b)
}

// get asks for path with the site's client.
func (s *site) get(t testing.TB, path string, header ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.addr+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	res, err := s.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(b)
}

// counted counts the calls of d.
func counted(d dispatch, n *atomic.Int64) dispatch {
	return func(ctx context.Context, operation string, payload []byte) (capability.Reply, error) {
		n.Add(1)
		return d(ctx, operation, payload)
	}
}

// recordingDispatcher sees the buffers that it is given.
type recordingDispatcher struct {
	see func(payload, into []byte) error
}

func (d *recordingDispatcher) Dispatch(_ context.Context, _ string, payload, into []byte) (capability.Reply, error) {
	if err := d.see(payload, into); err != nil {
		return capability.Reply{}, err
	}
	return capability.Reply{Payload: append(into[:0], "\x08\xc8\x01"...)}, nil
}
