package devhost

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/wapc"
	"github.com/waxosuit/waxo/wascap"
)

//go:embed testdata/guest.wasm
var guestModule []byte

func TestHostCallsReachTheBoundProvider(t *testing.T) {
	s, p := newSigner(t), &recorder{capability: capability.KeyValue}
	h := newHost(t, nil)
	if err := h.Bind(t.Context(), s.identity(), []Bind{{Capability: capability.KeyValue, Provider: p}}); err != nil {
		t.Fatal(err)
	}
	serve(t, h, s.sign(guestModule, nil, capability.KeyValue), "")
	for _, operation := range []string{"Get", "wascap:keyvalue!Get"} {
		answer, err := call(t, h, hostCall("wascap:keyvalue", operation, "payload"))
		if err != nil || answer != "got payload" {
			t.Fatalf("%s: %q, %v", operation, answer, err)
		}
	}
	if _, _, err := h.lookup(t.Context(), capability.KeyValue, "other", nil); err == nil || !strings.Contains(err.Error(), `add a [[bind]] with name = "other" to waxo.toml`) {
		t.Errorf("a binding that is missing: %v", err)
	}
	for _, c := range p.calls {
		if c.Operation != "Get" || c.Name != capability.DefaultBinding || c.Guest != s.identity().Key {
			t.Errorf("the provider got %+v", c)
		}
	}
}

func TestDenialNamesWhatIsMissingAndReachesNobody(t *testing.T) {
	var log bytes.Buffer
	s, p := newSigner(t), &recorder{capability: capability.KeyValue}
	h := newHost(t, func(o *Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	if err := h.Bind(t.Context(), s.identity(), []Bind{{Capability: capability.KeyValue, Provider: p}}); err != nil {
		t.Fatal(err)
	}
	serve(t, h, s.sign(guestModule, nil, capability.Logging), "")
	for range 3 {
		_, err := call(t, h, hostCall("wascap:keyvalue", "Get", ""))
		if e := capability.AsError(err); e == nil || e.Code != capability.CodeDenied {
			t.Fatalf("got %v, want a denial", err)
		}
		for _, want := range []string{"wascap:keyvalue", "Get", `add "wascap:keyvalue" to capabilities in waxo.toml`} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("the denial %q does not say %q", err, want)
			}
		}
	}
	if len(p.calls) != 0 {
		t.Errorf("the provider was reached: %v", p.calls)
	}
	if n := strings.Count(log.String(), "msg=denied"); n != 1 {
		t.Errorf("the denial was logged %d times, want once:\n%s", n, log.String())
	}
}

func TestIncomingCallsNeedTheClaimToo(t *testing.T) {
	s, p := newSigner(t), &recorder{capability: capability.HTTPServer}
	h := newHost(t, nil)
	if err := h.Bind(t.Context(), s.identity(), []Bind{{Capability: capability.HTTPServer, Provider: p}}); err != nil {
		t.Fatal(err)
	}
	serve(t, h, s.sign(guestModule, nil, capability.KeyValue), "")
	_, err := p.dispatcher.Dispatch(t.Context(), capability.OpHandleRequest, []byte("v"), nil)
	if e := capability.AsError(err); e == nil || e.Code != capability.CodeDenied {
		t.Errorf("got %v, want a denial", err)
	}
	serve(t, h, s.sign(guestModule, nil, capability.HTTPServer), "")
	reply, err := p.dispatcher.Dispatch(t.Context(), capability.OpHandleRequest, []byte("v"), nil)
	if err != nil || string(reply.Payload) != "VERSION0" || reply.Build != "" {
		t.Errorf("got %+v, %v", reply, err)
	}
}

