//go:build unix

package plugin_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waxosuit/waxo/capability"
)

func TestContract(t *testing.T) {
	p := open(t, link(t, t.TempDir(), "plain"), development("serve"))
	want := capability.Descriptor{Capability: "test:plain", Name: "Test", Version: "1.2.3", Operations: []string{"Echo", "Fail"}}
	if got := p.Describe(); !reflect.DeepEqual(got, want) {
		t.Errorf("it offers %+v, want %+v", got, want)
	}
	_, err := ask(t, p, "Echo", "x")
	wantError(t, err, capability.CodeUnavailable, "not bound")
	bind(t, p, nil, map[string]string{"url": "redis://127.0.0.1", "ü": "ñ"})
	if got, want := mustAsk(t, p, "Bound", ""), "MGUEST default guest map[url:redis://127.0.0.1 ü:ñ] true"; got != want {
		t.Errorf("it was bound with %q, want %q", got, want)
	}
	err = p.Bind(within(t), capability.Binding{BindingID: guestID}, nil)
	wantError(t, err, capability.CodeConflict)
	if got := mustAsk(t, p, "Echo", "hello"); got != "hello" {
		t.Errorf("the echo of hello is %q", got)
	}
	if got := mustAsk(t, p, "Echo", ""); got != "" {
		t.Errorf("the echo of nothing is %q", got)
	}
	for range 2 {
		if err := p.Unbind(within(t), guestID); err != nil {
			t.Error(err)
		}
	}
	_, err = ask(t, p, "Echo", "x")
	wantError(t, err, capability.CodeUnavailable, "not bound")
	bind(t, p, nil, nil) // again
	for range 2 {
		if err := p.Close(within(t)); err != nil {
			t.Error(err)
		}
	}
	_, err = ask(t, p, "Echo", "x")
	wantError(t, err, capability.CodeUnavailable, "not bound")
	if !capability.Unbound(err) {
		t.Error("a host does not see that it may look for another binding")
	}
	wantError(t, p.Bind(within(t), capability.Binding{BindingID: guestID}, nil), capability.CodeUnavailable, "closed")
}

func TestErrorsKeepTheirKind(t *testing.T) {
	p := serving(t, nil)
	for _, code := range []capability.Code{capability.CodeInvalid, capability.CodeNotFound, capability.CodeWrongKind, capability.CodeUnavailable, capability.CodeGuest, capability.CodeOverloaded} {
		answer, err := ask(t, p, "Fail", string(code)+": what: is wrong")
		want := &capability.Error{Code: code, Message: "what: is wrong", Detail: "the detail"}
		var got *capability.Error
		if !errors.As(err, &got) || *got != *want || answer != "" {
			t.Errorf("%s: got %q and %#v, want %#v", code, answer, err, want)
		}
	}
	_, err := ask(t, p, "FailPlainly", "it broke")
	wantError(t, err, capability.CodeInternal, "it broke")
	_, err = ask(t, p, "FailPlainly", "broken \xff text")
	wantError(t, err, capability.CodeInternal, "broken \ufffd text")
}

