// Package workbench is the loop of waxo dev: it watches a project, rebuilds,
// seals, signs with the project's throwaway keys, and swaps what came out into
// a running host.
//
// It promises that one build runs at a time and that a newer change cancels an
// older build; that the last good build serves through every failure; and that
// whatever happens is told as an Event, once.
//
// It takes the very path that production takes: what it serves was signed,
// extracted and verified before.
package workbench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waxosuit/waxo/devhost"
	"github.com/waxosuit/waxo/devhost/build"
	"github.com/waxosuit/waxo/devhost/manifest"
	"github.com/waxosuit/waxo/devhost/project"
	"github.com/waxosuit/waxo/devhost/watch"
	"github.com/waxosuit/waxo/wapc"
)

// Options configures a Workbench.
type Options struct {
	// Project is what is developed. Required.
	Project *project.Project

	// Engine runs the guests. Required; it stays the caller's.
	Engine *wapc.Engine

	// Connect makes the bindings that a manifest asks for. It is called again
	// when the manifest changes; a binding that is to be left alone must come
	// back with the same provider and the same configuration. Required.
	Connect func(ctx context.Context, m *manifest.Manifest) ([]devhost.Bind, error)

	// Prune is called when no binding uses any more what an earlier Connect made for
	// it and the last one did not. Default: nothing is called.
	Prune func(ctx context.Context) error

	// Environment says what the bindings are to set in the environment of the
	// toolchain, and in the file .waxo/env, as "NAME=value". Default: nothing.
	Environment func(binds []devhost.Bind) []string

	// Bound is called with the module's key and the bindings each time they
	// stand. Default: nothing is called.
	Bound func(guest string, binds []devhost.Bind)

	// Events is told what happens. It may be called from several goroutines.
	// Required.
	Events func(Event)

	// Console gets each line that the guest prints. Default: dropped.
	Console func(line string)

	// Log gets what the host has to say. Default: dropped.
	Log *slog.Logger

	// Poll watches without the system's events.
	Poll bool

	// Patience is how long newer changes may go on cancelling builds: then one is
	// let to its end, however often something is written. Default: 5 s.
	Patience time.Duration

	// Now is the clock by which claims grow old. Default: time.Now.
	Now func() time.Time

	// StopTimeout bounds the end: calls in hand may take that long. Default: 10 s.
	StopTimeout time.Duration
}

// Workbench develops one project. Make it with New, then Run it.
type Workbench struct {
	opts    Options
	host    *devhost.Host
	builder *build.Builder
	keys    *project.Keys
	rebuild chan struct{}
	rebind  chan struct{}
	stopped chan struct{} // closed when Run returns

	rebindings rebindings
	binds      []devhost.Bind
	env        []string
	relook     bool // the manifest could not be read or bound: read it again
	anew       bool // new instances are wanted even of the same module: its claims or limits differ, or the user asked

	number   int      // of the last build
	pending  []string // changes that no finished build has taken in
	serving  module   // what serves
	building atomic.Bool

	following sync.WaitGroup // what waits for compiled code
}

// module is a sealed module that was built, and its label.
type module struct {
	sealed []byte
	signed time.Time // its claims do not last for ever
	label  string
}

// New makes a workbench; nothing runs yet.
func New(opts *Options) (*Workbench, error) {
	w := &Workbench{opts: *opts, builder: build.New(nil), rebuild: make(chan struct{}, 1), rebind: make(chan struct{}, 1), stopped: make(chan struct{})}
	w.opts.Patience = cmp.Or(w.opts.Patience, 5*time.Second)
	w.opts.StopTimeout = cmp.Or(w.opts.StopTimeout, 10*time.Second)
	if w.opts.Now == nil {
		w.opts.Now = time.Now
	}
	events := w.opts.Events
	w.opts.Events = func(e Event) {
		if e.Time.IsZero() {
			e.Time = time.Now()
		}
		events(e)
	}
	keys, err := opts.Project.Keys()
	if err != nil {
		return nil, err
	}
	w.keys = keys
	w.host, err = devhost.New(&devhost.Options{
		Engine:      opts.Engine,
		Development: true,
		Limits:      devhost.LimitsOf(opts.Project.Manifest()),
		Log:         opts.Log,
		Console:     opts.Console,
	})
	return w, err
}

// Host is what serves.
func (w *Workbench) Host() *devhost.Host { return w.host }

// Rebuild asks for a build now, and for new instances even if it changes
// nothing. It may be called from any goroutine.
func (w *Workbench) Rebuild() {
	select {
	case w.rebuild <- struct{}{}:
	default: // one is asked for already
	}
}

