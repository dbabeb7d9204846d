// Package extras offers the capability "wascap:extras": identifiers, sequence
// numbers and random numbers, for guests that have no randomness of their own.
//
//   - RequestGuid answers a random UUID (version 4).
//   - RequestSequence answers 0, 1, 2, ..., without a gap, each binding of each
//     guest for itself and for as long as it is bound: a sequence neither
//     survives a restart nor is it shared between hosts. Who needs that counts
//     in a key-value store.
//   - RequestRandom answers a number from min up to, and not including, max,
//     each as likely as the other. All randomness is the system's own, fit for
//     secrets, unless Options say otherwise.
//
// The request's gentype is that of the operation, or NONE.
package extras

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"sync/atomic"

	"github.com/google/uuid"

	"github.com/waxosuit/waxo/capability"
	pb "github.com/waxosuit/waxo/capability/payload/extraspb"
)

// Provider is the provider of "wascap:extras". A binding has no configuration.
type Provider struct {
	random   io.Reader
	bindings capability.Bindings[*sequence]
}

// sequence is a binding's own: the number that comes next.
type sequence struct{ next atomic.Uint64 }

var _ capability.Provider = (*Provider)(nil)

// Options configure a Provider; nil works.
type Options struct {
	// Random is where randomness comes from; it must serve several readers at
	// once. An error of it is one of CodeInternal. Default: crypto/rand.
	Random io.Reader
}

// New makes a provider.
func New(opts *Options) *Provider {
	p := &Provider{random: rand.Reader}
	if opts != nil && opts.Random != nil {
		p.random = opts.Random
	}
	return p
}

// Describe implements capability.Provider.
func (p *Provider) Describe() capability.Descriptor {
	return capability.Descriptor{
		Capability: capability.Extras,
		Name:       "Identifiers, sequences and random numbers",
		Version:    "0.1.0",
		Operations: []string{capability.OpRequestGuid, capability.OpRequestSequence, capability.OpRequestRandom},
	}
}

// Bind implements capability.Provider.
func (p *Provider) Bind(_ context.Context, b capability.Binding, _ capability.Dispatcher) error {
	if err := b.NoConfig(capability.Extras); err != nil {
		return err
	}
	return p.bindings.Add(b.BindingID, &sequence{})
}

// Call implements capability.Provider.
func (p *Provider) Call(_ context.Context, c capability.Call) ([]byte, error) {
	b, err := p.bindings.Use(c.BindingID)
	if err != nil {
		return nil, err
	}
	defer b.Release()
	var req pb.GeneratorRequest
	if err := req.UnmarshalProto(c.Payload); err != nil {
		return nil, invalid("the payload cannot be decoded: %s", err)
	}
	resp, err := p.generate(c.Operation, &req, b.Value)
	if err != nil {
		return nil, err
	}
	return resp.AppendProto(slices.Grow(c.Into[:0], resp.ProtoSize())), nil
}

func (p *Provider) generate(operation string, req *pb.GeneratorRequest, s *sequence) (resp pb.GeneratorResult, err error) {
	var want pb.GeneratorType
	switch operation {
	case capability.OpRequestGuid:
		want = pb.GeneratorTypeGuid
	case capability.OpRequestSequence:
		want = pb.GeneratorTypeSequence
	case capability.OpRequestRandom:
		want = pb.GeneratorTypeRandom
	default:
		return resp, &capability.Error{Code: capability.CodeUnsupported, Message: fmt.Sprintf("wascap:extras has no operation %.100q", operation)}
	}
	if req.Gentype != want && req.Gentype != pb.GeneratorTypeNone {
		return resp, invalid("%s does not go with the generator type %d: it is %d, or 0", operation, req.Gentype, want)
	}
	switch want {
	case pb.GeneratorTypeGuid:
		id, err := uuid.NewRandomFromReader(p.random)
		if err != nil {
			return resp, noRandomness(err)
		}
		resp.Value, resp.Guid = pb.GeneratorResultValueGuid, id.String()
	case pb.GeneratorTypeSequence:
		resp.Value, resp.SequenceNo = pb.GeneratorResultValueSequenceNo, s.next.Add(1)-1
	default:
		if req.Min >= req.Max {
			return resp, invalid("there is no number from %d up to, and not including, %d", req.Min, req.Max)
		}
		n, err := below(p.random, req.Max-req.Min)
		if err != nil {
			return resp, noRandomness(err)
		}
		resp.Value, resp.RandomNo = pb.GeneratorResultValueRandomNo, req.Min+n
	}
	return resp, nil
}

// below returns a random number less than n, each with the same probability:
// what would favour some is drawn again.
func below(random io.Reader, n uint32) (uint32, error) {
	var b [4]byte
	for {
		if _, err := io.ReadFull(random, b[:]); err != nil {
			return 0, err
		}
		product := uint64(binary.LittleEndian.Uint32(b[:])) * uint64(n)
		if hi, lo := uint32(product>>32), uint32(product); lo >= -n%n {
			return hi, nil
		}
	}
}

func noRandomness(err error) error {
	return &capability.Error{Code: capability.CodeInternal, Message: "there is no randomness: " + err.Error()}
}

func invalid(format string, args ...any) error {
	return &capability.Error{Code: capability.CodeInvalid, Message: fmt.Sprintf(format, args...)}
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
