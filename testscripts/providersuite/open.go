package providersuite

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/eventstreams"
	"github.com/waxosuit/waxo/capability/plugin"
	"github.com/waxosuit/waxo/devhost/connect"
	"github.com/waxosuit/waxo/devhost/embedded"
	"github.com/waxosuit/waxo/devhost/manifest"
	"github.com/waxosuit/waxo/testscripts/parity"
)

// closeTimeout bounds the end of providers and services.
const closeTimeout = 30 * time.Second

// opened is a suite, and what it is run against.
type opened struct {
	suite  parity.Suite
	target parity.Target
	close  func(ctx context.Context) error
}

// suiteOf is the suite of a capability: for that of a vendor, the contract alone.
func suiteOf(id string) parity.Suite {
	for _, suite := range parity.All() {
		if suite.Capability == id {
			return suite
		}
	}
	return parity.Contract(id)
}

// open makes the providers of a target, side by side. Who calls it closes them, also
// those that come with an error.
func (o *Options) open(ctx context.Context, t *Target) ([]*opened, error) {
	if t.provider == manifest.ProviderPlugin {
		return o.openPlugins(ctx, t)
	}
	all := make([]*opened, len(t.capabilities))
	errs := make([]error, len(all))
	var starting sync.WaitGroup
	for i, id := range t.capabilities {
		starting.Go(func() {
			if all[i], errs[i] = o.openOwn(ctx, t, id); errs[i] != nil {
				errs[i] = fmt.Errorf("%s: %w", id, errs[i])
			}
		})
	}
	starting.Wait()
	return slices.DeleteFunc(all, func(one *opened) bool { return one == nil }), errors.Join(errs...)
}

// openOwn makes one of this module's own providers, on the service that the target
// names.
func (o *Options) openOwn(ctx context.Context, t *Target, id string) (*opened, error) {
	book := parity.NewLogbook()
	log := slog.New(slog.DiscardHandler) // guests fail here on purpose, and nobody wants to read of it
	if id == capability.Logging {
		log = slog.New(book)
	}
	bind := manifest.Bind{
		Capability: id, Name: capability.DefaultBinding, Provider: t.provider, Image: t.image, Config: maps.Clone(o.Config),
		URL: strings.ReplaceAll(t.url, "$", "$$"), // it has no variables
	}
	one, connections, err := o.connect(ctx, log, bind)
	if err != nil {
		return nil, err
	}
	one.close = connections.Close
	one.suite = suiteOf(id)
	one.target.Name, one.target.Exact, one.target.Logged = t.name, true, book
	again := bind
	if address := one.target.Config["url"]; address != "" {
		again.Provider, again.URL, again.Image = manifest.ProviderURL, strings.ReplaceAll(address, "$", "$$"), ""
	}
	one.target.Open = func(ctx context.Context) (capability.Provider, error) {
		other, _, err := o.connect(ctx, log, again)
		if err != nil {
			return nil, err
		}
		return other.target.Provider, nil // there is no server that connections would end
	}
	if id == capability.EventStreams && t.provider == manifest.ProviderURL {
		one.target.Forget = eventstreams.Forget
	}
	return one, nil
}

// connect makes a provider as waxo dev does.
func (o *Options) connect(ctx context.Context, log *slog.Logger, bind manifest.Bind) (*opened, *connect.Connections, error) {
	connections := connect.New(&connect.Options{Log: log, Emulators: embedded.Start, Containers: o.Containers})
	binds, err := connections.Connect(ctx, connect.Settings{Address: "127.0.0.1:0"}, []manifest.Bind{bind})
	if err == nil && len(binds) != 1 {
		err = errors.New("there is no provider for it") // connect has said so
	}
	if err != nil {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		return nil, nil, errors.Join(err, connections.Close(ending))
	}
	return &opened{target: parity.Target{Provider: binds[0].Provider, Config: binds[0].Config}}, connections, nil
}

// openPlugins starts the plugins of a target.
func (o *Options) openPlugins(ctx context.Context, t *Target) ([]*opened, error) {
	var providers []*plugin.Provider
	var err error
	if t.folder {
		ids := t.capabilities
		if len(ids) == 0 {
			ids = known(func(string) bool { return true })
		}
		providers, err = plugin.Load(ctx, t.path, ids, o.Plugins)
	} else {
		var p *plugin.Provider
		if p, err = plugin.Open(ctx, t.path, o.Plugins); err == nil {
			providers = append(providers, p)
		}
	}
	if err != nil {
		return nil, err
	}
	var all []*opened
	for _, p := range providers {
		all = append(all, o.plugged(t, p))
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no plugin in %s offers a capability with a suite; name the file of another one", t.path)
	}
	if offers := providers[0].Describe().Capability; !t.folder && len(t.capabilities) > 0 && !slices.Contains(t.capabilities, offers) {
		return all, badTarget("the plugin %s offers %s, and not %s", t.path, offers, strings.Join(t.capabilities, ", "))
	}
	return all, nil
}

func (o *Options) plugged(t *Target, p *plugin.Provider) *opened {
	quietly := plugin.Options{}
	if o.Plugins != nil {
		quietly = *o.Plugins
	}
	quietly.Log = nil // what is to be said of the plugin was said
	return &opened{
		suite: suiteOf(p.Describe().Capability), close: p.Close,
		target: parity.Target{
			Name: t.name, Provider: p, Config: maps.Clone(o.Config),
			Open: func(ctx context.Context) (capability.Provider, error) {
				again, err := plugin.Open(ctx, p.File(), &quietly)
				if err != nil {
					return nil, err // no provider, rather than one that is nil
				}
				return again, nil
			},
		},
	}
}
