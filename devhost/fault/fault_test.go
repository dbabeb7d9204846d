package fault_test

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/devhost/fault"
)

func TestErrors(t *testing.T) {
	h := start(t, nil)
	h.works()
	h.set(fault.Fault{Error: "overloaded"})
	h.fails(capability.CodeOverloaded, "gpio:relay fails on purpose")
	h.set(fault.Fault{Deny: true}) // in its place
	h.fails(capability.CodeDenied, capability.Denied("counter", relayID, "Switch").Message)
	h.set(fault.Fault{Cut: true})
	h.fails(capability.CodeUnavailable, "is cut off on purpose")
	if n := h.inner.calls.Load(); n != 1 {
		t.Errorf("%d calls reached the provider", n)
	}
	if list := h.List(); len(list) != 1 || list[0].Hits != 1 || list[0].Real || !list[0].Cut {
		t.Errorf("got %+v", list)
	}
	if n, err := h.Clear(t.Context(), relayID, ""); n != 1 || err != nil {
		t.Error(n, err)
	}
	h.works()
	if n, err := h.Clear(t.Context(), "", ""); n != 0 || err != nil {
		t.Error(n, err)
	}
}

func TestBindingsApart(t *testing.T) {
	h := start(t, nil)
	other := capability.BindingID{Guest: id.Guest, Name: "other"}
	h.bind(other, nil, nil)
	h.set(fault.Fault{Binding: "other", Deny: true})
	h.works()
	if _, err := h.p.Call(t.Context(), capability.Call{BindingID: other}); !errors.Is(err, &capability.Error{Code: capability.CodeDenied}) {
		t.Errorf("got %v", err)
	}
	h.set(fault.Fault{Error: "internal"})
	h.fails(capability.CodeInternal, "")
	if n, err := h.Clear(t.Context(), relayID, "other"); n != 1 || err != nil {
		t.Error(n, err)
	}
	h.fails(capability.CodeInternal, "")
}

func TestRateAndTimes(t *testing.T) {
	seen := func() string {
		h := start(t, nil)
		h.set(fault.Fault{Error: "unavailable", Rate: 0.25})
		var b strings.Builder
		for range 400 {
			if h.call() == nil {
				b.WriteByte('.')
			} else {
				b.WriteByte('x')
			}
		}
		return b.String()
	}
	first := seen()
	if n := strings.Count(first, "x"); n < 60 || n > 140 {
		t.Errorf("of 400 calls %d failed", n)
	}
	if first != seen() {
		t.Error("the same seed has other calls fail")
	}

	h := start(t, nil)
	h.set(fault.Fault{Error: "unavailable", Times: 3})
	failed := 0
	for range 10 {
		if h.call() != nil {
			failed++
		}
	}
	if failed != 3 {
		t.Errorf("%d calls failed, not 3", failed)
	}
	if err := h.Close(t.Context()); err != nil || len(h.List()) != 0 {
		t.Error(h.List(), err)
	}
}

func TestLatencyAndFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &harness{Injector: fault.New(nil), t: t, inner: &fake{}}
		h.p = h.Wrap(h.inner)
		h.bind(id, nil, nil)
		took := func() time.Duration {
			begun := time.Now()
			h.works()
			return time.Since(begun)
		}
		h.set(fault.Fault{Latency: time.Second, For: time.Minute})
		if d := took(); d != time.Second {
			t.Errorf("a call took %v", d)
		}
		if left := h.List()[0].Left; left != 59*time.Second {
			t.Errorf("%v are left", left)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := h.p.Call(ctx, capability.Call{BindingID: id}); !errors.Is(err, &capability.Error{Code: capability.CodeDeadline}) {
			t.Errorf("beyond its deadline: %v", err)
		}
		time.Sleep(time.Minute) // of the bubble's own time
		synctest.Wait()
		if d := took(); d != 0 || len(h.List()) != 0 {
			t.Errorf("when it is over: %v, %v", d, h.List())
		}
		h.set(fault.Fault{Latency: time.Second, Jitter: time.Second, Error: "invalid", Rate: 0.0001})
		for range 100 {
			if d := took(); d < time.Second || d > 2*time.Second {
				t.Errorf("a call took %v", d)
			}
		}
		h.set(fault.Fault{Deny: true, For: time.Hour}) // Close does not wait for it
		if err := h.Close(t.Context()); err != nil {
			t.Error(err)
		}
		h.works()
		if err := h.Set(t.Context(), fault.Fault{Capability: relayID, Deny: true}); err == nil {
			t.Error("a fault began after the end")
		}
	})
}

