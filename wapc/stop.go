package wapc

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// A guest is not stopped from outside. It looks by itself, at short intervals,
// whether it must stop (see package meter), and it is looked at each time that
// it makes a host call or comes back from one. Nobody reads the clock before
// there is need to: most runs have ended by then.

var (
	// errTimeout is why a run is stopped whose time is over.
	errTimeout = errors.New("time-out")
	// errStopped leaves the guest from a host function.
	errStopped = errors.New("stopped")
)

// epoch is where our time begins. Reading the time since then takes half as
// long as reading the time of day.
var epoch = time.Now()

func now() time.Duration { return time.Since(epoch) }

// clock bounds a run's time. It starts when somebody first asks for the time:
// the guest that looks, an instant after the run's beginning; the Host that asks
// its context; whoever makes a second call of the Host. So a run may last longer
// than its time-out by as much as the Host took for its first call before it
// asked its context.
type clock struct {
	timeout time.Duration
	ends    time.Duration // since epoch; 0: it was not started
	left    bool          // the guest was left for the Host
}

// startAt starts the clock, unless the run's invocation has.
func (r *runState) startAt(now time.Duration) {
	c := &r.clock
	if c.ends != 0 {
		return
	}
	c.ends = endOf(now, c.timeout)
	if r.invocation != nil {
		c.ends = r.invocation.startsTo(c.ends)
	}
}

// endOf is when a clock ends that starts now. It is never 0.
func endOf(now, timeout time.Duration) time.Duration {
	end := now + timeout
	if timeout > 0 && end < now {
		return math.MaxInt64
	}
	return cmp.Or(end, 1)
}

// look is called by the guest, at short intervals.
func (in *instance) look() {
	t := now()
	in.check(t) // who must end need not wait for a turn
	in.check(in.turns.pass(&in.run.turn, t))
}

// leave is called before the Host is.
func (in *instance) leave() {
	run := &in.run
	if run.clock.left || run.clock.ends != 0 {
		in.check(now())
		in.turns.leave(&run.turn)
	}
	run.clock.left = true
}

// check ends the run if it must not go on.
func (in *instance) check(now time.Duration) {
	run := &in.run
	run.startAt(now)
	cause := run.caller.Err()
	switch {
	case cause != nil:
	case in.stopper.stopped.Load():
		cause = ErrClosed
	case now >= run.clock.ends:
		cause = errTimeout
	default:
		return
	}
	run.mar().stopped = cause
	panic(errStopped)
}

// stoppedFor is the error of a run that was stopped, but not because its time
// was over.
func stoppedFor(operation string, cause error) error {
	if cause == ErrClosed {
		return fmt.Errorf("%s: stopped: %w", operation, cause)
	}
	return fmt.Errorf("wapc: %s: the caller went away: %w", operation, cause)
}

// stopper ends the runs of one instance.
type stopper struct {
	stopped atomic.Bool // no run may go on

	mu      sync.Mutex
	awaited *invocation // what the Host may be waiting for
}

// stop ends the run in hand and every later one.
func (s *stopper) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped.Store(true)
	if s.awaited != nil {
		s.awaited.full.Load().cancel()
	}
}
