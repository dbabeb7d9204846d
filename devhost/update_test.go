package devhost

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/payload/corepb"
	"github.com/waxosuit/waxo/wascap"
)

// signedAt is when the modules of these tests are signed.
var signedAt = time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)

// release is a version of the test guest, signed at a time as a revision.
func (s *signer) release(v string, revision int, at time.Time, capabilities ...string) []byte {
	s.t.Helper()
	claims := wascap.Claims{Subject: s.module.PublicKey().String(), Name: "tester", Revision: revision, Capabilities: capabilities}
	signed, err := wascap.Sign(version(v), claims, s.account, &wascap.SignOptions{IssuedAt: at})
	if err != nil {
		s.t.Fatal(err)
	}
	return signed
}

// updatable is a host that runs revision 5 of the signer's module.
func updatable(t *testing.T, s *signer, edit func(*Options)) *Host {
	t.Helper()
	h := newHost(t, func(o *Options) {
		o.Updates = &Updates{Trust: []string{s.account.PublicKey().String()}, Grant: []string{capability.KeyValue}}
		if edit != nil {
			edit(o)
		}
	})
	serve(t, h, s.release("VERSION5", 5, signedAt, capability.KeyValue), "")
	return h
}

// answers expects what the guest answers that runs.
func answers(t *testing.T, h *Host, want string) {
	t.Helper()
	if got, err := call(t, h, []byte("v")); got != want {
		t.Errorf("%q runs, want %q (%v)", got, want, err)
	}
}

func TestUpdateTakesInWhatFollows(t *testing.T) {
	for name, test := range map[string]struct {
		revision     int
		at           time.Time
		capabilities []string
	}{
		"a higher revision":                        {6, signedAt, []string{capability.KeyValue}},
		"a higher revision that was signed sooner": {6, signedAt.Add(-time.Hour), nil},
		"the same revision, signed later":          {5, signedAt.Add(time.Second), nil},
		"the same revision, signed at once":        {5, signedAt, []string{capability.KeyValue}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSigner(t)
			h := updatable(t, s, nil)
			before := h.Current()
			g, updated, err := h.Update(t.Context(), s.release("VERSION6", test.revision, test.at, test.capabilities...))
			if err != nil || !updated || g != h.Current() || g == before {
				t.Fatalf("updated: %t, %v", updated, err)
			}
			answers(t, h, "VERSION6")
		})
	}
}

func TestUpdateRefuses(t *testing.T) {
	s, stranger := newSigner(t), newSigner(t)
	thief := &signer{t: t, account: stranger.account, module: s.module}
	cousin := &signer{t: t, account: s.account, module: stranger.module}
	h := updatable(t, s, nil)
	edited := func(edit func(*wascap.Claims)) []byte {
		return s.sign(version("VERSION6"), func(c *wascap.Claims) { c.Revision = 6; edit(c) })
	}
	next := s.release("VERSION6", 6, signedAt)
	tampered := append([]byte{}, next...)
	tampered[60] ^= 1
	sick := s.sign(unwell(), func(c *wascap.Claims) { c.Revision = 6 })
	wasi := s.sign([]byte("\x00asm\x01\x00\x00\x00\x01\x04\x01\x60\x00\x00\x02\x0c\x01\x03env\x04open\x00\x00"), func(c *wascap.Claims) { c.Revision = 6 })
	for name, test := range map[string]struct {
		module []byte
		code   capability.Code
		text   string // that the refusal says
	}{
		"another issuer":      {thief.release("VERSION6", 6, signedAt), capability.CodeDenied, "start the host with --trust " + stranger.account.PublicKey().String()},
		"another module key":  {cousin.release("VERSION6", 6, signedAt), capability.CodeDenied, "has the key " + stranger.module.PublicKey().String()},
		"a further claim":     {s.release("VERSION6", 6, signedAt, capability.KeyValue, capability.HTTPClient), capability.CodeDenied, "claims wascap:http_client, which this host does not grant"},
		"throwaway keys":      {edited(func(c *wascap.Claims) { c.Tags = []string{wascap.DevTag} }), capability.CodeDenied, "--allow-dev"},
		"an older revision":   {s.release("VERSION4", 4, signedAt.Add(time.Hour)), capability.CodeConflict, "revision 4, but 5 runs"},
		"signed before":       {s.release("VERSION5", 5, signedAt.Add(-time.Second)), capability.CodeConflict, "sign it again"},
		"expired":             {edited(func(c *wascap.Claims) { c.Expires = time.Now().Add(-time.Minute) }), capability.CodeInvalid, "expired"},
		"not yet valid":       {edited(func(c *wascap.Claims) { c.NotBefore = time.Now().Add(time.Hour) }), capability.CodeInvalid, "valid from"},
		"tampered":            {tampered, capability.CodeInvalid, "changed after it was signed"},
		"claims changed":      {append(next[:len(next)-1:len(next)-1], next[len(next)-1]^1), capability.CodeInvalid, "signature"},
		"unsigned":            {version("VERSION6"), capability.CodeInvalid, "not signed"},
		"truncated":           {next[:len(next)/2], capability.CodeInvalid, "module"},
		"no module":           {[]byte("<html>"), capability.CodeInvalid, "preamble"},
		"nothing":             {nil, capability.CodeInvalid, "preamble"},
		"not well":            {sick, capability.CodeInvalid, "not healthy"},
		"imports beyond waPC": {wasi, capability.CodeInvalid, `"env"."open"`},
	} {
		t.Run(name, func(t *testing.T) {
			g, updated, err := h.Update(t.Context(), test.module)
			if e := capability.AsError(err); g != nil || updated || e == nil || e.Code != test.code || !strings.Contains(e.Message, test.text) {
				t.Errorf("got %t, %v, want %s with %q", updated, err, test.code, test.text)
			}
			answers(t, h, "VERSION5")
		})
	}
}