func TestKindsOfFailureStayApart(t *testing.T) {
	s := newSigner(t)
	p := &recorder{capability: capability.KeyValue}
	h := newHost(t, func(o *Options) { o.Limits.CallTimeout = 200 * time.Millisecond })
	if err := h.Bind(t.Context(), s.identity(), []Bind{{Capability: capability.KeyValue, Provider: p}}); err != nil {
		t.Fatal(err)
	}
	serve(t, h, s.sign(guestModule, nil, capability.KeyValue, "vendor:unbound"), "")
	kv := hostCall("wascap:keyvalue", "Get", "")
	for _, test := range []struct {
		name    string
		request []byte
		fail    error
		code    capability.Code
		text    string
	}{
		{"the guest's own error", []byte("eout of cheese"), nil, capability.CodeGuest, "out of cheese"},
		{"a trap", []byte("t"), nil, capability.CodeTrap, "unreachable"},
		{"an endless loop", []byte("l"), nil, capability.CodeDeadline, "call_timeout"},
		{"no memory", []byte("m"), nil, capability.CodeMemory, "memory of 4 MiB"},
		{"a broken provider", kv, errors.New("wires cut"), capability.CodeProvider, "wires cut"},
		{"a provider that is away", kv, &capability.Error{Code: capability.CodeUnavailable, Message: "gone"}, capability.CodeProvider, "gone"},
		{"the guest asked nonsense", kv, &capability.Error{Code: capability.CodeInvalid, Message: "what?"}, capability.CodeGuest, "what?"},
		{"nothing bound", hostCall("vendor:unbound", "Do", ""), nil, capability.CodeProvider, "no provider of vendor:unbound"},
		{"an operation of the host itself", hostCall("core", "PerformLiveUpdate", ""), nil, capability.CodeDenied, "a guest may not have modules replaced"},
		{"an operation that is for guests", hostCall("core", "HealthRequest", ""), nil, capability.CodeGuest, "no operation \"HealthRequest\""},
		{"no capability named", hostCall("", "Get", ""), nil, capability.CodeGuest, "names no capability"},
		{"a request too large", make([]byte, 37<<20), nil, capability.CodeTooLarge, "limit"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p.fail = test.fail
			_, err := call(t, h, test.request)
			e := capability.AsError(err)
			if e == nil || e.Code != test.code || !strings.Contains(e.Message, test.text) {
				t.Errorf("got %v, want %s with %q", err, test.code, test.text)
			}
			if test.code == capability.CodeTrap && !strings.Contains(e.Detail, "crash") {
				t.Errorf("the detail %q does not name the guest's function", e.Detail)
			}
		})
	}
	if answer, err := call(t, h, []byte("v")); answer != "VERSION0" {
		t.Errorf("after all that the guest answers %q, %v", answer, err)
	}
}

func TestAHostCallTooLargeIsTheGuestsOwnFault(t *testing.T) {
	size := &wapc.SizeError{What: "host call payload", Size: 9, Limit: 5}
	e := explain(&wapc.GuestError{Message: "call: " + size.Error(), HostErr: size})
	if e.Code != capability.CodeGuest {
		t.Errorf("got %v", e)
	}
}

func TestAModuleThatIsACommandGetsAHint(t *testing.T) {
	trap := &wapc.TrapError{Operation: "_start", Reason: "unreachable", Stack: []string{"wasi_snapshot_preview1.proc_exit", "_start"}}
	if got := startHint(fmt.Errorf("wrapped: %w", &wapc.StartError{Err: trap})); !strings.Contains(got, "-buildmode=c-shared") {
		t.Errorf("got %q", got)
	}
	trap.Operation = "_initialize"
	if got := startHint(trap); got != "" {
		t.Errorf("a reactor got %q", got)
	}
}

