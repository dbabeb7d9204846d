package wapc_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waxosuit/waxo/wapc"
)

// gate is a Host whose calls wait until they are let through.
type gate struct {
	arrived chan string // the payload of each call
	open    chan struct{}
	deaf    bool          // it does not look at its context
	lines   chan struct{} // set: lines wait until it is closed
}

func newGate() *gate { return &gate{arrived: make(chan string, 1000), open: make(chan struct{})} }

func (g *gate) HostCall(ctx context.Context, c wapc.HostCall) ([]byte, error) {
	g.arrived <- string(c.Payload)
	if g.deaf {
		<-g.open
	}
	select {
	case <-g.open:
		return c.Payload, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (g *gate) ConsoleLog(context.Context, string) {
	if g.lines != nil {
		<-g.lines
	}
}

// outcome is what became of a call in another goroutine.
type outcome struct {
	out string
	err error
}

func call(p *wapc.Pool, operation, payload string) chan outcome {
	done := make(chan outcome, 1)
	go func() {
		out, err := p.Call(context.Background(), operation, []byte(payload))
		done <- outcome{string(out), err}
	}()
	return done
}

// within runs a test of a pool behind a gate where time stands still unless
// everybody waits. The engine's own goroutines take part.
func within(t *testing.T, opts wapc.PoolOptions, f func(t *testing.T, p *wapc.Pool, g *gate)) {
	withinOf(t, "echo", opts, f)
}

func withinOf(t *testing.T, name string, opts wapc.PoolOptions, f func(t *testing.T, p *wapc.Pool, g *gate)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		opts.Host = g
		e, err := wapc.NewEngine(nil)
		if err != nil {
			t.Fatal(err)
		}
		p, err := compile(t, e, name).NewPool(&opts)
		if err != nil {
			t.Fatal(err)
		}
		f(t, p, g)
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// settled returns the stats once no instance is busy: calls may have ended
// before an instance that was started for them is ready.
func settled(p *wapc.Pool) wapc.Stats {
	for {
		if s := p.Stats(); s.Busy == 0 {
			return s
		}
		runtime.Gosched()
	}
}

func TestOneCallAtATime(t *testing.T) {
	var busy, most atomic.Int32
	h := &host{call: func(context.Context, wapc.HostCall) ([]byte, error) {
		now := busy.Add(1)
		defer busy.Add(-1)
		for {
			if m := most.Load(); now <= m || most.CompareAndSwap(m, now) {
				break
			}
		}
		runtime.Gosched()
		return []byte("ok"), nil
	}}
	p := pool(t, "echo", &wapc.PoolOptions{Host: h, MaxInstances: 3})
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			payload := strings.Repeat(fmt.Sprint(i), 100)
			if out, err := p.Call(context.Background(), "echo", []byte(payload)); err != nil || string(out) != payload {
				t.Errorf("call %d got %.20q, %v", i, out, err)
			}
			if out, err := p.Call(context.Background(), "host", nil); err != nil || string(out) != "ok" {
				t.Errorf("call %d got %q, %v", i, out, err)
			}
		})
	}
	wg.Wait()
	if s := settled(p); s.Instances > 3 || s.Idle != s.Instances || s.Waiting != 0 || s.Calls != 400 || most.Load() > 3 {
		t.Fatalf("stats: %+v, %d host calls at once", s, most.Load())
	}
}

func TestQueueIsInOrderAndBounded(t *testing.T) {
	within(t, wapc.PoolOptions{MaxInstances: 1, MaxWaiting: 5}, func(t *testing.T, p *wapc.Pool, g *gate) {
		var calls []chan outcome
		for i := range 6 {
			calls = append(calls, call(p, "host", fmt.Sprint(i)))
			synctest.Wait()
		}
		if s := p.Stats(); s.Waiting != 5 || s.Busy != 1 || s.Instances != 1 {
			t.Fatalf("stats: %+v", s)
		}
		if _, err := p.Call(context.Background(), "host", nil); err != wapc.ErrQueueFull {
			t.Fatalf("one too many: %v", err)
		}
		close(g.open)
		for i, c := range calls {
			if o := <-c; o.err != nil || o.out != fmt.Sprint(i) {
				t.Errorf("call %d: %+v", i, o)
			}
			if got := <-g.arrived; got != fmt.Sprint(i) {
				t.Errorf("call %s overtook call %d", got, i)
			}
		}
	})
}

func TestNoQueue(t *testing.T) {
	within(t, wapc.PoolOptions{MaxInstances: 1, MaxWaiting: -1}, func(t *testing.T, p *wapc.Pool, g *gate) {
		first := call(p, "host", "")
		<-g.arrived
		if _, err := p.Call(context.Background(), "echo", nil); err != wapc.ErrQueueFull {
			t.Fatalf("got %v", err)
		}
		close(g.open)
		<-first
	})
}

