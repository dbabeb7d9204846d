package fault

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waxosuit/waxo/capability"
)

// rebindTimeout bounds how long calls in hand are waited for when a binding is put
// behind a relay, and how long it then takes.
const rebindTimeout = 2 * time.Second

// provider is a provider with which things may be wrong.
type provider struct {
	capability.Provider
	injector   *Injector
	capability string
	faults     atomic.Pointer[[]*active] // nil: none

	mu       sync.Mutex // held while bindings change
	bindings map[capability.BindingID]*binding

	seen atomic.Pointer[map[capability.BindingID]view] // bindings, for calls to look at
}

// view is what a call needs to know of its binding.
type view struct {
	guest string // its name
	cut   bool   // it leads through a relay that is cut
}

// binding is what a guest is bound with.
type binding struct {
	capability.Binding
	dispatcher capability.Dispatcher
	relays     []*relay // none: it leads to its service directly
	lost       bool     // it could not be made again
}

// Bind implements capability.Provider.
func (p *provider) Bind(ctx context.Context, b capability.Binding, d capability.Dispatcher) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := &binding{Binding: b}
	if d != nil {
		n.dispatcher = &dispatcher{Dispatcher: d, provider: p, id: b.BindingID}
	}
	if err := p.Provider.Bind(ctx, b, n.dispatcher); err != nil {
		return err
	}
	p.bindings[b.BindingID] = n
	if p.injector.cuts(p.capability, b.Name) {
		p.cutOne(ctx, n)
	}
	p.show()
	return nil
}

// Unbind implements capability.Provider.
func (p *provider) Unbind(ctx context.Context, id capability.BindingID) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := p.Provider.Unbind(ctx, id)
	if b := p.bindings[id]; b != nil {
		closeAll(b.relays)
		delete(p.bindings, id)
		p.show()
	}
	return err
}

// Close implements capability.Provider.
func (p *provider) Close(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := p.Provider.Close(ctx)
	for _, b := range p.bindings {
		closeAll(b.relays)
	}
	clear(p.bindings)
	p.show()
	return err
}

// Call implements capability.Provider.
func (p *provider) Call(ctx context.Context, c capability.Call) ([]byte, error) {
	faults := p.faults.Load()
	if faults == nil {
		return p.Provider.Call(ctx, c)
	}
	if err := p.suffer(ctx, *faults, c.BindingID, c.Operation); err != nil {
		return nil, err
	}
	return p.Provider.Call(ctx, c)
}

// dispatcher is what a provider reaches the guest with, and what may be wrong with
// that.
type dispatcher struct {
	capability.Dispatcher
	provider *provider
	id       capability.BindingID
}

// Dispatch implements capability.Dispatcher.
func (d *dispatcher) Dispatch(ctx context.Context, operation string, payload, into []byte) (capability.Reply, error) {
	if faults := d.provider.faults.Load(); faults != nil {
		if err := d.provider.suffer(ctx, *faults, d.id, operation); err != nil {
			return capability.Reply{}, err
		}
	}
	return d.Dispatcher.Dispatch(ctx, operation, payload, into)
}

// suffer has a call suffer from what is wrong with its binding.
func (p *provider) suffer(ctx context.Context, faults []*active, id capability.BindingID, operation string) error {
	for _, a := range faults {
		if a.Binding != "" && a.Binding != id.Name {
			continue
		}
		hit := a.Error == "" && !a.Deny || p.injector.chance(a.Rate)
		if !hit && a.Latency == 0 && a.Jitter == 0 {
			continue
		}
		if !p.injector.take(a) {
			continue
		}
		if err := wait(ctx, p.injector.delay(&a.Fault)); err != nil {
			return err
		}
		switch {
		case a.Deny && hit:
			return capability.Denied(p.view(id).guest, p.capability, operation)
		case a.Error != "" && hit:
			return injected(capability.Code(a.Error), p.capability, "fails")
		case a.Cut && !p.view(id).cut:
			return injected(capability.CodeUnavailable, p.capability, "is cut off")
		}
	}
	return nil
}

func injected(code capability.Code, id, what string) error {
	return &capability.Error{Code: code, Message: id + " " + what + " on purpose: waxo fault and [[dev.fault]] of waxo.toml say so"}
}

