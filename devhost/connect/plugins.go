package connect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/waxosuit/waxo/capability/plugin"
	"github.com/waxosuit/waxo/devhost/manifest"
)

// plugins are the providers in programs of their own, as far as they run.
type plugins struct {
	files  map[string]*plugin.Provider // of [[bind]] tables, by their file
	caps   map[string]*plugin.Provider // of the folder, by what they offer
	asked  map[string]bool             // the capabilities that were looked for in the folder
	needed map[*plugin.Provider]bool   // by the last Connect
}

func newPlugins() plugins {
	return plugins{files: make(map[string]*plugin.Provider), caps: make(map[string]*plugin.Provider), asked: make(map[string]bool)}
}

// pluginOf returns the plugin that serves a binding, nil where none does.
func (c *Connections) pluginOf(spec manifest.Bind) *plugin.Provider {
	if spec.Provider == manifest.ProviderPlugin {
		return c.plugins.files[spec.Plugin]
	}
	return c.plugins.caps[spec.Capability]
}

// load opens the plugins that specs need and that do not run.
func (c *Connections) load(ctx context.Context, specs []manifest.Bind) error {
	if err := c.loadFolder(ctx, specs); err != nil {
		return err
	}
	var errs []error
	for _, spec := range specs {
		if spec.Provider == manifest.ProviderPlugin {
			errs = append(errs, c.loadFile(ctx, spec))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	c.plugins.needed = make(map[*plugin.Provider]bool)
	for _, spec := range specs {
		if p := c.pluginOf(spec); p != nil {
			c.plugins.needed[p] = true
		}
	}
	return nil
}

// loadFolder looks into the folder for what was not looked for yet.
func (c *Connections) loadFolder(ctx context.Context, specs []manifest.Bind) error {
	if c.opts.Caps == "" {
		return nil
	}
	var ids []string
	for _, spec := range specs {
		if !c.plugins.asked[spec.Capability] {
			ids = append(ids, spec.Capability)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	found, err := plugin.Load(ctx, c.opts.Caps, ids, c.opts.Plugins)
	if err != nil {
		return err
	}
	for _, id := range ids {
		c.plugins.asked[id] = true
	}
	for _, p := range found {
		c.plugins.caps[p.Describe().Capability] = p
	}
	return nil
}

// loadFile opens the plugin of one binding.
func (c *Connections) loadFile(ctx context.Context, spec manifest.Bind) error {
	if other := c.plugins.caps[spec.Capability]; other != nil {
		return fmt.Errorf("two plugins claim the binding %q of %s: %s of the [[bind]] table, and %s of the folder: take one of them out",
			spec.Name, spec.Capability, spec.Plugin, other.File())
	}
	p := c.plugins.files[spec.Plugin]
	if p == nil {
		var err error
		if p, err = plugin.Open(ctx, spec.Plugin, c.opts.Plugins); err != nil {
			return fmt.Errorf("%s: %w", spec.Capability, err)
		}
		c.plugins.files[spec.Plugin] = p
	}
	if offers := p.Describe().Capability; offers != spec.Capability {
		return fmt.Errorf("the plugin %s offers %s, and cannot be bound as %s: correct the [[bind]] table", spec.Plugin, offers, spec.Capability)
	}
	return nil
}

// prune forgets the plugins that nobody needs, and returns them.
func (p *plugins) prune() []*plugin.Provider {
	var gone []*plugin.Provider
	for file, one := range p.files {
		if !p.needed[one] {
			gone = append(gone, one)
			delete(p.files, file)
		}
	}
	for id, one := range p.caps {
		if !p.needed[one] {
			gone = append(gone, one)
			delete(p.caps, id)
			delete(p.asked, id)
		}
	}
	slices.SortFunc(gone, func(a, b *plugin.Provider) int { return strings.Compare(a.File(), b.File()) })
	return gone
}

// pluginServer is a plugin as what Prune ends.
type pluginServer struct{ *plugin.Provider }

func (pluginServer) URL() string { return "" }

// tellOfPlugin says which plugin serves a binding, when that is new.
func (c *Connections) tellOfPlugin(spec manifest.Bind, p *plugin.Provider) {
	key := spec.Capability + "/" + spec.Name
	if c.told[key] == p.File() {
		return
	}
	c.told[key] = p.File()
	d, vendor := p.Describe(), "nobody vouches for it"
	if claims := p.Claims(); claims != nil {
		vendor = claims.Vendor
	}
	c.opts.Log.Info(spec.Capability+" is bound to a plugin", "binding", spec.Name, "plugin", p.File(), "name", d.Name, "version", d.Version, "vendor", vendor)
}
