package devhost

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/wapc"
)

// constant is a provider that costs nothing.
type constant struct{ recorder }

func (*constant) Call(_ context.Context, c capability.Call) ([]byte, error) {
	return append(c.Into[:0], "got "...), nil
}

func code(err error) capability.Code {
	if e := capability.AsError(err); e != nil {
		return e.Code
	}
	return ""
}

// What was found out for a call holds no longer than the binding and the claims
// that it was found out with.
func TestRoutesEndWithTheirBindingsAndClaims(t *testing.T) {
	s, first, second := newSigner(t), &recorder{capability: capability.KeyValue}, &recorder{capability: capability.KeyValue}
	h := newHost(t, nil)
	bind := func(p *recorder) []Bind { return []Bind{{Capability: capability.KeyValue, Provider: p}} }
	get := hostCall(capability.KeyValue, "Get", "")
	twice := func(want capability.Code) {
		t.Helper()
		for range 2 {
			if _, err := call(t, h, get); code(err) != want {
				t.Fatalf("got %v, want %q", err, want)
			}
		}
	}
	serve(t, h, s.sign(guestModule, nil, capability.KeyValue), "1")
	twice(capability.CodeProvider) // nothing is bound
	for i, p := range []*recorder{first, second} {
		if err := h.Bind(t.Context(), s.identity(), bind(p)); err != nil {
			t.Fatal(err)
		}
		twice("")
		if len(first.calls) != 2 || len(second.calls) != 2*i {
			t.Fatalf("%d calls of the first provider, %d of the second", len(first.calls), len(second.calls))
		}
	}
	serve(t, h, s.sign(guestModule, nil), "2")
	twice(capability.CodeDenied)
	serve(t, h, s.sign(guestModule, nil, capability.KeyValue), "3")
	twice("")
	if err := h.Prune(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	twice(capability.CodeProvider)
	if len(second.calls) != 4 {
		t.Errorf("%d calls reached the provider", len(second.calls))
	}
}

// A host call reaches the provider that is bound under the name that it gives.
func TestABindingIsItsOwnProvidersAlone(t *testing.T) {
	s := newSigner(t)
	providers := map[string]*recorder{}
	var binds []Bind
	for _, name := range []string{"default", "blue", "Blue"} {
		providers[name] = &recorder{capability: capability.KeyValue}
		binds = append(binds, Bind{Capability: capability.KeyValue, Name: name, Provider: providers[name]})
	}
	h := newHost(t, nil)
	if err := h.Bind(t.Context(), s.identity(), binds); err != nil {
		t.Fatal(err)
	}
	g := serve(t, h, s.sign(guestModule, nil, capability.KeyValue), "")
	for _, named := range []string{"blue", "default", "Blue", "blue", "", "BLUE", "Blue"} {
		_, err := guestHost{g}.HostCall(t.Context(), wapc.HostCall{Binding: named, Namespace: capability.KeyValue, Operation: "Get"})
		if want := map[string]capability.Code{"BLUE": capability.CodeUnavailable}[named]; code(err) != want {
			t.Errorf("the binding %q: %v", named, err)
		}
	}
	for name, want := range map[string]int{"default": 2, "blue": 2, "Blue": 2} {
		for _, c := range providers[name].calls {
			if c.Name != name {
				t.Errorf("the provider of %q was called for %q", name, c.Name)
			}
		}
		if n := len(providers[name].calls); n != want {
			t.Errorf("the provider of %q was called %d times, want %d", name, n, want)
		}
	}
}

// A guest can make up names, of bindings, namespaces and operations, without end.
func TestRoutesAreBounded(t *testing.T) {
	s, p := newSigner(t), &recorder{capability: capability.KeyValue}
	h := newHost(t, nil)
	if err := h.Bind(t.Context(), s.identity(), []Bind{{Capability: capability.KeyValue, Provider: p}}); err != nil {
		t.Fatal(err)
	}
	g := serve(t, h, s.sign(guestModule, nil, capability.KeyValue), "")
	for i := range 2 * maxRemembered {
		if _, err := call(t, h, hostCall(capability.KeyValue, fmt.Sprint("Op", i), "")); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Call(t.Context(), capability.Core, fmt.Sprint("Op", i), []byte("v")); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(*g.routes.entries.Load()); n != maxRemembered {
		t.Errorf("%d routes are remembered", n)
	}
	if n := len(*g.spellings.entries.Load()); n != maxRemembered {
		t.Errorf("%d spellings are remembered", n)
	}
}

// routed is a host with a guest that is bound to a provider which costs nothing.
func routed(t testing.TB) (*Host, *Guest, *constant) {
	s, p := newSigner(t), &constant{recorder{capability: capability.KeyValue, operations: []string{"Set", "Get"}}}
	h := newHost(t, nil)
	if err := h.Bind(t.Context(), s.identity(), []Bind{{Capability: capability.KeyValue, Provider: p}}); err != nil {
		t.Fatal(err)
	}
	return h, serve(t, h, s.sign(guestModule, nil, capability.KeyValue), ""), p
}

func TestRoutingDoesNotAllocate(t *testing.T) {
	_, g, _ := routed(t)
	into := make([]byte, 0, 64)
	for name, allocs := range map[string]float64{
		"host call": testing.AllocsPerRun(100, func() {
			call := wapc.HostCall{Binding: "default", Namespace: capability.KeyValue, Operation: "wascap:keyvalue!Get", Into: into}
			if _, err := (guestHost{g}).HostCall(context.Background(), call); err != nil {
				t.Error(err)
			}
		}),
		"operation": testing.AllocsPerRun(100, func() {
			if s, err := g.spell(capability.Core, "Test"); s != "wascap:httpsrv!Test" {
				t.Error(s, err)
			}
		}),
	} {
		if allocs != 0 {
			t.Errorf("%s: %v allocations", name, allocs)
		}
	}
}

// BenchmarkDispatch shows what the host adds to a call of the pool.
func BenchmarkDispatch(b *testing.B) {
	h, g, _ := routed(b)
	into := make([]byte, 0, 64)
	run := func(name string, call func() error) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := call(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	d, request := dispatcher{h, capability.Core}, []byte("v")
	run("host", func() error {
		_, err := d.Dispatch(context.Background(), "Test", request, into)
		return err
	})
	run("pool", func() error {
		_, err := g.pool.CallAppend(context.Background(), into, "wascap:httpsrv!Test", request)
		return err
	})
}

// BenchmarkHostCall shows what the host adds to a call of the provider, also
// with several instances at once.
func BenchmarkHostCall(b *testing.B) {
	_, g, p := routed(b)
	run := func(name string, call func([]byte) error) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				into := make([]byte, 0, 64)
				for pb.Next() {
					if err := call(into); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
	run("host", func(into []byte) error {
		call := wapc.HostCall{Binding: "default", Namespace: capability.KeyValue, Operation: "Get", Into: into}
		_, err := guestHost{g}.HostCall(context.Background(), call)
		return err
	})
	run("provider", func(into []byte) error {
		_, err := p.Call(context.Background(), capability.Call{Operation: "Get", Into: into})
		return err
	})
}

// awaited is a provider that looks how many calls the host counts as waiting.
type awaited struct {
	recorder
	guest *Guest
	away  []int64
}

func (p *awaited) Call(_ context.Context, c capability.Call) ([]byte, error) {
	p.away = append(p.away, p.guest.away.Load())
	if string(c.Payload) == "fail" {
		return nil, &capability.Error{Code: capability.CodeNotFound, Message: "on purpose"}
	}
	return c.Into[:0], nil
}

// Calls that wait for a provider are counted, however they end.
func TestCallsThatWaitAreCounted(t *testing.T) {
	s, p := newSigner(t), &awaited{recorder: recorder{capability: capability.KeyValue}}
	h := newHost(t, nil)
	p.guest = serve(t, h, s.sign(guestModule, nil, capability.KeyValue), "1")
	if err := h.Bind(t.Context(), s.identity(), []Bind{{Capability: capability.KeyValue, Provider: p}}); err != nil {
		t.Fatal(err)
	}
	for _, payload := range []string{"", "fail", ""} {
		if _, err := call(t, h, hostCall(capability.KeyValue, "Get", payload)); (err != nil) != (payload == "fail") {
			t.Errorf("%q: %v", payload, err)
		}
	}
	if _, err := call(t, h, hostCall(capability.Messaging, "Publish", "")); err == nil {
		t.Error("a call that the claims do not grant was made")
	}
	if !slices.Equal(p.away, []int64{1, 1, 1}) || p.guest.away.Load() != 0 {
		t.Errorf("while they waited %d were counted, after it %d", p.away, p.guest.away.Load())
	}
}

// A new call lets others run before it where many wait, and only then. Not
// parallel: it wants the core for itself.
func TestNewCallsGiveWay(t *testing.T) {
	s, h := newSigner(t), newHost(t, nil)
	g := serve(t, h, s.sign(guestModule, nil), "1")
	g.many = 2
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	gaveWay := func() (times int) {
		for range 100 {
			var ran atomic.Bool
			done := make(chan struct{})
			go func() { ran.Store(true); close(done) }()
			if _, err := call(t, h, []byte("e")); err != nil && code(err) != capability.CodeGuest {
				t.Fatal(err)
			}
			if ran.Load() {
				times++
			}
			<-done
		}
		return times
	}
	if n := gaveWay(); n > 50 { // now and then the scheduler interrupts
		t.Errorf("with nobody waiting it gave way %d times of 100", n)
	}
	g.away.Store(2)
	if n := gaveWay(); n < 50 { // now and then the scheduler comes back at once
		t.Errorf("with two waiting it gave way %d times of 100", n)
	}
}
