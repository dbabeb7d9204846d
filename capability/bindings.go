package capability

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
)

// Bindings is the table of what a provider keeps for each binding. It gives a
// provider the rules of the contract: an unbound call is CodeUnavailable, a
// second Bind CodeConflict, Unbind and Close wait for the calls in hand. The
// zero value is an empty table. Looking a binding up takes no lock.
type Bindings[T any] struct {
	mu     sync.Mutex // held by those who change the table
	table  atomic.Pointer[map[BindingID]*Bound[T]]
	closed bool
}

// Bound is one binding's entry, held by a call until Release.
type Bound[T any] struct {
	Value T

	// users counts the calls in hand, and one more while the entry is in the
	// table. It never leaves 0 again.
	users atomic.Int64
	idle  chan struct{} // closed when users reaches 0
}

// Release ends the use that Use began.
func (b *Bound[T]) Release() {
	if b.users.Add(-1) == 0 {
		close(b.idle)
	}
}

// Has tells whether id is bound.
func (t *Bindings[T]) Has(id BindingID) bool {
	_, ok := t.entries()[id]
	return ok
}

// IDs are those that are bound, in no order.
func (t *Bindings[T]) IDs() []BindingID { return slices.Collect(maps.Keys(t.entries())) }

// Use looks id up for one call, which must Release it. The error is one of
// CodeUnavailable, for which Unbound holds.
func (t *Bindings[T]) Use(id BindingID) (*Bound[T], error) {
	b, ok := t.entries()[id]
	for ok {
		n := b.users.Load()
		if n == 0 {
			break // on its way out
		}
		if b.users.CompareAndSwap(n, n+1) {
			return b, nil
		}
	}
	return nil, &Error{Code: CodeUnavailable, Message: fmt.Sprintf("the binding %q of the guest %s is not bound to this provider", id.Name, id.Guest), unbound: true}
}

// Add enters a binding. The error is one of CodeConflict where id is bound
// already, CodeUnavailable after Close.
func (t *Bindings[T]) Add(id BindingID, value T) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return &Error{Code: CodeUnavailable, Message: "the provider is closed"}
	}
	if t.Has(id) {
		return Conflict(id)
	}
	b := &Bound[T]{Value: value, idle: make(chan struct{})}
	b.users.Store(1)
	t.replace(func(m map[BindingID]*Bound[T]) { m[id] = b })
	return nil
}

// Conflict is the error of a Bind for an id that is bound already.
func Conflict(id BindingID) error {
	return &Error{Code: CodeConflict, Message: fmt.Sprintf("the binding %q of the guest %s exists already", id.Name, id.Guest)}
}

// Remove takes a binding out, so that no further call finds it, and waits
// until the calls in hand have ended. ok tells whether id was bound. Where ctx
// ends first, the error is that of ctx and value is still the caller's to
// release.
func (t *Bindings[T]) Remove(ctx context.Context, id BindingID) (value T, ok bool, err error) {
	t.mu.Lock()
	b, ok := t.entries()[id]
	if ok {
		t.replace(func(m map[BindingID]*Bound[T]) { delete(m, id) })
	}
	t.mu.Unlock()
	if !ok {
		return value, false, nil
	}
	return b.Value, true, b.drain(ctx)
}

// Close takes all bindings out as Remove does and lets none in any more. It
// returns their values; a second Close returns none.
func (t *Bindings[T]) Close(ctx context.Context) (values []T, err error) {
	t.mu.Lock()
	t.closed = true
	gone := t.entries()
	t.table.Store(nil)
	t.mu.Unlock()
	for _, b := range gone {
		values = append(values, b.Value)
		if e := b.drain(ctx); e != nil {
			err = e
		}
	}
	return values, err
}

// drain gives up the table's own use and waits for the others.
func (b *Bound[T]) drain(ctx context.Context) error {
	b.Release()
	select {
	case <-b.idle:
		return nil
	case <-ctx.Done():
	}
	select {
	case <-b.idle: // both were ready: there was nothing to wait for
		return nil
	default:
		return AsError(context.Cause(ctx))
	}
}

func (t *Bindings[T]) entries() map[BindingID]*Bound[T] {
	if m := t.table.Load(); m != nil {
		return *m
	}
	return nil
}

// replace swaps in a changed copy of the table. t.mu is held.
func (t *Bindings[T]) replace(change func(map[BindingID]*Bound[T])) {
	m := make(map[BindingID]*Bound[T], len(t.entries())+1)
	maps.Copy(m, t.entries())
	change(m)
	t.table.Store(&m)
}

// NoConfig is what a provider without any configuration asks of a binding: the
// error is one of CodeInvalid where there is some.
func (b Binding) NoConfig(provider string) error {
	for key := range b.Config {
		return &Error{Code: CodeInvalid, Message: fmt.Sprintf("%s has no configuration key %q: it has none at all", provider, key)}
	}
	return nil
}
