package devhost

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/waxosuit/waxo/capability"
)

// patience bounds every wait for something that should happen at once.
const patience = 10 * time.Second

func receive[T any](t testing.TB, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatal("it does not come")
	}
	return v
}

// slow is a recorder whose calls and bindings take as long as the test wants.
type slow struct {
	recorder
	calling, binding, unbound chan struct{} // told when one begins or ends
	call, bind                chan struct{} // received from before one ends
}

func newSlow(id string) *slow {
	return &slow{
		recorder: recorder{capability: id},
		calling:  make(chan struct{}, 10), binding: make(chan struct{}, 10), unbound: make(chan struct{}, 10),
		call: make(chan struct{}, 10), bind: make(chan struct{}, 10),
	}
}

func (s *slow) Bind(ctx context.Context, b capability.Binding, d capability.Dispatcher) error {
	s.binding <- struct{}{}
	<-s.bind
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return s.recorder.Bind(ctx, b, d)
}

func (s *slow) Call(ctx context.Context, c capability.Call) ([]byte, error) {
	s.calling <- struct{}{}
	<-s.call
	return s.recorder.Call(ctx, c)
}

func (s *slow) Unbind(ctx context.Context, id capability.BindingID) error {
	defer func() { s.unbound <- struct{}{} }()
	return s.recorder.Unbind(ctx, id)
}

// TestNoSpellingGetsAroundTheClaims tries to reach a provider that is bound
// without the claim to it.
func TestNoSpellingGetsAroundTheClaims(t *testing.T) {
	granted := []string{
		capability.HTTPServer, "wascc:keyvalue", "wascap:keyvalues", "vendor:keyvalue", "wascap:key", "keyvalue", "core",
		"wascap:keyvalue ", "WASCAP:KEYVALUE", "wascap:keyvalue!Get", "wascap:httpclient", "*", "wascap:*",
	}
	names := []string{
		"", "core", "wascap:keyvalue", "wascap:keyvalue\x00", "wascap:KeyValue", " wascap:keyvalue", "wascap:keyvalue ", "wascap:keyvalue!",
		"wascap:httpserver", "wascap:http_server", "wascap:httpsrv", "wascc:keyvalue", "keyvalue", "wascap\uff1akeyvalue", "wascap:\u212aeyvalue",
		"wascap:keyvalue\u200b", "wascap:httpclient", "wascap:http_client", "!", "wascap:keyvalue!Get",
	}
	s := newSigner(t)
	kv, client := &recorder{capability: capability.KeyValue}, &recorder{capability: capability.HTTPClient}
	h := newHost(t, nil)
	if err := h.Bind(t.Context(), s.identity(), []Bind{
		{Capability: capability.KeyValue, Provider: kv}, {Capability: capability.HTTPClient, Provider: client},
	}); err != nil {
		t.Fatal(err)
	}
	for _, claims := range [][]string{nil, granted} {
		serve(t, h, s.sign(guestModule, nil, claims...), "")
		for _, namespace := range names {
			for _, prefix := range append(names, "-") {
				operation := prefix + "!Get"
				if prefix == "-" {
					operation = "Get"
				}
				if answer, err := call(t, h, hostCall(namespace, operation, "x")); err == nil {
					t.Errorf("%q %q was answered: %q", namespace, operation, answer)
				}
			}
		}
	}
	if len(kv.calls)+len(client.calls) != 0 {
		t.Errorf("providers were reached: %q %q", kv.calls, client.calls)
	}
}

