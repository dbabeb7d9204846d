package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"path/filepath"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/clock"
	"github.com/waxosuit/waxo/capability/extras"
	"github.com/waxosuit/waxo/capability/httpserver"
	"github.com/waxosuit/waxo/capability/keyvalue"
	"github.com/waxosuit/waxo/capability/logging"
	"github.com/waxosuit/waxo/devhost"
	"github.com/waxosuit/waxo/devhost/manifest"
	"github.com/waxosuit/waxo/emulators/redis"
)

// connections makes the providers that a host binds, and the servers behind
// them that run in this process. Each provider is made once and serves every
// binding of its capability, so that a binding which did not change is seen to
// be the same.
type connections struct {
	log     *slog.Logger
	address string                 // where wascap:http_server listens, host:port
	state   func() (string, error) // folder for the data of embedded servers; nil: in memory only
	http    *httpserver.Options
	limits  devhost.Limits // of the guest, as far as they are the providers' too
	lookup  func(string) (string, bool)

	providers map[string]capability.Provider
	redis     *redis.Server
	told      map[string]string // where bindings lead, as far as it was said
}

// connect makes the bindings for capabilities: as specs say, with the defaults
// where they are silent.
func (c *connections) connect(ctx context.Context, capabilities []string, specs []manifest.Bind) ([]devhost.Bind, error) {
	var binds []devhost.Bind
	var errs []error
	for _, id := range capabilities {
		provider := c.provider(id)
		if provider == nil {
			c.log.Warn("no provider: calls will fail", "capability", id)
			continue
		}
		for _, spec := range specsFor(id, specs) {
			config, err := c.config(ctx, spec)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", id, err))
				continue
			}
			binds = append(binds, devhost.Bind{Capability: id, Name: spec.Name, Provider: provider, Config: config})
		}
	}
	if p, ok := c.providers[capability.HTTPServer].(*httpserver.Provider); ok {
		limits := c.limits.Defaults()
		p.SetMaxBody(int64(limits.RequestBody), int64(limits.ResponseBody))
	}
	return binds, errors.Join(errs...)
}

func specsFor(id string, specs []manifest.Bind) []manifest.Bind {
	var found []manifest.Bind
	for _, s := range specs {
		if s.Capability == id {
			found = append(found, s)
		}
	}
	if found == nil {
		found = append(found, manifest.Bind{Capability: id, Name: capability.DefaultBinding, Provider: manifest.ProviderEmbedded})
	}
	return found
}

// provider returns the provider of a capability, nil where there is none.
func (c *connections) provider(id string) capability.Provider {
	if p, ok := c.providers[id]; ok {
		return p
	}
	var p capability.Provider
	switch id {
	case capability.HTTPServer:
		p = httpserver.New(c.http)
	case capability.KeyValue:
		p = keyvalue.New(nil)
	case capability.Logging:
		p = logging.New(&logging.Options{Logger: c.log})
	case capability.Clock:
		p = clock.New(nil)
	case capability.Extras:
		p = extras.New(nil)
	default:
		return nil
	}
	if c.providers == nil {
		c.providers = make(map[string]capability.Provider)
	}
	c.providers[id] = p
	return p
}

// config is the configuration of one binding.
func (c *connections) config(ctx context.Context, spec manifest.Bind) (map[string]string, error) {
	spec, err := spec.Expand(c.lookup)
	if err != nil {
		return nil, err
	}
	config := maps.Clone(spec.Config)
	if config == nil {
		config = make(map[string]string)
	}
	switch {
	case spec.Capability == capability.HTTPServer && spec.Provider == manifest.ProviderURL:
		return nil, errors.New("the HTTP server is part of the host and has no url; where it listens is told by --host and --port")
	case spec.Capability == capability.HTTPServer:
		if config[httpserver.ConfigAddress] == "" {
			config[httpserver.ConfigAddress] = c.address
		}
	case spec.Provider == manifest.ProviderURL:
		config["url"] = spec.URL
		c.tell(spec)
	case spec.Capability == capability.KeyValue:
		if config["url"], err = c.embeddedRedis(ctx); err != nil {
			return nil, err
		}
	}
	return config, nil
}

// tell says where a binding leads, when that is new. Passwords stay secret.
func (c *connections) tell(spec manifest.Bind) {
	where := "an address that cannot be shown"
	if u, err := url.Parse(spec.URL); err == nil {
		where = u.Redacted()
	}
	key := spec.Capability + "/" + spec.Name
	if c.told[key] == where {
		return
	}
	if c.told == nil {
		c.told = make(map[string]string)
	}
	c.told[key] = where
	c.log.Info(spec.Capability+" is bound", "binding", spec.Name, "url", where)
}

// embeddedRedis returns the URL of the Redis server in this process, which it
// starts if need be.
func (c *connections) embeddedRedis(ctx context.Context) (string, error) {
	if c.redis != nil {
		return c.redis.URL(), nil
	}
	opts := &redis.Options{Log: c.log}
	if c.state != nil {
		dir, err := c.state()
		if err != nil {
			return "", err
		}
		opts.File = filepath.Join(dir, "keyvalue.jsonl")
	}
	server, err := redis.Start(ctx, opts)
	if err != nil {
		return "", err
	}
	c.redis = server
	where := "in memory only"
	if opts.File != "" {
		where = "kept in " + opts.File
	}
	c.log.Info("embedded Redis, "+where, "url", server.URL())
	return server.URL(), nil
}

// close ends the providers, then the servers behind them.
func (c *connections) close(ctx context.Context) error {
	var errs []error
	for _, p := range c.providers {
		errs = append(errs, p.Close(ctx))
	}
	if c.redis != nil {
		errs = append(errs, c.redis.Close())
	}
	return errors.Join(errs...)
}

// url is where people reach a binding of the HTTP server, "" where there is
// none.
func (c *connections) url(id capability.BindingID) string {
	p, ok := c.providers[capability.HTTPServer].(*httpserver.Provider)
	if !ok {
		return ""
	}
	if addr := p.Addr(id); addr != nil {
		return "http://" + addr.String()
	}
	return ""
}
