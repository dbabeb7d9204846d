package workbench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/waxosuit/waxo/devhost"
	"github.com/waxosuit/waxo/devhost/build"
	"github.com/waxosuit/waxo/devhost/manifest"
	"github.com/waxosuit/waxo/devhost/project"
	"github.com/waxosuit/waxo/wapc"
)

// attempt is one way from a change to a build that serves.
type attempt struct {
	cause
	number  int
	phases  []Phase
	stage   string // the phase under way
	rewatch bool   // the manifest names other sources than before

	unchanged bool // it gave the module that serves already
}

// phase begins a phase; what it returns ends it.
func (a *attempt) phase(name string) (end func()) {
	a.stage = name
	begun := time.Now()
	return func() { a.phases = append(a.phases, Phase{Name: name, Took: time.Since(begun)}) }
}

// reload takes a change through all phases. It says whether the sources to watch
// are others now, and which changes the build has shown to change nothing.
func (w *Workbench) reload(ctx context.Context, c cause) (rewatch bool, unchanged []string) {
	w.number++
	w.anew = w.anew || c.forced
	w.relook = w.relook || c.rebind
	for _, p := range c.paths {
		if !slices.Contains(w.pending, p) {
			w.pending = append(w.pending, p)
		}
	}
	slices.Sort(w.pending)
	a := &attempt{cause: c, number: w.number}
	if len(c.paths) > 0 {
		a.phases = append(a.phases, Phase{Name: "watch", Took: time.Since(c.at)})
	}
	w.opts.Events(Event{Kind: KindBuilding, Build: a.number, Paths: slices.Clone(w.pending)})
	err := w.advance(ctx, a)
	switch {
	case ctx.Err() != nil:
		// A newer change, or the end: its own events tell the rest.
		return a.rewatch, nil
	case err != nil:
		w.fail(a, err)
	case a.unchanged:
		unchanged = w.pending
	}
	w.pending = nil
	return a.rewatch, unchanged
}

// slowBuild is when a user wants to know that a build has not stopped.
const slowBuild = 3 * time.Second

// afterWhile says something unless it is stopped soon.
func (w *Workbench) afterWhile(a *attempt, message string) *time.Timer {
	return time.AfterFunc(slowBuild, func() {
		w.opts.Events(Event{Kind: KindNotice, Build: a.number, Message: message})
	})
}

func (w *Workbench) advance(ctx context.Context, a *attempt) error {
	a.stage = "manifest"
	if err := w.manifest(ctx, a); err != nil {
		return err
	}
	waiting := w.afterWhile(a, "still building: a toolchain's first build for WebAssembly compiles its standard library too")
	made, err := w.opts.Project.Make(ctx, w.builder, &project.MakeOptions{
		Account: w.keys.Account,
		Module:  w.keys.Module,
		Dev:     true,
		Brief:   true,
		Env:     w.env,
		Phase:   a.phase,
	})
	waiting.Stop()
	if err != nil {
		return err
	}
	fresh := w.opts.Now().Sub(w.serving.signed) < project.DevLifetime/2
	if bytes.Equal(made.Sealed, w.serving.sealed) && fresh && !w.anew {
		a.unchanged = true
		w.host.ClearFailure()
		w.opts.Events(Event{Kind: KindUnchanged, Build: a.number, Serving: w.serving.label, Took: time.Since(a.at)})
		w.prune(ctx)
		return nil
	}
	label := fmt.Sprintf("%d-%s", a.number, made.Short())
	limits := devhost.LimitsOf(w.opts.Project.Manifest())
	waiting = w.afterWhile(a, "still starting: a large module takes a while to compile, and what the guest does as it starts counts too")
	g, err := w.host.Prepare(ctx, made.Signed, &devhost.PrepareOptions{
		Build:  label,
		Limits: &limits,
		Phase:  a.phase,
	})
	waiting.Stop()
	if err != nil {
		return err
	}
	swapped := a.phase("swap")
	if err := w.host.Activate(g); err != nil {
		return errors.Join(err, g.Close(ctx))
	}
	swapped()
	w.serving, w.anew = module{sealed: made.Sealed, signed: w.opts.Now(), label: label}, false
	tier := g.Tier()
	w.opts.Events(Event{
		Kind: KindServing, Build: a.number, Module: made.Short(), Detail: made.Output, Tier: tier.String(),
		Phases: devhost.Detail(a.phases, g.CompileStats(), tier), Took: time.Since(a.at),
	})
	if tier == wapc.TierInterpreted {
		w.following.Go(func() { w.follow(g, Event{Kind: KindCompiled, Build: a.number, Module: made.Short()}, a.at) })
	}
	w.settle(ctx, made)
	return nil
}

