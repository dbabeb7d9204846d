package wapc

import (
	"context"
	"sync/atomic"
	"time"
)

// invocation is the context that the Host gets for one run of guest code. Each
// run has its own, so one that a Host keeps can never come to life again.
//
// Most Hosts ask it for little: a context that can be waited for, with a timer
// and all, is made only when somebody wants to wait.
type invocation struct {
	caller  context.Context
	stopper *stopper
	timeout time.Duration
	ends    atomic.Int64 // of the run's clock; 0: it was not started
	ended   atomic.Bool
	asked   atomic.Bool // how long it lasts
	full    atomic.Pointer[fullContext]
}

type fullContext struct {
	context.Context
	cancel context.CancelFunc
}

// invocationsAtOnce are allocated together: in 512 bytes, as what is larger and
// has pointers costs more.
const invocationsAtOnce = 9

// ask notes that somebody keeps to the deadline, so that it is worth while to
// look at the clock when the host call ends.
func (c *invocation) ask() {
	if !c.asked.Load() {
		c.asked.Store(true)
	}
}

// startsTo starts the run's clock to end at a time, unless it was started, and
// tells when it ends.
func (c *invocation) startsTo(end time.Duration) time.Duration {
	if c.ends.Load() == 0 && c.ends.CompareAndSwap(0, int64(end)) {
		return end
	}
	return time.Duration(c.ends.Load())
}

// waiting returns the context that can be waited for.
func (c *invocation) waiting() *fullContext {
	c.ask()
	if full := c.full.Load(); full != nil {
		return full
	}
	full := &fullContext{}
	full.Context, full.cancel = context.WithDeadline(c.caller, c.deadline())
	if !c.full.CompareAndSwap(nil, full) { // another goroutine of the Host was first
		full.cancel()
		return c.full.Load()
	}
	s := c.stopper
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.ended.Load() || s.stopped.Load() {
		full.cancel()
	} else {
		s.awaited = c
	}
	return full
}

// end ends the context. The instance calls it, once.
func (c *invocation) end() {
	c.ended.Store(true)
	if full := c.full.Load(); full != nil { // else, if somebody asks for it from now on, it has ended
		c.endFull(full)
	}
}

func (c *invocation) endFull(full *fullContext) {
	full.cancel()
	c.stopper.mu.Lock()
	defer c.stopper.mu.Unlock()
	if c.stopper.awaited == c {
		c.stopper.awaited = nil
	}
}

// deadline is the run's own. It is never before the end, so that whoever waits
// for it finds that the time is over.
func (c *invocation) deadline() time.Time {
	at := now()
	left := c.startsTo(endOf(at, c.timeout)) - at
	return time.Now().Add(left)
}

// Deadline returns the earlier one of the caller's and the run's own.
func (c *invocation) Deadline() (time.Time, bool) {
	if full := c.full.Load(); full != nil {
		return full.Deadline()
	}
	c.ask()
	own := c.deadline()
	if d, ok := c.caller.Deadline(); ok && d.Before(own) {
		return d, true
	}
	return own, true
}

func (c *invocation) Done() <-chan struct{} { return c.waiting().Done() }

func (c *invocation) Err() error {
	if full := c.full.Load(); full != nil {
		return full.Err()
	}
	c.ask()
	if err := c.caller.Err(); err != nil {
		return err
	}
	if c.ended.Load() || c.stopper.stopped.Load() {
		return context.Canceled
	}
	if at := now(); at >= c.startsTo(endOf(at, c.timeout)) {
		return context.DeadlineExceeded
	}
	return nil
}

// Value returns the caller's value. Contexts that are derived from this one
// find the context that they can wait for in this way, and the pool finds the
// invocation itself.
func (c *invocation) Value(key any) any {
	if key == (depthKey{}) {
		return c
	}
	if full := c.full.Load(); full != nil {
		return full.Value(key)
	}
	return c.caller.Value(key)
}