func TestCut(t *testing.T) {
	config := map[string]string{"url": service(t), "other": "kept"}
	h := start(t, config)
	h.works()
	h.set(fault.Fault{Cut: true})
	if list := h.List(); !list[0].Real {
		t.Errorf("got %+v", list)
	}
	if err := h.call(); err == nil || strings.Contains(err.Error(), "on purpose") {
		t.Errorf("the error is not the connection's own: %v", err)
	}
	if _, err := h.Clear(t.Context(), "", ""); err != nil {
		t.Fatal(err)
	}
	h.works()
	through, _ := h.inner.bindings.Load(id)
	if through == config["url"] {
		t.Error("the binding does not lead through a relay")
	}

	// A connection that stands is cut too; a second cut needs no other relay.
	u, err := url.Parse(through.(string))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r := bufio.NewReader(conn)
	if line, err := r.ReadString('\n'); line != "ok\n" {
		t.Fatal(line, err)
	}
	h.set(fault.Fault{Cut: true, Binding: id.Name})
	if _, err := r.ReadByte(); err == nil {
		t.Error("the connection stands")
	}
	if n := h.inner.unbound.Load(); n != 1 {
		t.Errorf("the binding was made anew %d times", n)
	}

	// A binding that is made while it is cut is cut; one that is ended takes its
	// relay along.
	if err := h.p.Unbind(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if _, err := net.Dial("tcp", u.Host); err == nil {
		t.Error("the relay outlives the binding")
	}
	h.bind(id, config, nil)
	if h.call() == nil {
		t.Error("the new binding is not cut")
	}
	h.set(fault.Fault{Latency: 1, Binding: id.Name}) // in place of the cut
	h.works()
}

// TestCutFallsBack where there is nothing to relay, or the relay cannot be used.
func TestCutFallsBack(t *testing.T) {
	for _, address := range []string{"tcp://192.0.2.1:1", "tcp://example.com:1", "unix:///socket", "tcp://127.0.0.1", "tcp://127.0.0.1:1,tcp://192.0.2.1:1"} {
		h := start(t, map[string]string{"url": address})
		h.set(fault.Fault{Cut: true})
		h.fails(capability.CodeUnavailable, "on purpose")
		if n := h.inner.unbound.Load(); n != 0 || h.List()[0].Real {
			t.Errorf("%s: made anew %d times", address, n)
		}
	}
	config := map[string]string{"url": service(t)}
	h := start(t, config)
	h.inner.refuse.Store(true)
	h.set(fault.Fault{Cut: true})
	h.fails(capability.CodeUnavailable, "on purpose")
	if _, err := h.Clear(t.Context(), "", ""); err == nil || !strings.Contains(err.Error(), "cannot be made again") {
		t.Errorf("got %v", err)
	}
	h.fails(capability.CodeUnavailable, "not bound")
	h.inner.refuse.Store(false)
	h.set(fault.Fault{Latency: 1})
	if _, err := h.Clear(t.Context(), "", ""); err != nil {
		t.Error(err)
	}
	h.works()
}

// TestServersWithCommas: each server of a url gets a relay.
func TestServersWithCommas(t *testing.T) {
	h := start(t, map[string]string{"url": service(t) + ", " + strings.Replace(service(t), "127.0.0.1", "localhost", 1) + "/path"})
	before, _ := h.inner.bindings.Load(id)
	h.set(fault.Fault{Cut: true})
	after, _ := h.inner.bindings.Load(id)
	was, is := strings.Split(before.(string), ","), strings.Split(after.(string), ",")
	if len(is) != 2 || strings.TrimSpace(is[0]) == was[0] || !strings.HasPrefix(strings.TrimSpace(is[1]), "tcp://localhost:") || !strings.HasSuffix(is[1], "/path") {
		t.Errorf("%q became %q", was, is)
	}
}

func TestUnknown(t *testing.T) {
	h := start(t, nil)
	for _, test := range []struct {
		f    fault.Fault
		want string
	}{
		{fault.Fault{Capability: relayID}, "nothing goes wrong"},
		{fault.Fault{Capability: "wascap:keyvalue", Cut: true}, `no provider of wascap:keyvalue is bound; bound are ["gpio:relay"]`},
		{fault.Fault{Capability: relayID, Binding: "other", Cut: true}, `gpio:relay has no binding "other"; there are ["default"]`},
	} {
		if err := h.Set(t.Context(), test.f); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: %v, want %q", test.f, err, test.want)
		}
	}
}

