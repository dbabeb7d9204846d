package wapc_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/waxosuit/waxo/wapc"
)

type key struct{}

// hosted has a guest make one host call.
func hosted(ctx context.Context, p *wapc.Pool) error {
	_, err := p.Call(ctx, "host", []byte("payload"))
	return err
}

func TestHostContext(t *testing.T) {
	caller, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "value"))
	defer cancel()
	h := &host{call: func(ctx context.Context, _ wapc.HostCall) ([]byte, error) {
		if ctx.Err() != nil || ctx.Value(key{}) != "value" {
			t.Errorf("before all: %v, %v", ctx.Err(), ctx.Value(key{}))
		}
		deadline, ok := ctx.Deadline()
		if left := time.Until(deadline); !ok || left > time.Hour || left < time.Hour-time.Minute {
			t.Errorf("the deadline is in %v, %v", left, ok)
		}
		derived, cancelDerived := context.WithCancel(context.WithValue(ctx, key{}, "own"))
		defer cancelDerived()
		if d, _ := ctx.Deadline(); d.Sub(deadline).Abs() > time.Second {
			t.Errorf("the deadline moved to %v", d)
		}
		select {
		case <-ctx.Done():
			t.Error("it is done from the beginning")
		default:
		}
		cancel()
		<-ctx.Done()
		<-derived.Done()
		if !errors.Is(ctx.Err(), context.Canceled) || ctx.Value(key{}) != "value" || derived.Value(key{}) != "own" {
			t.Errorf("after the end: %v, %v", ctx.Err(), ctx.Value(key{}))
		}
		return nil, nil
	}}
	p := pool(t, "echo", &wapc.PoolOptions{Host: h, CallTimeout: time.Hour})
	if err := hosted(caller, p); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
}

// TestHostContextErr: a Host may also ask from time to time, without waiting.
func TestHostContextErr(t *testing.T) {
	for _, of := range []string{"run", "caller"} {
		caller, opts := t.Context(), &wapc.PoolOptions{}
		if of == "run" {
			opts.CallTimeout = short
		} else {
			ctx, cancel := context.WithTimeout(caller, short)
			defer cancel()
			caller = ctx
		}
		opts.Host = &host{call: func(ctx context.Context, _ wapc.HostCall) ([]byte, error) {
			if d, ok := ctx.Deadline(); !ok || time.Until(d) > short {
				t.Errorf("the deadline is %v, %v", d, ok)
			}
			for ctx.Err() == nil {
				<-time.After(time.Millisecond)
			}
			if ctx.Err() != context.DeadlineExceeded {
				t.Errorf("got %v", ctx.Err())
			}
			<-ctx.Done() // at once
			return nil, nil
		}}
		err := hosted(caller, pool(t, "echo", opts))
		if !errors.Is(err, context.DeadlineExceeded) || errors.As(err, new(*wapc.DeadlineError)) != (of == "run") {
			t.Errorf("of the %s: got %v", of, err)
		}
	}
}

// TestKeptContextsStayEnded: whatever a Host keeps of a call has ended with it,
// and a later call of the same instance does not revive it.
func TestKeptContextsStayEnded(t *testing.T) {
	kinds := map[string]func(context.Context) context.Context{
		"untouched": func(ctx context.Context) context.Context { return ctx },
		"asked":     func(ctx context.Context) context.Context { _ = ctx.Err(); return ctx },
		"waited":    func(ctx context.Context) context.Context { _ = ctx.Done(); return ctx },
		"value":     func(ctx context.Context) context.Context { return context.WithValue(ctx, key{}, 1) },
		"derived": func(ctx context.Context) context.Context {
			ctx, cancel := context.WithCancel(ctx)
			t.Cleanup(cancel)
			return ctx
		},
	}
	kept := map[string]context.Context{}
	check := func(when string) {
		t.Helper()
		for kind, ctx := range kept {
			if ctx.Err() != context.Canceled {
				t.Errorf("%s, %s: %v", kind, when, ctx.Err())
			}
		}
	}
	var keep string
	h := &host{call: func(ctx context.Context, _ wapc.HostCall) ([]byte, error) {
		check("in a later call")
		if ctx.Err() != nil {
			t.Errorf("a new context has ended: %v", ctx.Err())
		}
		kept[keep] = kinds[keep](ctx)
		return nil, nil
	}}
	p := pool(t, "echo", &wapc.PoolOptions{Host: h, MaxInstances: 1})
	for range 3 { // whatever is used again comes by more than once
		for keep = range kinds {
			delete(kept, keep)
			if err := hosted(t.Context(), p); err != nil {
				t.Fatal(err)
			}
			check("after the call")
		}
	}
	for kind, ctx := range kept {
		select {
		case <-ctx.Done():
		default:
			t.Errorf("%s: it has ended, but whoever waits for it does not learn of that", kind)
		}
	}
	if s := p.Stats(); s.Instances != 1 || s.Replaced != 0 {
		t.Errorf("stats: %+v", s)
	}
}

// TestHostCallsWithoutEnd: neither need the guest run for long between them, nor
// the Host look at its context.
func TestHostCallsWithoutEnd(t *testing.T) {
	for name, answer := range map[string]error{"well": nil, "failing": errors.New("failed")} {
		for _, interpreter := range []bool{false, true} {
			h := &host{call: func(context.Context, wapc.HostCall) ([]byte, error) {
				<-time.After(time.Millisecond)
				return nil, answer
			}}
			m := compile(t, engine(t, &wapc.EngineOptions{Interpreter: interpreter}), "looping")
			p, err := m.NewPool(&wapc.PoolOptions{Host: h, CallTimeout: short, QueueTimeout: time.Minute})
			if err != nil {
				t.Fatal(err)
			}
			_, err = p.Call(t.Context(), "op", nil)
			if e := as[*wapc.DeadlineError](t, err); e.Timeout != short {
				t.Errorf("%s: got %+v", name, e)
			}
		}
	}
}

// TestResponsesAreApart: small responses share an allocation, and each is its
// caller's own all the same.
func TestResponsesAreApart(t *testing.T) {
	p := pool(t, "echo", nil)
	var all [][]byte
	payload := func(i int) []byte { return bytes.Repeat([]byte{byte(i)}, i*7%140) }
	for i := range 100 {
		out, err := p.Call(t.Context(), "echo", payload(i))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, out)
	}
	for i, out := range all {
		_ = append(out, "this must not come to lie in the next"...)
		if !bytes.Equal(out, payload(i)) {
			t.Fatalf("response %d is %q", i, out)
		}
	}
}

// TestCallAllocations: nothing is allocated but what is returned.
func TestCallAllocations(t *testing.T) {
	h := &host{call: func(_ context.Context, c wapc.HostCall) ([]byte, error) { return append(c.Into, c.Payload...), nil }}
	p := pool(t, "echo", &wapc.PoolOptions{Host: h})
	ctx, payload, buf := t.Context(), make([]byte, 64), make([]byte, 0, 64)
	for _, operation := range []string{"echo", "host"} {
		into := testing.AllocsPerRun(100, func() {
			if _, err := p.CallAppend(ctx, buf, operation, payload); err != nil {
				t.Fatal(err)
			}
		})
		returned := testing.AllocsPerRun(100, func() {
			if _, err := p.Call(ctx, operation, payload); err != nil {
				t.Fatal(err)
			}
		})
		if into != 0 || returned > 1 {
			t.Errorf("%s: %v allocations with room, %v without", operation, into, returned)
		}
	}
}
