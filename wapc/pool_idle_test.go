package wapc

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
)

// TestTakeSeesThatTheStackChanged puts a slot back on top while something below
// it has changed: what a take read before must not count any more.
func TestTakeSeesThatTheStackChanged(t *testing.T) {
	p := idlePool(3)
	s := &p.idle
	before := s.head.Load()
	a, b := s.take(), s.take()
	s.give(a)
	if s.head.Load()&topSlot != before&topSlot {
		t.Fatal("the same slot should be on top")
	}
	if s.head.Load() == before {
		t.Error("taking and giving back leaves no trace")
	}
	s.give(b)

	before = s.head.Load()
	p.lock()
	if all := s.list(); len(all) != 3 {
		t.Fatalf("%d instances idle", len(all))
	} else {
		s.put([]*instance{all[0], all[2], all[1]})
	}
	p.unlock()
	if s.head.Load()&topSlot != before&topSlot {
		t.Fatal("the same slot should be on top")
	}
	if s.head.Load() == before {
		t.Error("a change under the lock leaves no trace")
	}
}

func TestFrozenStackGivesNothing(t *testing.T) {
	p := idlePool(2)
	in := p.idle.take()
	p.lock()
	if p.idle.take() != nil || p.idle.give(in) {
		t.Fatal("a frozen stack can be used")
	}
	p.unlock()
	if !p.idle.give(in) || p.idle.take() != in {
		t.Fatal("the instance that was used last is not on top")
	}
}

// TestCountWrapsAround: the count of takes is 47 bits long.
func TestCountWrapsAround(t *testing.T) {
	p := idlePool(1)
	p.idle.head.Store(p.idle.head.Load() | ^uint64(oneTake-1)) // the last number
	p.idle.taken = 1<<64/oneTake - 1
	for range 3 {
		p.idle.give(p.idle.take())
	}
	if s := p.Stats(); s.Calls != 3 || s.Idle != 1 {
		t.Fatalf("stats: %+v", s)
	}
}

func TestTakeAllocatesNothing(t *testing.T) {
	p := idlePool(4)
	if n := testing.AllocsPerRun(1000, func() {
		in := p.idle.take()
		p.entersHost(in)
		p.leavesHost(in)
		p.release(in, nil)
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

// TestStackUnderFire has everybody take, give, freeze and rearrange at once. No
// instance may be with two at a time, none may be lost, each take is counted.
func TestStackUnderFire(t *testing.T) {
	const instances, goroutines, rounds = 5, 8, 3000
	p := idlePool(instances)
	used := make([]atomic.Bool, instances+1)
	var takes, stop atomic.Uint64
	var wg, meddling sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			for range rounds {
				in := p.idle.take()
				if in == nil {
					continue
				}
				takes.Add(1)
				if used[in.slot].Swap(true) {
					t.Error("an instance is used twice")
				}
				in.stack[0]++ // for the race detector
				used[in.slot].Store(false)
				p.release(in, nil)
			}
		})
	}
	meddling.Go(func() {
		for stop.Load() == 0 {
			p.lock()
			all := p.idle.list()
			rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
			p.idle.put(all)
			p.unlock()
		}
	})
	wg.Wait()
	stop.Store(1)
	meddling.Wait()
	if s := p.Stats(); s.Idle != instances || s.Busy != 0 || s.Calls != takes.Load() {
		t.Fatalf("%d takes, stats: %+v", takes.Load(), s)
	}
}
