package devhost

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/waxosuit/waxo/capability"
)

// Identity is whom bindings are made for.
type Identity struct {
	Key  string // the module's public key, "M..."
	Name string // its name, for people
}

// Bind asks for a provider under a capability and a binding name.
type Bind struct {
	Capability string // such as capability.KeyValue
	Name       string // default: capability.DefaultBinding
	Provider   capability.Provider
	Config     map[string]string
}

type bindingKey struct{ capability, name string }

// bound is a binding that stands, or is being changed.
type bound struct {
	Bind
	id         capability.BindingID
	operations []string      // what the provider declares; nil: any
	changed    chan struct{} // closed when the change is over; nil: it stands
	leaving    *bound        // the one before, as long as it serves
	outage     outage
}

func (b Bind) key() bindingKey {
	if b.Name == "" {
		b.Name = capability.DefaultBinding
	}
	return bindingKey{b.Capability, b.Name}
}

func (b *bound) same(other Bind) bool {
	return b.Provider == other.Provider && maps.Equal(b.Config, other.Config)
}

// Bind makes the bindings that binds asks for: new ones are made, changed ones
// made anew, those that stand already are left alone, and those that are not
// asked for any more stay until Prune. Where a changed binding cannot be made,
// the one before is restored.
func (h *Host) Bind(ctx context.Context, owner Identity, binds []Bind) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return ErrClosed
	}
	if h.owner.Key != "" && h.owner.Key != owner.Key {
		return fmt.Errorf("the host is bound for %s already", h.owner.Key)
	}
	h.owner = owner
	asked := make(map[bindingKey]bool)
	for _, b := range binds {
		if asked[b.key()] {
			return fmt.Errorf("two providers for %s under the binding %q: keep one", b.Capability, b.key().name)
		}
		asked[b.key()] = true
	}
	var errs []error
	for _, b := range binds {
		if err := h.bindOne(ctx, b); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", b.Capability, err))
		}
	}
	return errors.Join(errs...)
}

func (h *Host) bindOne(ctx context.Context, b Bind) error {
	key := b.key()
	old := (*h.bindings.Load())[key]
	if old != nil && old.same(b) {
		return nil
	}
	over := make(chan struct{})
	defer close(over)
	// What the binding before has the guest do may call it until that is done.
	h.set(key, &bound{changed: over, leaving: old})
	if old == nil {
		return h.bind(ctx, key, b)
	}
	// A change is not left half done: that would cut off the calls in hand, or
	// leave no binding at all.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), h.opts.Limits.DrainTimeout)
	defer cancel()
	err := old.Provider.Unbind(ctx, old.id)
	h.set(key, &bound{changed: over})
	if err == nil {
		if err = h.bind(ctx, key, b); err == nil {
			return nil
		}
		h.set(key, &bound{changed: over})
	}
	return errors.Join(err, h.bind(ctx, key, old.Bind))
}

// bind has the provider make a binding. Calls find it once it is made; where it
// cannot be made, they find none.
func (h *Host) bind(ctx context.Context, key bindingKey, b Bind) error {
	offer := b.Provider.Describe()
	n := &bound{Bind: b, id: capability.BindingID{Guest: h.owner.Key, Name: key.name}, operations: offer.Operations}
	n.outage.log, n.outage.capability, n.outage.binding = h.opts.Log, b.Capability, key.name
	err := fmt.Errorf("the provider %q is one of %s", offer.Name, offer.Capability)
	if offer.Capability == b.Capability {
		err = b.Provider.Bind(ctx, capability.Binding{
			BindingID:   n.id,
			GuestName:   h.owner.Name,
			Config:      maps.Clone(b.Config),
			Development: h.opts.Development,
		}, dispatcher{h, b.Capability})
	}
	if err != nil {
		h.set(key, nil)
		return err
	}
	h.set(key, n)
	return nil
}

func (h *Host) unbind(ctx context.Context, key bindingKey) error {
	b := (*h.bindings.Load())[key]
	err := b.Provider.Unbind(ctx, b.id)
	h.set(key, nil)
	return err
}

// set replaces the map of bindings by a changed copy, so that calls read it
// without a lock. Nil removes the binding.
func (h *Host) set(key bindingKey, b *bound) {
	next := maps.Clone(*h.bindings.Load())
	if next[key] = b; b == nil {
		delete(next, key)
	}
	h.bindings.Store(&next)
}

