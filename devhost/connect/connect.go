// Package connect makes what a host binds: the providers of a guest's
// capabilities, and the servers behind them.
//
// For each capability there is one provider, a client, and it is the same
// wherever its service is: embedded in this process, in a container, or at an
// address that somebody else keeps. Only the address in a binding's configuration
// differs. Where a binding leads may change while the host runs: Connect starts
// what is newly asked for, the host changes its bindings, and Prune ends what
// nobody asks for any more.
//
// It reads no environment of its own, has no embedded server and starts no container
// itself: all of that comes in through Options.
package connect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/httpserver"
	"github.com/waxosuit/waxo/capability/plugin"
	"github.com/waxosuit/waxo/devhost"
	"github.com/waxosuit/waxo/devhost/manifest"
)

// Options say what connections are made with; nil works.
type Options struct {
	// Log is told where bindings lead, and is what guests log to. Default: dropped.
	Log *slog.Logger

	// Lookup reads the environment for the ${VAR} of manifests. Default: nothing is
	// set.
	Lookup func(name string) (string, bool)

	// State makes the folder in which embedded servers keep their data. Default:
	// they keep it in memory, and it ends with them.
	State func() (string, error)

	// HTTP is how the HTTP server serves. Default: as httpserver has it.
	HTTP *httpserver.Options

	// Proxy finds the proxy for a request of wascap:http_client, as
	// http.ProxyFromEnvironment does. Default: none.
	Proxy func(*http.Request) (*url.URL, error)

	// Plugins are how providers in programs of their own are run. Default: as package
	// plugin has it, so that none is trusted.
	Plugins *plugin.Options

	// Caps is a folder of plugins. What one of them offers, it serves in place of
	// what is built in, wherever a binding names no plugin of its own; embedded is
	// the plugin alone then. Default: none.
	Caps string

	// Now is the clock of waxo:clock. Default: time.Now.
	Now func() time.Time

	// Emulators starts embedded servers, as embedded.Start does. Default: a binding
	// that asks for one is an error.
	Emulators Emulators

	// Containers starts real services. Default: a binding that asks for a container
	// is an error.
	Containers Containers
}

// Emulators starts the service behind a capability's provider in this process. It
// keeps its data at base, a path that it may add an ending to, or, for "", nowhere.
type Emulators func(ctx context.Context, capability, base string, log *slog.Logger) (Emulator, error)

// Emulator is a server in this process.
type Emulator interface {
	URL() string // what a provider takes as its url
	// Export writes a copy of the data to base, as Emulators would keep it there,
	// while the server serves.
	Export(ctx context.Context, base string) error
	Close() error
}

// Containers starts the service behind a capability's provider in a container, of
// that image or, for "", of the one that is known to serve. It returns when the
// service answers.
type Containers func(ctx context.Context, capability, binding, image string) (Server, error)

// Server is a service that was started for bindings.
type Server interface {
	URL() string // what a provider takes as its url
	Close(ctx context.Context) error
}

// Connections are the providers of one guest and the servers behind them. Its
// methods are not for several goroutines at once, but for Export.
type Connections struct {
	opts      Options
	providers map[string]capability.Provider // by capability
	plugins   plugins
	told      map[string]string // where bindings lead, as far as it was said

	mu      sync.Mutex // for those who export
	servers map[serverID]Server
	needed  map[serverID]bool // by the last Connect
}

// New makes connections; nothing runs yet.
func New(opts *Options) *Connections {
	c := &Connections{
		providers: make(map[string]capability.Provider), plugins: newPlugins(), told: make(map[string]string), servers: make(map[serverID]Server),
	}
	if opts != nil {
		c.opts = *opts
	}
	if c.opts.Log == nil {
		c.opts.Log = slog.New(slog.DiscardHandler)
	}
	if c.opts.Lookup == nil {
		c.opts.Lookup = func(string) (string, bool) { return "", false }
	}
	return c
}

// Settings are what bindings share, as far as it may change.
type Settings struct {
	Address string         // where wascap:http_server listens, host:port
	Dir     string         // what the paths of plugins are relative to
	Limits  devhost.Limits // of the guest, as far as they are the providers' too

	// Provided says that Provide chose where services are: what plugins of
	// Options.Caps offer is theirs all the same.
	Provided bool
}

// Connect makes the bindings that specs asks for, as Complete returns them, and
// starts the servers that they need. A binding that did not change comes back the
// same. After an error what was there before goes on.
func (c *Connections) Connect(ctx context.Context, s Settings, specs []manifest.Bind) ([]devhost.Bind, error) {
	expanded, err := c.expand(s, specs)
	if err != nil {
		return nil, err
	}
	if err := c.load(ctx, expanded); err != nil {
		return nil, err
	}
	expanded = slices.DeleteFunc(expanded, func(spec manifest.Bind) bool {
		missing := c.provider(spec) == nil
		if missing {
			c.opts.Log.Warn("no provider: calls will fail", "capability", spec.Capability)
		}
		return missing
	})
	for i := range expanded {
		if spec := &expanded[i]; s.Provided && c.pluginOf(*spec) != nil && spec.Provider != manifest.ProviderPlugin {
			spec.Provider = manifest.ProviderEmbedded
		}
	}
	if err := c.start(ctx, expanded); err != nil {
		return nil, err
	}
	var binds []devhost.Bind
	for _, spec := range expanded {
		config, err := c.config(s, spec)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", spec.Capability, err)
		}
		binds = append(binds, devhost.Bind{Capability: spec.Capability, Name: spec.Name, Provider: c.provider(spec), Config: config})
	}
	if p, ok := c.providers[capability.HTTPServer].(*httpserver.Provider); ok {
		limits := s.Limits.Defaults()
		p.SetMaxBody(int64(limits.RequestBody), int64(limits.ResponseBody))
	}
	for _, spec := range expanded {
		c.tell(spec)
	}
	return binds, nil
}

