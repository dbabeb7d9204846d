package wapc_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waxosuit/waxo/wapc"
)

// echoMemory is what an instance of the echo guest has.
const echoMemory = 20 << 16

// logging is a script that writes a line and ends.
func logging() *script {
	s := &script{}
	return s.do(consoleLog, s.text("here")...).do(end, 1)
}

// growing is a script that takes more memory and ends.
func growing(pages uint32) string {
	return string((&script{}).do(grow, pages, scratch).do(end, 1).bytes())
}

// TestSlowHostCallsRunAtOnce: what waits in a host call makes room at once, with
// the bounds as they are by default.
func TestSlowHostCallsRunAtOnce(t *testing.T) {
	within(t, wapc.PoolOptions{}, func(t *testing.T, p *wapc.Pool, g *gate) {
		begin := time.Now()
		var calls []chan outcome
		for i := range 64 {
			calls = append(calls, call(p, "host", fmt.Sprint(i)))
		}
		for range calls {
			<-g.arrived
		}
		if waited := time.Since(begin); waited != 0 {
			t.Errorf("the last of them began after %v", waited)
		}
		if s := p.Stats(); s.Instances != 64 || s.Busy != 64 || s.Waiting != 0 {
			t.Errorf("stats: %+v", s)
		}
		close(g.open)
		for i, c := range calls {
			if o := <-c; o.err != nil || o.out != fmt.Sprint(i) {
				t.Errorf("call %d: %+v", i, o)
			}
		}
	})
}

// TestBusyGuestsDoNotMultiply: more instances than cores do not compute faster.
func TestBusyGuestsDoNotMultiply(t *testing.T) {
	withinOf(t, "puppet8", wapc.PoolOptions{}, func(t *testing.T, p *wapc.Pool, _ *gate) {
		work := string((&script{}).do(branching, 12).do(end, 1).bytes())
		var calls []chan outcome
		for range 100 {
			calls = append(calls, call(p, "op", work))
		}
		for _, c := range calls {
			if o := <-c; o.err != nil {
				t.Error(o.err)
			}
		}
		synctest.Wait() // for starts that nobody waits for any more
		if s := p.Stats(); s.Instances > 4*runtime.GOMAXPROCS(0) || s.Calls != 100 || s.Idle != s.Instances {
			t.Errorf("stats: %+v", s)
		}
	})
}

// TestLongRunnersDoNotBlock: guests that run and run get company.
func TestLongRunnersDoNotBlock(t *testing.T) {
	withinOf(t, "puppet8", wapc.PoolOptions{MaxInstances: 1000}, func(t *testing.T, p *wapc.Pool, g *gate) {
		g.lines = make(chan struct{})
		runners := 4 * runtime.GOMAXPROCS(0)
		var calls []chan outcome
		for range runners {
			calls = append(calls, call(p, "op", string(logging().bytes())))
			synctest.Wait()
		}
		for i := range 3 {
			begin := time.Now()
			if _, err := p.Call(t.Context(), "op", (&script{}).do(end, 1).bytes()); err != nil {
				t.Fatal(err)
			}
			want := time.Duration(0) // the one that came for the first call stays
			if i == 0 {
				want = 10 * time.Millisecond
			}
			if waited := time.Since(begin); waited != want {
				t.Errorf("call %d waited %v, want %v", i, waited, want)
			}
		}
		if s := p.Stats(); s.Instances != runners+1 || s.Waiting != 0 {
			t.Errorf("stats: %+v", s)
		}
		close(g.lines)
		for _, c := range calls {
			if o := <-c; o.err != nil {
				t.Error(o.err)
			}
		}
	})
}

// TestHostCallMakesRoom: those that ran enter a host call, and at that moment
// the call that waits gets another instance.
func TestHostCallMakesRoom(t *testing.T) {
	withinOf(t, "puppet8", wapc.PoolOptions{}, func(t *testing.T, p *wapc.Pool, g *gate) {
		g.lines = make(chan struct{})
		s := called("", "n", "o", "")
		work := string(s.do(consoleLog, s.text("here")...).do(hostCall).do(end, 1).bytes())
		var calls []chan outcome
		for range 4 * runtime.GOMAXPROCS(0) {
			calls = append(calls, call(p, "op", work))
			<-g.arrived
		}
		for range calls {
			g.open <- struct{}{} // from the first host call to the line
		}
		synctest.Wait()
		waiting := call(p, "op", string((&script{}).do(end, 1).bytes()))
		synctest.Wait()
		if s := p.Stats(); s.Waiting != 1 || s.Instances != len(calls) {
			t.Errorf("stats: %+v", s)
		}
		begin := time.Now()
		close(g.lines) // from the line to the second host call
		if o := <-waiting; o.err != nil || time.Since(begin) != 0 {
			t.Errorf("after %v: %+v", time.Since(begin), o)
		}
		close(g.open)
		for _, c := range calls {
			if o := <-c; o.err != nil {
				t.Error(o.err)
			}
		}
	})
}

func TestMemoryTotal(t *testing.T) {
	for total, want := range map[int64]int{1: 1, 2*echoMemory - 1: 1, 3 * echoMemory: 3} {
		within(t, wapc.PoolOptions{MemoryTotal: total}, func(t *testing.T, p *wapc.Pool, g *gate) {
			var calls []chan outcome
			for i := range 5 {
				calls = append(calls, call(p, "host", fmt.Sprint(i)))
				synctest.Wait()
			}
			if s := p.Stats(); s.Instances != want || s.Waiting != 5-want || s.MemoryBytes != int64(want)*echoMemory {
				t.Errorf("total %d: %+v", total, s)
			}
			if err := p.Warm(t.Context(), 10); err != nil {
				t.Error(err)
			}
			close(g.open)
			for i, c := range calls {
				if o := <-c; o.err != nil || o.out != fmt.Sprint(i) {
					t.Errorf("call %d: %+v", i, o)
				}
			}
			if s := p.Stats(); s.Instances != want {
				t.Errorf("total %d: %+v", total, s)
			}
		})
	}
}

