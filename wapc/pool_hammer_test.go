package wapc_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/waxosuit/waxo/wapc"
)

// tally counts how calls ended.
type tally struct {
	served, trapped, timedOut, turnedAway, left, other atomic.Uint64
}

func (n *tally) add(err error) {
	trap, memory, deadline := new(wapc.TrapError), new(wapc.MemoryError), new(wapc.DeadlineError)
	guest := new(wapc.GuestError)
	switch {
	case err == nil, errors.As(err, &guest):
		n.served.Add(1)
	case errors.As(err, &trap), errors.As(err, &memory):
		n.trapped.Add(1)
	case errors.As(err, &deadline):
		n.timedOut.Add(1)
	case errors.Is(err, wapc.ErrQueueFull), errors.Is(err, wapc.ErrQueueTimeout), err == wapc.ErrClosed:
		n.turnedAway.Add(1)
	case errors.Is(err, context.Canceled), errors.Is(err, wapc.ErrClosed): // it may have got an instance
		n.left.Add(1)
	default:
		n.other.Add(1)
	}
}

// inTurn is a Host that answers, fails, panics, calls the guest again or holds
// the call for a moment.
type inTurn struct {
	n    atomic.Uint32
	pool atomic.Pointer[wapc.Pool]
}

func (h *inTurn) HostCall(ctx context.Context, c wapc.HostCall) ([]byte, error) {
	switch h.n.Add(1) % 8 {
	case 0:
		return nil, errors.New("denied")
	case 1:
		panic("a Host that fails")
	case 2:
		select {
		case <-ctx.Done():
		case <-time.After(time.Millisecond):
		}
	case 3:
		return h.pool.Load().Call(ctx, "op", (&script{}).do(end, 1).bytes())
	}
	return c.Payload, nil
}

func (h *inTurn) ConsoleLog(context.Context, string) {}

// hammer throws everything at a pool and closes it in the middle of it.
func hammer(t *testing.T, opts wapc.PoolOptions) {
	h := &inTurn{}
	opts.Host = h
	p := pool(t, "puppet8", &opts)
	h.pool.Store(p)
	scripts := [][]byte{
		(&script{}).do(end, 1).bytes(), (&script{}).do(end, 0).bytes(), (&script{}).do(crash).bytes(),
		(&script{}).do(spin).bytes(), (&script{}).do(grow, 3, scratch).do(end, 1).bytes(),
		(&script{}).do(grow, 10000, scratch).do(crash).bytes(), (&script{}).do(response, maxUint32, 1).bytes(),
		called("", "n", "o", "").do(end, 1).bytes(), called("", "n", "o", "").do(crash).bytes(), called("", "n", "o", "x").do(end, 1).bytes(),
	}
	var ends tally
	var done atomic.Int32
	const callers, each = 16, 40
	half := make(chan struct{})
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range each {
				ctx, cancel := context.WithCancel(context.Background())
				if rand.N(5) == 0 {
					time.AfterFunc(rand.N(2*time.Millisecond), cancel)
				}
				_, err := p.Call(ctx, "op", scripts[rand.N(len(scripts))])
				ends.add(err)
				cancel()
				if done.Add(1) == callers*each/2 {
					close(half)
				}
			}
		})
	}
	wg.Go(func() {
		for range 20 {
			if s := p.Stats(); s.Busy+s.Idle != s.Instances || s.Waiting < 0 || s.Waiting > callers || s.MemoryBytes < 0 {
				t.Errorf("stats: %+v", s)
			}
			_ = p.Warm(context.Background(), 2)
		}
	})
	<-half
	ctx, cancel := context.WithTimeout(context.Background(), rand.N(5*time.Millisecond))
	defer cancel()
	_ = p.Close(ctx)
	wg.Wait()
	if err := p.Close(context.Background()); err != nil {
		t.Error(err)
	}
	// Calls of the Host count as well.
	ends.check(t, p.Stats(), uint64(h.n.Load()), opts.MaxWaiting >= 0)
}

// check holds the stats of a closed pool to what its callers saw.
func (n *tally) check(t *testing.T, s wapc.Stats, nested uint64, queue bool) {
	if s.Instances != 0 || s.Waiting != 0 || s.MemoryBytes != 0 {
		t.Errorf("afterwards: %+v", s)
	}
	ran := n.served.Load() + n.trapped.Load() + n.timedOut.Load()
	if s.Calls < ran || s.Calls > ran+n.left.Load()+n.other.Load()+nested {
		t.Errorf("%d calls ran, stats: %+v", ran, s)
	}
	if s.Traps < n.trapped.Load() || s.Deadlines < n.timedOut.Load() || s.Replaced < s.Traps {
		t.Errorf("%d traps and %d deadlines, stats: %+v", n.trapped.Load(), n.timedOut.Load(), s)
	}
	if ran == 0 && queue {
		t.Error("no call ran")
	}
}

func TestHammer(t *testing.T) {
	for range 3 {
		for name, opts := range map[string]wapc.PoolOptions{
			"small":  {MaxInstances: 2, MaxWaiting: 10},
			"large":  {},
			"tight":  {MemoryTotal: 5 << 16, MemoryKept: 4 << 16},
			"hurry":  {MaxInstances: 3, QueueTimeout: time.Millisecond, IdleTimeout: time.Millisecond},
			"single": {MaxInstances: 1, MaxWaiting: -1, IdleTimeout: time.Millisecond},
		} {
			opts.CallTimeout = 10 * time.Millisecond
			t.Run(name, func(t *testing.T) { hammer(t, opts) })
		}
	}
}