func TestPrepareRefuses(t *testing.T) {
	s := newSigner(t)
	h := newHost(t, nil)
	serve(t, h, s.sign(guestModule, nil), "")
	dev := func(c *wascap.Claims) { c.Tags = []string{wascap.DevTag} }
	expired := func(c *wascap.Claims) { c.Expires = time.Now().Add(-time.Minute) }
	tampered := s.sign(guestModule, nil)
	tampered[60] ^= 1
	for name, test := range map[string]struct {
		module []byte
		is     func(error) bool
	}{
		"throwaway keys": {s.sign(guestModule, dev), func(err error) bool { return errors.Is(err, ErrThrowawayKeys) }},
		"unsigned":       {guestModule, isVerifyError},
		"expired":        {s.sign(guestModule, expired), isVerifyError},
		"tampered":       {tampered, isVerifyError},
		"unhealthy":      {s.sign(unwell(), nil), func(err error) bool { return errors.As(err, new(*HealthError)) }},
	} {
		t.Run(name, func(t *testing.T) {
			g, err := h.Prepare(t.Context(), test.module, nil)
			if g != nil || !test.is(err) {
				t.Errorf("got %v, %v", g, err)
			}
		})
	}
	if answer, err := call(t, h, []byte("v")); answer != "VERSION0" {
		t.Errorf("the last good guest answers %q, %v", answer, err)
	}
	stranger := newSigner(t)
	if err := h.Bind(t.Context(), s.identity(), nil); err != nil {
		t.Fatal(err)
	}
	g, err := h.Prepare(t.Context(), stranger.sign(guestModule, nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Activate(g); err == nil {
		t.Error("a module with another key was activated")
	}
	if err := g.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func isVerifyError(err error) bool { return errors.As(err, new(*wascap.VerifyError)) }

func TestDevelopmentAdmitsThrowawayKeysAndNamesBuilds(t *testing.T) {
	s := newSigner(t)
	h := newHost(t, func(o *Options) { o.Development = true })
	label := func() string {
		reply, _ := h.Call(t.Context(), capability.Core, "Test", []byte("v"))
		return reply.Build
	}
	first := make(chan string)
	go func() { first <- label() }()
	select {
	case got := <-first:
		t.Errorf("a call before the first build was answered: %q", got)
	case <-time.After(20 * time.Millisecond):
	}
	h.SetFailure(Failure{Build: "1", Detail: "main.go:3:1: no"})
	if got := <-first; got != "none; build 1 failed" {
		t.Errorf("the call that was held got %q", got)
	}
	_, err := call(t, h, []byte("v"))
	if e := capability.AsError(err); e.Code != capability.CodeUnavailable || e.Detail != "main.go:3:1: no" {
		t.Errorf("got %+v", e)
	}
	serve(t, h, s.sign(guestModule, func(c *wascap.Claims) { c.Tags = []string{wascap.DevTag} }), "2-abcd")
	if got := label(); got != "2-abcd" {
		t.Errorf("the label is %q", got)
	}
	h.SetFailure(Failure{Build: "3"})
	if got := label(); got != "2-abcd; build 3 failed" {
		t.Errorf("after a failed build the label is %q", got)
	}
	h.ClearFailure()
	if got := label(); got != "2-abcd" {
		t.Errorf("after mending the label is %q", got)
	}
}

func TestAliasServesTheOlderGeneration(t *testing.T) {
	s, p := newSigner(t), &recorder{capability: capability.KeyValue}
	h := newHost(t, func(o *Options) { o.Aliases = map[string]string{"wascc:keyvalue": capability.KeyValue} })
	if err := h.Bind(t.Context(), s.identity(), []Bind{{Capability: capability.KeyValue, Provider: p}}); err != nil {
		t.Fatal(err)
	}
	serve(t, h, s.sign(guestModule, nil, "wascc:keyvalue"), "")
	if answer, err := call(t, h, hostCall("wascc:keyvalue", "Add", "1")); answer != "got 1" {
		t.Errorf("got %q, %v", answer, err)
	}
	if _, err := call(t, h, hostCall("wascap:keyvalue", "Add", "1")); capability.AsError(err).Code != capability.CodeDenied {
		t.Errorf("the alias granted the other namespace: %v", err)
	}
}

func TestSwapsLoseNothingAndNeverGoBack(t *testing.T) {
	const swaps, callers, each = 100, 32, 500
	s := newSigner(t)
	h := newHost(t, nil)
	serve(t, h, s.sign(version("v0000000"), nil), "")
	var active atomic.Int64 // the version that Activate returned for last
	work := make(chan struct{})
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range work {
				atLeast := active.Load()
				reply, err := h.Call(context.Background(), capability.Core, "Test", []byte("v"))
				var got int64
				fmt.Sscanf(string(reply.Payload), "v%07d", &got)
				if err != nil || got < atLeast {
					t.Errorf("after version %d was active: %q, %v", atLeast, reply.Payload, err)
				}
			}
		})
	}
	var goroutines []int
	for i := int64(1); i <= swaps; i++ {
		var load sync.WaitGroup
		load.Go(func() {
			for range each {
				work <- struct{}{}
			}
		})
		if i%3 == 0 {
			if g, err := h.Prepare(t.Context(), s.sign(unwell(), nil), nil); err == nil {
				t.Errorf("an unhealthy guest was prepared: %v", g)
			}
		}
		serve(t, h, s.sign(version(fmt.Sprintf("v%07d", i)), nil), "")
		active.Store(i)
		load.Wait()
		h.drains.Wait()
		goroutines = append(goroutines, runtime.NumGoroutine())
	}
	close(work)
	wg.Wait()
	// Callers and timers come and go: what stays is the least of several looks.
	if first, last := slices.Min(goroutines[9:19]), slices.Min(goroutines[swaps-10:]); last > first+4 {
		t.Errorf("goroutines grew from %d to %d: %v", first, last, goroutines)
	}
}

