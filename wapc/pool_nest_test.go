package wapc_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waxosuit/waxo/wapc"
)

// nest is a Host whose calls lead to calls of guests: a payload "3" has the
// guest called with "2", and so on to "0", which is answered.
type nest struct {
	call   func(ctx context.Context, operation string, payload []byte) ([]byte, error)
	forget bool                            // as if the call came back through another process
	before func(ctx context.Context) error // what a call waits for before it leads to another
}

func (n *nest) HostCall(ctx context.Context, c wapc.HostCall) ([]byte, error) {
	left, err := strconv.Atoi(string(c.Payload))
	if err != nil {
		return nil, err
	}
	if n.before != nil {
		if err := n.before(ctx); err != nil {
			return nil, err
		}
	}
	if left == 0 {
		return []byte("done"), nil
	}
	type wrapped struct{}
	inner := context.WithValue(ctx, wrapped{}, "a provider's own")
	if n.forget {
		inner = context.Background()
	}
	return n.call(inner, "host", fmt.Append(nil, left-1))
}

func (n *nest) ConsoleLog(context.Context, string) {}

// nestOf is within for a pool of guests that call each other.
func nestOf(t *testing.T, n *nest, opts wapc.PoolOptions, f func(t *testing.T, p *wapc.Pool)) {
	t.Helper()
	opts.Host = n
	within(t, wapc.PoolOptions{}, func(t *testing.T, _ *wapc.Pool, _ *gate) {
		p, err := compile(t, engine(t, nil), "echo").NewPool(&opts)
		if err != nil {
			t.Fatal(err)
		}
		if n.call == nil {
			n.call = p.Call
		}
		f(t, p)
		synctest.Wait() // for starts that nobody waits for any more
		if s := p.Stats(); s.Busy != 0 || s.Waiting != 0 || s.Instances > max(opts.MaxInstances, 1) {
			t.Errorf("in the end: %+v", s)
		}
	})
}

// TestGuestCallsItself: a call at any allowed depth goes on, however few
// instances there are, and none is kept beyond the bounds afterwards.
func TestGuestCallsItself(t *testing.T) {
	for name, opts := range map[string]wapc.PoolOptions{
		"one":       {MaxInstances: 1},
		"two":       {MaxInstances: 2},
		"no queue":  {MaxInstances: 1, MaxWaiting: -1},
		"no memory": {MemoryTotal: 1},
	} {
		t.Run(name, func(t *testing.T) {
			nestOf(t, &nest{}, opts, func(t *testing.T, p *wapc.Pool) {
				begin := time.Now()
				for _, depth := range []int{0, 1, 2, 10, 31} {
					out, err := p.Call(t.Context(), "host", fmt.Append(nil, depth))
					if err != nil || string(out) != "done" {
						t.Fatalf("depth %d: %q, %v", depth, out, err)
					}
				}
				if waited := time.Since(begin); waited != 0 {
					t.Errorf("it took %v", waited)
				}
			})
		})
	}
}

// TestEndlessRecursion fails at once and says why.
func TestEndlessRecursion(t *testing.T) {
	n := &nest{}
	nestOf(t, n, wapc.PoolOptions{MaxInstances: 1}, func(t *testing.T, p *wapc.Pool) {
		var innermost error
		n.call = func(ctx context.Context, operation string, payload []byte) ([]byte, error) {
			out, err := p.Call(ctx, operation, payload)
			if innermost == nil {
				innermost = err
			}
			return out, err
		}
		begin := time.Now()
		_, err := p.Call(t.Context(), "host", []byte("1000000"))
		as[*wapc.GuestError](t, err)
		e := as[*wapc.NestingError](t, innermost)
		if e.Depth != 33 || e.Operation != "host" {
			t.Errorf("got %+v", e)
		}
		contains(t, e.Error(), "host: guests call guests to a depth of 33, the limit is 32")
		if s := p.Stats(); s.Calls != 32 || time.Since(begin) != 0 {
			t.Errorf("stats: %+v after %v", s, time.Since(begin))
		}
	})
}

