package wapc

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"time"
)

// stopGrace is how long Close waits for calls that it stopped. Guests end at
// once; a Host that does not look at its context may not.
const stopGrace = 5 * time.Second

// acquire takes an instance, which may not be started yet, or waits for one.
// Each that it returns goes back with release.
func (p *Pool) acquire(ctx context.Context) (*instance, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p.mu.Lock()
	if p.closing {
		p.mu.Unlock()
		return nil, ErrClosed
	}
	var in *instance
	switch last := len(p.idle) - 1; {
	case last >= 0:
		in = p.idle[last].instance
		p.idle[last] = idleInstance{}
		p.idle = p.idle[:last]
	case len(p.all) < p.opts.MaxInstances:
		in = p.add()
	case p.queue.Len() >= p.opts.MaxWaiting:
		p.mu.Unlock()
		return nil, ErrQueueFull
	}
	p.inHand++
	if in != nil {
		p.counts.Calls++
		p.mu.Unlock()
		return in, nil
	}
	granted := make(chan *instance, 1)
	place := p.queue.PushBack(granted)
	p.mu.Unlock()
	return p.wait(ctx, place, granted)
}

// add makes room for another instance. The caller holds mu.
func (p *Pool) add() *instance {
	in := newInstance(p)
	p.all[in] = struct{}{}
	return in
}

// wait waits for an instance at a place in the queue.
func (p *Pool) wait(ctx context.Context, place *list.Element, granted chan *instance) (*instance, error) {
	timer := time.NewTimer(p.opts.QueueTimeout)
	defer timer.Stop()
	var err error
	select {
	case in := <-granted:
		if in == nil {
			return nil, ErrClosed
		}
		return in, nil
	case <-timer.C:
		err = ErrQueueTimeout
	case <-ctx.Done():
		err = ctx.Err()
	}
	p.mu.Lock()
	select {
	case in := <-granted: // it came just now
		p.mu.Unlock()
		switch {
		case in == nil:
			return nil, ErrClosed
		case err == ErrQueueTimeout:
			return in, nil
		}
		p.release(in, nil)
		return nil, err
	default:
	}
	defer p.mu.Unlock()
	p.queue.Remove(place)
	p.leave()
	return nil, err
}

// release takes an instance back after a call or a start that ended with err,
// and hands it, or the room that it leaves, to the call that waits longest.
func (p *Pool) release(in *instance, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count(err)
	if in.dead {
		p.counts.Replaced++
	}
	if in.dead || (p.closing && p.queue.Len() == 0) {
		p.mu.Unlock()
		in.close()
		p.mu.Lock()
		delete(p.all, in)
		in = nil
	}
	first := p.queue.Front()
	switch {
	case first != nil:
		if in == nil {
			in = p.add()
		}
		p.counts.Calls++
		p.queue.Remove(first).(chan *instance) <- in
	case in != nil:
		p.idle = append(p.idle, idleInstance{in, time.Now()})
	}
	p.leave()
}

// count notes how a call or a start ended. The caller holds mu.
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

// leave notes that a call or a start has ended. The caller holds mu.
func (p *Pool) leave() {
	p.inHand--
	if p.closing && p.inHand == 0 {
		close(p.drained)
	}
}

// sweep closes the instances that idle for too long, until the pool closes.
func (p *Pool) sweep() {
	defer close(p.swept)
	ticker := time.NewTicker(max(p.opts.IdleTimeout/2, time.Millisecond))
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			p.closeIdle(now.Add(-p.opts.IdleTimeout), p.opts.MinInstances)
		case <-p.quit:
			return
		}
	}
}

// closeIdle closes the instances that were not used after a time, but leaves a
// number of instances.
func (p *Pool) closeIdle(unused time.Time, leave int) {
	p.mu.Lock()
	n := 0
	for n < len(p.idle) && len(p.all) > leave && !p.idle[n].since.After(unused) {
		delete(p.all, p.idle[n].instance)
		n++
	}
	gone := append([]idleInstance(nil), p.idle[:n]...)
	kept := copy(p.idle, p.idle[n:])
	clear(p.idle[kept:])
	p.idle = p.idle[:kept]
	p.mu.Unlock()
	for _, in := range gone {
		in.close()
	}
}

// Close refuses new calls, lets those in hand and those that wait end within
// ctx, then stops them. When it returns nil, all have ended and everything is
// released; its error says how many calls had to be stopped. It may be called
// twice.
func (p *Pool) Close(ctx context.Context) error {
	p.mu.Lock()
	if !p.closing {
		p.closing = true
		close(p.quit)
		if p.inHand == 0 {
			close(p.drained)
		}
	}
	p.mu.Unlock()
	err := p.drain(ctx)
	<-p.swept
	p.closeIdle(time.Now(), 0)
	p.module.forget(p)
	return err
}

// drain waits for the calls in hand, and stops them when ctx ends.
func (p *Pool) drain(ctx context.Context) error {
	select {
	case <-p.drained:
		return nil
	default:
	}
	select {
	case <-p.drained:
		return nil
	case <-ctx.Done():
	}
	n := p.stopAll()
	grace := time.NewTimer(stopGrace)
	defer grace.Stop()
	select {
	case <-p.drained:
		return fmt.Errorf("wapc: close: %d calls were stopped: %w", n, ctx.Err())
	case <-grace.C:
		return fmt.Errorf("wapc: close: of %d calls that were stopped, some do not return from their host call: %w", n, ctx.Err())
	}
}

// stopAll ends every call in hand and sends home those that wait. It tells how
// many there were.
func (p *Pool) stopAll() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.inHand
	for e := p.queue.Front(); e != nil; e = p.queue.Front() {
		p.queue.Remove(e).(chan *instance) <- nil
		p.leave()
	}
	for in := range p.all {
		in.stopper.stop()
	}
	return n
}

// callerGone adds the operation to the error of a caller's context.
func callerGone(operation string, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("wapc: %s: the caller went away: %w", operation, err)
	}
	return err
}