func TestUpdateIsOffUnlessItIsWanted(t *testing.T) {
	s := newSigner(t)
	h := updatable(t, s, func(o *Options) { o.Updates = nil })
	if _, _, err := h.Update(t.Context(), s.release("VERSION6", 6, signedAt)); capability.AsError(err).Code != capability.CodeDenied {
		t.Errorf("got %v", err)
	}
	answers(t, h, "VERSION5")
	trusting := newHost(t, func(o *Options) { o.Updates = &Updates{Trust: []string{s.account.PublicKey().String()}} })
	if _, _, err := trusting.Update(t.Context(), s.release("VERSION6", 6, signedAt)); capability.AsError(err).Code != capability.CodeUnavailable {
		t.Errorf("where nothing runs: %v", err)
	}
}

// TestUpdateWithTheSameModuleDoesNothing: whoever sends a module again and again
// costs the guest nothing.
func TestUpdateWithTheSameModuleDoesNothing(t *testing.T) {
	s := newSigner(t)
	h := updatable(t, s, nil)
	before := h.Current()
	again := append([]byte{}, s.release("VERSION5", 5, signedAt.Add(time.Second), capability.KeyValue)...)
	for i, want := range []bool{true, false} {
		g, updated, err := h.Update(t.Context(), again)
		if err != nil || updated != want || g != h.Current() || g == before {
			t.Errorf("time %d: updated %t, %v", i, updated, err)
		}
	}
}

func TestUpdatesComeOneAfterTheOther(t *testing.T) {
	s := newSigner(t)
	h := updatable(t, s, nil)
	next := s.release("VERSION6", 6, signedAt)
	h.updating.Lock() // as another one does
	if _, _, err := h.Update(t.Context(), next); capability.AsError(err).Code != capability.CodeConflict {
		t.Errorf("got %v", err)
	}
	h.updating.Unlock()
	var took atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			_, updated, err := h.Update(t.Context(), next)
			if err != nil && capability.AsError(err).Code != capability.CodeConflict {
				t.Errorf("got %v", err)
			}
			if updated {
				took.Add(1)
			}
		})
	}
	wg.Wait()
	if took.Load() != 1 {
		t.Errorf("%d took over", took.Load())
	}
	answers(t, h, "VERSION6")
}

