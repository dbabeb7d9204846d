// Package plugin runs providers in processes of their own.
//
// Open starts a plugin's file and gives a capability.Provider that hands
// everything on to it. Between them are go-plugin's handshake, mutual TLS with
// keys that live as long as the process, and gRPC; this side speaks them without
// linking either library, which would take a host's start longer than all else
// that it does then. Package serve is the other side, what plugins in Go are
// written with; docs/providers.md in this module is the contract for other
// languages.
//
// What is promised:
//
//   - Nothing is executed before it was checked. Beside the plugin's file stand
//     its claims, signed by an account (see package wascap), with the file's
//     hash. A private copy is hashed and that very copy executed, so a change of
//     the file in between changes nothing.
//   - A plugin costs no more than itself. One that dies is started again, with
//     growing delays, and bound again as it was. Calls in hand fail then, and
//     those that come meanwhile fail at once, with CodeUnavailable and the
//     reason. One that hangs runs into the deadlines of the calls, and is ended
//     when it does not answer a health check.
//   - A plugin gets nothing that it was not given: of the environment, what
//     Options.Env has; no open file of the host.
//   - No plugin outlives its host, however that ends.
//
// What is left out: a plugin is a program of the host's user and can do what any
// such program can. Its claims say who vouches for it; they do not confine it.
package plugin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/internal/plugincontract"
	"github.com/waxosuit/waxo/capability/payload/providerpb"
	"github.com/waxosuit/waxo/wascap"
)

// ProtocolVersion is the version of the contract that this host speaks.
const ProtocolVersion = plugincontract.Version

// Options configure how a plugin is run; nil works.
type Options struct {
	// Trust holds the public keys of the accounts whose plugins are run.
	// Default: none, so that only a development host runs any.
	Trust []string

	// Development lets plugins in that are not signed, or signed by an account
	// that is not in Trust, with a warning. One whose claims do not hold is
	// refused all the same. Default: false.
	Development bool

	// Env is the environment of the plugin, as "NAME=value". Default: none.
	Env []string

	// Log gets what the plugin writes, and what becomes of it. Default: nothing
	// is logged.
	Log *slog.Logger

	// StartTimeout bounds how long a plugin may take from its start until it
	// answers. Default: 10 s.
	StartTimeout time.Duration

	// HealthTimeout bounds how long a plugin may take to answer a health check
	// before it is ended and started again. It is checked each third of this.
	// Default: 30 s.
	HealthTimeout time.Duration

	// Backoff is the first delay before a plugin that died is started again. It
	// doubles with each time, up to 30 s, until the plugin has lived for a minute.
	// Default: 100 ms.
	Backoff time.Duration

	// MaxPayload bounds a payload in either direction, in bytes, up to 1 GiB.
	// Default: 256 MiB.
	MaxPayload int
}

func (o *Options) defaults() *Options {
	d := Options{}
	if o != nil {
		d = *o
	}
	d.StartTimeout = cmp.Or(d.StartTimeout, 10*time.Second)
	d.HealthTimeout = cmp.Or(d.HealthTimeout, 30*time.Second)
	d.Backoff = cmp.Or(d.Backoff, 100*time.Millisecond)
	d.MaxPayload = min(cmp.Or(d.MaxPayload, 256<<20), 1<<30)
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	return &d
}

// Provider is a provider in another process.
type Provider struct {
	name   string // the file
	opts   *Options
	desc   capability.Descriptor
	claims *wascap.Claims // nil where it is not signed
	state  atomic.Pointer[state]

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	done   chan struct{} // the watch has ended

	// bound lets calls in, and waits for them when a binding ends: a host that
	// binds another provider in this one's place loses none.
	bound capability.Bindings[struct{}]

	mu       sync.Mutex
	bindings map[capability.BindingID]*binding

	closing sync.Mutex // held by Close
}

var _ capability.Provider = (*Provider)(nil)

// state is what calls are answered with.
type state struct {
	instance *instance // nil while there is none
	away     string    // why there is none
}