func TestOnlyDeclaredOperationsReachAProvider(t *testing.T) {
	s := newSigner(t)
	kv := &recorder{capability: capability.KeyValue, operations: []string{capability.OpGet}}
	server := &recorder{capability: capability.HTTPServer, operations: []string{}}
	h := newHost(t, nil)
	if err := h.Bind(t.Context(), s.identity(), []Bind{{Capability: capability.KeyValue, Provider: kv}, {Capability: capability.HTTPServer, Provider: server}}); err != nil {
		t.Fatal(err)
	}
	serve(t, h, s.sign(guestModule, nil, capability.KeyValue, capability.HTTPServer), "")
	for namespace, operation := range map[string]string{capability.KeyValue: "FlushAll", capability.HTTPServer: capability.OpHandleRequest} {
		if _, err := call(t, h, hostCall(namespace, operation, "")); err == nil || !strings.Contains(err.Error(), "unsupported: "+namespace) {
			t.Errorf("%s %s: %v", namespace, operation, err)
		}
	}
	if _, err := call(t, h, hostCall(capability.KeyValue, capability.OpGet, "")); err != nil || len(kv.calls) != 1 || len(server.calls) != 0 {
		t.Errorf("%v; calls %v, %v", err, kv.calls, server.calls)
	}
	wrong := []Bind{{Capability: capability.Logging, Provider: kv}}
	if err := h.Bind(t.Context(), s.identity(), wrong); err == nil || !strings.Contains(err.Error(), "is one of wascap:keyvalue") {
		t.Errorf("a provider was bound to what it does not offer: %v", err)
	}
}

