package wapc

import (
	"slices"
	"sync"
	"testing"
	"time"
)

// taker is what a call does with a pool before and after the guest runs.
type taker interface {
	take() *instance
	give(in *instance)
}

// lockFree is the pool as it is.
type lockFree struct{ pool *Pool }

func (l lockFree) take() *instance {
	for { // a pool that it shares with others may have none for a moment
		if in := l.pool.idle.take(); in != nil {
			return in
		}
	}
}

func (l lockFree) give(in *instance) { l.pool.release(in, nil) }

// mutexPool is the pool that it took the place of, without its queue.
type mutexPool struct {
	mu     sync.Mutex
	inHand int
	calls  uint64
	idle   []idleSince
}

type idleSince struct {
	*instance
	since time.Time
}

func (m *mutexPool) take() *instance {
	m.mu.Lock()
	last := len(m.idle) - 1
	in := m.idle[last].instance
	m.idle[last] = idleSince{}
	m.idle = m.idle[:last]
	m.inHand++
	m.calls++
	m.mu.Unlock()
	return in
}

func (m *mutexPool) give(in *instance) {
	m.mu.Lock()
	m.idle = append(m.idle, idleSince{in, time.Now()})
	m.inHand--
	m.mu.Unlock()
}

// idlePool is a pool of instances that idle and were never started.
func idlePool(instances int) *Pool {
	p := newPool(&Module{engine: &Engine{}}, nil)
	p.lock()
	for range instances {
		in := p.add()
		in.known, in.fresh = 0, false
		p.idle.push(in)
	}
	p.unlock()
	return p
}

// BenchmarkTake measures what an idle instance costs a call, taken and given
// back, next to the pool with a mutex; x-mutex is the ratio. The two take turns
// and the medians are compared.
func BenchmarkTake(b *testing.B) {
	const instances, turn = 64, 2000
	for _, goroutines := range []int{1, 2, 8} {
		name := map[int]string{1: "serial", 2: "two", 8: "eight"}[goroutines]
		b.Run(name, func(b *testing.B) {
			p := idlePool(instances)
			old := &mutexPool{}
			for _, in := range p.all {
				old.idle = append(old.idle, idleSince{instance: in})
			}
			contenders := []taker{lockFree{p}, old}
			turns := make([][]time.Duration, len(contenders))
			for b.Loop() {
				for i, c := range contenders {
					begin := time.Now()
					together(goroutines, func() {
						for range turn {
							c.give(c.take())
						}
					})
					turns[i] = append(turns[i], time.Since(begin))
				}
			}
			median := func(i int) float64 {
				slices.Sort(turns[i])
				return float64(turns[i][len(turns[i])/2]) / turn / float64(goroutines)
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(median(0), "ns/take")
			b.ReportMetric(median(0)/median(1), "x-mutex")
		})
	}
}

// together runs f in several goroutines, the caller's among them.
func together(goroutines int, f func()) {
	var wg sync.WaitGroup
	for range goroutines - 1 {
		wg.Go(f)
	}
	f()
	wg.Wait()
}

// BenchmarkHostCallHooks measures what the pool adds to a host call.
func BenchmarkHostCallHooks(b *testing.B) {
	p := idlePool(1)
	in := p.idle.take()
	for b.Loop() {
		p.entersHost(in)
		p.leavesHost(in)
	}
}
