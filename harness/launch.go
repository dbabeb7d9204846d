package harness

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/httpserver"
	"github.com/waxosuit/waxo/devhost"
	"github.com/waxosuit/waxo/devhost/admin"
	"github.com/waxosuit/waxo/devhost/build"
	"github.com/waxosuit/waxo/devhost/connect"
	"github.com/waxosuit/waxo/devhost/embedded"
	"github.com/waxosuit/waxo/devhost/manifest"
	"github.com/waxosuit/waxo/devhost/project"
	"github.com/waxosuit/waxo/harness/companion"
	"github.com/waxosuit/waxo/harness/faults"
	"github.com/waxosuit/waxo/wascap"
)

// providersManifest is Options.Providers for those of the manifest.
const providersManifest = "manifest"

// subject is what is about to run.
type subject struct {
	module []byte // signed
	claims wascap.Claims
	binds  []manifest.Bind
	limits devhost.Limits
}

func (g *Guest) launch(ctx context.Context, o *Options) error {
	s, err := prepare(ctx, o)
	if err != nil {
		return err
	}
	g.id = s.claims.Subject
	specs, err := specify(o, s)
	if err != nil {
		return err
	}
	engine, err := g.engine(o.Log)
	if err != nil {
		return err
	}
	containers := g.containers(o)
	g.closes(g.closeProxies)
	g.host, err = devhost.New(&devhost.Options{
		Engine: engine, Development: true, Limits: s.limits, Log: o.Log,
		Console: func(line string) { o.Log.Info(line) },
	})
	if err != nil {
		return err
	}
	own, err := admin.New(&admin.Options{Host: g.host, Development: true, Log: o.Log})
	if err != nil {
		return err
	}
	g.closes(func(context.Context) error { own.Close(); return nil })
	g.connections = connect.New(&connect.Options{Log: o.Log, Lookup: o.Lookup, Emulators: embedded.Start, Containers: containers, HTTP: &httpserver.Options{Wrap: own.Wrap}})
	g.closes(g.connections.Close)
	g.closes(g.host.Close)
	binds, err := g.connections.Connect(ctx, connect.Settings{Address: net.JoinHostPort("127.0.0.1", "0"), Limits: s.limits}, specs)
	if err != nil {
		return err
	}
	if err := g.between(binds, o.Faults); err != nil {
		return err
	}
	guest, err := g.host.Prepare(ctx, s.module, nil)
	if err != nil {
		return err
	}
	if err := g.host.Activate(guest); err != nil {
		return err
	}
	return g.host.Bind(ctx, devhost.Identity{Key: s.claims.Subject, Name: s.claims.Name}, binds)
}

// prepare reads the module, or builds the project.
func prepare(ctx context.Context, o *Options) (*subject, error) {
	if o.Module == "" {
		return buildProject(ctx, o)
	}
	if o.Project != "" || o.Providers == providersManifest {
		return nil, errors.New("a Module has no project: leave Project empty, and say in Providers or Services where its services are")
	}
	module, err := os.ReadFile(o.Module)
	if err != nil {
		return nil, err
	}
	token, err := wascap.Verify(module, time.Now())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.Module, err)
	}
	return &subject{module: module, claims: token.Claims}, nil
}

// buildProject builds and signs the project, with keys that nobody has afterwards.
func buildProject(ctx context.Context, o *Options) (*subject, error) {
	dir := o.Project
	if dir == "" {
		dir = "."
	}
	p, err := project.Open(dir, &project.Options{Lookup: o.Lookup})
	if err != nil {
		return nil, err
	}
	account, err := wascap.Generate(wascap.Account)
	if err != nil {
		return nil, err
	}
	module, err := wascap.Generate(wascap.Module)
	if err != nil {
		return nil, err
	}
	made, err := p.Make(ctx, build.New(nil), &project.MakeOptions{Account: account, Module: module, Dev: true, Brief: true})
	if err != nil {
		return nil, err
	}
	token, err := wascap.Verify(made.Signed, time.Now())
	if err != nil {
		return nil, err
	}
	m := p.Manifest()
	return &subject{module: made.Signed, claims: token.Claims, binds: m.Binds, limits: devhost.LimitsOf(m)}, nil
}

