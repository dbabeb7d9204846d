package devhost

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/wapc"
)

// memo keeps what was found out once, for calls to read without a lock and
// without allocating. It is a list because guests use few names, and to compare
// those costs less than to hash one. The zero value is empty.
type memo[K comparable, V any] struct {
	entries atomic.Pointer[[]memory[K, V]]
}

type memory[K comparable, V any] struct {
	key   K
	value V
}

// maxRemembered bounds a memo: a guest can make up names without end.
const maxRemembered = 64

func (m *memo[K, V]) get(key K) (value V, ok bool) {
	if entries := m.entries.Load(); entries != nil {
		for i := range *entries {
			if e := &(*entries)[i]; e.key == key {
				return e.value, true
			}
		}
	}
	return value, false
}

// put may forget what another call puts at the same time: that one is found
// out again.
func (m *memo[K, V]) put(key K, value V) {
	var next []memory[K, V]
	if entries := m.entries.Load(); entries != nil {
		next = slices.DeleteFunc(slices.Clone(*entries), func(e memory[K, V]) bool { return e.key == key })
	}
	if len(next) < maxRemembered {
		next = append(next, memory[K, V]{key, value})
		m.entries.Store(&next)
	}
}

// callName is what a guest says of a host call.
type callName struct{ namespace, operation, binding string }

// route is where a host call goes that the claims grant, as long as the host's
// bindings are these.
type route struct {
	bindings  *map[bindingKey]*bound
	bound     *bound
	operation string // the bare name
}

// HostCall carries a call of the guest to the provider that it is bound to.
func (g guestHost) HostCall(ctx context.Context, call wapc.HostCall) ([]byte, error) {
	g.away.Add(1)
	defer g.away.Add(-1)
	name := callName{call.Namespace, call.Operation, call.Binding}
	r, ok := g.routes.get(name)
	if !ok || r.bindings != g.host.bindings.Load() {
		var err error
		if r, err = g.route(ctx, name, nil); err != nil {
			return nil, err
		}
	}
	answer, err := r.bound.Provider.Call(ctx, capability.Call{BindingID: r.bound.id, Operation: r.operation, Payload: call.Payload, Into: call.Into})
	if err != nil && capability.Unbound(err) {
		// It was just about to go: there may be another one in its place.
		if r, err = g.route(ctx, name, r.bound); err != nil {
			return nil, err
		}
		answer, err = r.bound.Provider.Call(ctx, capability.Call{BindingID: r.bound.id, Operation: r.operation, Payload: call.Payload, Into: call.Into})
	}
	if err != nil || r.bound.outage.away.Load() {
		r.bound.outage.observe(err)
	}
	return answer, err
}

// route finds out where a host call goes and whether the claims grant it, and
// remembers it if they do. gone is a binding that is not there any more.
func (g *Guest) route(ctx context.Context, name callName, gone *bound) (r route, err error) {
	id, operation, err := capability.Resolve(name.namespace, name.operation)
	if err != nil {
		return r, err
	}
	if id == capability.Core && operation == capability.OpPerformLiveUpdate {
		return r, g.denial(id, operation, guestsDoNotUpdate())
	}
	if id == capability.Core { // no claim grants it, so none is to be asked for
		return r, &capability.Error{Code: capability.CodeUnsupported, Message: fmt.Sprintf("the host has no operation %q for guests to call", operation)}
	}
	if !g.granted[id] {
		return r, g.deny(id, operation)
	}
	if target, ok := g.host.opts.Aliases[id]; ok {
		id = target
	}
	r.operation = operation
	if r.bindings, r.bound, err = g.host.lookup(ctx, id, name.binding, gone); err != nil {
		return r, err
	}
	if err := r.bound.declares(operation); err != nil {
		return r, err
	}
	g.routes.put(name, r)
	return r, nil
}

// operationName is an operation that a guest handles.
type operationName struct{ capability, operation string }

// spell is the operation as the guest knows it; the error is a denial.
func (g *Guest) spell(id, operation string) (string, error) {
	name := operationName{id, operation}
	spelling, ok := g.spellings.get(name)
	if !ok {
		if id != capability.Core && !g.serves(id) {
			return "", g.deny(id, operation)
		}
		spelling = g.generation.Spell(id, operation)
		g.spellings.put(name, spelling)
	}
	return spelling, nil
}
