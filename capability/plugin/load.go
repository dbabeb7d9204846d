package plugin

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/waxosuit/waxo/wascap"
)

// Load opens the plugins in a folder that offer one of the capabilities, which
// are those that the guests' claims ask for. The result is sorted by capability.
//
// A plugin is a regular file that can be executed (on Windows: that ends in
// .exe), or a link to one, whose name does not start with a dot; folders below
// are not looked into. One that says in its claims that it offers something else
// is left alone; one without claims, in development, is started and asked. Two
// for one capability are an error, and so is one that does not start or is
// refused: then none is left running. ctx bounds the start alone.
func Load(ctx context.Context, dir string, capabilities []string, opts *Options) ([]*Provider, error) {
	opts = opts.defaults()
	files, err := executables(dir)
	if err != nil {
		return nil, err
	}
	wanted := func(id string) bool { return slices.Contains(capabilities, id) }
	providers := make([]*Provider, len(files))
	errs := make([]error, len(files))
	var starts sync.WaitGroup
	for i, file := range files {
		if id, signed := claimed(file); signed && !wanted(id) {
			opts.Log.Debug("no claim asks for this plugin", "plugin", file, "capability", id)
			continue
		}
		starts.Go(func() { providers[i], errs[i] = Open(ctx, file, opts) })
	}
	starts.Wait()
	providers = slices.DeleteFunc(providers, func(p *Provider) bool { return p == nil })
	err = errors.Join(append(errs, conflicts(providers))...)
	var kept []*Provider
	for _, p := range providers {
		if err == nil && wanted(p.desc.Capability) {
			kept = append(kept, p)
			continue
		}
		if err == nil {
			opts.Log.Info("no claim asks for this plugin: it is unloaded", "plugin", p.name, "capability", p.desc.Capability)
		}
		if e := p.Close(ctx); e != nil {
			opts.Log.Warn("a plugin did not close cleanly", "plugin", p.name, "error", e)
		}
	}
	slices.SortFunc(kept, func(a, b *Provider) int { return strings.Compare(a.desc.Capability, b.desc.Capability) })
	return kept, err
}

// claimed reads what a plugin's claims say that it offers, without believing
// them: what is opened is verified then.
func claimed(file string) (id string, signed bool) {
	text, _, err := readClaims(file)
	if err != nil {
		return "", false
	}
	token, err := wascap.ParseToken(text)
	if err != nil || token.Claims.Kind() != wascap.Service {
		return "", false
	}
	return token.Claims.CapabilityID, true
}

// conflicts is the error of plugins that offer the same.
func conflicts(providers []*Provider) error {
	var errs []error
	seen := make(map[string]*Provider)
	for _, p := range providers {
		id := p.desc.Capability
		if first := seen[id]; first != nil {
			errs = append(errs, fmt.Errorf("two plugins offer %s: %s and %s: remove one, or bind them under different names in waxo.toml", id, first.name, p.name))
			continue
		}
		seen[id] = p
	}
	return errors.Join(errs...)
}

// executables are the files of a folder that can be plugins, sorted by name.
func executables(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("the folder of the plugins: %w", err)
	}
	var files []string
	for _, e := range entries {
		file := filepath.Join(dir, e.Name())
		if strings.HasPrefix(e.Name(), ".") || strings.HasSuffix(e.Name(), ClaimsSuffix) {
			continue
		}
		info, err := os.Stat(file) // what a link leads to
		if err != nil {
			return nil, fmt.Errorf("the folder of the plugins: %w", err)
		}
		if info.Mode().IsRegular() && executable(info) {
			files = append(files, file)
		}
	}
	return files, nil
}

func executable(info os.FileInfo) bool {
	if runtime.GOOS == "windows" {
		return strings.EqualFold(filepath.Ext(info.Name()), ".exe")
	}
	return info.Mode()&0o111 != 0
}
