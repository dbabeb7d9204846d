package wapc

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// holding is a Host whose calls wait until they are let through.
type holding struct {
	arrived chan struct{}
	open    chan struct{}
}

func (h *holding) HostCall(_ context.Context, c HostCall) ([]byte, error) {
	h.arrived <- struct{}{}
	<-h.open
	return c.Payload, nil
}

func (h *holding) ConsoleLog(context.Context, string) {}

// inBubble runs a test of a pool where time stands still unless everybody
// waits.
func inBubble(t *testing.T, guest string, opts *PoolOptions, f func(t *testing.T, p *Pool, h *holding)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		module, err := os.ReadFile(filepath.Join("testdata", guest+".wasm"))
		if err != nil {
			t.Fatal(err)
		}
		e, err := NewEngine(nil)
		if err != nil {
			t.Fatal(err)
		}
		m, err := e.Compile(t.Context(), module)
		if err != nil {
			t.Fatal(err)
		}
		h := &holding{arrived: make(chan struct{}, 100), open: make(chan struct{})}
		opts.Host = h
		p, err := m.NewPool(opts)
		if err != nil {
			t.Fatal(err)
		}
		f(t, p, h)
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// editions counts the instances of the newest edition and the older ones.
func editions(p *Pool) (newest, older int) {
	p.lock()
	defer p.unlock()
	for _, in := range p.all {
		if in.edition == p.newest {
			newest++
		} else {
			older++
		}
	}
	return newest, older
}

func expectEditions(t *testing.T, p *Pool, newest, older int) {
	t.Helper()
	synctest.Wait()
	if n, o := editions(p); n != newest || o != older {
		t.Errorf("%d instances of the new code and %d of the old, want %d and %d", n, o, newest, older)
	}
}

// hold makes calls that wait in a host call.
func hold(t *testing.T, p *Pool, h *holding, calls int) (done *sync.WaitGroup) {
	t.Helper()
	done = &sync.WaitGroup{}
	for range calls {
		done.Go(func() {
			if _, err := p.Call(context.Background(), "host", nil); err != nil {
				t.Error(err)
			}
		})
	}
	for range calls {
		<-h.arrived
	}
	return done
}

func TestUpgrade(t *testing.T) {
	inBubble(t, "echo", &PoolOptions{}, func(t *testing.T, p *Pool, h *holding) {
		p.upgrade()
		expectEditions(t, p, 0, 0)
		if err := p.Warm(t.Context(), 5); err != nil {
			t.Fatal(err)
		}
		p.upgrade() // none is in use: one will do
		expectEditions(t, p, 1, 0)
		done := hold(t, p, h, 3)
		p.upgrade()
		expectEditions(t, p, 3, 3)
		p.upgrade() // again, before the old ones have come back
		expectEditions(t, p, 3, 3)
		close(h.open)
		done.Wait()
		expectEditions(t, p, 3, 0)
		if s := p.Stats(); s.Idle != 3 || s.Busy != 0 {
			t.Errorf("stats: %+v", s)
		}
	})
}

// TestUpgradeWithoutRoom: where there is no room for old and new ones, the
// instances are replaced as they come back.
func TestUpgradeWithoutRoom(t *testing.T) {
	inBubble(t, "echo", &PoolOptions{MaxInstances: 4}, func(t *testing.T, p *Pool, h *holding) {
		if err := p.Warm(t.Context(), 4); err != nil {
			t.Fatal(err)
		}
		done := hold(t, p, h, 3)
		p.upgrade() // one idles, so one can be replaced
		expectEditions(t, p, 1, 3)
		var more sync.WaitGroup
		for range 3 {
			more.Go(func() {
				if _, err := p.Call(context.Background(), "host", nil); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if s := p.Stats(); s.Waiting != 2 {
			t.Errorf("stats: %+v", s)
		}
		close(h.open)
		done.Wait()
		more.Wait()
		synctest.Wait()
		newest, older := editions(p)
		if s := p.Stats(); older != 0 || newest < 1 || s.Replaced != 4 || s.Busy != 0 || s.Waiting != 0 {
			t.Errorf("%d new and %d old, stats: %+v", newest, older, s)
		}
	})
}

// TestFailedUpgrade: the old instances serve on.
func TestFailedUpgrade(t *testing.T) {
	inBubble(t, "starts", &PoolOptions{}, func(t *testing.T, p *Pool, _ *holding) {
		if err := p.Warm(t.Context(), 2); err != nil {
			t.Fatal(err)
		}
		p.opts.MemoryLimit = 1 // no start can succeed
		p.upgrade()
		expectEditions(t, p, 0, 2)
		for range 3 {
			if _, err := p.Call(t.Context(), "op", nil); err != nil {
				t.Error(err)
			}
		}
		if s := p.Stats(); s.Idle != 2 || s.Traps != 1 {
			t.Errorf("stats: %+v", s)
		}
	})
}

// TestUpgradeUnderLoad: no call fails and none waits for a start, while the code
// becomes better again and again.
func TestUpgradeUnderLoad(t *testing.T) {
	inBubble(t, "echo", &PoolOptions{}, func(t *testing.T, p *Pool, _ *holding) {
		var callers sync.WaitGroup
		var ended atomic.Bool
		for range 4 {
			callers.Go(func() {
				for !ended.Load() {
					if _, err := p.Call(context.Background(), "echo", nil); err != nil {
						t.Error(err)
					}
				}
			})
		}
		for range 50 {
			p.upgrade()
			if _, err := p.Call(context.Background(), "echo", nil); err != nil {
				t.Error(err)
			}
		}
		ended.Store(true)
		callers.Wait()
		synctest.Wait()
		newest, older := editions(p)
		if s := p.Stats(); older != 0 || newest != s.Idle || s.Busy != 0 || s.Waiting != 0 {
			t.Errorf("%d new and %d old, stats: %+v", newest, older, s)
		}
	})
}

// TestUpgradeWhileOneComesBack: an instance that was looked at before its code became
// old, and idles after, does not stay.
func TestUpgradeWhileOneComesBack(t *testing.T) {
	inBubble(t, "echo", &PoolOptions{}, func(t *testing.T, p *Pool, _ *holding) {
		if err := p.Warm(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		in, err := p.acquire(t.Context(), "echo")
		if err != nil {
			t.Fatal(err)
		}
		p.upgrade()
		synctest.Wait()
		if !p.park(in) {
			t.Error("it was not taken back")
		}
		expectEditions(t, p, 1, 0)
		if s := p.Stats(); s.Replaced != 1 || s.Busy != 0 {
			t.Errorf("stats: %+v", s)
		}
	})
}

// TestIdleTime: an instance is closed when it has idled for an IdleTimeout, and
// at most half as long again.
func TestIdleTime(t *testing.T) {
	for offset := range 10 {
		inBubble(t, "echo", &PoolOptions{IdleTimeout: 10 * time.Second}, func(t *testing.T, p *Pool, _ *holding) {
			time.Sleep(time.Duration(offset)*time.Second + time.Millisecond) // of the bubble's time
			if _, err := p.Call(context.Background(), "echo", nil); err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			for p.Stats().Instances > 0 {
				time.Sleep(100 * time.Millisecond)
				synctest.Wait()
			}
			if idled := time.Since(begin); idled < 10*time.Second || idled > 15*time.Second {
				t.Errorf("offset %d s: it was closed after %v", offset, idled)
			}
		})
	}
}
