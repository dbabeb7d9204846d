// Package keyvalue offers the capability "wascap:keyvalue" on a Redis server
// (Redis 6 or later, or what speaks its protocol).
//
// A key holds a value, a list or a set. Keys and values are UTF-8 on the wire;
// what others stored that is not UTF-8 is an error, not a mangled string.
// Everything that one operation does is done in one step, also where it takes
// more than one command. Members of sets come sorted by their bytes, so that a
// call that is recorded and replayed gives the same bytes.
//
// A command that was sent and not answered is never sent again unless it only
// reads: the error is CodeUnavailable, and whether the command took effect is
// open.
//
// What the operations do beyond what their names say:
//
//   - Get, KeyExists: no key is no error. KeyExists gives no value.
//   - Set replaces whatever the key held, its expiry too. 0 seconds is for ever.
//   - Del removes whatever the key held, and answers the key.
//   - Add counts from 0 where there is no key and leaves an expiry alone. A sum
//     beyond 32 bits is CodeOutOfRange and changes nothing; a value that is no
//     decimal integer is CodeWrongKind.
//   - Push appends at the end, and answers the length of the list.
//   - ListItemDelete removes every occurrence, and answers how many items are
//     left; Clear removes the list, and answers 0.
//   - SetAdd and SetRemove answer how many members the set has then.
//   - SetUnion and SetIntersection take at least one key. A key that does not
//     exist is an empty set, and an empty list: an emptied one is gone.
//
// Errors: CodeInvalid for a payload that cannot be decoded or makes no sense,
// CodeUnsupported for another operation, CodeWrongKind where a key holds
// another kind, CodeUnavailable where the server is not there, CodeDeadline and
// CodeCanceled as the context says, CodeInternal for what else the server
// answers.
package keyvalue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/waxosuit/waxo/capability"
)

// Options configure a Provider; nil works.
type Options struct {
	// BindTimeout bounds how long Bind tries to reach the server. Default: 5 s.
	BindTimeout time.Duration
}

// Provider is the provider of "wascap:keyvalue". A binding's Config has:
//
//   - url: redis://user:password@host:port/db, rediss:// for TLS or
//     unix:///path/to/socket?db=0, with go-redis's parameters such as
//     ?pool_size=20&read_timeout=3s. Default: redis://127.0.0.1:6379/0, and at
//     most 128 connections.
//   - prefix: leads the name of every key, so that guests can share a database.
//     Default: none.
type Provider struct {
	bindTimeout time.Duration
	bindings    capability.Bindings[*store]
}

var _ capability.Provider = (*Provider)(nil)

// DefaultURL is where a binding without a url finds its server.
const DefaultURL = "redis://127.0.0.1:6379/0"

// New makes a provider.
func New(opts *Options) *Provider {
	if opts == nil {
		opts = &Options{}
	}
	return &Provider{bindTimeout: cmp.Or(opts.BindTimeout, 5*time.Second)}
}

// Describe implements capability.Provider.
func (p *Provider) Describe() capability.Descriptor {
	return capability.Descriptor{
		Capability: capability.KeyValue,
		Name:       "Redis key-value",
		Version:    "0.1.0",
		Operations: []string{
			capability.OpGet, capability.OpSet, capability.OpDel, capability.OpAdd, capability.OpKeyExists,
			capability.OpPush, capability.OpRange, capability.OpListItemDelete, capability.OpClear,
			capability.OpSetAdd, capability.OpSetRemove, capability.OpSetQuery, capability.OpSetUnion, capability.OpSetIntersection,
		},
	}
}

// Bind implements capability.Provider: it connects a client of the binding's
// own and asks the server whether it is there.
func (p *Provider) Bind(ctx context.Context, b capability.Binding, _ capability.Dispatcher) error {
	if p.bindings.Has(b.BindingID) {
		return capability.Conflict(b.BindingID)
	}
	s, err := open(b.Config)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, p.bindTimeout)
	defer cancel()
	if err = s.reach(ctx); err == nil {
		err = p.bindings.Add(b.BindingID, s)
	}
	if err != nil {
		s.client.Close() // why there is no binding says more than how the client ended
	}
	return err
}

// Call implements capability.Provider.
func (p *Provider) Call(ctx context.Context, c capability.Call) ([]byte, error) {
	b, err := p.bindings.Use(c.BindingID)
	if err != nil {
		return nil, err
	}
	defer b.Release()
	return b.Value.call(newPatience(ctx), c)
}

// Unbind implements capability.Provider.
func (p *Provider) Unbind(ctx context.Context, id capability.BindingID) error {
	s, ok, err := p.bindings.Remove(ctx, id)
	if !ok {
		return nil
	}
	return errors.Join(err, s.client.Close())
}

// Close implements capability.Provider.
func (p *Provider) Close(ctx context.Context) error {
	stores, err := p.bindings.Close(ctx)
	for _, s := range stores {
		err = errors.Join(err, s.client.Close())
	}
	return err
}

// store is one binding's client.
type store struct {
	client *redis.Client
	prefix string
	where  string // the server in words, without secrets
}

func open(config map[string]string) (*store, error) {
	for key := range config {
		if key != "url" && key != "prefix" {
			return nil, invalid("wascap:keyvalue has no configuration key %q: there are url and prefix", key)
		}
	}
	opts, err := clientOptions(cmp.Or(config["url"], DefaultURL))
	if err != nil {
		return nil, err
	}
	where := fmt.Sprintf("the Redis server at %s (database %d)", opts.Addr, opts.DB)
	return &store{client: redis.NewClient(opts), prefix: config["prefix"], where: where}, nil
}

// reach asks the server whether it is there, and lets the client in.
func (s *store) reach(ctx context.Context) error {
	err := s.client.Ping(ctx).Err()
	if err == nil {
		return nil
	}
	var refused redis.Error
	if errors.As(err, &refused) && !transient(refused) {
		return invalid("%s refuses the connection: %s; check the url of the binding", s.where, refused)
	}
	if errors.Is(err, context.Canceled) {
		return capability.AsError(err)
	}
	return &capability.Error{
		Code:    capability.CodeUnavailable,
		Message: fmt.Sprintf("%s cannot be reached: %s; start it, or give the binding another url", s.where, short(err)),
	}
}

func invalid(format string, args ...any) error {
	return &capability.Error{Code: capability.CodeInvalid, Message: fmt.Sprintf(format, args...)}
}
