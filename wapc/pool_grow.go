package wapc

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"
)

// runnersPerCore is how many instances for each core may run guest code before
// another one is started. More would not compute faster; fewer would let calls
// wait for some that were interrupted in the middle of their work.
const runnersPerCore = 4

func runners() int { return runnersPerCore * runtime.GOMAXPROCS(0) }

// stallTime is how long nobody gets an instance before another one is started
// in spite of runnersPerCore: those that run may be long in coming back.
const stallTime = 10 * time.Millisecond

// stall looks, while calls wait for those that run, whether these come back.
type stall struct {
	timer *time.Timer
	armed bool
	calls uint64 // that had got an instance when the timer was armed
}

// pooled is what the pool keeps in an instance.
type pooled struct {
	slot    uint32
	tick    uint32 // when it was last used
	edition uint32
	index   int   // in Pool.all
	known   int64 // bytes of its memory when the pool last looked; unknown: it is to look
	keep    int64 // bytes of its memory with which it is kept

	fresh      bool // it was not released yet
	background bool // it is started for the calls that wait
	extra      bool
	startErr   error
	replace    bool // another one is to take its place

	hosting atomic.Bool // it is in a host call
}

const unknown = -1

// entersHost is called before a host call: the instance leaves the core to
// another one. A host call that ends its instance is not left.
func (p *Pool) entersHost(in *instance) {
	in.hosting.Store(true)
	if p.hungry.Load() {
		p.lock()
		p.grow()
		p.unlock()
	}
}

// leavesHost is called after a host call.
func (p *Pool) leavesHost(in *instance) { in.hosting.Store(false) }

// grow starts instances for the calls that wait, as far as there is room. It
// says that it is hungry before it looks who runs: whoever enters a host call
// later looks at that. The caller holds the lock.
func (p *Pool) grow() {
	if p.queue.len <= p.starting {
		p.hungry.Store(false)
		return
	}
	p.hungry.Store(true)
	for p.queue.len > p.starting {
		full := p.full()
		if !full && p.running(p.runners) {
			p.watchStall()
			return
		}
		if full || !p.fits() {
			p.hungry.Store(false)
			p.reserve()
			return
		}
		p.start(false)
	}
	p.hungry.Store(false)
}

// full tells whether there are as many instances as may be.
func (p *Pool) full() bool { return len(p.all)-p.extra >= p.opts.MaxInstances }

// fits tells whether another instance is within the bound on memory.
func (p *Pool) fits() bool {
	return len(p.all) == 0 || p.memoryInUse()+p.startSize <= p.opts.MemoryTotal
}

// room tells whether the bounds allow another instance.
func (p *Pool) room() bool { return !p.full() && p.fits() }

func (p *Pool) memoryInUse() (bytes int64) {
	for _, in := range p.all {
		bytes += in.memory.size.Load()
	}
	return bytes
}

// running tells whether a number of instances are not in a host call, while
// none idles.
func (p *Pool) running(number int) bool {
	for _, in := range p.all {
		if !in.hosting.Load() {
			if number--; number == 0 {
				return true
			}
		}
	}
	return false
}

// watchStall sees to it that those who run for long keep nobody waiting.
func (p *Pool) watchStall() {
	if p.stall.armed {
		return
	}
	p.stall.armed, p.stall.calls = true, p.counts.Calls
	if p.stall.timer == nil {
		p.stall.timer = time.AfterFunc(stallTime, p.endStall)
		return
	}
	p.stall.timer.Reset(stallTime)
}

func (p *Pool) endStall() {
	p.lock()
	defer p.unlock()
	p.stall.armed = false
	if p.queue.len > 0 && p.starting == 0 && p.counts.Calls == p.stall.calls && p.room() {
		p.start(false)
	}
	p.grow()
}

// start starts another instance for the calls that wait.
func (p *Pool) start(extra bool) {
	in := p.add()
	in.background, in.extra = true, extra
	p.starting++
	if extra {
		p.extra++
	}
	p.background.Go(func() { _ = p.launch(context.Background(), in) }) // takeBack tells those who wait
}

// add makes another instance, which launch is to start.
func (p *Pool) add() *instance {
	in := newInstance(p)
	in.fresh, in.known, in.edition, in.index = true, unknown, p.newest, len(p.all)
	p.all = append(p.all, in)
	p.idle.settle(in)
	return in
}

// launch starts an instance that add made, without the lock, and hands it to
// the pool.
func (p *Pool) launch(ctx context.Context, in *instance) (err error) {
	err = &StartError{&HostError{"start", "the Host ended the goroutine", nil}} // unless it returns
	defer func() {
		in.dead = in.dead || !in.started
		p.release(in, err)
	}()
	err = in.start(ctx)
	return err
}

// launched notes how a start ended. The caller holds the lock.
func (p *Pool) launched(in *instance, err error) {
	in.fresh, in.startErr = false, err
	if err != nil {
		return
	}
	if in.background {
		in.background = false
		p.starting--
	}
	p.startSize = in.memory.size.Load()
	switch keep := p.opts.MemoryKept; {
	case keep < 0:
		in.keep = maxMemory
	case keep == 0:
		in.keep = 2*p.startSize + defaultSpare
	default:
		in.keep = max(keep, p.startSize)
	}
}

// next returns the call that is to get an instance. Nil: none.
func (p *Pool) next(in *instance) *waiter {
	if !in.extra {
		return p.queue.first
	}
	for w := p.queue.first; w != nil && p.queue.nested > 0; w = w.next {
		if p.extra < w.depth {
			return w
		}
	}
	return nil
}
