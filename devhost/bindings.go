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

// bound is a binding that stands.
type bound struct {
	Bind
	id capability.BindingID
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
	if old != nil {
		if err := h.unbind(ctx, key); err != nil {
			return err
		}
	}
	err := h.bind(ctx, b)
	if err != nil && old != nil {
		err = errors.Join(err, h.bind(ctx, old.Bind))
	}
	return err
}

func (h *Host) bind(ctx context.Context, b Bind) error {
	key := b.key()
	n := &bound{Bind: b, id: capability.BindingID{Guest: h.owner.Key, Name: key.name}}
	binding := capability.Binding{
		BindingID:   n.id,
		GuestName:   h.owner.Name,
		Config:      maps.Clone(b.Config),
		Development: h.opts.Development,
	}
	// The binding stands before the provider may dispatch through it.
	h.change(func(all map[bindingKey]*bound) { all[key] = n })
	if err := b.Provider.Bind(ctx, binding, dispatcher{h, b.Capability}); err != nil {
		h.change(func(all map[bindingKey]*bound) { delete(all, key) })
		return err
	}
	return nil
}

func (h *Host) unbind(ctx context.Context, key bindingKey) error {
	b := (*h.bindings.Load())[key]
	err := b.Provider.Unbind(ctx, b.id)
	h.change(func(all map[bindingKey]*bound) { delete(all, key) })
	return err
}

// change replaces the map of bindings by a changed copy, so that calls read it
// without a lock.
func (h *Host) change(edit func(map[bindingKey]*bound)) {
	next := maps.Clone(*h.bindings.Load())
	edit(next)
	h.bindings.Store(&next)
}

// Prune ends the bindings that are not among binds.
func (h *Host) Prune(ctx context.Context, binds []Bind) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	keep := make(map[bindingKey]bool)
	for _, b := range binds {
		keep[b.key()] = true
	}
	var errs []error
	for key := range *h.bindings.Load() {
		if !keep[key] {
			errs = append(errs, h.unbind(ctx, key))
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

// lookup finds the binding that a guest names.
func (h *Host) lookup(id, name string) (*bound, error) {
	if name == "" {
		name = capability.DefaultBinding
	}
	all := *h.bindings.Load()
	if b, ok := all[bindingKey{id, name}]; ok {
		return b, nil
	}
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
	return nil, e
}

// dispatcher is what a provider reaches the guest with.
type dispatcher struct {
	host       *Host
	capability string
}

func (d dispatcher) Dispatch(ctx context.Context, operation string, payload []byte) (capability.Reply, error) {
	return d.host.dispatch(ctx, d.capability, operation, payload)
}
