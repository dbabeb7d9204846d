// Package messaging offers the capability "wascap:messaging" on a NATS server.
//
// A guest publishes messages, asks and waits for an answer, and is given the
// messages of the subjects that its binding subscribes to. Delivery is at most
// once: a message that nobody was there to take is gone.
//
//   - Publish is answered when the server has taken the message. Without a
//     connection it fails at once; nothing is kept to be sent later, and nothing
//     is sent twice.
//   - Request waits for the first answer, for timeout_ms milliseconds at most and
//     never longer than the call itself may take; 0 means that time, 30 s where
//     the host sets none. The answer is the reply's bare body.
//   - DeliverMessage brings a message to the guest. What the guest answers is
//     dropped: to reply, it publishes to the message's reply_to. Where the guest
//     fails, that is logged, and the message is gone.
//
// Subjects are those of NATS: words with dots between, without spaces, at most
// 1,024 bytes. What is published to has no wildcards. Subjects that start with "$"
// are the server's own, JetStream's among them, and refused: this capability
// grants messages, not streams. For the same reason a subscription whose first
// word is a wildcard is not given those, nor the answers to others' requests.
// Headers of NATS messages are not handed on.
//
// Messages for one guest are delivered side by side, as many as concurrency says,
// so that they may overtake each other; where that is 1, those of one subscription
// keep their order. Others wait, up to 16,384 messages or 32 MiB for each
// subscription; beyond that the newest are dropped, which is logged. A guest whose deliveries ask that very guest for
// something needs more concurrency than it has deliveries under way.
//
// Errors: CodeInvalid for a payload that cannot be decoded or makes no sense,
// CodeUnsupported for another operation, CodeTooLarge for a message that is beyond
// the server's limit (1 MiB as a rule), CodeDenied where the server forbids the
// subject or it is one of the server's own, CodeNotFound where nobody subscribes to
// what is asked, CodeUnavailable where there is no connection and where it is lost
// during the call, CodeDeadline and CodeCanceled as the context says, CodeInternal
// for what else the server answers.
package messaging

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
	KeyURL           = natsconn.KeyURL
	KeySubscriptions = "subscriptions"
	KeyQueueGroup    = "queue_group"
	KeyConcurrency   = "concurrency"
	KeyClientJWT     = natsconn.KeyClientJWT
	KeyClientSeed    = natsconn.KeyClientSeed
)

// DefaultURL is where a binding without a url finds its server.
const DefaultURL = natsconn.DefaultURL

// defaultConcurrency is how many deliveries to a guest run side by side.
const defaultConcurrency = 16

// Options configure a Provider; nil works.
type Options struct {
	// BindTimeout bounds how long Bind tries to reach the server. Default: 5 s.
	BindTimeout time.Duration

	// Log is told when a connection is lost and when it is back, and, sparingly,
	// of messages that were dropped or that a guest failed on. Default: discarded.
	Log *slog.Logger
}

// Provider is the provider of "wascap:messaging". A binding's Config has:
//
//   - url: nats://host:port, tls:// for TLS, with user:password@ or token@ before
//     the host where that is asked for; several with commas between, for a
//     cluster. Default: nats://127.0.0.1:4222.
//   - subscriptions: the subjects whose messages the guest is given, with commas
//     between; "*" stands for a word, ">" at the end for all that follow. Default:
//     none.
//   - queue_group: bindings that name the same group share the messages, so that
//     each goes to one of them. Default: none, each is given all.
//   - concurrency: how many messages are delivered side by side, 1 to 1,024.
//     Default: 16.
//   - client_jwt, client_seed: a user's JWT and the seed of its nkey. Default:
//     none.
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
		Capability: capability.Messaging,
		Name:       "NATS messaging",
		Version:    "0.1.0",
		Operations: []string{capability.OpPublish, capability.OpRequest},
	}
}

// Bind implements capability.Provider: it connects a client of the binding's own.
// The server knows of the subscriptions when it returns; messages may be delivered
// before that.
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
	// The guest may publish from its first delivery on.
	if err := p.bindings.Add(b.BindingID, n); err != nil {
		n.close()
		return err
	}
	if err := n.subscribe(ctx); err != nil {
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
	case capability.OpPublish:
		return b.Value.publish(ctx, c)
	case capability.OpRequest:
		return b.Value.request(ctx, c)
	}
	return nil, &capability.Error{Code: capability.CodeUnsupported, Message: "wascap:messaging has no operation " + natsconn.Quote(c.Operation) + " for guests to call"}
}

// Unbind implements capability.Provider: the messages that were taken from the
// server are delivered, and the calls that the guest makes for them served. Where
// ctx ends first, the deliveries in hand are given up and the rest is dropped.
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
