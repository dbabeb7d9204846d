package project

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/waxosuit/waxo/devhost/build"
	"github.com/waxosuit/waxo/devhost/manifest"
	"github.com/waxosuit/waxo/devhost/project"
	"github.com/waxosuit/waxo/devhost/watch"
	"github.com/waxosuit/waxo/testscripts/report"
	"github.com/waxosuit/waxo/testscripts/script"
)

// Watch runs the scripts of a project, and again at each change of its sources and
// scripts. All fields are required.
type Watch struct {
	Project *project.Project
	Builder *build.Builder
	Find    func() ([]*script.Script, error)
	Options Options // Guest and Scripts are set for each run

	// Begins is told that a run begins, and of the changes that it is for: none for
	// the first one.
	Begins func(changed []string)
	// Ends is told how a run ended: with a report, or with an error of Find, of Build
	// or of Run. One that a newer change interrupts does not end.
	Ends func(r *report.Report, err error)
	// Notice is told when the way of watching changes.
	Notice func(string)

	guest  *Guest // nil: it could not be built
	tested *Guest // the one that the last run tested to its end, or nil
	failed string // what was wrong with the last build; "" where nothing was
}

// patience is how long newer changes may go on interrupting runs: then one is let to
// its end, however often something is written.
const patience = 5 * time.Second

// Run watches until ctx ends. Its error says why it cannot watch.
func (w *Watch) Run(ctx context.Context) error {
	var paths []string
	for ctx.Err() == nil {
		m := w.Project.Manifest()
		include, exclude := m.Sources()
		watcher, err := watch.New(ctx, &watch.Options{
			Root: w.Project.Dir(), Include: append(include, Folder+"/**"), Exclude: exclude, Notice: w.Notice,
		})
		if err != nil {
			return fmt.Errorf("watching %s: %w", w.Project.Dir(), err)
		}
		paths = w.loop(ctx, watcher.Changes(), build.NewBystanders(m), paths)
		watcher.Close()
	}
	return nil
}

// loop runs the scripts for these changes and then for further ones, until the
// sources to watch are others. It returns the changes that no run has seen then.
func (w *Watch) loop(ctx context.Context, changes <-chan watch.Change, aside *build.Bystanders, paths []string) []string {
	run := w.begin(ctx, &round{paths: paths, read: true}) // nil: none is under way
	var queued []string                                   // changes that wait for its end
	since := time.Now()                                   // the first of the runs that were interrupted
	for {
		select {
		case <-run.over():
			if run.rewatch {
				return union(run.paths, queued)
			}
			if run.same && !slices.ContainsFunc(run.paths, isScript) {
				aside.Learn(run.paths)
			}
			run = nil
			if queued != nil {
				since, run, queued = time.Now(), w.begin(ctx, &round{paths: queued}), nil
			}
		case change, ok := <-changes:
			switch {
			case !ok:
				run.stop()
				return nil
			case aside.Idles(change.Paths):
				continue
			case run == nil:
				since = time.Now()
				run = w.begin(ctx, &round{paths: change.Paths})
			case aside.All(change.Paths) && !slices.ContainsFunc(change.Paths, isScript), time.Since(since) > patience:
				queued = union(queued, change.Paths)
			default:
				run.stop()
				run, queued = w.begin(ctx, &round{paths: union(run.paths, queued, change.Paths)}), nil
			}
			aside.Forget(change.Paths)
		}
	}
}

func union(paths ...[]string) []string {
	all := slices.Concat(paths...)
	slices.Sort(all)
	return slices.Compact(all)
}

// round is a run under way; nil is none.
type round struct {
	paths  []string // the changes that it is for
	read   bool     // the manifest is read already
	cancel context.CancelFunc
	ended  chan struct{}

	// Read after ended.
	same    bool // the changes gave the guest that there was
	rewatch bool // the manifest was read, and it all has to begin anew by it
}

func (r *round) over() <-chan struct{} {
	if r == nil {
		return nil
	}
	return r.ended
}

func (r *round) stop() {
	if r != nil {
		r.cancel()
		<-r.ended
	}
}

func (w *Watch) begin(ctx context.Context, r *round) *round {
	ctx, r.cancel = context.WithCancel(ctx)
	r.ended = make(chan struct{})
	go func() {
		defer close(r.ended)
		defer r.cancel()
		w.round(ctx, r)
	}()
	return r
}

// round builds what has changed, and runs the scripts unless nothing has.
func (w *Watch) round(ctx context.Context, r *round) {
	if !r.read && slices.Contains(r.paths, manifest.FileName) {
		err := w.Project.Reload()
		if r.rewatch = err == nil; err != nil {
			w.end(ctx, nil, err)
		}
		return
	}
	scripted := slices.ContainsFunc(r.paths, isScript)
	if w.guest == nil || slices.ContainsFunc(r.paths, func(p string) bool { return !isScript(p) }) {
		w.guest = nil
		guest, err := Build(ctx, w.Project, w.Builder, true)
		if err != nil {
			if text := words(err); text == w.failed {
				r.same = true
			} else if w.end(ctx, nil, err) {
				w.failed = text
			}
			return
		}
		w.guest, w.failed = guest, ""
	}
	r.same = w.tested != nil && bytes.Equal(w.tested.sealed, w.guest.sealed)
	if r.same && !scripted && !r.read {
		return
	}
	w.Begins(r.paths)
	scripts, err := w.Find()
	if err != nil {
		w.end(ctx, nil, err)
		return
	}
	o := w.Options
	o.Guest, o.Scripts = w.guest, scripts
	result, err := Run(ctx, &o)
	w.end(ctx, result, err)
}

// words are all that is known of an error.
func words(err error) string {
	if failed := new(build.BuildError); errors.As(err, &failed) {
		return err.Error() + "\n" + failed.Output
	}
	return err.Error()
}

// end tells how a run ended, unless it was interrupted.
func (w *Watch) end(ctx context.Context, r *report.Report, err error) bool {
	if ctx.Err() != nil {
		return false
	}
	w.tested = nil
	if err == nil {
		w.tested = w.guest
	}
	w.Ends(r, err)
	return true
}

// isScript tells whether a file is one of the scripts, and none of the guest's.
func isScript(path string) bool {
	return strings.HasPrefix(path, Folder+"/") && filepath.Ext(path) == ".txtar"
}
