package hostsuite

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/keyvalue"
)

// hostCalls serves the host calls of the guests of a library: as a script says,
// or by the providers that a program would have.
type hostCalls struct {
	world *world

	mu       sync.Mutex
	made     []HostCall
	scripted bool
	answer   []byte
	failure  error
	store    *keyvalue.Provider
}

// storeID is whom the key-value store is bound for.
var storeID = capability.BindingID{Guest: "library", Name: capability.DefaultBinding}

func (c *hostCalls) serve(ctx context.Context, call HostCall) ([]byte, error) {
	call.Payload = slices.Clone(call.Payload)
	c.mu.Lock()
	c.made = append(c.made, call)
	scripted, answer, failure := c.scripted, c.answer, c.failure
	c.mu.Unlock()
	if scripted {
		return answer, failure
	}
	id, operation, err := capability.Resolve(call.Namespace, call.Operation)
	if err != nil {
		return nil, err
	}
	if id != capability.KeyValue || call.Binding != capability.DefaultBinding {
		return nil, &capability.Error{Code: capability.CodeUnavailable, Message: "no provider of " + id + " is bound as " + call.Binding}
	}
	store, err := c.keyValue(ctx)
	if err != nil {
		return nil, err
	}
	return store.Call(ctx, capability.Call{BindingID: storeID, Operation: operation, Payload: call.Payload})
}

// keyValue is a provider on the script's Redis server.
func (c *hostCalls) keyValue(ctx context.Context) (*keyvalue.Provider, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.store != nil {
		return c.store, nil
	}
	if c.world.redis == nil {
		return nil, &capability.Error{Code: capability.CodeUnavailable, Message: "there is no Redis server"}
	}
	store := keyvalue.New(nil)
	config := map[string]string{"url": c.world.redis.url()}
	if err := store.Bind(ctx, capability.Binding{BindingID: storeID, Config: config}, nil); err != nil {
		return nil, errors.Join(err, store.Close(ctx))
	}
	c.store = store
	return store, nil
}

// script has every host call answered in one way from now on.
func (c *hostCalls) script(answer []byte, failure error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.scripted, c.answer, c.failure = true, answer, failure
}

// last is the host call that was made last.
func (c *hostCalls) last() (HostCall, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.made) == 0 {
		return HostCall{}, false
	}
	return c.made[len(c.made)-1], true
}

func (c *hostCalls) close() {
	if c.store != nil {
		// What it waits for has ended with the guests.
		_ = c.store.Close(context.Background())
	}
}