// binding is what a plugin is bound with again after it died.
type binding struct {
	binding    capability.Binding
	dispatcher capability.Dispatcher
	stands     bool // Bind has succeeded once
}

// Open checks a plugin's file, starts it, and asks what it offers. Errors are a
// *RefusedError, or say why it did not start. ctx bounds the start alone.
func Open(ctx context.Context, name string, opts *Options) (*Provider, error) {
	p := &Provider{name: name, opts: opts.defaults(), done: make(chan struct{}), bindings: make(map[capability.BindingID]*binding)}
	in, claims, err := p.start(ctx)
	if err != nil {
		return nil, err
	}
	warn(name, claims, p.opts)
	p.claims = claims
	p.desc = in.desc
	p.state.Store(&state{instance: in})
	p.ctx, p.cancel = context.WithCancel(context.Background())
	go p.watch(in)
	return p, nil
}

// start checks and executes the file, whatever it is by now.
func (p *Provider) start(ctx context.Context) (*instance, *wascap.Claims, error) {
	im, claims, err := check(p.name, p.opts)
	if err != nil {
		return nil, nil, err
	}
	in, err := startInstance(ctx, p.name, im, p.opts, p.dispatcher)
	if err != nil {
		return nil, nil, fmt.Errorf("the plugin %s does not start: %w", p.name, err)
	}
	want := p.desc.Capability // of the instance before
	if claims != nil {
		want = claims.CapabilityID
	}
	if want != "" && in.desc.Capability != want {
		in.stop()
		return nil, nil, &RefusedError{p.name, fmt.Errorf("%w: %s instead of %s", ErrCapability, quote(in.desc.Capability), want)}
	}
	return in, claims, nil
}

// File returns the plugin's file.
func (p *Provider) File() string { return p.name }

// Claims returns what was signed about the plugin as it was opened, nil where it
// is not signed.
func (p *Provider) Claims() *wascap.Claims { return p.claims }

// Describe implements capability.Provider.
func (p *Provider) Describe() capability.Descriptor {
	d := p.desc
	d.Operations = slices.Clone(d.Operations)
	return d
}

// Bind implements capability.Provider.
func (p *Provider) Bind(ctx context.Context, b capability.Binding, d capability.Dispatcher) error {
	in, err := p.running()
	if err != nil {
		return err
	}
	b.Config = maps.Clone(b.Config)
	entry := &binding{binding: b, dispatcher: d}
	p.mu.Lock()
	if p.bindings[b.BindingID] != nil {
		p.mu.Unlock()
		return capability.Conflict(b.BindingID)
	}
	p.bindings[b.BindingID] = entry
	p.mu.Unlock()
	err = in.bind(ctx, b)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		err = p.bound.Add(b.BindingID, struct{}{})
	}
	if err == nil && p.state.Load().instance != in {
		err = &capability.Error{Code: capability.CodeUnavailable, Message: fmt.Sprintf("the plugin %s died while it was bound", p.name)}
		_, _, _ = p.bound.Remove(ctx, b.BindingID) // nobody has called yet
	}
	if err != nil {
		delete(p.bindings, b.BindingID)
		return err
	}
	entry.stands = true
	return nil
}

// Call implements capability.Provider.
func (p *Provider) Call(ctx context.Context, c capability.Call) ([]byte, error) {
	b, err := p.bound.Use(c.BindingID)
	if err != nil {
		return nil, err
	}
	defer b.Release()
	in, err := p.running()
	if err != nil {
		return nil, err
	}
	return in.call(ctx, c)
}

// Unbind implements capability.Provider.
func (p *Provider) Unbind(ctx context.Context, id capability.BindingID) error {
	_, bound, drained := p.bound.Remove(ctx, id)
	if !bound {
		return nil
	}
	defer p.forget(id) // until here, what is in hand can reach the guest
	in, err := p.running()
	if err != nil {
		return drained // a plugin that is not there holds no binding
	}
	return errors.Join(drained, in.unbind(ctx, id))
}