// TestIdleOnesMakeRoom: when one grows, those that idle are closed, until the
// sum fits. The one that was used last stays, whatever it has.
func TestIdleOnesMakeRoom(t *testing.T) {
	const own = 2 << 16 // what a puppet starts with
	withinOf(t, "puppet8", wapc.PoolOptions{MemoryTotal: 10 << 16}, func(t *testing.T, p *wapc.Pool, _ *gate) {
		if err := p.Warm(t.Context(), 5); err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct {
			pages     uint32
			instances int
			bytes     int64
		}{
			{0, 5, 5 * own}, {1, 4, 4*own + 1<<16}, {2, 3, 3*own + 3<<16}, {100, 1, own + 103<<16},
		} {
			if o := <-call(p, "op", growing(tt.pages)); o.err != nil {
				t.Fatal(o.err)
			}
			if s := p.Stats(); s.Instances != tt.instances || s.MemoryBytes != tt.bytes || s.Replaced != 0 {
				t.Errorf("%d more pages: %+v", tt.pages, s)
			}
		}
	})
}

func TestOvergrownInstanceIsReplaced(t *testing.T) {
	const own = 2 << 16
	for _, tt := range []struct {
		kept     int64
		pages    uint32
		replaced uint64
	}{
		{own + 1<<16, 1, 0}, {own + 1<<16, 2, 1}, {1, 0, 0}, {1, 1, 1},
		{0, 512 + 2, 0}, {0, 512 + 3, 1}, // twice its size and 32 MiB
		{-1, 2000, 0},
	} {
		withinOf(t, "puppet8", wapc.PoolOptions{MemoryKept: tt.kept}, func(t *testing.T, p *wapc.Pool, _ *gate) {
			if o := <-call(p, "op", growing(tt.pages)); o.err != nil {
				t.Fatal(o.err)
			}
			synctest.Wait() // another one is started in its place
			want := int64(own)
			if tt.replaced == 0 {
				want += int64(tt.pages) << 16
			}
			if s := p.Stats(); s.Replaced != tt.replaced || s.Idle != 1 || s.MemoryBytes != want {
				t.Errorf("kept %d, %d more pages: %+v", tt.kept, tt.pages, s)
			}
		})
	}
}

// TestEachWaiterLearnsOfAFailedStart: none is lost, and none is left behind.
func TestEachWaiterLearnsOfAFailedStart(t *testing.T) {
	withinOf(t, "start_trap", wapc.PoolOptions{MaxInstances: 3}, func(t *testing.T, p *wapc.Pool, _ *gate) {
		begin := time.Now()
		var calls []chan outcome
		for range 20 {
			calls = append(calls, call(p, "op", ""))
		}
		for _, c := range calls {
			as[*wapc.StartError](t, (<-c).err)
		}
		synctest.Wait()
		if s := p.Stats(); s.Instances != 0 || s.Waiting != 0 || s.Calls != 0 || s.Traps < 20 || s.Replaced != s.Traps {
			t.Errorf("stats: %+v", s)
		}
		if waited := time.Since(begin); waited != 0 {
			t.Errorf("it took %v", waited)
		}
	})
}

// TestStartsDoNotBlockOthers: a start that takes long keeps no call from an
// instance that comes back, and a caller that leaves does not end the start.
func TestStartsDoNotBlockOthers(t *testing.T) {
	withinOf(t, "starts", wapc.PoolOptions{}, func(t *testing.T, p *wapc.Pool, g *gate) {
		if err := p.Warm(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		g.lines = make(chan struct{}) // from now on, starts wait
		first := p.Stats()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		warmed := make(chan error)
		go func() { warmed <- p.Warm(context.Background(), 2) }()
		synctest.Wait()
		for range 3 {
			if _, err := p.Call(ctx, "op", nil); err != nil {
				t.Fatal(err)
			}
		}
		if s := p.Stats(); s.Instances != 2 || s.Busy != 1 || s.Calls != first.Calls+3 {
			t.Errorf("stats: %+v", s)
		}
		close(g.lines)
		if err := <-warmed; err != nil {
			t.Fatal(err)
		}
	})
}

// TestCallerLeavesAStart: the start goes on for the next one.
func TestCallerLeavesAStart(t *testing.T) {
	withinOf(t, "starts", wapc.PoolOptions{}, func(t *testing.T, p *wapc.Pool, g *gate) {
		g.lines = make(chan struct{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := p.Call(ctx, "op", nil); err == nil {
			t.Fatal("it did not wait for the start")
		}
		if s := p.Stats(); s.Waiting != 0 || s.Instances != 1 {
			t.Errorf("stats: %+v", s)
		}
		close(g.lines)
		synctest.Wait()
		if s := p.Stats(); s.Idle != 1 || s.Calls != 0 {
			t.Errorf("stats: %+v", s)
		}
	})
}

// TestCloseStopsAStart: a pool that is closed at once waits for no start.
func TestCloseStopsAStart(t *testing.T) {
	p := pool(t, "start_spin", nil)
	waiting := call(p, "op", "")
	for p.Stats().Instances == 0 {
		runtime.Gosched()
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := p.Close(ctx)
	if err == nil {
		t.Fatal("no error")
	}
	contains(t, err.Error(), "1 calls were stopped")
	if o := <-waiting; o.err != wapc.ErrClosed {
		t.Fatalf("got %v", o.err)
	}
	if s := p.Stats(); s.Instances != 0 {
		t.Fatalf("stats: %+v", s)
	}
}