// Rebind has the bindings made anew: what Connect answers has changed. It returns
// how that went; where it did not, the bindings are those of before. It may be
// called from any goroutine.
func (w *Workbench) Rebind(ctx context.Context) error {
	done := make(chan error, 1)
	w.rebindings.Lock()
	w.rebindings.waiting = append(w.rebindings.waiting, done)
	w.rebindings.Unlock()
	select {
	case w.rebind <- struct{}{}:
	default: // that is asked for already
	}
	select {
	case err := <-done:
		return err
	case <-w.stopped:
		return devhost.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// rebindings are those who wait for bindings to be made.
type rebindings struct {
	sync.Mutex
	waiting []chan error
}

// take returns those who wait, who wait no longer.
func (r *rebindings) take() []chan error {
	r.Lock()
	defer r.Unlock()
	waiting := r.waiting
	r.waiting = nil
	return waiting
}

// Pending says what is still in hand, for the user who does not want to wait
// for it; empty if nothing is.
func (w *Workbench) Pending() string {
	var left []string
	if w.building.Load() {
		left = append(left, "a build")
	}
	if busy := w.host.InHand(); busy > 0 {
		left = append(left, fmt.Sprintf("%d call(s)", busy))
	}
	return strings.Join(left, " and ")
}

// Run binds the providers, builds, serves and watches until ctx ends. Its error
// is nil then; an error before that says why it could not begin.
func (w *Workbench) Run(ctx context.Context) (err error) {
	defer func() {
		close(w.stopped)
		if ctx.Err() != nil { // else it never began
			w.opts.Events(Event{Kind: KindStopping})
		}
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.opts.StopTimeout)
		defer cancel()
		err = errors.Join(err, w.host.Close(stop))
		if w.opts.Environment != nil {
			err = errors.Join(err, w.opts.Project.KeepEnvironment(nil))
		}
		w.following.Wait()
	}()
	if err := w.bind(ctx, w.opts.Project.Manifest()); err != nil {
		return err
	}
	for ctx.Err() == nil {
		again, err := w.watch(ctx)
		if err != nil || !again {
			return err
		}
	}
	return nil
}

// watch serves with one set of source patterns. It says whether to go on with
// another.
func (w *Workbench) watch(ctx context.Context) (again bool, err error) {
	include, exclude := w.opts.Project.Manifest().Sources()
	watcher, err := watch.New(ctx, &watch.Options{
		Root:      w.opts.Project.Dir(),
		Include:   include,
		Exclude:   exclude,
		ForcePoll: w.opts.Poll,
		Notice:    func(s string) { w.opts.Events(Event{Kind: KindNotice, Message: s}) },
	})
	if err != nil {
		return false, fmt.Errorf("watching %s: %w", w.opts.Project.Dir(), err)
	}
	defer watcher.Close()
	return w.loop(ctx, watcher.Changes(), build.NewBystanders(w.opts.Project.Manifest())), nil
}

// loop starts builds as changes come in, one at a time.
func (w *Workbench) loop(ctx context.Context, changes <-chan watch.Change, aside *build.Bystanders) (again bool) {
	run := w.start(ctx, cause{at: time.Now()})
	defer func() { run.stop() }()
	var queued cause    // changes that wait for the build under way
	since := time.Now() // the change that the first of the builds that were cancelled was for
	for {
		var next cause
		select {
		case <-ctx.Done():
			return false
		case change, ok := <-changes:
			if !ok {
				return ctx.Err() == nil
			}
			next = cause{at: change.At, paths: change.Paths}
			if run.done != nil && (aside.All(next.paths) || next.at.Sub(since) > w.opts.Patience) {
				queued = queued.and(next)
				continue
			}
		case <-w.rebuild:
			next = cause{at: time.Now(), forced: true}
		case <-w.rebind:
			next = cause{at: time.Now(), rebind: true}
		case <-run.done:
			if run.rewatch {
				return true
			}
			run.done = nil
			aside.Learn(run.unchanged)
			if len(queued.paths) == 0 {
				continue
			}
			next = queued
			queued = cause{}
		}
		if aside.Idles(next.paths) {
			continue
		}
		if run.done == nil {
			since = next.at
		}
		run.stop()
		if run.rewatch {
			return true
		}
		next, queued = queued.and(next), cause{}
		aside.Forget(next.paths)
		run = w.start(ctx, next)
	}
}

// cause is why a build begins.
type cause struct {
	at     time.Time // of the first sign of the change
	paths  []string
	forced bool // the user asked
	rebind bool // bindings lead elsewhere
}

// and is a cause with a later one added.
func (c cause) and(later cause) cause {
	if len(c.paths) == 0 {
		return later
	}
	return cause{at: c.at, paths: append(slices.Clone(c.paths), later.paths...), forced: later.forced}
}

// run is a build under way.
type run struct {
	cancel  context.CancelFunc
	ended   chan struct{}
	done    <-chan struct{} // ended, or nil once that was seen
	rewatch bool            // read after ended

	unchanged []string // the changes that changed nothing, if so; read after ended
}

func (r *run) stop() {
	r.cancel()
	<-r.ended
}

func (w *Workbench) start(ctx context.Context, c cause) *run {
	ctx, cancel := context.WithCancel(ctx)
	r := &run{cancel: cancel, ended: make(chan struct{})}
	r.done = r.ended
	w.building.Store(true)
	go func() {
		defer close(r.ended)
		defer w.building.Store(false)
		r.rewatch, r.unchanged = w.reload(ctx, c)
	}()
	return r
}
