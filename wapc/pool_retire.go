package wapc

import (
	"context"
	"time"
)

// release takes an instance back after a call or a start that ended with err.
func (p *Pool) release(in *instance, err error) {
	if !in.dead && in.memory.size.Load() == in.known && in.edition >= p.edition.Load() && p.park(in) {
		return
	}
	p.takeBack(in, err)
}

// park lets an instance idle, without the lock; false: it cannot be had now.
func (p *Pool) park(in *instance) bool {
	in.tick = p.tick.Load()
	edition := in.edition
	if !p.idle.give(in) { // from here on it may be another's
		return false
	}
	if edition < p.edition.Load() {
		p.retire()
	}
	return true
}

// retire closes the instances of old editions that idle: an edition may have become old
// between the look at it and the return of the instance.
func (p *Pool) retire() {
	p.lock()
	kept, gone := p.idlers(p.edition.Load())
	for _, in := range gone {
		in.replace = true
	}
	p.idle.put(kept)
	p.counts.Replaced += uint64(len(gone))
	p.unlock()
	p.discard(gone...)
}

// idlers are the instances that idle, those of editions before another one apart. The
// caller holds the lock.
func (p *Pool) idlers(edition uint32) (kept, old []*instance) {
	for _, in := range p.idle.list() {
		if in.edition < edition {
			old = append(old, in)
		} else {
			kept = append(kept, in)
		}
	}
	return kept, old
}

// takeBack hands an instance to the call that waits longest, lets it idle, or
// closes it.
func (p *Pool) takeBack(in *instance, err error) {
	var gone []*instance
	p.lock()
	p.count(err)
	if in.fresh {
		p.launched(in, err)
	}
	size := in.memory.size.Load()
	grown := size != in.known
	in.known = size
	if !p.place(in) {
		gone = append(gone, in)
	}
	if grown {
		gone = append(gone, p.shed()...)
	}
	p.settle()
	p.unlock()
	p.discard(gone...)
}

// count notes how a call or a start ended. The caller holds the lock.
func (p *Pool) count(err error) {
	if start, ok := err.(*StartError); ok {
		err = start.Err
	}
	switch err.(type) {
	case *TrapError, *MemoryError:
		p.counts.Traps++
	case *DeadlineError:
		p.counts.Deadlines++
	}
}

// place finds an instance its next place. False: it is not kept. The caller
// holds the lock.
func (p *Pool) place(in *instance) bool {
	outdated, overgrown := in.edition < p.edition.Load(), in.known > in.keep
	if in.dead || outdated || overgrown {
		p.counts.Replaced++
		in.replace = !in.dead
		return false
	}
	switch w := p.next(in); {
	case w != nil:
		if in.extra {
			in.known = unknown // its next place is for us to find, too
		}
		p.grant(w, in, nil)
	case in.extra || p.closing:
		return false
	default:
		in.tick = p.tick.Load()
		p.idle.push(in)
	}
	return true
}

// shed takes instances away that idle, those that were used last at the end,
// until the memories of all are within their bound or one is left. The caller
// holds the lock, and discards them.
func (p *Pool) shed() []*instance {
	excess := p.memoryInUse() - p.opts.MemoryTotal
	if excess <= 0 {
		return nil
	}
	idle := p.idle.list()
	keep := len(idle)
	for keep > 0 && excess > 0 && len(p.all)-(len(idle)-keep) > 1 {
		keep--
		excess -= idle[keep].memory.size.Load()
	}
	p.idle.put(idle[:keep])
	return idle[keep:]
}

// discard closes instances that neither serve nor idle, without the lock. They
// count until they are gone.
func (p *Pool) discard(gone ...*instance) {
	if len(gone) == 0 {
		return
	}
	for _, in := range gone {
		in.close()
	}
	p.lock()
	defer p.unlock()
	replace := 0
	for _, in := range gone {
		p.remove(in)
		if in.replace {
			replace++
		}
	}
	p.settle()
	// Nobody waits for these, but the next calls would.
	replace -= p.starting + len(p.idle.list())
	for ; replace > 0 && !p.closing && p.room(); replace-- {
		p.start(false)
	}
}

// remove forgets an instance that was closed. If it was to serve those that
// wait, but failed to start, one of them learns of it: the first one that might
// have got it.
func (p *Pool) remove(in *instance) {
	if in.background {
		p.starting--
		if w := p.next(in); w != nil {
			p.grant(w, nil, in.startErr)
		}
	}
	last := p.all[len(p.all)-1]
	p.all[in.index], last.index = last, in.index
	p.all[len(p.all)-1] = nil
	p.all = p.all[:len(p.all)-1]
	p.idle.leave(in)
	if in.extra {
		p.extra--
	}
}

// ticksPerIdle is how often sweep looks within an IdleTimeout.
const ticksPerIdle = 2

// sweep closes the instances that idle for too long, until the pool closes.
func (p *Pool) sweep() {
	defer close(p.swept)
	ticker := time.NewTicker(max(p.opts.IdleTimeout/ticksPerIdle, time.Millisecond))
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			p.closeIdle()
		case <-p.quit:
			return
		}
	}
}

// closeIdle closes the instances that were not used for an IdleTimeout. The
// first tick after an instance's use may come at once: it counts the others.
func (p *Pool) closeIdle() {
	p.lock()
	p.runners = runners() // it may change
	now := p.tick.Add(1)
	idle := p.idle.list()
	keep := len(idle)
	for keep > 0 && len(p.all)-(len(idle)-keep) > p.opts.MinInstances && now-idle[keep-1].tick > ticksPerIdle {
		keep--
	}
	p.idle.put(idle[:keep])
	p.unlock()
	p.discard(idle[keep:]...)
}

// upgrade is called when the module has better code than it had. Instances of
// the old code serve on until as many of the new code are ready as calls are in
// hand, but at least one if there is any; then the old ones go, each as it comes
// back. Should an instance of the new code fail to start, the old ones stay.
func (p *Pool) upgrade() {
	p.lock()
	defer p.unlock()
	if p.closing {
		return
	}
	p.newest++
	under := p.renewing > 0
	p.renewing = max(p.renewing, len(p.all)-len(p.idle.list()), min(1, len(p.all)))
	switch {
	case p.renewing == 0:
		p.edition.Store(p.newest)
	case !under:
		p.background.Go(p.renew)
	}
}

// renew starts the instances that upgrade asks for.
func (p *Pool) renew() {
	for {
		in, gone := p.renewal()
		p.discard(gone...)
		if in == nil && gone == nil {
			return
		}
		if in == nil {
			continue
		}
		if err := p.launch(context.Background(), in); err != nil {
			p.lock()
			p.renewing = 0
			p.unlock()
			return
		}
	}
}

// renewal returns the next instance of the newest edition to be started, and
// old ones to be discarded: one that makes room for it, or all that idle when
// there are enough new ones. Neither: the renewal is over.
func (p *Pool) renewal() (in *instance, gone []*instance) {
	p.lock()
	defer p.unlock()
	if p.renewing == 0 || p.closing {
		return nil, nil
	}
	kept, old := p.idlers(p.newest)
	have := 0
	for _, in := range p.all {
		if in.edition == p.newest {
			have++
		}
	}
	switch {
	case have < p.renewing && p.room():
		return p.add(), nil
	case have < p.renewing && len(old) > 0:
		last := len(old) - 1
		kept, gone = append(kept, old[:last]...), old[last:]
	default:
		p.renewing = 0
		p.edition.Store(p.newest)
		gone = old
	}
	p.idle.put(kept)
	p.counts.Replaced += uint64(len(gone))
	return nil, gone
}
