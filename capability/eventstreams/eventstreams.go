// Package eventstreams offers the capability "wascap:eventstreams" on NATS
// JetStream (NATS 2.10 or later).
//
// An event is a set of names with values in a stream, which only ever grows. The
// streams of one prefix share a sequence: an event's id is its number in it, in
// decimal, so that the ids of one stream rise, though not by one each.
//
//   - WriteEvent is answered when the event is stored, by as many servers as the
//     binding asks for. An event_id in the request means nothing. Where the answer
//     is an error of CodeUnavailable or CodeDeadline, whether the event was stored
//     is open; it is not written twice.
//   - QueryStream answers the events whose time, when the server stored them, is in
//     a range of Unix milliseconds, both ends included, the oldest first. Without a
//     range, or with 0 at an end, there is no limit on that side; likewise with a
//     count of 0. It finds every event whose WriteEvent was answered before. What
//     was not written yet is an empty stream. An answer beyond 8 MiB is
//     CodeTooLarge: ask for a shorter range, or give a count.
//   - DeliverEvent brings the events of chosen streams to the guest, at least once:
//     an event counts as delivered when the guest has answered it, whatever it
//     answers, also over restarts of host and server. One on which the guest fails
//     comes again after 0.1 s, then after twice that each time, up to 30 s, without
//     end; one whose host dies, within 10 s.
//
// The id of a stream is any UTF-8 text of 1 to 256 bytes. An event is at most as
// large as the server's messages, which is 1 MiB as a rule. The same values are
// stored as the same bytes.
//
// Events for one guest are delivered side by side, as many as concurrency says,
// counting all hosts that run this guest under this binding name; with 1 they come
// strictly in order, one that fails holding up the others.
//
// Everything is kept in one JetStream stream for each prefix, named
// WAXO_EVENTS_prefix, with the subjects $WAXO.EVENTS.prefix.stream. Bytes of the
// stream's id other than letters, digits, "_" and "-" are written as "=" and two
// hexadecimal digits.
//
// Errors: CodeInvalid for a payload that cannot be decoded or makes no sense,
// CodeUnsupported for another operation, CodeTooLarge for an event or an answer
// beyond its limit, CodeUnavailable where there is no connection, where it is lost
// during the call, where too few servers are there to store an event, or where the
// one that took it is lost, which takes some seconds to tell,
// CodeDeadline and CodeCanceled as the context says, CodeInternal for what else
// the server answers.
package eventstreams

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/internal/natsconn"
)

// The keys of a binding's Config.
const (
	KeyURL         = natsconn.KeyURL
	KeyDeliver     = "deliver"
	KeyFrom        = "from"
	KeyConcurrency = "concurrency"
	KeyPrefix      = "prefix"
	KeyStorage     = "storage"
	KeyReplicas    = "replicas"
	KeyMaxAge      = "max_age"
	KeyMaxBytes    = "max_bytes"
	KeyClientJWT   = natsconn.KeyClientJWT
	KeyClientSeed  = natsconn.KeyClientSeed
)

// DefaultURL is where a binding without a url finds its server.
const DefaultURL = natsconn.DefaultURL

// Options configure a Provider; nil works.
type Options struct {
	// BindTimeout bounds how long Bind tries to reach the server and to prepare
	// what it keeps there. Default: 5 s.
	BindTimeout time.Duration

	// Log is told when a connection is lost and when it is back, and, sparingly,
	// of events that a guest failed on. Default: discarded.
	Log *slog.Logger
}

