package connect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/blobstore"
	"github.com/waxosuit/waxo/capability/clock"
	"github.com/waxosuit/waxo/capability/eventstreams"
	"github.com/waxosuit/waxo/capability/extras"
	"github.com/waxosuit/waxo/capability/httpclient"
	"github.com/waxosuit/waxo/capability/httpserver"
	"github.com/waxosuit/waxo/capability/keyvalue"
	"github.com/waxosuit/waxo/capability/logging"
	"github.com/waxosuit/waxo/capability/messaging"
	"github.com/waxosuit/waxo/devhost/manifest"
)

// newProvider makes the provider of a capability, nil where there is none.
func (c *Connections) newProvider(id string) capability.Provider {
	switch id {
	case capability.HTTPServer:
		return httpserver.New(c.opts.HTTP)
	case capability.Blobstore:
		return blobstore.New(&blobstore.Options{Log: c.opts.Log})
	case capability.EventStreams:
		return eventstreams.New(&eventstreams.Options{Log: c.opts.Log})
	case capability.Messaging:
		return messaging.New(&messaging.Options{Log: c.opts.Log})
	case capability.HTTPClient:
		return httpclient.New(&httpclient.Options{Proxy: c.opts.Proxy})
	case capability.KeyValue:
		return keyvalue.New(nil)
	case capability.Logging:
		return logging.New(&logging.Options{Logger: c.opts.Log})
	case capability.Clock:
		return clock.New(&clock.Options{Now: c.opts.Now})
	case capability.Extras:
		return extras.New(nil)
	}
	return nil
}

// service is what can stand behind a capability's provider.
type service struct {
	name  string // of its data
	title string // for people
}

// services are the services by capability. Capabilities that share one share its
// server, too, under the same binding name.
var services = map[string]*service{
	capability.KeyValue:     {name: "keyvalue", title: "Redis"},
	capability.Messaging:    natsService,
	capability.EventStreams: natsService,
	capability.Blobstore:    {name: "s3", title: "S3"},
}

var natsService = &service{name: "nats", title: "NATS"}

// serverID names a server: bindings of one name share it.
type serverID struct {
	service  *service
	binding  string
	provider string // embedded or container
	image    string
}

func idOf(b manifest.Bind) serverID {
	return serverID{services[b.Capability], b.Name, b.Provider, b.Image}
}

// embedded is an emulator that runs for bindings.
type embedded struct {
	Emulator
	kept string // where its data is, for people
}

func (e embedded) Close(context.Context) error { return e.Emulator.Close() }

// start starts the servers that specs need and that do not run, side by side.
func (c *Connections) start(ctx context.Context, specs []manifest.Bind) error {
	needed := make(map[serverID]bool)
	var missing []manifest.Bind
	for _, spec := range specs {
		if !c.served(spec) || spec.Provider == manifest.ProviderURL {
			continue
		}
		id := idOf(spec)
		if c.servers[id] == nil && !needed[id] {
			missing = append(missing, spec)
		}
		needed[id] = true
	}
	started := make([]Server, len(missing))
	errs := make([]error, len(missing))
	var starting sync.WaitGroup
	for i, spec := range missing {
		starting.Go(func() {
			if started[i], errs[i] = c.startOne(ctx, spec); errs[i] != nil {
				errs[i] = fmt.Errorf("%s: %w", spec.Capability, errs[i])
			}
		})
	}
	starting.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, spec := range missing {
		if errs[i] == nil {
			c.servers[idOf(spec)] = started[i]
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err // what was started anyway waits for the next try, or for Prune
	}
	c.needed = needed
	return nil
}

// served tells whether a binding has a service behind its provider: plugins have
// none embedded, and know of none where nobody gave them an address.
func (c *Connections) served(spec manifest.Bind) bool {
	switch {
	case spec.Provider == manifest.ProviderPlugin:
		return false
	case c.pluginOf(spec) != nil:
		return spec.Provider == manifest.ProviderURL && spec.URL != Default(spec.Capability) ||
			spec.Provider == manifest.ProviderContainer && services[spec.Capability] != nil
	}
	return services[spec.Capability] != nil
}

func (c *Connections) startOne(ctx context.Context, spec manifest.Bind) (Server, error) {
	if spec.Provider == manifest.ProviderContainer {
		if c.opts.Containers == nil {
			return nil, c.noContainers(spec)
		}
		return c.opts.Containers(ctx, spec.Capability, spec.Name, spec.Image)
	}
	if c.opts.Emulators == nil {
		return nil, fmt.Errorf("this host has no embedded servers (waxo run has them): %s", elsewhere(spec))
	}
	s, base, kept := services[spec.Capability], "", "in memory only"
	if c.opts.State != nil {
		dir, err := c.opts.State()
		if err != nil {
			return nil, err
		}
		base = filepath.Join(dir, stateName(s, spec.Name))
		kept = "kept in " + dir
	}
	e, err := c.opts.Emulators(ctx, spec.Capability, base, c.opts.Log)
	if err != nil {
		return nil, err
	}
	return embedded{e, kept}, nil
}

// noContainers says where else a service may be.
func (c *Connections) noContainers(spec manifest.Bind) error {
	if c.opts.Emulators == nil {
		return fmt.Errorf("this host starts no containers: %s", elsewhere(spec))
	}
	return errors.New(`this host starts no containers: take provider = "embedded" or "url"`)
}

// elsewhere says how a binding gets to a server that runs already.
func elsewhere(spec manifest.Bind) string {
	target := spec.Capability
	if spec.Name != capability.DefaultBinding {
		target += "/" + spec.Name
	}
	return fmt.Sprintf(`bind it to a server that runs, with --bind %s=URL, with %s, or with provider = "url" in its [[bind]]`, target, Variable(spec.Capability, spec.Name))
}

// stateName is the base name of what a server keeps.
func stateName(s *service, binding string) string {
	if binding == capability.DefaultBinding {
		return s.name
	}
	return s.name + "-" + binding
}

// describe says what a server is, for people.
func (c *Connections) describe(id serverID) string {
	if e, ok := c.servers[id].(embedded); ok {
		return "an embedded " + id.service.title + ", " + e.kept
	}
	what := cmp.Or(id.image, id.service.title)
	if named, ok := c.servers[id].(interface{ Name() string }); ok {
		return what + " in the container " + named.Name() // for docker exec
	}
	return what + " in a container"
}

// Prune ends the servers and plugins that the last Connect did not ask for. Call it once the
// bindings that used them are gone.
func (c *Connections) Prune(ctx context.Context) error {
	c.mu.Lock()
	var gone []Server
	for id, s := range c.servers {
		if !c.needed[id] {
			gone = append(gone, s)
			delete(c.servers, id)
		}
	}
	c.mu.Unlock()
	for _, p := range c.plugins.prune() {
		gone = append(gone, pluginServer{p})
	}
	errs := make([]error, len(gone))
	var ending sync.WaitGroup
	for i, s := range gone {
		ending.Go(func() { errs[i] = s.Close(ctx) })
	}
	ending.Wait()
	return errors.Join(errs...)
}

// Export writes a copy of what the embedded servers keep into the empty folder
// dir, each in the form and under the name in which it is kept, while they serve.
func (c *Connections) Export(ctx context.Context, dir string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for id, s := range c.servers {
		if e, ok := s.(embedded); ok {
			errs = append(errs, e.Export(ctx, filepath.Join(dir, stateName(id.service, id.binding))))
		}
	}
	return errors.Join(errs...)
}
