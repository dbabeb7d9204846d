package fault_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/devhost/fault"
)

const relayID = "gpio:relay"

var id = capability.BindingID{Guest: "MGUEST", Name: capability.DefaultBinding}

// fake is a provider whose calls succeed, by a service where its binding has a url.
type fake struct {
	calls    atomic.Int32
	bindings sync.Map // of BindingID: the url
	d        capability.Dispatcher
	unbound  atomic.Int32
	refuse   atomic.Bool // to be bound
}

func (f *fake) Describe() capability.Descriptor {
	return capability.Descriptor{Capability: relayID, Name: "fake"}
}

func (f *fake) Bind(_ context.Context, b capability.Binding, d capability.Dispatcher) error {
	if f.refuse.Load() {
		return &capability.Error{Code: capability.CodeUnavailable, Message: "refused"}
	}
	if _, loaded := f.bindings.LoadOrStore(b.BindingID, b.Config["url"]); loaded {
		return capability.Conflict(b.BindingID)
	}
	f.d = d
	return nil
}

func (f *fake) Unbind(_ context.Context, id capability.BindingID) error {
	f.unbound.Add(1)
	f.bindings.Delete(id)
	return nil
}

func (f *fake) Close(context.Context) error { return nil }

func (f *fake) Call(_ context.Context, c capability.Call) ([]byte, error) {
	f.calls.Add(1)
	address, ok := f.bindings.Load(c.BindingID)
	if !ok {
		return nil, &capability.Error{Code: capability.CodeUnavailable, Message: "not bound"}
	}
	if address == "" {
		return []byte("ok"), nil
	}
	u, err := url.Parse(address.(string))
	if err != nil {
		return nil, err
	}
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	line, err := bufio.NewReader(conn).ReadBytes('\n')
	return line, err
}

// service says "ok" to whoever connects, and keeps the connection.
func service(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprintln(conn, "ok")
			serving.Go(func() {
				bufio.NewReader(conn).ReadByte()
				conn.Close()
			})
		}
	})
	t.Cleanup(func() { l.Close(); serving.Wait() })
	return "tcp://" + l.Addr().String()
}

type harness struct {
	*fault.Injector
	t     *testing.T
	inner *fake
	p     capability.Provider
}

func start(t *testing.T, config map[string]string) *harness {
	t.Helper()
	h := &harness{Injector: fault.New(&fault.Options{Seed: 1}), t: t, inner: &fake{}}
	h.p = h.Wrap(h.inner)
	h.bind(id, config, nil)
	t.Cleanup(func() {
		for range 2 {
			if err := errors.Join(h.Close(context.Background()), h.p.Close(context.Background())); err != nil {
				t.Error(err)
			}
		}
	})
	return h
}

func (h *harness) bind(id capability.BindingID, config map[string]string, d capability.Dispatcher) {
	h.t.Helper()
	if err := h.p.Bind(h.t.Context(), capability.Binding{BindingID: id, GuestName: "counter", Config: config}, d); err != nil {
		h.t.Fatal(err)
	}
}

func (h *harness) set(f fault.Fault) {
	h.t.Helper()
	f.Capability = relayID
	if err := h.Set(h.t.Context(), f); err != nil {
		h.t.Fatal(err)
	}
}

func (h *harness) call() error {
	_, err := h.p.Call(h.t.Context(), capability.Call{BindingID: id, Operation: "Switch"})
	return err
}

func (h *harness) fails(code capability.Code, text string) {
	h.t.Helper()
	if err := h.call(); !errors.Is(err, &capability.Error{Code: code}) || !strings.Contains(err.Error(), text) {
		h.t.Errorf("got %v, want %s with %q", err, code, text)
	}
}

func (h *harness) works() {
	h.t.Helper()
	if err := h.call(); err != nil {
		h.t.Error(err)
	}
}
