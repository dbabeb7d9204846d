package wapc

import (
	"context"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"
)

// TestTurnsAreGivenBack: however a run ends, it takes no turn away from others.
func TestTurnsAreGivenBack(t *testing.T) {
	e, err := NewEngine(nil)
	if err != nil {
		t.Fatal(err)
	}
	// One core: a single long run takes its turns already.
	e.turns.close()
	e.turns = &turns{cores: 1, doors: make(chan *door, 1)}
	e.turns.doors <- &door{}
	code, err := os.ReadFile("testdata/branching.wasm")
	if err != nil {
		t.Fatal(err)
	}
	m, err := e.Compile(t.Context(), code)
	if err != nil {
		t.Fatal(err)
	}
	p, err := m.NewPool(&PoolOptions{CallTimeout: 50 * time.Millisecond, QueueTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
			defer cancel()
			_, _ = p.Call(ctx, "1", nil)
			_, _ = p.Call(t.Context(), "1", nil)
		})
	}
	wg.Wait()
	if s := p.Stats(); s.Deadlines != 3 {
		t.Errorf("stats: %+v", s)
	}
	if n := e.turns.long.Load(); n != 0 || len(e.turns.doors) != 1 || e.turns.waiting.Load() != 0 {
		t.Errorf("%d long runs are left, %d doors, %d wait", n, len(e.turns.doors), e.turns.waiting.Load())
	}
	if err := e.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestTurns(t *testing.T) {
	turns := &turns{cores: 2, doors: make(chan *door, 2)}
	defer turns.close()
	for range turns.cores {
		turns.doors <- &door{}
	}
	at := now()
	runs := make([]turn, 2)
	pass := func(i int, after time.Duration) { // in a time of our own
		at += after
		turns.pass(&runs[i], at)
		runs[i].seen, runs[i].since = at, at
	}
	pass(0, 0)
	pass(0, longRun/2)
	if runs[0].long {
		t.Fatal("a run is long from the beginning")
	}
	pass(0, longRun)
	if !runs[0].long || runs[0].door != nil {
		t.Fatalf("a run that is alone: %+v", runs[0])
	}
	pass(1, 0)
	pass(1, longRun)
	pass(0, 0)
	if runs[0].door == nil || runs[1].door == nil {
		t.Fatalf("two on two cores have no turns: %+v", runs)
	}
	first := runs[0].door
	third := make(chan *door)
	go func() {
		d := turns.take()
		third <- d
		turns.doors <- d
	}()
	for turns.waiting.Load() == 0 {
		runtime.Gosched()
	}
	pass(1, 0) // its slice is not over
	passed := make(chan struct{})
	go func() { defer close(passed); pass(0, 2*slice) }()
	if got := <-third; got != first {
		t.Error("the turn went to somebody else")
	}
	<-passed
	turns.leave(&runs[1])
	turns.leave(&runs[0])
	if runs[0].long || runs[0].door != nil || turns.long.Load() != 0 || len(turns.doors) != 2 {
		t.Errorf("after their end: %+v", runs)
	}
}

// TestTheLateDoNotWait: a run whose time is over ends though all turns are
// taken.
func TestTheLateDoNotWait(t *testing.T) {
	turns := newTurns()
	for range turns.cores {
		turns.take()
	}
	turns.long.Store(turns.cores)
	in := &instance{turns: turns}
	in.begin(t.Context(), "op", time.Nanosecond)
	in.run.startAt(1)
	in.run.turn = turn{busy: longRun, long: true}
	ended := make(chan any)
	go func() {
		defer func() { ended <- recover() }()
		in.look()
	}()
	select {
	case v := <-ended:
		if v != errStopped {
			t.Errorf("it ended with %v", v)
		}
	case <-time.After(10 * time.Second):
		t.Error("it waits for a turn")
	}
}

// The core is offered to other programs now and then, and not with every slice.
func TestCourtesy(t *testing.T) {
	d := new(door)
	defer d.close()
	var offers []time.Duration
	for at := courtesy; at < 10*courtesy; at += slice {
		if d.owesCourtesy(at) {
			offers = append(offers, at)
		}
	}
	if len(offers) != 9 || offers[0] != courtesy || offers[8] != 9*courtesy {
		t.Errorf("offered at %v", offers)
	}
	before := now()
	if at := d.yield(before); at < before || d.offered < before {
		t.Errorf("at %v it came back at %v, with an offer at %v", before, at, d.offered)
	}
}