func TestAChangedBindingThatFailsIsRestored(t *testing.T) {
	s, p := newSigner(t), &recorder{capability: capability.KeyValue, refuse: "bad"}
	h := newHost(t, nil)
	bind := func(value string) error {
		return h.Bind(t.Context(), s.identity(), []Bind{{Capability: capability.KeyValue, Provider: p, Config: map[string]string{"value": value}}})
	}
	id := capability.BindingID{Guest: s.identity().Key, Name: capability.DefaultBinding}
	if err := bind("good"); err != nil {
		t.Fatal(err)
	}
	if err := bind("bad"); err == nil {
		t.Error("the provider's refusal was lost")
	}
	if p.bound[id] != "good" {
		t.Errorf("bound with %q", p.bound[id])
	}
	if err := bind("better"); err != nil || p.bound[id] != "better" {
		t.Errorf("bound with %q, %v", p.bound[id], err)
	}
	twice := []Bind{{Capability: capability.KeyValue, Provider: p}, {Capability: capability.KeyValue, Name: "default", Provider: p}}
	if err := h.Bind(t.Context(), s.identity(), twice); err == nil {
		t.Error("two providers for one binding were taken")
	}
	if err := h.Prune(t.Context(), nil); err != nil || len(p.bound) != 0 {
		t.Errorf("after Prune %v are bound, %v", p.bound, err)
	}
}

func TestCallsOfEarlierBuildsAreCountedToTheEnd(t *testing.T) {
	s, h := newSigner(t), newHost(t, nil)
	serve(t, h, s.sign(guestModule, nil), "1")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error)
	go func() {
		_, err := h.Call(ctx, capability.Core, "Test", []byte("l"))
		ended <- err
	}()
	for h.InHand() == 0 {
		runtime.Gosched()
	}
	serve(t, h, s.sign(version("VERSION2"), nil), "2")
	now, stop := context.WithCancel(t.Context())
	stop()
	err := h.Close(now)
	if err == nil || !strings.Contains(err.Error(), "1 call(s) of earlier builds") || h.InHand() != 1 {
		t.Errorf("with %d calls in hand: %v", h.InHand(), err)
	}
	cancel()
	<-ended
	if err := h.Close(t.Context()); err != nil || h.InHand() != 0 {
		t.Errorf("with %d calls in hand: %v", h.InHand(), err)
	}
}

func TestCloseEndsWhatBringsCallsInFirst(t *testing.T) {
	var order []string
	s := newSigner(t)
	h := newHost(t, nil)
	var binds []Bind
	for _, id := range []string{capability.Clock, capability.KeyValue, capability.HTTPServer, capability.Extras} {
		binds = append(binds, Bind{Capability: id, Provider: &recorder{capability: id, log: &order}})
	}
	if err := h.Bind(t.Context(), s.identity(), binds); err != nil {
		t.Fatal(err)
	}
	g := serve(t, h, s.sign(guestModule, nil), "")
	if err := errors.Join(h.Close(t.Context()), h.Close(t.Context())); err != nil {
		t.Fatal(err)
	}
	if len(order) != 4 || order[0] != capability.HTTPServer {
		t.Errorf("unbound in the order %v", order)
	}
	if g.hold() {
		t.Error("the guest goes on after Close")
	}
	if err := h.Activate(g); !errors.Is(err, ErrClosed) {
		t.Errorf("Activate after Close: %v", err)
	}
}