// take counts a call for a fault; false where that is over. The last one ends it.
func (i *Injector) take(a *active) bool {
	if a.Times > 0 {
		left := a.left.Add(-1)
		if left < 0 {
			return false
		}
		if left == 0 {
			i.later(a)
		}
	}
	a.hits.Add(1)
	return true
}

// later ends a fault when whoever holds it up is through.
func (i *Injector) later(a *active) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.closed {
		i.ending.Go(func() { i.end(a) })
	}
}

// wait waits for d, or answers as a provider that is too late.
func wait(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return capability.AsError(ctx.Err())
	}
}

// view is what a call sees of its binding.
func (p *provider) view(id capability.BindingID) view {
	if all := p.seen.Load(); all != nil {
		return (*all)[id]
	}
	return view{}
}

// names are those of the bindings.
func (p *provider) names() []string {
	var names []string
	if all := p.seen.Load(); all != nil {
		for id := range *all {
			names = append(names, id.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// isCut tells whether the binding of a name, or any for "", is really cut.
func (p *provider) isCut(name string) bool {
	if all := p.seen.Load(); all != nil {
		for id, v := range *all {
			if v.cut && (name == "" || id.Name == name) {
				return true
			}
		}
	}
	return false
}

// show has calls see the bindings as they are. p.mu is held.
func (p *provider) show() {
	all := make(map[capability.BindingID]view, len(p.bindings))
	for id, b := range p.bindings {
		all[id] = view{guest: cmp.Or(b.GuestName, id.Guest), cut: len(b.relays) > 0 && p.injector.cuts(p.capability, id.Name)}
	}
	p.seen.Store(&all)
}

// cut cuts the bindings of a name, or all for "".
func (p *provider) cut(ctx context.Context, name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, b := range p.bindings {
		if name == "" || id.Name == name {
			p.cutOne(ctx, b)
		}
	}
	p.show()
}

// cutOne cuts one binding, by its relays if it can have some. p.mu is held. Where
// and until it has none, calls get an error that stands for the cut.
func (p *provider) cutOne(ctx context.Context, b *binding) {
	if len(b.relays) == 0 && len(targets(b.Config["url"])) > 0 {
		if err := p.divert(ctx, b); err != nil {
			p.injector.log.Warn("its connections cannot be cut, so calls are told that they are", "capability", p.capability, "binding", b.Name, "error", err)
		}
	}
	for _, r := range b.relays {
		r.cut()
	}
}

// divert makes a binding anew, through relays.
func (p *provider) divert(ctx context.Context, b *binding) error {
	address, relays, err := relayed(b.Config["url"])
	if err != nil {
		return fmt.Errorf("the relay before %s: %w", p.capability, err)
	}
	through := b.Binding
	through.Config = maps.Clone(b.Config)
	through.Config["url"] = address
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rebindTimeout)
	defer cancel()
	// Calls in hand that take longer are cut off, which is what was asked for.
	p.Provider.Unbind(ctx, b.BindingID) //nolint:errcheck // the binding is gone in any case
	again, cancelAgain := context.WithTimeout(context.WithoutCancel(ctx), rebindTimeout)
	defer cancelAgain()
	if err := p.Provider.Bind(again, through, b.dispatcher); err != nil {
		closeAll(relays)
		return errors.Join(fmt.Errorf("the relay before %s cannot be used: %w", p.capability, err), p.rebind(again, b))
	}
	b.relays, b.lost = relays, false
	return nil
}

// rebind makes a binding anew, as it was.
func (p *provider) rebind(ctx context.Context, b *binding) error {
	err := p.Provider.Bind(ctx, b.Binding, b.dispatcher)
	if b.lost = err != nil; b.lost {
		err = fmt.Errorf("the binding %q of %s cannot be made again: %w; clear the fault once its service is there", b.Name, p.capability, err)
	}
	return err
}

// mend undoes the cuts that no fault asks for any more.
func (p *provider) mend(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for id, b := range p.bindings {
		if p.injector.cuts(p.capability, id.Name) {
			continue
		}
		for _, r := range b.relays {
			r.mend()
		}
		if b.lost {
			errs = append(errs, p.rebind(ctx, b))
		}
	}
	p.show()
	return errors.Join(errs...)
}

// cuts tells whether a fault that is set cuts a binding.
func (i *Injector) cuts(id, name string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.ContainsFunc(i.faults, func(a *active) bool {
		return a.Cut && a.Capability == id && (a.Binding == "" || a.Binding == name)
	})
}
