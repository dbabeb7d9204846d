package wapc

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// stopGrace is how long Close waits for calls that it stopped. Guests end at
// once; a Host that does not look at its context may not.
const stopGrace = 5 * time.Second

// queue has the calls that wait for an instance, in the order of their arrival.
type queue struct {
	first, last *waiter
	len         int
	nested      int // of those, the ones that come from host calls of guests
}

// waiter is a call that waits.
type waiter struct {
	depth      int
	granted    chan grant // has room for one
	timer      *time.Timer
	prev, next *waiter
	queued     bool
}

// grant is what a call gets that has waited: an instance, or why it gets none.
type grant struct {
	in  *instance
	err error
}

func newWaiter() *waiter {
	w := &waiter{granted: make(chan grant, 1), timer: time.NewTimer(time.Hour)}
	w.timer.Stop()
	return w
}

func (q *queue) push(w *waiter) {
	w.prev, w.next, w.queued = q.last, nil, true
	if q.last == nil {
		q.first = w
	} else {
		q.last.next = w
	}
	q.last = w
	q.count(w, 1)
}

func (q *queue) remove(w *waiter) {
	if w.prev == nil {
		q.first = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		q.last = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.prev, w.next, w.queued = nil, nil, false
	q.count(w, -1)
}

func (q *queue) count(w *waiter, n int) {
	q.len += n
	if w.depth > 1 {
		q.nested += n
	}
}

// acquire takes an instance or waits for one. Each that it returns goes back
// with release.
func (p *Pool) acquire(ctx context.Context, operation string) (*instance, error) {
	if err := ctx.Err(); err != nil {
		return nil, callerGone(operation, err)
	}
	if in := p.idle.take(); in != nil {
		return in, nil
	}
	depth := depthOf(ctx)
	if depth > maxDepth {
		return nil, &NestingError{operation, depth}
	}
	p.lock()
	if p.closing {
		p.unlock()
		return nil, ErrClosed
	}
	if in := p.idle.pop(); in != nil {
		p.counts.Calls++
		p.unlock()
		return in, nil
	}
	w := p.waiters.Get().(*waiter)
	w.depth = depth
	p.queue.push(w)
	p.grow()
	if depth == 1 && p.queue.len-p.starting > p.opts.MaxWaiting {
		p.queue.remove(w)
		p.unlock()
		p.waiters.Put(w)
		return nil, ErrQueueFull
	}
	p.unlock()
	return p.wait(ctx, operation, w)
}

// wait waits for an instance in the queue.
func (p *Pool) wait(ctx context.Context, operation string, w *waiter) (*instance, error) {
	defer p.waiters.Put(w)
	w.timer.Reset(p.opts.QueueTimeout)
	defer w.timer.Stop()
	var err error
	select {
	case g := <-w.granted:
		return g.in, g.err
	case <-w.timer.C:
		err = ErrQueueTimeout
	case <-ctx.Done():
		err = callerGone(operation, ctx.Err())
	}
	p.lock()
	if w.queued {
		p.queue.remove(w)
		p.settle()
		p.unlock()
		return nil, err
	}
	p.unlock()
	g := <-w.granted // it came just now
	if g.in != nil && err != ErrQueueTimeout {
		p.release(g.in, nil)
		return nil, err
	}
	return g.in, g.err
}

// grant lets a call go that waits. The caller holds the lock.
func (p *Pool) grant(w *waiter, in *instance, err error) {
	if in != nil {
		p.counts.Calls++
	}
	p.queue.remove(w)
	w.granted <- grant{in, err}
}

// settle hands idle instances to calls that wait, and has more started if that
// is not enough. The caller holds the lock, and has changed something.
func (p *Pool) settle() {
	for p.queue.first != nil {
		in := p.idle.pop()
		if in == nil {
			break
		}
		p.grant(p.queue.first, in, nil)
	}
	p.grow()
	if p.closing && len(p.all) == 0 && p.queue.len == 0 {
		select {
		case <-p.drained:
		default:
			close(p.drained)
		}
	}
}

// Close refuses new calls, lets those in hand and those that wait end within
// ctx, then stops them. When it returns nil, all have ended and everything is
// released; its error says how many calls had to be stopped. It may be called
// twice.
func (p *Pool) Close(ctx context.Context) error {
	p.lock()
	if !p.closing {
		p.closing = true
		close(p.quit)
	}
	gone := p.idle.list()
	p.idle.put(nil)
	p.settle()
	p.unlock()
	p.discard(gone...)
	err := p.drain(ctx)
	<-p.swept
	if err == nil {
		p.background.Wait()
	}
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

// stopAll ends every call in hand and every start, and sends home the calls
// that wait. It tells how many calls there were.
func (p *Pool) stopAll() int {
	p.lock()
	defer p.unlock()
	n := p.queue.len - p.starting
	for p.queue.first != nil {
		p.grant(p.queue.first, nil, ErrClosed)
	}
	for _, in := range p.all {
		in.stopper.stop()
	}
	n += len(p.all)
	p.settle()
	return n
}

// callerGone adds the operation to the error of a caller's context.
func callerGone(operation string, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("wapc: %s: the caller went away: %w", operation, err)
	}
	return err
}