// TestEverybodyNests fills the pool with calls that all come to need another
// instance, several levels deep, at the same time.
func TestEverybodyNests(t *testing.T) {
	for _, instances := range []int{1, 2, 7} {
		for _, total := range []int64{0, 3 * echoMemory} {
			n := &nest{before: func(ctx context.Context) error {
				select { // time passes only when everybody has come this far, or waits
				case <-time.After(time.Millisecond):
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			}}
			opts := wapc.PoolOptions{MaxInstances: instances, MemoryTotal: total}
			nestOf(t, n, opts, func(t *testing.T, p *wapc.Pool) {
				var calls []chan outcome
				for i := range 40 {
					calls = append(calls, call(p, "host", fmt.Sprint(i%9)))
				}
				for i, c := range calls {
					if o := <-c; o.err != nil || o.out != "done" {
						t.Errorf("call %d: %+v", i, o)
					}
				}
			})
		}
	}
}

// TestTwoCallsFromOneHostCall: both come through, also where nobody else may
// wait and only one of them at a time gets an instance.
func TestTwoCallsFromOneHostCall(t *testing.T) {
	n := &nest{}
	nestOf(t, n, wapc.PoolOptions{MaxInstances: 1, MaxWaiting: -1}, func(t *testing.T, p *wapc.Pool) {
		n.call = func(ctx context.Context, operation string, payload []byte) ([]byte, error) {
			other := make(chan error)
			go func() {
				_, err := p.Call(ctx, operation, []byte("0"))
				other <- err
			}()
			out, err := p.Call(ctx, operation, []byte("0"))
			if err := <-other; err != nil {
				t.Error(err)
			}
			return out, err
		}
		n.before = func(context.Context) error {
			time.Sleep(time.Millisecond) // of the bubble's time
			return nil
		}
		if out, err := p.Call(t.Context(), "host", []byte("1")); err != nil || string(out) != "done" {
			t.Fatalf("got %q, %v", out, err)
		}
	})
}

// TestTwoGuestsCallEachOther is the same with two pools of one instance.
func TestTwoGuestsCallEachOther(t *testing.T) {
	n := &nest{}
	other := &nest{}
	nestOf(t, n, wapc.PoolOptions{MaxInstances: 1}, func(t *testing.T, p *wapc.Pool) {
		q, err := compile(t, engine(t, nil), "echo").NewPool(&wapc.PoolOptions{Host: other, MaxInstances: 1})
		if err != nil {
			t.Fatal(err)
		}
		n.call, other.call = q.Call, p.Call
		var calls []chan outcome
		for i := range 20 {
			calls = append(calls, call(p, "host", fmt.Sprint(i)), call(q, "host", fmt.Sprint(i)))
		}
		for i, c := range calls {
			if o := <-c; o.err != nil || o.out != "done" {
				t.Errorf("call %d: %+v", i, o)
			}
		}
	})
}

// TestRecursionThroughAnotherProcess cannot be told from other calls: it ends
// with the queue's time-out, and everything comes free.
func TestRecursionThroughAnotherProcess(t *testing.T) {
	opts := wapc.PoolOptions{MaxInstances: 2, QueueTimeout: time.Second, CallTimeout: time.Hour}
	nestOf(t, &nest{forget: true}, opts, func(t *testing.T, p *wapc.Pool) {
		begin := time.Now()
		calls := []chan outcome{call(p, "host", "50"), call(p, "host", "50"), call(p, "host", "50")}
		for _, c := range calls {
			if o := <-c; o.err == nil {
				t.Error("no error")
			} else if o.err != wapc.ErrQueueTimeout {
				guest := as[*wapc.GuestError](t, o.err)
				for guest.HostErr != nil && guest.HostErr != wapc.ErrQueueTimeout {
					guest = as[*wapc.GuestError](t, guest.HostErr)
				}
			}
		}
		if waited := time.Since(begin); waited < time.Second || waited > time.Minute {
			t.Errorf("it took %v", waited)
		}
		synctest.Wait()
		if out, err := p.Call(t.Context(), "host", []byte("1")); err != nil || string(out) != "done" {
			t.Errorf("afterwards: %q, %v", out, err)
		}
	})
}

// TestDepthSurvivesDerivedContexts: what a provider does to a context must not
// hide that a guest made the call.
func TestDepthSurvivesDerivedContexts(t *testing.T) {
	n := &nest{}
	nestOf(t, n, wapc.PoolOptions{MaxInstances: 1, MaxWaiting: -1}, func(t *testing.T, p *wapc.Pool) {
		n.call = func(ctx context.Context, operation string, payload []byte) ([]byte, error) {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			return p.Call(ctx, operation, payload)
		}
		if out, err := p.Call(t.Context(), "host", []byte("5")); err != nil || !strings.Contains(string(out), "done") {
			t.Fatalf("got %q, %v", out, err)
		}
	})
}