func (p *Provider) forget(id capability.BindingID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.bindings, id)
}

// Close implements capability.Provider: it ends the process, within ctx gently.
func (p *Provider) Close(ctx context.Context) error {
	p.closing.Lock()
	defer p.closing.Unlock()
	_, drained := p.bound.Close(ctx)
	p.cancel()
	<-p.done
	last := p.state.Swap(&state{away: "is closed"})
	if last.instance == nil {
		return drained
	}
	return errors.Join(drained, last.instance.shutdown(ctx))
}

// running returns the instance that answers. The error is one of
// CodeUnavailable.
func (p *Provider) running() (*instance, error) {
	s := p.state.Load()
	if s.instance == nil {
		return nil, &capability.Error{Code: capability.CodeUnavailable, Message: fmt.Sprintf("the plugin %s %s", p.name, s.away)}
	}
	return s.instance, nil
}

// dispatcher is what carries operations to the guest of a binding.
func (p *Provider) dispatcher(id capability.BindingID) capability.Dispatcher {
	p.mu.Lock()
	defer p.mu.Unlock()
	if b := p.bindings[id]; b != nil {
		return b.dispatcher
	}
	return nil
}

// bind has the plugin connect to a guest.
func (in *instance) bind(ctx context.Context, b capability.Binding) error {
	answer := new(providerpb.BindResponse)
	err := in.invoke(ctx, plugincontract.Bind, "binding", &providerpb.BindRequest{
		ID: plugincontract.ToID(b.BindingID), GuestName: b.GuestName, Config: b.Config, Development: b.Development,
	}, answer)
	return cmp.Or(err, plugincontract.FromFailure(answer.Error))
}

// unbind has the plugin end a binding.
func (in *instance) unbind(ctx context.Context, id capability.BindingID) error {
	answer := new(providerpb.UnbindResponse)
	err := in.invoke(ctx, plugincontract.Unbind, "unbinding", &providerpb.UnbindRequest{ID: plugincontract.ToID(id)}, answer)
	return cmp.Or(err, plugincontract.FromFailure(answer.Error))
}

// call has the plugin perform an operation.
func (in *instance) call(ctx context.Context, c capability.Call) ([]byte, error) {
	if len(c.Payload) > in.opts.MaxPayload {
		return nil, tooLarge("the payload of the call", len(c.Payload), in.opts.MaxPayload)
	}
	if err := in.missing(c.BindingID); err != nil {
		return nil, err
	}
	answer := &callAnswer{into: c.Into}
	if err := in.invoke(ctx, plugincontract.Call, "the call", &providerpb.CallRequest{ID: plugincontract.ToID(c.BindingID), Operation: c.Operation, Payload: c.Payload}, answer); err != nil {
		return nil, err
	}
	if err := plugincontract.FromFailure(answer.Error); err != nil {
		return nil, err
	}
	if len(answer.Payload) > in.opts.MaxPayload {
		return nil, tooLarge("the answer to the call", len(answer.Payload), in.opts.MaxPayload)
	}
	return answer.Payload, nil
}

// callAnswer is the answer to a call, whose payload goes where the caller has room
// for it.
type callAnswer struct {
	providerpb.CallResponse
	into []byte
}

func (a *callAnswer) UnmarshalProto(b []byte) error {
	if err := a.CallResponse.UnmarshalProto(b); err != nil {
		return err
	}
	a.Payload = append(a.into[:0], a.Payload...)
	return nil
}

// missing says why a binding was not made again, nil where it stands.
func (in *instance) missing(id capability.BindingID) error {
	if in.lacks.Load() == 0 {
		return nil
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.unbound[id]
}

func tooLarge(what string, size, limit int) error {
	return &capability.Error{Code: capability.CodeTooLarge, Message: fmt.Sprintf("%s has %d bytes, more than the %d allowed between host and plugin", what, size, limit)}
}