// expand fills in what specs take from the environment, and from where they
// stand.
func (c *Connections) expand(s Settings, specs []manifest.Bind) ([]manifest.Bind, error) {
	var expanded []manifest.Bind
	var errs []error
	for _, spec := range specs {
		e, err := spec.Expand(c.opts.Lookup)
		if e.Plugin != "" && !filepath.IsAbs(e.Plugin) {
			e.Plugin = filepath.Join(s.Dir, e.Plugin)
		}
		errs = append(errs, err)
		expanded = append(expanded, e)
	}
	return expanded, errors.Join(errs...)
}

// provider returns the provider of a binding, nil where there is none.
func (c *Connections) provider(spec manifest.Bind) capability.Provider {
	if p := c.pluginOf(spec); p != nil {
		return p
	}
	id := spec.Capability
	if p, ok := c.providers[id]; ok {
		return p
	}
	p := c.newProvider(id)
	if p != nil {
		c.providers[id] = p
	}
	return p
}

// config is the configuration of one binding, whose server runs.
func (c *Connections) config(s Settings, spec manifest.Bind) (map[string]string, error) {
	config := maps.Clone(spec.Config)
	if config == nil {
		config = make(map[string]string)
	}
	switch plugged := c.pluginOf(spec) != nil; {
	case plugged && !c.served(spec):
		// What a plugin needs stands in its config.
	case spec.Capability == capability.HTTPServer && !plugged:
		if spec.Provider != manifest.ProviderEmbedded {
			return nil, errors.New("the HTTP server is part of the host and is nowhere else; where it listens is told by --host and --port")
		}
		if config[httpserver.ConfigAddress] == "" {
			config[httpserver.ConfigAddress] = s.Address
		}
	case spec.Provider == manifest.ProviderURL && spec.URL == "":
		return nil, fmt.Errorf("the address of its service is not known: set %s, or url in a [[bind]] of waxo.toml", Variable(spec.Capability, spec.Name))
	case spec.Provider == manifest.ProviderURL:
		config["url"] = spec.URL
	case manifest.HasService(spec.Capability):
		config["url"] = c.servers[idOf(spec)].URL()
	}
	if spec.Allow != nil {
		config["allow"] = strings.Join(spec.Allow, ",")
	}
	return config, nil
}

// tell says where a binding leads, when that is new. Passwords stay secret.
func (c *Connections) tell(spec manifest.Bind) {
	if p := c.pluginOf(spec); p != nil {
		c.tellOfPlugin(spec, p)
		return
	}
	if !manifest.HasService(spec.Capability) {
		return
	}
	address, how := spec.URL, "a server that runs already"
	if spec.Provider != manifest.ProviderURL {
		id := idOf(spec)
		address, how = c.servers[id].URL(), c.describe(id)
	}
	where := "an address that cannot be shown"
	if u, err := url.Parse(address); err == nil {
		where = u.Redacted()
		if spec.Provider == manifest.ProviderEmbedded {
			where = u.String() // its credentials are no secret, and people need them
		}
	}
	if spec.Origin != "" {
		how += ", as " + spec.Origin + " says"
	}
	key := spec.Capability + "/" + spec.Name
	if c.told[key] == how+where {
		return
	}
	c.told[key] = how + where
	c.opts.Log.Info(spec.Capability+" is bound to "+how, "binding", spec.Name, "url", where)
}

// Environment are the addresses of the services behind bindings, in the form
// "WAXO_KEYVALUE_URL=redis://127.0.0.1:40001/0". The command aws takes no such
// address: for the default blob store there are AWS_ENDPOINT_URL and what goes with
// it, too.
func (c *Connections) Environment(binds []devhost.Bind) []string {
	var env []string
	for _, b := range binds {
		address := b.Config["url"]
		if address == "" || !manifest.HasService(b.Capability) {
			continue
		}
		env = append(env, Variable(b.Capability, b.Name)+"="+address)
		if u, err := url.Parse(address); err == nil && b.Capability == capability.Blobstore && b.Name == capability.DefaultBinding {
			secret, _ := u.User.Password()
			env = append(env, "AWS_ENDPOINT_URL="+u.Scheme+"://"+u.Host, "AWS_ACCESS_KEY_ID="+u.User.Username(),
				"AWS_SECRET_ACCESS_KEY="+secret, "AWS_DEFAULT_REGION="+cmp.Or(u.Query().Get("region"), "us-east-1"))
		}
	}
	return env
}

// HTTP is where people reach a binding of the HTTP server, "" where there is
// none.
func (c *Connections) HTTP(id capability.BindingID) string {
	p, ok := c.providers[capability.HTTPServer].(*httpserver.Provider)
	if !ok {
		return ""
	}
	if addr := p.Addr(id); addr != nil {
		return "http://" + addr.String()
	}
	return ""
}

// Close ends the providers, then the servers behind them. It may be called twice.
func (c *Connections) Close(ctx context.Context) error {
	var errs []error
	for _, p := range c.providers {
		errs = append(errs, p.Close(ctx))
	}
	c.plugins.needed = nil
	c.needed = nil
	return errors.Join(append(errs, c.Prune(ctx))...)
}