// Prune ends the bindings that are not among binds: those that bring calls in
// at once, the others when the guests that were replaced have ended, as their
// calls in hand may still need them. Where ctx ends before that, its error is
// returned and the next Prune goes on. It must not run beside Bind.
func (h *Host) Prune(ctx context.Context, binds []Bind) error {
	keep := make(map[bindingKey]bool)
	for _, b := range binds {
		keep[b.key()] = true
	}
	err := h.unbindIf(ctx, func(k bindingKey) bool { return !keep[k] && k.incoming() })
	for g := range h.replaced.Range {
		select {
		case <-g.(*Guest).ended:
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		}
	}
	return errors.Join(err, h.unbindIf(ctx, func(k bindingKey) bool { return !keep[k] }))
}

// unbindIf ends the bindings that gone names. It does not stop half-way: that
// would cut off calls in hand.
func (h *Host) unbindIf(ctx context.Context, gone func(bindingKey) bool) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	var errs []error
	for key := range *h.bindings.Load() {
		if gone(key) {
			errs = append(errs, h.unbind(context.WithoutCancel(ctx), key))
		}
	}
	return errors.Join(errs...)
}

// unbindAll ends every binding: the capabilities that bring calls in first, so
// that the calls in hand still find the others.
func (h *Host) unbindAll(ctx context.Context) error {
	keys := slices.SortedFunc(maps.Keys(*h.bindings.Load()), func(a, b bindingKey) int {
		if a.incoming() != b.incoming() {
			if a.incoming() {
				return -1
			}
			return 1
		}
		return strings.Compare(a.capability+a.name, b.capability+b.name)
	})
	var errs []error
	for _, key := range keys {
		errs = append(errs, h.unbind(ctx, key))
	}
	return errors.Join(errs...)
}

// incoming tells whether the capability calls guests.
func (k bindingKey) incoming() bool {
	switch k.capability {
	case capability.HTTPServer, capability.Messaging, capability.EventStreams:
		return true
	}
	return false
}

// lookup finds the binding that a guest names, and the bindings that it is one
// of. It waits for one that is being changed, unless the one before still serves:
// a call that found it gone names it.
func (h *Host) lookup(ctx context.Context, id, name string, gone *bound) (*map[bindingKey]*bound, *bound, error) {
	if name == "" {
		name = capability.DefaultBinding
	}
	for {
		all := h.bindings.Load()
		b, ok := (*all)[bindingKey{id, name}]
		switch {
		case !ok:
			return nil, nil, notBound(*all, id, name)
		case b.changed == nil:
			return all, b, nil
		case b.leaving != nil && b.leaving != gone:
			return all, b.leaving, nil
		}
		select {
		case <-b.changed:
		case <-ctx.Done():
			return nil, nil, capability.AsError(ctx.Err())
		}
	}
}

// notBound says what there is instead.
func notBound(all map[bindingKey]*bound, id, name string) error {
	var names []string
	for key := range all {
		if key.capability == id {
			names = append(names, fmt.Sprintf("%q", key.name))
		}
	}
	slices.Sort(names)
	e := &capability.Error{Code: capability.CodeUnavailable}
	if len(names) == 0 {
		e.Message = fmt.Sprintf("no provider of %s is bound", id)
	} else {
		e.Message = fmt.Sprintf("no binding %q of %s; there is %s: use that, or add a [[bind]] with name = %q to waxo.toml", name, id, strings.Join(names, ", "), name)
	}
	return e
}

// declares tells whether the provider has an operation.
func (b *bound) declares(operation string) error {
	if b.operations == nil || slices.Contains(b.operations, operation) {
		return nil
	}
	return &capability.Error{
		Code:    capability.CodeUnsupported,
		Message: fmt.Sprintf("%s has no operation %q for guests to call", b.Capability, operation),
	}
}

// dispatcher is what a provider reaches the guest with.
type dispatcher struct {
	host       *Host
	capability string
}

func (d dispatcher) Dispatch(ctx context.Context, operation string, payload, into []byte) (capability.Reply, error) {
	return d.host.dispatch(ctx, d.capability, operation, payload, into)
}
