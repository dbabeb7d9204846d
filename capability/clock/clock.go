// Package clock offers the capability "waxo:clock": a sandboxed guest has no
// clock of its own.
//
// The one operation, Now, answers the nanoseconds since the Unix epoch. Time is
// the host's wall clock; it may step, as wall clocks do.
package clock

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/payload/clockpb"
)

// Options configure a Provider; nil works.
type Options struct {
	// Now tells the time. Default: time.Now.
	Now func() time.Time
}

// Provider is the provider of "waxo:clock". A binding has no configuration.
type Provider struct {
	now      func() time.Time
	bindings capability.Bindings[struct{}]
}

var _ capability.Provider = (*Provider)(nil)

// New makes a provider.
func New(opts *Options) *Provider {
	p := &Provider{now: time.Now}
	if opts != nil && opts.Now != nil {
		p.now = opts.Now
	}
	return p
}

// Describe implements capability.Provider.
func (p *Provider) Describe() capability.Descriptor {
	return capability.Descriptor{
		Capability: capability.Clock,
		Name:       "Host clock",
		Version:    "0.1.0",
		Operations: []string{capability.OpNow},
	}
}

// Bind implements capability.Provider.
func (p *Provider) Bind(_ context.Context, b capability.Binding, _ capability.Dispatcher) error {
	if err := b.NoConfig(capability.Clock); err != nil {
		return err
	}
	return p.bindings.Add(b.BindingID, struct{}{})
}

// Call implements capability.Provider.
func (p *Provider) Call(_ context.Context, c capability.Call) ([]byte, error) {
	b, err := p.bindings.Use(c.BindingID)
	if err != nil {
		return nil, err
	}
	defer b.Release()
	if c.Operation != capability.OpNow {
		return nil, &capability.Error{Code: capability.CodeUnsupported, Message: fmt.Sprintf("waxo:clock has no operation %.100q", c.Operation)}
	}
	var req clockpb.NowRequest
	if err := req.UnmarshalProto(c.Payload); err != nil {
		return nil, &capability.Error{Code: capability.CodeInvalid, Message: "the payload cannot be decoded: " + err.Error()}
	}
	resp := clockpb.NowResponse{UnixNanos: p.now().UnixNano()}
	return resp.AppendProto(slices.Grow(c.Into[:0], resp.ProtoSize())), nil
}

// Unbind implements capability.Provider.
func (p *Provider) Unbind(ctx context.Context, id capability.BindingID) error {
	_, _, err := p.bindings.Remove(ctx, id)
	return err
}

// Close implements capability.Provider.
func (p *Provider) Close(ctx context.Context) error {
	_, err := p.bindings.Close(ctx)
	return err
}
