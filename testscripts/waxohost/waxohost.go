// Package waxohost lets hostsuite check this project's own host as a library: the
// call protocol of package wapc, and what package devhost adds to it.
//
// A module is loaded into both. HTTP requests go the way that they have in
// production, through claims, grants and bindings; other operations, which
// devhost would not pass on, go to the engine itself.
package waxohost

import (
	"context"
	"errors"
	"runtime/debug"
	"sync"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/devhost"
	"github.com/waxosuit/waxo/testscripts/hostsuite"
	"github.com/waxosuit/waxo/wapc"
	"github.com/waxosuit/waxo/wascap"
)

// Engine is the host.
type Engine struct{ engine *wapc.Engine }

// New makes a host. Close releases it.
func New() (*Engine, error) {
	engine, err := wapc.NewEngine(&wapc.EngineOptions{InterpretFirst: true})
	if err != nil {
		return nil, err
	}
	return &Engine{engine}, nil
}

// Close releases the host, with the guests that are still loaded.
func (e *Engine) Close(ctx context.Context) error { return e.engine.Close(ctx) }

// Name implements hostsuite.Engine.
func (e *Engine) Name() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return "waxo " + info.Main.Version
	}
	return "waxo"
}

// Load implements hostsuite.Engine.
func (e *Engine) Load(ctx context.Context, module []byte, opts *hostsuite.LoadOptions) (_ hostsuite.Guest, err error) {
	g := &guest{opts: opts}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.Close(context.WithoutCancel(ctx)))
		}
	}()
	limits := devhost.Limits{CallTimeout: opts.CallTimeout, Memory: opts.Memory, RequestBody: opts.Body, ResponseBody: opts.Body}
	if g.host, err = devhost.New(&devhost.Options{Engine: e.engine, Limits: limits, Console: opts.Log}); err != nil {
		return nil, err
	}
	prepared, err := g.host.Prepare(ctx, module, nil)
	if err != nil {
		return nil, err
	}
	if err := g.host.Activate(prepared); err != nil {
		return nil, err
	}
	if err := g.bind(ctx, prepared.Claims()); err != nil {
		return nil, err
	}
	if g.module, err = e.engine.Compile(ctx, module); err != nil {
		return nil, err
	}
	g.pool, err = g.module.NewPool(&wapc.PoolOptions{Host: g, CallTimeout: opts.CallTimeout, MemoryLimit: opts.Memory})
	return g, err
}

// guest is a module that is loaded.
type guest struct {
	opts   *hostsuite.LoadOptions
	host   *devhost.Host
	module *wapc.Module
	pool   *wapc.Pool
}

// bind binds a provider for each capability that the claims name: all of them pass
// calls on to the suite.
func (g *guest) bind(ctx context.Context, claims *wascap.Claims) error {
	var binds []devhost.Bind
	for _, id := range claims.Capabilities {
		binds = append(binds, devhost.Bind{Capability: id, Provider: &forward{id: id, call: g.opts.HostCall}})
	}
	return g.host.Bind(ctx, devhost.Identity{Key: claims.Subject, Name: claims.Name}, binds)
}

// Call implements hostsuite.Guest.
func (g *guest) Call(ctx context.Context, operation string, payload []byte) ([]byte, error) {
	if operation == capability.Waxosuit.Spell(capability.HTTPServer, capability.OpHandleRequest) {
		reply, err := g.host.Call(ctx, capability.HTTPServer, capability.OpHandleRequest, payload)
		return reply.Payload, report(err)
	}
	response, err := g.pool.Call(ctx, operation, payload)
	return response, report(err)
}

// report gives the error of a call the form that the suite knows.
func report(err error) error {
	if guests := (*wapc.GuestError)(nil); errors.As(err, &guests) {
		return &hostsuite.GuestError{Text: guests.Message}
	}
	if e := (*capability.Error)(nil); errors.As(err, &e) {
		if e.Code == capability.CodeGuest {
			return &hostsuite.GuestError{Text: e.Message}
		}
		if e.Detail != "" {
			return errors.New(e.Error() + "\n" + e.Detail)
		}
	}
	return err
}

// Close implements hostsuite.Guest.
func (g *guest) Close(ctx context.Context) error {
	var errs []error
	if g.pool != nil {
		errs = append(errs, g.pool.Close(ctx))
	}
	if g.module != nil {
		errs = append(errs, g.module.Close(ctx))
	}
	if g.host != nil {
		errs = append(errs, g.host.Close(ctx))
	}
	return errors.Join(errs...)
}

// HostCall implements wapc.Host.
func (g *guest) HostCall(ctx context.Context, c wapc.HostCall) ([]byte, error) {
	return g.opts.HostCall(ctx, hostsuite.HostCall{Binding: c.Binding, Namespace: c.Namespace, Operation: c.Operation, Payload: c.Payload})
}

// ConsoleLog implements wapc.Host.
func (g *guest) ConsoleLog(_ context.Context, line string) { g.opts.Log(line) }

// forward is a provider of any capability.
type forward struct {
	id   string
	call func(ctx context.Context, call hostsuite.HostCall) ([]byte, error)

	mu    sync.Mutex
	bound map[capability.BindingID]bool
}

func (f *forward) Describe() capability.Descriptor {
	return capability.Descriptor{Capability: f.id, Name: "the suite's"}
}

func (f *forward) Bind(_ context.Context, b capability.Binding, _ capability.Dispatcher) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.bound[b.BindingID] {
		return capability.Conflict(b.BindingID)
	}
	if f.bound == nil {
		f.bound = make(map[capability.BindingID]bool)
	}
	f.bound[b.BindingID] = true
	return nil
}

func (f *forward) Call(ctx context.Context, c capability.Call) ([]byte, error) {
	return f.call(ctx, hostsuite.HostCall{Binding: c.Name, Namespace: f.id, Operation: c.Operation, Payload: c.Payload})
}

func (f *forward) Unbind(_ context.Context, id capability.BindingID) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.bound, id)
	return nil
}

func (f *forward) Close(context.Context) error { return nil }
