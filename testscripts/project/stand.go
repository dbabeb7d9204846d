package project

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/httpserver"
	"github.com/waxosuit/waxo/capability/plugin"
	"github.com/waxosuit/waxo/devhost"
	"github.com/waxosuit/waxo/devhost/admin"
	"github.com/waxosuit/waxo/devhost/connect"
	"github.com/waxosuit/waxo/devhost/embedded"
	"github.com/waxosuit/waxo/devhost/fault"
	"github.com/waxosuit/waxo/devhost/manifest"
	"github.com/waxosuit/waxo/wapc"
)

// StandOptions say what a guest stands on.
type StandOptions struct {
	// Engine runs the guest. Required; it stays the caller's.
	Engine *wapc.Engine

	// Providers is where the services of all capabilities are: "embedded" in this
	// process, "container", or "manifest" for where waxo.toml and the environment
	// variables of connect.FromEnvironment say. Default: embedded.
	Providers string

	// Address is where the guest's HTTP server listens. Default: a free port of
	// 127.0.0.1.
	Address string

	// Containers starts real services. Default: none can be.
	Containers connect.Containers

	// Plugins and Caps are those of connect.Options. Default: none.
	Plugins *plugin.Options
	Caps    string

	// Lookup reads the environment. Default: nothing is set.
	Lookup func(name string) (string, bool)

	// Proxy is that of connect.Options. Default: none.
	Proxy func(*http.Request) (*url.URL, error)

	// Log gets what the host and the guest say. Default: dropped.
	Log *slog.Logger

	// Console gets each line that the guest prints. Default: dropped.
	Console func(line string)

	// Now is the clock of claims, and of waxo:clock. Default: time.Now.
	Now func() time.Time
}

// providersManifest is StandOptions.Providers for those of the manifest.
const providersManifest = "manifest"

func (o *StandOptions) providers() string { return cmp.Or(o.Providers, manifest.ProviderEmbedded) }

// Stand is what a guest stands on: a host, providers, and the services behind
// them, which begin empty. Guests may come and go; the services stay. It is not
// for several goroutines at once.
type Stand struct {
	opts        StandOptions
	connections *connect.Connections
	faults      *fault.Injector

	binds []devhost.Bind // as they were connected
	host  *devhost.Host  // nil: no guest runs
	own   *admin.Endpoints
	guest string // the key of the one that runs or ran
}

// NewStand makes a stand. Nothing runs yet.
func NewStand(opts *StandOptions) (*Stand, error) {
	s := &Stand{opts: *opts}
	switch s.opts.Providers = s.opts.providers(); s.opts.Providers {
	case manifest.ProviderEmbedded, manifest.ProviderContainer, providersManifest:
	default:
		return nil, fmt.Errorf("there are no providers %q; take embedded, container or manifest", s.opts.Providers)
	}
	s.opts.Address = cmp.Or(s.opts.Address, "127.0.0.1:0")
	if s.opts.Lookup == nil {
		s.opts.Lookup = func(string) (string, bool) { return "", false }
	}
	s.connections = connect.New(&connect.Options{
		Log: s.opts.Log, Lookup: s.opts.Lookup, Proxy: s.opts.Proxy, Plugins: s.opts.Plugins, Caps: s.opts.Caps,
		Now: s.opts.Now, Emulators: embedded.Start, Containers: s.opts.Containers,
		// As waxo run has it: a test that asks the guest there would mislead.
		HTTP: &httpserver.Options{Wrap: func(guest http.Handler) http.Handler { return s.own.Wrap(guest) }},
	})
	s.faults = fault.New(&fault.Options{Log: s.opts.Log})
	return s, nil
}

// connect starts the services of capabilities as far as they do not run, and makes
// the bindings.
func (s *Stand) connect(ctx context.Context, m *manifest.Manifest, capabilities []string) error {
	specs := connect.Complete(capabilities, m.Binds, true)
	if s.opts.Providers != providersManifest {
		connect.Provide(specs, s.opts.Providers)
	} else if err := connect.FromEnvironment(specs, s.opts.Lookup); err != nil {
		return err
	}
	binds, err := s.connections.Connect(ctx, connect.Settings{
		Address: s.opts.Address, Dir: filepath.Dir(m.Path), Limits: devhost.LimitsOf(m), Provided: s.opts.Providers != providersManifest,
	}, specs)
	if err != nil {
		return err
	}
	// What brings calls in is bound last.
	slices.SortStableFunc(binds, func(a, b devhost.Bind) int { return strings.Compare(rank(a), rank(b)) })
	s.binds = binds
	return nil
}