// follow tells when compiled code takes over from the interpreter. A guest that
// is replaced before that is not worth a word.
func (w *Workbench) follow(g *devhost.Guest, e Event, since time.Time) {
	err := g.Compiled(context.Background()) // ends with the guest
	switch e.Took = time.Since(since); {
	case errors.Is(err, wapc.ErrClosed):
		return
	case err != nil:
		e.Kind, e.Took, e.Message = KindNotice, 0, "the guest stays interpreted: "+err.Error()
	}
	w.opts.Events(e)
}

// settle does what can wait until the new build serves. Its failure is told,
// but takes nothing back.
func (w *Workbench) settle(ctx context.Context, made *project.Made) {
	if err := w.opts.Project.Keep(made); err != nil {
		w.opts.Events(Event{Kind: KindNotice, Message: "the module could not be kept for waxo run: " + err.Error()})
	}
	w.prune(ctx)
}

// prune ends the bindings that are not asked for any more, and what is behind
// them. A newer change does not wait for calls of the build before: the next
// build prunes again.
func (w *Workbench) prune(ctx context.Context) {
	err := w.host.Prune(ctx, w.binds)
	if err == nil && w.opts.Prune != nil {
		err = w.opts.Prune(ctx)
	}
	if err != nil && ctx.Err() == nil {
		w.opts.Events(Event{Kind: KindNotice, Message: "unbinding: " + err.Error()})
	}
}

// manifest reads waxo.toml again if it changed, tells what differs, and binds
// what is asked for now.
func (w *Workbench) manifest(ctx context.Context, a *attempt) error {
	if !slices.Contains(w.pending, manifest.FileName) && !w.relook {
		return nil
	}
	w.relook = true
	waiting := w.rebindings.take()
	err := w.renew(ctx, a)
	if ctx.Err() != nil {
		// A newer change makes them.
		w.rebindings.Lock()
		w.rebindings.waiting = append(waiting, w.rebindings.waiting...)
		w.rebindings.Unlock()
		return err
	}
	for _, done := range waiting {
		done <- err
	}
	return err
}

// renew reads the manifest and makes the bindings.
func (w *Workbench) renew(ctx context.Context, a *attempt) error {
	a.stage = "manifest"
	old := w.opts.Project.Manifest()
	if err := w.opts.Project.Reload(); err != nil {
		return err
	}
	now := w.opts.Project.Manifest()
	d := manifest.Diff(old, now)
	a.rewatch = d.Rewatch
	w.anew = w.anew || d.Resign || d.Relimit
	if len(d.Added)+len(d.Removed) > 0 {
		w.opts.Events(Event{Kind: KindCapabilities, Build: a.number, Added: d.Added, Removed: d.Removed})
	}
	bound := a.phase("bind")
	if err := w.bind(ctx, now); err != nil {
		return err
	}
	bound()
	w.relook = false
	return nil
}

func (w *Workbench) bind(ctx context.Context, m *manifest.Manifest) error {
	binds, err := w.opts.Connect(ctx, m)
	if err != nil {
		return err
	}
	guest := w.keys.Module.PublicKey().String()
	if err := w.host.Bind(ctx, devhost.Identity{Key: guest, Name: m.Name}, binds); err != nil {
		return err
	}
	w.binds = binds
	if w.opts.Environment != nil {
		w.env = w.opts.Environment(binds)
		if err := w.opts.Project.KeepEnvironment(w.env); err != nil {
			return err
		}
	}
	if w.opts.Bound != nil {
		w.opts.Bound(guest, binds)
	}
	return nil
}

// fail tells that a build does not serve, and what serves in its place.
func (w *Workbench) fail(a *attempt, err error) {
	message, detail := err.Error(), ""
	if toolchain := new(build.BuildError); errors.As(err, &toolchain) {
		message, detail = toolchain.Tool+": "+toolchain.Err.Error(), toolchain.Output
		if n := len(toolchain.Diagnostics); n > 0 {
			message = fmt.Sprintf("%s: %d mistake(s)", toolchain.Tool, n)
		}
	}
	w.host.SetFailure(devhost.Failure{Build: fmt.Sprint(a.number), Detail: a.stage + ": " + message + "\n\n" + detail})
	w.opts.Events(Event{
		Kind: KindFailed, Build: a.number, Stage: a.stage, Message: message, Detail: detail,
		Serving: w.serving.label, Phases: a.phases, Took: time.Since(a.at),
	})
}
