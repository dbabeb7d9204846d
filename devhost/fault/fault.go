// Package fault has things go wrong on purpose while a guest runs: calls of a
// capability take longer, fail, are denied, or find that their service is cut off.
//
// A provider that Wrap has wrapped is the same to the host, and costs the same as
// long as nothing is wrong with it: a look at one pointer. A cut is a real one
// where the service runs on this machine: from the first cut on the binding leads
// through a relay, which resets the connections and lets none through until the
// fault is over. Elsewhere, and for capabilities without a service, calls get a
// CodeUnavailable instead.
//
// What is wrong with a capability is wrong in both directions: calls that the
// capability has for the guest are late, fail or are denied as well.
package fault

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/devhost/manifest"
)

// Fault is what goes wrong.
type Fault = manifest.Fault

// Options configure an Injector; nil works.
type Options struct {
	// Seed makes the same calls fail in every run. Default: other ones each time.
	Seed uint64

	// Log is told what begins and ends. Default: dropped.
	Log *slog.Logger
}

// Injector has the faults of a host's providers.
type Injector struct {
	log *slog.Logger

	change sync.Mutex // held while faults begin or end, which may take a while

	mu        sync.Mutex // held for the fields below, for an instant
	providers []*provider
	faults    []*active
	base      []Fault // of the manifest, as they were last set
	random    *rand.Rand
	closed    bool

	ending sync.WaitGroup // faults that end by themselves
}

// active is a fault that is set.
type active struct {
	Fault
	until time.Time    // zero: for ever
	timer *time.Timer  // nil: for ever
	left  atomic.Int64 // calls, where Times bounds them
	hits  atomic.Int64
	based bool // it is one of the manifest
}

// name is what the fault is of, for people.
func (a *active) name() string {
	if a.Binding == "" {
		return a.Capability
	}
	return a.Capability + "/" + a.Binding
}

// Status is a fault that is set, and how far it has come.
type Status struct {
	Fault
	Hits int64         `json:"hits"`              // calls that it touched
	Left time.Duration `json:"left_ns,omitempty"` // until it is over, where For bounds it
	Real bool          `json:"real,omitempty"`    // the cut is one of connections
}

// New makes an Injector without faults.
func New(opts *Options) *Injector {
	if opts == nil {
		opts = &Options{}
	}
	i := &Injector{log: opts.Log}
	if i.log == nil {
		i.log = slog.New(slog.DiscardHandler)
	}
	seed := cmp.Or(opts.Seed, rand.Uint64())
	i.random = rand.New(rand.NewPCG(seed, seed))
	return i
}

// Wrap returns the provider with what goes wrong with its capability. The same
// provider is wrapped once: it comes back the same.
func (i *Injector) Wrap(p capability.Provider) capability.Provider {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, known := range i.providers {
		if known.Provider == p {
			return known
		}
	}
	w := &provider{Provider: p, injector: i, capability: p.Describe().Capability, bindings: make(map[capability.BindingID]*binding)}
	i.providers = append(i.providers, w)
	i.publish()
	return w
}

// Set has a fault begin, in place of one of the same capability and binding. The
// error says what is wrong with it, or that there is no such capability or binding.
func (i *Injector) Set(ctx context.Context, f Fault) error {
	if err := f.Check(); err != nil {
		return err
	}
	if err := i.known(f); err != nil {
		return err
	}
	i.change.Lock()
	defer i.change.Unlock()
	if err := i.remove(ctx, func(a *active) bool { return a.Capability == f.Capability && a.Binding == f.Binding }); err != nil {
		return err
	}
	return i.add(ctx, &active{Fault: f})
}

// Clear ends the faults of a capability, of all if it is empty, and of one binding
// if one is named. It returns how many there were.
func (i *Injector) Clear(ctx context.Context, id, binding string) (int, error) {
	i.change.Lock()
	defer i.change.Unlock()
	n := 0
	err := i.remove(ctx, func(a *active) bool {
		matches := (id == "" || a.Capability == id) && (binding == "" || a.Binding == binding)
		if matches {
			n++
		}
		return matches
	})
	return n, err
}

// Base sets the faults of a manifest. Where they are those of the last time, it does
// nothing: what was cleared meanwhile stays cleared. Capabilities that are not
// there yet may come later.
func (i *Injector) Base(ctx context.Context, faults []Fault) error {
	i.change.Lock()
	defer i.change.Unlock()
	if slices.Equal(i.base, faults) {
		return nil
	}
	i.base = slices.Clone(faults)
	errs := []error{i.remove(ctx, func(a *active) bool { return a.based })}
	for _, f := range faults {
		errs = append(errs, f.Check())
		if errs[len(errs)-1] == nil {
			errs = append(errs, i.add(ctx, &active{Fault: f, based: true}))
		}
	}
	return errors.Join(errs...)
}