// specify says where the services are.
func specify(o *Options, s *subject) ([]manifest.Bind, error) {
	specs := connect.Complete(s.claims.Capabilities, s.binds, true)
	switch o.Providers {
	case providersManifest:
	case "", manifest.ProviderEmbedded:
		connect.Provide(specs, manifest.ProviderEmbedded)
	case manifest.ProviderContainer:
		connect.Provide(specs, manifest.ProviderContainer)
	default:
		return nil, fmt.Errorf(`there are no providers %q; take "embedded", "container" or "manifest"`, o.Providers)
	}
	for target, place := range o.Services {
		id, name, named := strings.Cut(target, "/")
		if !named {
			name = capability.DefaultBinding
		}
		i := slices.IndexFunc(specs, func(b manifest.Bind) bool { return b.Capability == id && b.Name == name })
		if i < 0 || !manifest.HasService(id) {
			return nil, fmt.Errorf("in Services: the guest has no service %s; it has %s", target, strings.Join(targets(specs), ", "))
		}
		if err := move(&specs[i], place); err != nil {
			return nil, fmt.Errorf("in Services: %s: %w", target, err)
		}
	}
	return specs, nil
}

// move has a binding's service be somewhere else.
func move(spec *manifest.Bind, place string) error {
	spec.URL, spec.Plugin = "", ""
	switch {
	case place == manifest.ProviderEmbedded, place == manifest.ProviderContainer:
		spec.Provider = place
	case strings.Contains(place, "://"):
		spec.Provider, spec.URL = manifest.ProviderURL, strings.ReplaceAll(place, "$", "$$") // it has no variables
	default:
		return fmt.Errorf(`%q is neither "embedded" nor "container" nor a URL`, place)
	}
	return nil
}

// targets lists what Services can name.
func targets(specs []manifest.Bind) []string {
	var list []string
	for _, s := range specs {
		switch {
		case !manifest.HasService(s.Capability):
		case s.Name == capability.DefaultBinding:
			list = append(list, s.Capability)
		default:
			list = append(list, s.Capability+"/"+s.Name)
		}
	}
	if list == nil {
		return []string{"none"}
	}
	return list
}

// containers starts services by the companion.
func (g *Guest) containers(o *Options) connect.Containers {
	c := o.Companion
	if c == nil {
		c = companion.NewClient(&companion.Options{Progress: func(line string) { o.Log.Info(line) }})
		g.closes(c.Close)
	}
	return func(ctx context.Context, id, _, image string) (connect.Server, error) {
		s, err := c.Start(ctx, companion.Request{Capability: id, Image: image})
		if err != nil {
			return nil, err
		}
		o.Log.Info(id+" is served by a container", "container", s.Name(), "url", s.URL())
		return s, nil
	}
}

// between notes where services are and, with proxies, has the guest reach them
// through one each.
func (g *Guest) between(binds []devhost.Bind, proxies bool) error {
	// What brings calls in is bound last.
	slices.SortStableFunc(binds, func(a, b devhost.Bind) int {
		return strings.Compare(rank(a.Capability), rank(b.Capability))
	})
	for i := range binds {
		b := &binds[i]
		address := b.Config["url"]
		if address == "" || !manifest.HasService(b.Capability) {
			continue
		}
		key := binding{b.Capability, b.Name}
		g.services[key] = address
		if !proxies {
			continue
		}
		proxy, through, err := faults.Before(address)
		if err != nil {
			return fmt.Errorf("%s: %w", b.Capability, err)
		}
		g.proxies[key] = proxy
		b.Config["url"] = through
	}
	return nil
}

func (g *Guest) closeProxies(context.Context) error {
	var errs []error
	for _, p := range g.proxies {
		errs = append(errs, p.Close())
	}
	return errors.Join(errs...)
}

func rank(id string) string {
	if id == capability.HTTPServer {
		return id
	}
	return ""
}

// cacheDir is the user's cache of compiled code, "" where there is none. It is
// that of waxo itself: the same module is compiled once.
func cacheDir() string {
	base, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(base, "waxo", "compiled")
}