func TestQueueTimeout(t *testing.T) {
	opts := wapc.PoolOptions{MaxInstances: 1, QueueTimeout: 3 * time.Second, CallTimeout: time.Hour}
	within(t, opts, func(t *testing.T, p *wapc.Pool, g *gate) {
		first := call(p, "host", "")
		<-g.arrived
		begin := time.Now()
		if _, err := p.Call(context.Background(), "echo", nil); err != wapc.ErrQueueTimeout || time.Since(begin) != 3*time.Second {
			t.Fatalf("got %v after %v", err, time.Since(begin))
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		begin = time.Now()
		if _, err := p.Call(ctx, "echo", nil); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != time.Second {
			t.Fatalf("got %v after %v", err, time.Since(begin))
		}
		if s := p.Stats(); s.Waiting != 0 {
			t.Fatalf("stats: %+v", s)
		}
		close(g.open)
		if o := <-first; o.err != nil {
			t.Fatal(o.err)
		}
	})
}

func TestIdleInstancesGo(t *testing.T) {
	within(t, wapc.PoolOptions{IdleTimeout: time.Minute, MinInstances: 1}, func(t *testing.T, p *wapc.Pool, g *gate) {
		var calls []chan outcome
		for range 4 {
			calls = append(calls, call(p, "host", ""))
			<-g.arrived
		}
		if s := p.Stats(); s.Instances != 4 {
			t.Fatalf("stats: %+v", s)
		}
		close(g.open)
		for _, c := range calls {
			<-c
		}
		// One that is used stays, whoever that was: the last one used.
		for range 9 {
			time.Sleep(10 * time.Second) // of the bubble's time
			if _, err := p.Call(context.Background(), "echo", nil); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if s := p.Stats(); s.Instances != 1 || s.Replaced != 0 {
			t.Fatalf("stats: %+v", s)
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if s := p.Stats(); s.Instances != 1 || s.MemoryBytes == 0 {
			t.Fatalf("MinInstances do not stay: %+v", s)
		}
	})
}

func TestWarm(t *testing.T) {
	p := pool(t, "echo", &wapc.PoolOptions{MaxInstances: 3})
	for _, n := range []int{2, 1, 2} {
		if err := p.Warm(t.Context(), n); err != nil {
			t.Fatal(err)
		}
		if s := p.Stats(); s.Instances != 2 || s.Idle != 2 || s.Calls != 0 {
			t.Fatalf("stats: %+v", s)
		}
	}
	if err := p.Warm(t.Context(), 100); err != nil {
		t.Fatal(err)
	}
	if s := p.Stats(); s.Instances != 3 {
		t.Fatalf("stats: %+v", s)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Warm(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

// TestFailedInstanceMakesRoom: those that wait get the place of one that died.
func TestFailedInstanceMakesRoom(t *testing.T) {
	h := &host{}
	arrived, open := make(chan struct{}), make(chan struct{})
	h.call = func(context.Context, wapc.HostCall) ([]byte, error) {
		close(arrived)
		<-open
		return nil, nil
	}
	p := pool(t, "puppet8", &wapc.PoolOptions{Host: h, MaxInstances: 1})
	dying := call(p, "op", string(called("", "n", "o", "").do(crash).bytes()))
	<-arrived
	waiting := make([]chan outcome, 3)
	for i := range waiting {
		s := &script{}
		waiting[i] = call(p, "op", string(s.do(response, s.text("alive")...).do(end, 1).bytes()))
	}
	close(open)
	as[*wapc.TrapError](t, (<-dying).err)
	for _, c := range waiting {
		if o := <-c; o.err != nil || o.out != "alive" {
			t.Errorf("got %+v", o)
		}
	}
}

func TestCloseLetsCallsEnd(t *testing.T) {
	within(t, wapc.PoolOptions{MaxInstances: 1}, func(t *testing.T, p *wapc.Pool, g *gate) {
		inHand := call(p, "host", "a")
		<-g.arrived
		waiting := call(p, "host", "b")
		synctest.Wait()
		closed := make(chan error, 2)
		for range 2 {
			go func() { closed <- p.Close(context.Background()) }()
		}
		synctest.Wait()
		if _, err := p.Call(context.Background(), "echo", nil); err != wapc.ErrClosed {
			t.Fatalf("a new call: %v", err)
		}
		select {
		case err := <-closed:
			t.Fatalf("Close returned %v while calls are in hand", err)
		default:
		}
		close(g.open)
		for name, c := range map[string]chan outcome{"a": inHand, "b": waiting} {
			if o := <-c; o.err != nil || o.out != name {
				t.Errorf("call %s: %+v", name, o)
			}
		}
		for range 2 {
			if err := <-closed; err != nil {
				t.Error(err)
			}
		}
		if s := p.Stats(); s.Instances != 0 || s.MemoryBytes != 0 {
			t.Errorf("stats: %+v", s)
		}
	})
}

func TestCloseStopsCalls(t *testing.T) {
	within(t, wapc.PoolOptions{MaxInstances: 1, CallTimeout: time.Hour}, func(t *testing.T, p *wapc.Pool, g *gate) {
		inHand := call(p, "host", "")
		<-g.arrived
		waiting := call(p, "host", "")
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		begin := time.Now()
		err := p.Close(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != time.Minute {
			t.Fatalf("got %v after %v", err, time.Since(begin))
		}
		contains(t, err.Error(), "2 calls were stopped")
		for _, c := range []chan outcome{inHand, waiting} {
			if o := <-c; !errors.Is(o.err, wapc.ErrClosed) {
				t.Errorf("got %v", o.err)
			}
		}
		if s := p.Stats(); s.Instances != 0 {
			t.Errorf("stats: %+v", s)
		}
	})
}

func TestCloseStopsASpinningGuest(t *testing.T) {
	logged := make(chan struct{})
	p := pool(t, "puppet8", &wapc.PoolOptions{Host: &host{log: func(string) { close(logged) }}})
	s := &script{}
	spinning := call(p, "op", string(s.do(consoleLog, s.text("here")...).do(spin).bytes()))
	<-logged
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	if o := <-spinning; !errors.Is(o.err, wapc.ErrClosed) {
		t.Fatalf("got %v", o.err)
	}
}

// TestCloseDoesNotWaitForADeafHost: the instance is released all the same, when
// the Host returns at last.
func TestCloseDoesNotWaitForADeafHost(t *testing.T) {
	within(t, wapc.PoolOptions{}, func(t *testing.T, p *wapc.Pool, g *gate) {
		g.deaf = true
		call := call(p, "host", "")
		<-g.arrived
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		err := p.Close(ctx)
		if err == nil {
			t.Fatal("no error")
		}
		contains(t, err.Error(), "do not return from their host call")
		close(g.open)
		if o := <-call; !errors.Is(o.err, wapc.ErrClosed) {
			t.Fatalf("got %v", o.err)
		}
		if s := p.Stats(); s.Instances != 0 || s.MemoryBytes != 0 {
			t.Fatalf("stats: %+v", s)
		}
	})
}

// TestNothingIsLeftBehind counts goroutines after many pools with all kinds of
// ends.
func TestNothingIsLeftBehind(t *testing.T) {
	e := engine(t, nil)
	round := func() {
		m := compile(t, e, "puppet8")
		p, err := m.NewPool(&wapc.PoolOptions{CallTimeout: time.Second, MaxInstances: 2})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		for _, s := range []*script{(&script{}).do(end, 1), (&script{}).do(crash), (&script{}).do(end, 0)} {
			_, _ = p.Call(ctx, "op", s.bytes())
		}
		time.AfterFunc(time.Millisecond, cancel)
		_, _ = p.Call(ctx, "op", (&script{}).do(spin).bytes())
		if err := m.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	round()
	before := runtime.NumGoroutine()
	for range 10 {
		round()
	}
	// The engine's goroutines end a moment after the calls that they watched.
	for range 1000 {
		if runtime.NumGoroutine() <= before {
			return
		}
		runtime.Gosched()
		<-time.After(time.Millisecond)
	}
	buf := make([]byte, 1<<20)
	t.Fatalf("%d goroutines before, %d after:\n%s", before, runtime.NumGoroutine(), buf[:runtime.Stack(buf, true)])
}

// TestManyCallersManyEnds throws everything at one small pool.
func TestManyCallersManyEnds(t *testing.T) {
	p := pool(t, "puppet8", &wapc.PoolOptions{
		Host: failing("denied"), MaxInstances: 4, MaxWaiting: 40, CallTimeout: 20 * time.Millisecond, IdleTimeout: time.Millisecond,
	})
	good := (&script{}).do(end, 1).bytes()
	scripts := [][]byte{
		good, (&script{}).do(end, 0).bytes(), (&script{}).do(crash).bytes(), (&script{}).do(spin).bytes(),
		passOn().bytes(), (&script{}).do(grow, 10000, scratch).do(crash).bytes(), (&script{}).do(response, maxUint32, 1).bytes(),
	}
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for j := range 20 {
				ctx, cancel := context.WithCancel(context.Background())
				if (i+j)%5 == 0 {
					time.AfterFunc(time.Duration(j)*100*time.Microsecond, cancel)
				}
				_, _ = p.Call(ctx, "op", scripts[(i*7+j)%len(scripts)])
				cancel()
			}
		})
	}
	wg.Wait()
	if s := settled(p); s.Waiting != 0 || s.Instances > 4 || s.Idle != s.Instances {
		t.Fatalf("stats: %+v", s)
	}
	for range 8 {
		if _, err := p.Call(t.Context(), "op", good); err != nil {
			t.Fatal(err)
		}
	}
}