func TestDeadlines(t *testing.T) {
	p := serving(t, nil)
	if got := mustAsk(t, p, "Deadline", ""); got != "true true" {
		t.Errorf("the plugin sees a deadline: %s", got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	_, err := p.Call(ctx, capability.Call{BindingID: guestID, Operation: "Hang"})
	cancel()
	wantError(t, err, capability.CodeDeadline)
	ctx, cancel = context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	_, err = p.Call(ctx, capability.Call{BindingID: guestID, Operation: "Hang"})
	wantError(t, err, capability.CodeCanceled)
	if got := mustAsk(t, p, "Echo", "still there"); got != "still there" {
		t.Errorf("afterwards: %q", got)
	}
}

func TestLargePayloads(t *testing.T) {
	opts := development("serve")
	opts.MaxPayload = 48 << 20
	p := open(t, link(t, t.TempDir(), "plain"), opts)
	guest := &guest{handle: func(_ context.Context, _ string, payload []byte) (capability.Reply, error) {
		return capability.Reply{Payload: make([]byte, 40<<20)}, nil
	}}
	bind(t, p, guest, nil)
	random := rand.NewChaCha8([32]byte{1})
	for _, size := range []int{1 << 10, 5 << 20, 48 << 20} {
		payload := make([]byte, size)
		random.Read(payload)
		for _, into := range [][]byte{nil, make([]byte, 0, size)} {
			answer, err := p.Call(within(t), capability.Call{BindingID: guestID, Operation: "Echo", Payload: payload, Into: into})
			if err != nil || !bytes.Equal(answer, payload) {
				t.Fatalf("the echo of %d bytes has %d: %v", size, len(answer), err)
			}
			if cap(into) > 0 && &answer[0] != &into[:1][0] {
				t.Errorf("the answer of %d bytes is not where there was room for it", size)
			}
		}
	}
	_, err := p.Call(within(t), capability.Call{BindingID: guestID, Operation: "Echo", Payload: make([]byte, 48<<20+1)})
	wantError(t, err, capability.CodeTooLarge)
	for _, size := range []int{48<<20 + 1, 60 << 20} {
		_, err = ask(t, p, "Size", fmt.Sprint(size))
		wantError(t, err, capability.CodeTooLarge)
	}
	if got := mustAsk(t, p, "Dispatch", "HandleRequest"); len(got) < 40<<20 {
		t.Errorf("the guest's answer has %d bytes", len(got))
	}
}

func TestConcurrentCalls(t *testing.T) {
	p := serving(t, nil)
	var calls sync.WaitGroup
	for i := range 64 {
		calls.Go(func() {
			into := make([]byte, 0, 100)
			for j := range 30 {
				text := fmt.Sprintf("%d %d %s", i, j, strings.Repeat("x", i))
				answer, err := p.Call(within(t), capability.Call{BindingID: guestID, Operation: "Echo", Payload: []byte(text), Into: into})
				if err != nil || string(answer) != text {
					t.Errorf("the echo of %q is %q, %v", text, answer, err)
				}
			}
		})
	}
	calls.Wait()
}

// guest is the host's end of a binding.
type guest struct {
	handle func(ctx context.Context, operation string, payload []byte) (capability.Reply, error)
}

func (g *guest) Dispatch(ctx context.Context, operation string, payload, _ []byte) (capability.Reply, error) {
	return g.handle(ctx, operation, payload)
}

func TestDispatch(t *testing.T) {
	given := make(chan error, 1)
	g := &guest{handle: func(ctx context.Context, operation string, payload []byte) (capability.Reply, error) {
		switch operation {
		case "Refuse":
			return capability.Reply{Build: "b2"}, &capability.Error{Code: capability.CodeOverloaded, Message: "not now"}
		case "Hang":
			<-ctx.Done()
			given <- context.Cause(ctx)
			return capability.Reply{}, ctx.Err()
		}
		return capability.Reply{Payload: fmt.Appendf(nil, "%s of %q", operation, payload), Build: "b1"}, nil
	}}
	p := serving(t, g)
	for operation, want := range map[string]string{
		"HandleRequest":           `HandleRequest of "to the guest" from "b1"`,
		"Refuse":                  `overloaded: not now from "b2"`,
		"HandleRequest within 1m": `HandleRequest of "to the guest" from "b1"`,
	} {
		if got := mustAsk(t, p, "Dispatch", operation); got != want {
			t.Errorf("%s: %s, want %s", operation, got, want)
		}
	}
	if got := mustAsk(t, p, "Dispatch", "Hang within 30ms"); !strings.HasPrefix(got, "deadline: ") {
		t.Errorf("a guest that hangs: %s", got)
	}
	<-given
	// A call that is given up takes its dispatch with it.
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(30*time.Millisecond, cancel)
	_, err := p.Call(ctx, capability.Call{BindingID: guestID, Operation: "Dispatch", Payload: []byte("Hang")})
	wantError(t, err, capability.CodeCanceled)
	select {
	case err := <-given:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("the guest's call ended with %v", err)
		}
	case <-time.After(patience):
		t.Error("the guest's call goes on")
	}
}

func TestDispatchesInParallel(t *testing.T) {
	var all sync.WaitGroup
	all.Add(20)
	p := serving(t, &guest{handle: func(ctx context.Context, operation string, _ []byte) (capability.Reply, error) {
		all.Done()
		all.Wait() // each waits for all
		return capability.Reply{Payload: []byte(operation)}, nil
	}})
	var calls sync.WaitGroup
	for i := range 20 {
		calls.Go(func() {
			op := fmt.Sprint("op", i)
			if got := mustAsk(t, p, "Dispatch", op); got != op+` from ""` {
				t.Errorf("%s: %s", op, got)
			}
		})
	}
	calls.Wait()
}