func rank(b devhost.Bind) string {
	if b.Capability == capability.HTTPServer {
		return b.Capability
	}
	return ""
}

// Start starts a signed module, with the bindings and limits of a manifest, and
// returns when it serves. Its errors are those of devhost.Host's Prepare and Bind,
// and of connect.Connections' Connect.
func (s *Stand) Start(ctx context.Context, module []byte, m *manifest.Manifest) (err error) {
	if s.host != nil {
		return errors.New("a guest runs already")
	}
	host, err := devhost.New(&devhost.Options{
		Engine: s.opts.Engine, Development: true, Limits: devhost.LimitsOf(m), Log: s.opts.Log, Console: s.opts.Console, Now: s.opts.Now,
	})
	if err != nil {
		return err
	}
	own, err := admin.New(&admin.Options{Host: host, Development: true, Log: s.opts.Log})
	if err != nil {
		return err
	}
	s.host, s.own = host, own
	if err := s.serve(ctx, module, m); err != nil {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		return errors.Join(err, s.Stop(ending))
	}
	return nil
}

// serve has the new host serve a module.
func (s *Stand) serve(ctx context.Context, module []byte, m *manifest.Manifest) error {
	guest, err := s.host.Prepare(ctx, module, nil)
	if err != nil {
		return err
	}
	claims := guest.Claims()
	if err := s.connect(ctx, m, claims.Capabilities); err != nil {
		return errors.Join(err, guest.Close(context.WithoutCancel(ctx)))
	}
	if err := s.host.Activate(guest); err != nil {
		return errors.Join(err, guest.Close(context.WithoutCancel(ctx)))
	}
	s.guest = claims.Subject
	return s.host.Bind(ctx, devhost.Identity{Key: claims.Subject, Name: claims.Name}, s.wrapped())
}

// wrapped are the bindings with what may go wrong with them.
func (s *Stand) wrapped() []devhost.Bind {
	binds := slices.Clone(s.binds)
	for i := range binds {
		binds[i].Provider = s.faults.Wrap(binds[i].Provider)
	}
	return binds
}

// Stop ends the guest, within ctx. What is in the stores stays there.
func (s *Stand) Stop(ctx context.Context) error {
	host := s.host
	if host == nil {
		return nil
	}
	s.host = nil
	defer s.own.Close()
	return host.Close(ctx)
}

// closeTimeout is how long what nothing uses any more may take to end.
const closeTimeout = 10 * time.Second

// Close ends everything. It may be called twice.
func (s *Stand) Close(ctx context.Context) error {
	return errors.Join(s.Stop(ctx), s.faults.Close(ctx), s.connections.Close(ctx))
}

// URL is where the guest's HTTP server is, "" where there is none.
func (s *Stand) URL() string {
	for _, b := range s.binds {
		if s.host != nil && b.Capability == capability.HTTPServer {
			return s.connections.HTTP(capability.BindingID{Guest: s.guest, Name: b.Name})
		}
	}
	return ""
}

// Environment are the addresses of the guest and of its services, as NAME=value:
// WAXO_URL for the guest, and those of connect.Connections' Environment.
func (s *Stand) Environment() []string {
	env := s.connections.Environment(s.binds)
	if url := s.URL(); url != "" {
		env = append(env, "WAXO_URL="+url)
	}
	return env
}

// Call has the guest handle an operation, as a provider would.
func (s *Stand) Call(ctx context.Context, id, operation string, payload []byte) ([]byte, error) {
	if s.host == nil {
		return nil, errors.New("no guest runs")
	}
	reply, err := s.host.Call(ctx, id, operation, payload)
	return reply.Payload, err
}

// bind finds a binding of the guest.
func (s *Stand) bind(id, name string) (devhost.Bind, error) {
	var known []string
	for _, b := range s.binds {
		if b.Capability == id && b.Name == name {
			return b, nil
		}
		known = append(known, target(b.Capability, b.Name))
	}
	if known == nil {
		known = []string{"none"}
	}
	return devhost.Bind{}, fmt.Errorf("the guest has no %s; it has %s", target(id, name), strings.Join(known, ", "))
}

// target names a binding for people.
func target(id, name string) string {
	if name == capability.DefaultBinding {
		return id
	}
	return id + "/" + name
}