func TestUpdateThatIsGivenUpLeavesTheOneBefore(t *testing.T) {
	s := newSigner(t)
	h := updatable(t, s, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := h.Update(ctx, s.release("VERSION6", 6, signedAt)); capability.AsError(err).Code != capability.CodeCanceled {
		t.Errorf("got %v", err)
	}
	answers(t, h, "VERSION5")
	if err := h.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := h.Update(t.Context(), s.release("VERSION6", 6, signedAt)); capability.AsError(err).Code != capability.CodeUnavailable {
		t.Errorf("after Close: %v", err)
	}
	closing := updateError(t.Context(), fmt.Errorf("activate: %w", ErrClosed))
	if !errors.Is(closing, &capability.Error{Code: capability.CodeUnavailable}) {
		t.Errorf("closed meanwhile: %v", closing)
	}
}

// TestPerformLiveUpdate: the operation is the host's, and held to the same checks.
func TestPerformLiveUpdate(t *testing.T) {
	s, stranger := newSigner(t), newSigner(t)
	thief := &signer{t: t, account: stranger.account, module: s.module}
	h := updatable(t, s, nil)
	perform := func(payload []byte) capability.Code {
		if _, err := h.Call(t.Context(), capability.Core, capability.OpPerformLiveUpdate, payload); err != nil {
			return capability.AsError(err).Code
		}
		return ""
	}
	update := func(module []byte) []byte { return (&corepb.LiveUpdate{NewModule: module}).AppendProto(nil) }
	if got := perform(update(thief.release("VERSION6", 6, signedAt))); got != capability.CodeDenied {
		t.Errorf("another issuer: %q", got)
	}
	if got := perform([]byte{0xff}); got != capability.CodeInvalid {
		t.Errorf("nonsense: %q", got)
	}
	answers(t, h, "VERSION5")
	payload := update(s.release("VERSION6", 6, signedAt, capability.KeyValue))
	if got := perform(payload); got != "" {
		t.Errorf("got %q", got)
	}
	clear(payload) // it is the caller's again
	answers(t, h, "VERSION6")
}

// TestNoGuestUpdatesItself: not under any spelling, and not with a module that
// anybody else might send.
func TestNoGuestUpdatesItself(t *testing.T) {
	s := newSigner(t)
	h := updatable(t, s, func(o *Options) { o.Updates.Grant = append(o.Updates.Grant, capability.Core) })
	serve(t, h, s.release("VERSION5", 5, signedAt.Add(time.Second), capability.KeyValue, capability.Core, "wascap:httpsrv"), "")
	module := string((&corepb.LiveUpdate{NewModule: s.release("VERSION6", 6, signedAt)}).AppendProto(nil))
	for _, name := range [][2]string{
		{"core", "PerformLiveUpdate"}, {"core", "core!PerformLiveUpdate"}, {"core", "wascap:httpsrv!PerformLiveUpdate"},
		{"wascap:httpsrv", "PerformLiveUpdate"}, {"", "wascap:httpsrv!PerformLiveUpdate"}, {"", "core!PerformLiveUpdate"},
	} {
		_, err := call(t, h, hostCall(name[0], name[1], module))
		if e := capability.AsError(err); e == nil || e.Code != capability.CodeDenied || !strings.Contains(e.Message, "POST the signed module to /liveupdate") {
			t.Errorf("%q: %v", name, err)
		}
	}
	// A provider speaks for its capability alone: it reaches the guest, which may
	// answer whatever it likes, and never the host.
	for _, id := range []string{capability.KeyValue, capability.Core} {
		_, _ = dispatcher{h, id}.Dispatch(t.Context(), capability.OpPerformLiveUpdate, []byte(module), nil)
	}
	answers(t, h, "VERSION5")
}

func TestUpdatesUnderLoadLoseNothing(t *testing.T) {
	const updates, callers = 20, 16
	s := newSigner(t)
	h := updatable(t, s, nil)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	var calls atomic.Int64
	for range callers {
		wg.Go(func() {
			for last := ""; ctx.Err() == nil; calls.Add(1) {
				reply, err := h.Call(context.WithoutCancel(ctx), capability.Core, "Test", []byte("v"))
				got := string(reply.Payload)
				if err != nil || last != "" && got < last && got != "VERSION5" {
					t.Errorf("after %q came %q, %v", last, got, err)
					return
				}
				if got != "VERSION5" {
					last = got
				}
			}
		})
	}
	for i := range updates {
		seen := calls.Load()
		v := fmt.Sprintf("UPDATE%02d", i)
		if _, updated, err := h.Update(t.Context(), s.release(v, 6+i, signedAt, capability.KeyValue)); err != nil || !updated {
			t.Fatalf("update %d: %t, %v", i, updated, err)
		}
		if _, _, err := h.Update(t.Context(), s.release("VERSION4", 4, signedAt)); err == nil {
			t.Error("an older one was taken in")
		}
		answers(t, h, v)
		for calls.Load() < seen+callers && !t.Failed() { // each has been with this version, too
			if _, err := call(t, h, []byte("v")); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestHealthyAsksTheGuestThatServes(t *testing.T) {
	s := newSigner(t)
	h := newHost(t, func(o *Options) { o.Limits.Instances, o.Limits.CallTimeout = 1, time.Minute })
	if err := h.Healthy(t.Context()); !errors.As(err, new(*HealthError)) || !errors.Is(err, &capability.Error{Code: capability.CodeUnavailable}) {
		t.Errorf("without a guest: %v", err)
	}
	serve(t, h, s.sign(guestModule, nil), "")
	if err := h.Healthy(t.Context()); err != nil {
		t.Error(err)
	}
	busy, done := context.WithCancel(t.Context())
	looping := make(chan struct{})
	go func() {
		defer close(looping)
		_, _ = h.Call(busy, capability.Core, "Test", []byte("l"))
	}()
	for h.InHand() == 0 {
		runtime.Gosched()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := h.Healthy(ctx); !errors.Is(err, &capability.Error{Code: capability.CodeDeadline}) {
		t.Errorf("with the only instance busy: %v", err)
	}
	done()
	<-looping
	if err := h.Healthy(t.Context()); err != nil {
		t.Errorf("after that: %v", err)
	}
}
