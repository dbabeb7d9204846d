package wapc

import (
	"runtime"
	"sync/atomic"
	"time"
)

// Guests that run for long must not keep others from the cores. Go's scheduler
// sees to that in part only: while anything is ready to run, it looks for ready
// connections once in ten milliseconds. So when as many guests run for long as
// there are cores, they take turns: that many run, for a slice each, and the
// others wait, without standing in the scheduler's queues. Between two slices a
// guest waits for an event from the network itself, one that it has made
// happen: the scheduler must look for ready connections to find it, and finds
// all that are ready with it.
const (
	// longRun is how long a run may be in the guest's code before it counts as
	// long.
	longRun = time.Millisecond
	// slice is how long a turn lasts, about.
	slice = 100 * time.Microsecond
	// maxYields bounds how often in a row others may go first.
	maxYields = 8
	// nobody is how long it takes at most when there is nobody to go first.
	nobody = 20 * time.Microsecond
	// courtesy is how often, about, a guest that has a turn offers its core to the
	// other programs of the machine. The system would take it away after 4 or 8 ms,
	// for which a client on the same machine waits for its answer. Ten times as
	// often, a program that computes would get nearly all of the core instead of
	// half of it.
	courtesy = time.Millisecond
	// interval is how long code runs between two looks, about. It stands for the
	// time that nobody has measured: before the first look, and after a host call.
	interval = 25 * time.Microsecond
)

// turns are of an engine.
type turns struct {
	cores   int32
	long    atomic.Int32 // runs that are long, those that wait for a turn too
	waiting atomic.Int32
	doors   chan *door // one for each core; who has one has his turn
}

func newTurns() *turns {
	t := &turns{cores: int32(runtime.GOMAXPROCS(0))}
	t.doors = make(chan *door, t.cores)
	for range t.cores {
		t.doors <- &door{}
	}
	return t
}

// close gives the doors back that nobody has. The others are left to the
// garbage collector.
func (t *turns) close() {
	for {
		select {
		case d := <-t.doors:
			d.close()
		default:
			return
		}
	}
}

func (t *turns) take() *door {
	t.waiting.Add(1)
	defer t.waiting.Add(-1)
	return <-t.doors
}

// turn is a run's part in it.
type turn struct {
	busy  time.Duration // in the guest's code, about
	seen  time.Duration // when it looked last
	since time.Duration // when its slice began
	on    bool          // it has not left the guest's code since it looked last
	long  bool          // it is counted as long
	door  *door
}

// pass lets others go first, where they must, and tells the time.
func (t *turns) pass(turn *turn, at time.Duration) time.Duration {
	if turn.on {
		turn.busy += at - turn.seen
	} else {
		turn.busy += interval
	}
	turn.seen, turn.on = at, true
	if turn.busy < longRun {
		return at
	}
	if !turn.long {
		turn.long = true
		t.long.Add(1)
	}
	switch {
	case t.long.Load() < t.cores:
		if turn.door != nil {
			t.doors <- turn.door
			turn.door = nil
		}
		return at
	case turn.door == nil:
		turn.door = t.take()
	case at-turn.since < slice:
		return at
	case t.waiting.Load() > 0:
		t.doors <- turn.door
		turn.door = t.take()
	}
	turn.since = turn.door.yield(now())
	turn.seen = turn.since
	return turn.since
}

// yield lets others go first, while there are any, and tells the time.
func (d *door) yield(at time.Duration) time.Duration {
	for range maxYields {
		before := at
		d.pass()
		if at = now(); at-before < nobody {
			break
		}
	}
	if d.owesCourtesy(at) {
		yieldCore()
		at = now()
	}
	return at
}

// owesCourtesy tells whether it is time to offer the core to other programs.
func (d *door) owesCourtesy(at time.Duration) bool {
	if at-d.offered < courtesy {
		return false
	}
	d.offered = at
	return true
}

// leave is called where the guest's code is left.
func (t *turns) leave(turn *turn) {
	turn.on = false
	if turn.long {
		turn.long = false
		t.long.Add(-1)
	}
	if turn.door != nil {
		t.doors <- turn.door
		turn.door = nil
	}
}
