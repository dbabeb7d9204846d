// Package watch tells when the source files of a project have changed.
//
// It promises that a change is reported once, soon after the last write of a
// burst, however the editor saves; that what is ignored (version control, state,
// what .gitignore names, what the caller excludes) never counts; and that
// contents decide: a file that was touched, or saved as it was, is no change.
// Where the system reports no events, or too few, it polls by itself and says so.
//
// It reports which files differ, not what happened to them: whoever builds reads
// the tree as it is. It does not follow symbolic links to folders.
package watch

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/bmatcuk/doublestar/v4"
)

// The defaults of Options.
const (
	DefaultQuiet        = 30 * time.Millisecond
	DefaultMaxWait      = 500 * time.Millisecond
	DefaultPollInterval = 500 * time.Millisecond
)

// Options say what to watch. All but Root may be left out.
type Options struct {
	// Root is the folder to watch; it must exist when New is called.
	Root string

	// Include holds the patterns of the files that count, relative to Root, with
	// slashes, in the syntax of doublestar ("**/*.go"). None: every file.
	Include []string

	// Exclude holds the patterns of files and folders that never count, in the
	// same syntax. A folder that matches is not entered.
	Exclude []string

	// Quiet is how long nothing must happen before a change is reported.
	// Default: DefaultQuiet.
	Quiet time.Duration

	// MaxWait bounds the wait for quiet, from the first event. Default:
	// DefaultMaxWait.
	MaxWait time.Duration

	// PollInterval is the time between two looks where the watcher polls. Where
	// it has events, it looks after every fourth of them, to find what events
	// missed. In a tree so large that a look takes more than a twentieth of it, it
	// looks less often. Default: DefaultPollInterval.
	PollInterval time.Duration

	// ForcePoll polls from the start.
	ForcePoll bool

	// Notice is told, in a sentence for people, when the way of watching changes:
	// the fall back to polling, the root that is gone or back. It is called by
	// one goroutine at a time and must not block. Default: nothing is told.
	Notice func(string)
}

// Change is a set of files that differ from what they were at the last Change.
type Change struct {
	Paths []string  // relative to the root, with slashes, sorted; what was deleted too
	At    time.Time // when the first sign of it was seen
}

// Watcher watches a folder. Close it after use.
type Watcher struct {
	changes chan Change
	cancel  context.CancelFunc
	done    chan struct{}
}

// New starts to watch. What it compares with is the tree as it stands when New
// returns. The watcher ends with ctx, or with Close. Where the system cannot
// watch, New polls and says so to o.Notice; that is no error.
func New(ctx context.Context, o *Options) (*Watcher, error) {
	return newWatcher(ctx, o, newSystemBackend)
}

func newWatcher(ctx context.Context, o *Options, open func() (backend, error)) (*Watcher, error) {
	options, err := o.complete()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	w := &Watcher{changes: make(chan Change), cancel: cancel, done: make(chan struct{})}
	l := newLoop(options, open, w.changes)
	if err := l.start(); err != nil {
		cancel()
		l.closeBackend()
		return nil, fmt.Errorf("watch: %w", err)
	}
	go func() {
		defer close(w.done)
		l.run(ctx)
	}()
	return w, nil
}

// complete checks the options and fills the defaults in.
func (o *Options) complete() (*Options, error) {
	var c Options
	if o != nil {
		c = *o
	}
	var err error
	if c.Root, err = filepath.Abs(c.Root); err != nil {
		return nil, fmt.Errorf("watch: %w", err)
	}
	if info, err := os.Stat(c.Root); err != nil {
		return nil, fmt.Errorf("watch: %w", err)
	} else if !info.IsDir() {
		return nil, fmt.Errorf("watch: %s is not a folder", c.Root)
	}
	for _, patterns := range [][]string{c.Include, c.Exclude} {
		for _, p := range patterns {
			if !doublestar.ValidatePattern(p) {
				return nil, fmt.Errorf("watch: %w: %q", doublestar.ErrBadPattern, p)
			}
		}
	}
	for _, d := range []struct {
		value    *time.Duration
		fallback time.Duration
	}{{&c.Quiet, DefaultQuiet}, {&c.MaxWait, DefaultMaxWait}, {&c.PollInterval, DefaultPollInterval}} {
		if *d.value <= 0 {
			*d.value = d.fallback
		}
	}
	if c.Notice == nil {
		c.Notice = func(string) {}
	}
	return &c, nil
}

// Changes returns the channel on which changes arrive; it is closed when the
// watcher has ended. What happens while nobody receives is gathered into one
// Change.
func (w *Watcher) Changes() <-chan Change { return w.changes }

// Close ends the watcher and waits until it has. It may be called twice.
func (w *Watcher) Close() error {
	w.cancel()
	<-w.done
	return nil
}