// TestBase: what a manifest says begins when it changes, and only then.
func TestBase(t *testing.T) {
	i := fault.New(nil)
	defer i.Close(t.Context())
	base := func(faults ...fault.Fault) {
		t.Helper()
		if err := i.Base(t.Context(), faults); err != nil {
			t.Fatal(err)
		}
	}
	deny, late := fault.Fault{Capability: relayID, Deny: true}, fault.Fault{Capability: relayID, Latency: time.Millisecond}
	base(deny) // before there is a provider
	h := &harness{Injector: i, t: t, inner: &fake{}}
	h.p = i.Wrap(h.inner)
	if i.Wrap(h.inner) != h.p {
		t.Error("the same provider was wrapped twice")
	}
	h.bind(id, nil, nil)
	h.fails(capability.CodeDenied, "")
	if _, err := i.Clear(t.Context(), "", ""); err != nil {
		t.Fatal(err)
	}
	base(deny)
	h.works()
	h.set(fault.Fault{Error: "internal", Binding: id.Name})
	base(late)
	h.fails(capability.CodeInternal, "")
	if list := i.List(); len(list) != 2 {
		t.Errorf("got %+v", list)
	}
	base()
	if list := i.List(); len(list) != 1 || list[0].Error != "internal" {
		t.Errorf("got %+v", list)
	}
	if err := i.Base(t.Context(), []fault.Fault{{Capability: relayID}}); err == nil {
		t.Error("a fault without any was set")
	}
}

// guest counts what reaches it.
type guest struct{ operations []string }

func (g *guest) Dispatch(_ context.Context, operation string, _, _ []byte) (capability.Reply, error) {
	g.operations = append(g.operations, operation)
	return capability.Reply{Build: "1"}, nil
}

func TestTowardsTheGuest(t *testing.T) {
	h := start(t, nil)
	g := &guest{}
	h.bind(capability.BindingID{Guest: id.Guest, Name: "in"}, nil, g)
	dispatch := func() error {
		_, err := h.inner.d.Dispatch(t.Context(), "Switched", nil, nil)
		return err
	}
	if err := dispatch(); err != nil {
		t.Error(err)
	}
	h.set(fault.Fault{Deny: true, Times: 1})
	if err := dispatch(); !errors.Is(err, &capability.Error{Code: capability.CodeDenied}) {
		t.Errorf("got %v", err)
	}
	if err := dispatch(); err != nil {
		t.Error(err)
	}
	if !slices.Equal(g.operations, []string{"Switched", "Switched"}) {
		t.Errorf("the guest got %q", g.operations)
	}
}

// TestRace has calls and faults come side by side.
func TestRace(t *testing.T) {
	h := start(t, map[string]string{"url": service(t)})
	stop := make(chan struct{})
	var calling sync.WaitGroup
	for range 4 {
		calling.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					h.call()
				}
			}
		})
	}
	for n := range 20 {
		switch n % 4 {
		case 0:
			h.set(fault.Fault{Cut: true})
		case 1:
			h.set(fault.Fault{Error: "internal", Times: 2})
		case 2:
			h.set(fault.Fault{Latency: 1, For: time.Millisecond})
		case 3:
			if err := h.p.Unbind(t.Context(), id); err != nil {
				t.Error(err)
			}
			h.bind(id, map[string]string{"url": service(t)}, nil)
			h.List()
		}
	}
	close(stop)
	calling.Wait()
	if _, err := h.Clear(t.Context(), "", ""); err != nil {
		t.Error(err)
	}
	h.works()
}

// BenchmarkCall shows what a wrapped provider costs with which nothing is wrong.
func BenchmarkCall(b *testing.B) {
	inner := &nothing{}
	for name, p := range map[string]capability.Provider{"bare": inner, "wrapped": fault.New(nil).Wrap(inner)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p.Call(b.Context(), capability.Call{BindingID: id})
			}
		})
	}
}

type nothing struct{ fake }

func (*nothing) Call(context.Context, capability.Call) ([]byte, error) { return nil, nil }