func TestDenialsOfAGuestAreBounded(t *testing.T) {
	var log bytes.Buffer
	s := newSigner(t)
	h := newHost(t, func(o *Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	g := serve(t, h, s.sign(guestModule, nil), "")
	for i := range 3 * maxDenials {
		if _, err := call(t, h, hostCall("vendor:x", fmt.Sprint("Op", i), "")); capability.AsError(err).Code != capability.CodeDenied {
			t.Fatal(err)
		}
	}
	if n := strings.Count(log.String(), "msg=denied"); n != maxDenials || !strings.Contains(log.String(), "further denials") {
		t.Errorf("%d denials were logged", n)
	}
	if len(g.denied.said) > maxDenials {
		t.Errorf("%d denials are remembered", len(g.denied.said))
	}
}

func TestAGuestThatEndedDoesNotServe(t *testing.T) {
	s := newSigner(t)
	h := newHost(t, nil)
	first := serve(t, h, s.sign(guestModule, nil), "1")
	second := serve(t, h, s.sign(guestModule, nil), "2")
	if err := h.Activate(first); err == nil {
		t.Error("a guest that was replaced came back")
	}
	if err := second.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 1)
	go func() {
		_, err := h.Call(context.Background(), capability.Core, "Test", []byte("v"))
		answered <- err
	}()
	if err := receive(t, answered); capability.AsError(err) == nil || capability.AsError(err).Code != capability.CodeUnavailable {
		t.Errorf("a guest that was closed answers %v", err)
	}
}

func TestCallsWaitForABindingThatIsChanged(t *testing.T) {
	s, p := newSigner(t), newSlow(capability.KeyValue)
	h := newHost(t, nil)
	p.bind <- struct{}{}
	if err := h.Bind(t.Context(), s.identity(), []Bind{{Capability: capability.KeyValue, Provider: p}}); err != nil {
		t.Fatal(err)
	}
	receive(t, p.binding)
	serve(t, h, s.sign(guestModule, nil, capability.KeyValue), "")

	ctx, cancel := context.WithCancel(t.Context())
	bound := make(chan error, 1)
	go func() {
		bound <- h.Bind(ctx, s.identity(), []Bind{{Capability: capability.KeyValue, Provider: p, Config: map[string]string{"value": "new"}}})
	}()
	receive(t, p.binding)
	answered := make(chan error, 1)
	go func() {
		_, err := h.Call(context.Background(), capability.Core, "Test", hostCall(capability.KeyValue, "Get", ""))
		answered <- err
	}()
	select {
	case err := <-answered:
		t.Errorf("a call found no binding: %v", err)
	case <-p.calling:
		t.Error("a call reached a provider that is not bound")
	case <-time.After(20 * time.Millisecond):
	}
	cancel() // a change that was begun is brought to its end
	p.bind <- struct{}{}
	p.call <- struct{}{}
	if err := errors.Join(receive(t, bound), receive(t, answered)); err != nil {
		t.Error(err)
	}
	if id := (capability.BindingID{Guest: s.identity().Key, Name: capability.DefaultBinding}); p.bound[id] != "new" {
		t.Errorf("bound with %q", p.bound[id])
	}
}

// leaver is a provider that brings calls in, and whose Unbind has the guest handle
// two more: one before the binding is gone, one after.
type leaver struct {
	recorder
	bindings capability.Bindings[capability.Dispatcher]
	answers  chan string
	missed   chan struct{} // told of calls that found no binding
}

func (l *leaver) Bind(_ context.Context, b capability.Binding, d capability.Dispatcher) error {
	return l.bindings.Add(b.BindingID, d)
}

func (l *leaver) Call(ctx context.Context, c capability.Call) ([]byte, error) {
	b, err := l.bindings.Use(c.BindingID)
	if err != nil {
		l.missed <- struct{}{}
		return nil, err
	}
	defer b.Release()
	return l.recorder.Call(ctx, c)
}

func (l *leaver) Unbind(ctx context.Context, id capability.BindingID) error {
	b, err := l.bindings.Use(id)
	if err != nil {
		return nil
	}
	d := b.Value
	deliver := func(ctx context.Context, payload string) {
		reply, err := d.Dispatch(ctx, capability.OpDeliverMessage, hostCall(capability.Messaging, capability.OpPublish, payload), nil)
		l.answers <- fmt.Sprint(string(reply.Payload), err)
	}
	deliver(ctx, "before")
	b.Release()
	if _, _, err = l.bindings.Remove(ctx, id); err == nil && len(l.answers) == 1 {
		go deliver(context.Background(), "after")
		select {
		case <-l.missed:
		case <-ctx.Done():
		}
	}
	return err
}

// TestABindingServesUntilItIsGone: where a binding is changed that has the guest do
// something, the guest's calls are served for as long as that takes, and by the new
// one then.
func TestABindingServesUntilItIsGone(t *testing.T) {
	s, p := newSigner(t), &leaver{recorder: recorder{capability: capability.Messaging}, answers: make(chan string, 10), missed: make(chan struct{}, 10)}
	h := newHost(t, nil)
	bind := func(value string) error {
		return h.Bind(t.Context(), s.identity(), []Bind{{Capability: capability.Messaging, Provider: p, Config: map[string]string{"value": value}}})
	}
	if err := bind("old"); err != nil {
		t.Fatal(err)
	}
	serve(t, h, s.sign(guestModule, nil, capability.Messaging), "")
	if err := bind("new"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"got before<nil>", "got after<nil>"} {
		if got := receive(t, p.answers); got != want {
			t.Errorf("answered %q, want %q", got, want)
		}
	}
}

func TestPruneLeavesCallsOfReplacedGuestsTheirBindings(t *testing.T) {
	s, p := newSigner(t), newSlow(capability.KeyValue)
	h := newHost(t, nil)
	p.bind <- struct{}{}
	if err := h.Bind(t.Context(), s.identity(), []Bind{{Capability: capability.KeyValue, Provider: p}}); err != nil {
		t.Fatal(err)
	}
	serve(t, h, s.sign(guestModule, nil, capability.KeyValue), "")
	answered := make(chan error, 1)
	go func() {
		_, err := h.Call(context.Background(), capability.Core, "Test", hostCall(capability.KeyValue, "Get", ""))
		answered <- err
	}()
	receive(t, p.calling)
	serve(t, h, s.sign(guestModule, nil), "")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.Prune(ctx, nil); !errors.Is(err, context.Canceled) || len(p.unbound) != 0 {
		t.Errorf("while a call is in hand: %v, unbound %d times", err, len(p.unbound))
	}
	pruned := make(chan error, 1)
	go func() { pruned <- h.Prune(context.Background(), nil) }()
	p.call <- struct{}{}
	if err := errors.Join(receive(t, answered), receive(t, pruned)); err != nil || len(p.unbound) != 1 {
		t.Errorf("%v, unbound %d times", err, len(p.unbound))
	}
}
