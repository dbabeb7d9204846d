package wapc

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/tetratelabs/wazero/sys"
)

// This file is the only one that knows how a running guest is stopped: its
// context is cancelled, and the engine looks at that context at each turn of a
// loop.
const stopsByContext = true

var (
	// errTimeout is the cause with which a run's time ends.
	errTimeout = errors.New("time-out")
	// errStopped leaves the guest from a host function.
	errStopped = errors.New("stopped")
)

// invocation is the context of one run of guest code. The host functions find
// their instance in it, without looking a value up.
type invocation struct {
	context.Context
	instance *instance
	deadline time.Time
}

// Deadline returns the earlier one of the caller's and the run's own.
func (c *invocation) Deadline() (time.Time, bool) {
	if d, ok := c.Context.Deadline(); ok && d.Before(c.deadline) {
		return d, true
	}
	return c.deadline, true
}

// stopper ends the runs of one instance. Its timer is left alone between runs
// that end early: it looks, when it fires, whether there is a run to end.
type stopper struct {
	mu       sync.Mutex
	timer    *time.Timer
	fires    time.Time // when the timer fires; zero: it does not
	deadline time.Time
	cancel   context.CancelCauseFunc // of the run in hand; nil between runs
	final    error                   // set: no run may go on
}

// begin starts a run. Each is followed by end.
func (s *stopper) begin(caller context.Context, in *instance, timeout time.Duration) *invocation {
	ctx, cancel := context.WithCancelCause(caller)
	deadline := time.Now().Add(timeout)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cancel, s.deadline = cancel, deadline
	switch {
	case s.final != nil:
		cancel(s.final)
	case s.timer == nil:
		s.fires, s.timer = deadline, time.AfterFunc(timeout, s.fire)
	case s.fires.IsZero() || deadline.Before(s.fires):
		s.fires = deadline
		s.timer.Reset(timeout)
	}
	return &invocation{ctx, in, deadline}
}

// end ends a run and tells why it was stopped: errTimeout, what stop was given,
// or the error of the caller's context. Nil: it was not.
func (s *stopper) end(caller context.Context, run *invocation) (cause error) {
	if run.Err() != nil {
		if cause = caller.Err(); cause == nil {
			cause = context.Cause(run)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cancel(nil)
	s.cancel = nil
	return cause
}

func (s *stopper) fire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fires = time.Time{}
	if s.cancel == nil || s.final != nil {
		return
	}
	if left := time.Until(s.deadline); left > 0 {
		s.fires = s.deadline
		s.timer.Reset(left)
		return
	}
	s.cancel(errTimeout)
}

// stop ends the run in hand and every later one.
func (s *stopper) stop(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.final = cause
	if s.cancel != nil {
		s.cancel(cause)
	}
	if s.timer != nil {
		s.timer.Stop()
	}
}

// wasStopped tells whether a run that failed with err did so because its
// context ended, and not for a reason of its own.
func wasStopped(err error) bool {
	var exit *sys.ExitError
	return errors.Is(err, errStopped) || errors.As(err, &exit)
}