// List tells which faults are set, in the order in which they were.
func (i *Injector) List() []Status {
	i.mu.Lock()
	defer i.mu.Unlock()
	list := make([]Status, 0, len(i.faults))
	for _, a := range i.faults {
		s := Status{Fault: a.Fault, Hits: a.hits.Load()}
		if !a.until.IsZero() {
			s.Left = max(0, time.Until(a.until))
		}
		for _, p := range i.providers {
			s.Real = s.Real || a.Cut && p.capability == a.Capability && p.isCut(a.Binding)
		}
		list = append(list, s)
	}
	return list
}

// Close ends all faults, and what waits for their ends. The providers stay what
// they are, and their owner's. It may be called twice.
func (i *Injector) Close(ctx context.Context) error {
	i.mu.Lock()
	i.closed = true
	i.mu.Unlock()
	_, err := i.Clear(ctx, "", "")
	i.ending.Wait()
	return err
}

// known checks that there is something for a fault to go wrong with.
func (i *Injector) known(f Fault) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	var bound, names []string
	for _, p := range i.providers {
		bindings := p.names()
		if len(bindings) > 0 {
			bound = append(bound, p.capability)
		}
		if p.capability == f.Capability {
			names = bindings
		}
	}
	slices.Sort(bound)
	switch {
	case len(names) == 0:
		return fmt.Errorf("no provider of %s is bound; bound are %q", f.Capability, bound)
	case f.Binding != "" && !slices.Contains(names, f.Binding):
		return fmt.Errorf("%s has no binding %q; there are %q", f.Capability, f.Binding, names)
	}
	return nil
}

// add has a fault begin. i.change is held.
func (i *Injector) add(ctx context.Context, a *active) error {
	a.left.Store(int64(a.Times))
	i.mu.Lock()
	if i.closed {
		i.mu.Unlock()
		return errors.New("the host is ending")
	}
	if a.For > 0 {
		a.until = time.Now().Add(a.For)
		i.ending.Add(1)
		a.timer = time.AfterFunc(a.For, func() {
			defer i.ending.Done()
			i.end(a)
		})
	}
	i.faults = append(i.faults, a)
	i.publish()
	affected := i.of(a.Capability)
	i.mu.Unlock()
	i.log.Info("fault of " + a.name() + " begins: " + a.Fault.String())
	if a.Cut {
		for _, p := range affected {
			p.cut(ctx, a.Binding)
		}
	}
	return nil
}

// end ends a fault whose time has come.
func (i *Injector) end(a *active) {
	ctx, cancel := context.WithTimeout(context.Background(), rebindTimeout)
	defer cancel()
	i.change.Lock()
	defer i.change.Unlock()
	if err := i.remove(ctx, func(other *active) bool { return other == a }); err != nil {
		i.log.Warn("after the fault of "+a.name(), "error", err)
	}
}

// remove ends faults. i.change is held.
func (i *Injector) remove(ctx context.Context, which func(*active) bool) error {
	i.mu.Lock()
	var gone []*active
	i.faults = slices.DeleteFunc(i.faults, func(a *active) bool {
		if which(a) {
			gone = append(gone, a)
			return true
		}
		return false
	})
	i.mu.Unlock()
	var errs []error
	for _, a := range gone {
		if a.timer != nil && a.timer.Stop() {
			i.ending.Done()
		}
		i.mu.Lock()
		affected := i.of(a.Capability)
		i.mu.Unlock()
		for _, p := range affected {
			errs = append(errs, p.mend(ctx))
		}
		i.log.Info("fault of "+a.name()+" is over", "calls", a.hits.Load())
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.publish()
	return errors.Join(errs...)
}

// of returns the providers of a capability. i.mu is held.
func (i *Injector) of(id string) []*provider {
	var all []*provider
	for _, p := range i.providers {
		if p.capability == id {
			all = append(all, p)
		}
	}
	return all
}

// publish shows the providers what is wrong with them. i.mu is held.
func (i *Injector) publish() {
	for _, p := range i.providers {
		var faults []*active
		for _, a := range i.faults {
			if a.Capability == p.capability {
				faults = append(faults, a)
			}
		}
		if faults == nil {
			p.faults.Store(nil)
		} else {
			p.faults.Store(&faults)
		}
	}
}

// chance tells whether what happens at a rate happens now.
func (i *Injector) chance(rate float64) bool {
	if rate == 0 || rate == 1 {
		return true
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.random.Float64() < rate
}

// delay is how late a call is to be.
func (i *Injector) delay(f *Fault) time.Duration {
	if f.Jitter == 0 {
		return f.Latency
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	return f.Latency + time.Duration(i.random.Int64N(int64(f.Jitter)+1))
}