// Provider is the provider of "wascap:eventstreams". A binding's Config has:
//
//   - url: nats://host:port, tls:// for TLS, with user:password@ or token@ before
//     the host where that is asked for; several with commas between, for a
//     cluster. Default: nats://127.0.0.1:4222.
//   - deliver: the ids of the streams whose events the guest is given, with commas
//     between; "*" alone for all. In an id, %2C stands for a comma, %2A for an
//     asterisk, %25 for a percent sign. Default: none.
//   - from: whether a guest that is bound for the first time is given "all" events
//     that are there already, or "new" ones alone. Default: all.
//   - concurrency: how many events are delivered side by side, 1 to 1,024.
//     Default: 16.
//   - prefix: keeps the streams of guests apart that share a server: 1 to 64
//     letters, digits, "_" and "-". Default: default.
//   - storage: "file" or "memory". What is in memory is lost with its servers.
//     Default: file.
//   - replicas: how many servers of a cluster keep each event, 1, 3 or 5.
//     Default: 1.
//   - max_age: for how long events are kept, such as 720h; at least 1 s. Default:
//     for ever.
//   - max_bytes: how many bytes all events of the prefix may take; beyond it the
//     oldest go. Default: no limit.
//   - client_jwt, client_seed: a user's JWT and the seed of its nkey. Default:
//     none.
//
// storage, replicas, max_age and max_bytes concern all who share the prefix: where
// they are given, they replace what was chosen before; storage cannot be replaced.
type Provider struct {
	bindTimeout time.Duration
	log         *slog.Logger
	bindings    capability.Bindings[*binding]
}

var _ capability.Provider = (*Provider)(nil)

// New makes a provider.
func New(opts *Options) *Provider {
	if opts == nil {
		opts = &Options{}
	}
	return &Provider{
		bindTimeout: cmp.Or(opts.BindTimeout, 5*time.Second),
		log:         cmp.Or(opts.Log, slog.New(slog.DiscardHandler)),
	}
}

// Describe implements capability.Provider.
func (p *Provider) Describe() capability.Descriptor {
	return capability.Descriptor{
		Capability: capability.EventStreams,
		Name:       "NATS JetStream event streams",
		Version:    "0.1.0",
		Operations: []string{capability.OpWriteEvent, capability.OpQueryStream},
	}
}

// Bind implements capability.Provider: it connects a client of the binding's own
// and makes what is missing on the server. Events may be delivered before it
// returns.
func (p *Provider) Bind(ctx context.Context, b capability.Binding, d capability.Dispatcher) error {
	if p.bindings.Has(b.BindingID) {
		return capability.Conflict(b.BindingID)
	}
	n, err := newBinding(b, d, p.log)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, p.bindTimeout)
	defer cancel()
	if err := n.connect(ctx, b, p.bindTimeout); err != nil {
		return err
	}
	// The guest may write from its first delivery on.
	if err := p.bindings.Add(b.BindingID, n); err != nil {
		n.close()
		return err
	}
	if err := n.startDelivery(ctx); err != nil {
		return errors.Join(err, p.Unbind(ctx, b.BindingID))
	}
	return nil
}

// Call implements capability.Provider.
func (p *Provider) Call(ctx context.Context, c capability.Call) ([]byte, error) {
	b, err := p.bindings.Use(c.BindingID)
	if err != nil {
		return nil, err
	}
	defer b.Release()
	switch c.Operation {
	case capability.OpWriteEvent:
		return b.Value.write(ctx, c)
	case capability.OpQueryStream:
		return b.Value.query(ctx, c)
	}
	return nil, &capability.Error{Code: capability.CodeUnsupported, Message: "wascap:eventstreams has no operation " + natsconn.Quote(c.Operation) + " for guests to call"}
}

// Unbind implements capability.Provider: deliveries in hand are finished, and the
// calls that the guest makes for them served. Where ctx ends first, they are given
// up, and those events come again. What the guest was given already is known to
// the server when it is bound the next time.
func (p *Provider) Unbind(ctx context.Context, id capability.BindingID) error {
	b, err := p.bindings.Use(id)
	if err != nil {
		return nil // it is not bound
	}
	err = b.Value.drain(ctx)
	b.Release()
	n, ok, gone := p.bindings.Remove(ctx, id)
	if !ok {
		return err // another Unbind was faster
	}
	n.close()
	return errors.Join(err, gone)
}

// Close implements capability.Provider.
func (p *Provider) Close(ctx context.Context) error {
	var errs []error
	for _, id := range p.bindings.IDs() {
		errs = append(errs, p.Unbind(ctx, id))
	}
	rest, err := p.bindings.Close(ctx)
	for _, n := range rest { // bound in the meantime
		errs = append(errs, n.drain(ctx))
		n.close()
	}
	return errors.Join(append(errs, err)...)
}
