package httpserver

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/payload/httppb"
)

func TestDescribe(t *testing.T) {
	t.Parallel()
	d := New(nil).Describe()
	if d.Capability != capability.HTTPServer || d.Name == "" || d.Version == "" || d.Operations == nil || len(d.Operations) != 0 {
		t.Errorf("%+v", d)
	}
}

func TestCallIsUnsupported(t *testing.T) {
	t.Parallel()
	_, err := New(nil).Call(t.Context(), capability.Call{BindingID: bindingID, Operation: "Serve"})
	if !errors.Is(err, &capability.Error{Code: capability.CodeUnsupported}) || !strings.Contains(err.Error(), `"Serve"`) {
		t.Errorf("%v", err)
	}
}

func TestBindRefusesConfiguration(t *testing.T) {
	t.Parallel()
	for _, config := range []map[string]string{
		{"adress": "127.0.0.1:0"},
		{"address": "127.0.0.1"},
		{"address": "8080"},
		{"address": "127.0.0.1:http"},
		{"address": "127.0.0.1:65536"},
		{"address": "127.0.0.1:-1"},
		{"address": "::1:80"},
	} {
		p := New(nil)
		err := p.Bind(t.Context(), capability.Binding{BindingID: bindingID, Config: config}, never(t))
		if !errors.Is(err, &capability.Error{Code: capability.CodeInvalid}) {
			t.Errorf("%v: %v", config, err)
		}
		if p.Addr(bindingID) != nil {
			t.Errorf("%v: listens on %v", config, p.Addr(bindingID))
		}
	}
}

func TestBindFailures(t *testing.T) {
	t.Parallel()
	for cause, want := range map[error]capability.Code{
		errors.New("no network"): capability.CodeUnavailable,
		syscall.EACCES:           capability.CodeUnavailable,
		context.Canceled:         capability.CodeCanceled,
		context.DeadlineExceeded: capability.CodeDeadline,
	} {
		listen := func(context.Context, string, string) (net.Listener, error) { return nil, cause }
		p := New(&Options{Listen: listen})
		for range 2 { // a failed Bind leaves nothing behind
			err := p.Bind(t.Context(), capability.Binding{BindingID: bindingID}, never(t))
			if !errors.Is(err, &capability.Error{Code: want}) {
				t.Errorf("got %v, want %s", err, want)
			}
		}
	}
}

// A listener that fails while it is bound leaves a line in the log.
func TestListenerFails(t *testing.T) {
	t.Parallel()
	var log logLines
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := New(&Options{
		Logger: slog.New(slog.NewJSONHandler(&log, nil)),
		Listen: func(context.Context, string, string) (net.Listener, error) { return listener, nil },
	})
	if err := p.Bind(t.Context(), capability.Binding{BindingID: bindingID}, never(t)); err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	<-p.servers[bindingID].served
	if lines := log.take(t); len(lines) != 1 || lines[0]["level"] != "ERROR" {
		t.Errorf("log: %v", lines)
	}
	if err := p.Close(t.Context()); err == nil {
		t.Error("Close does not tell that the listener was closed already")
	}
}

func TestBindDefaultAddress(t *testing.T) {
	t.Parallel()
	var network, address string
	p := New(&Options{Listen: func(_ context.Context, n, a string) (net.Listener, error) {
		network, address = n, a
		return nil, errors.New("enough")
	}})
	_ = p.Bind(t.Context(), capability.Binding{BindingID: bindingID}, never(t))
	if network != "tcp" || address != "127.0.0.1:8080" {
		t.Errorf("listens on %s %s", network, address)
	}
}

func TestSeveralBindings(t *testing.T) {
	t.Parallel()
	s := open(t, answers(&httppb.Response{Body: []byte("first")}), Options{}, false)
	second := capability.BindingID{Guest: bindingID.Guest, Name: "second"}
	b := capability.Binding{BindingID: second, Config: map[string]string{"address": "127.0.0.1:0"}}
	if err := s.Bind(t.Context(), b, answers(&httppb.Response{Body: []byte("second")})); err != nil {
		t.Fatal(err)
	}
	if err := s.Bind(t.Context(), b, never(t)); !errors.Is(err, &capability.Error{Code: capability.CodeConflict}) {
		t.Errorf("bound twice: %v", err)
	}
	if _, body := s.get(t, "/"); body != "first" {
		t.Errorf("got %q", body)
	}
	other := *s
	other.addr = s.Addr(second).String()
	if _, body := other.get(t, "/"); body != "second" {
		t.Errorf("got %q", body)
	}
	s.client.CloseIdleConnections()
	if err := s.Unbind(t.Context(), second); err != nil {
		t.Errorf("Unbind: %v", err)
	}
	if _, body := s.get(t, "/"); body != "first" {
		t.Errorf("after the other has gone: %q", body)
	}
	if err := s.Unbind(t.Context(), second); err != nil {
		t.Errorf("Unbind of what is not bound: %v", err)
	}
	if err := s.Bind(t.Context(), b, answers(&httppb.Response{})); err != nil {
		t.Errorf("bound again: %v", err)
	}
}

func TestBindAfterClose(t *testing.T) {
	t.Parallel()
	p := New(nil)
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.Bind(t.Context(), capability.Binding{BindingID: bindingID}, never(t)); !errors.Is(err, &capability.Error{Code: capability.CodeUnavailable}) {
		t.Errorf("%v", err)
	}
}

// Close that comes while Bind listens leaves no listener behind.
func TestCloseDuringBind(t *testing.T) {
	t.Parallel()
	var p *Provider
	var listener net.Listener
	p = New(&Options{Listen: func(ctx context.Context, network, _ string) (net.Listener, error) {
		if err := p.Close(ctx); err != nil {
			t.Error(err)
		}
		var err error
		listener, err = net.Listen(network, "127.0.0.1:0")
		return listener, err
	}})
	if err := p.Bind(t.Context(), capability.Binding{BindingID: bindingID}, never(t)); !errors.Is(err, &capability.Error{Code: capability.CodeUnavailable}) {
		t.Errorf("%v", err)
	}
	if _, err := listener.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener is open: %v", err)
	}
}
