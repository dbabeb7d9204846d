// Package project knows the folder of a guest project: its manifest, the state
// beside it in .waxo, its throwaway keys, and how its source becomes a signed
// module.
package project

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/waxosuit/waxo/devhost/build"
	"github.com/waxosuit/waxo/devhost/manifest"
	"github.com/waxosuit/waxo/devhost/seal"
	"github.com/waxosuit/waxo/devhost/slim"
	"github.com/waxosuit/waxo/wascap"
)

// DevLifetime is how long the claims of throwaway keys last.
const DevLifetime = 24 * time.Hour

// Options says how a project is opened.
type Options struct {
	// Lookup reads the environment that overrides the manifest. Default: nothing
	// is overridden.
	Lookup func(name string) (string, bool)
	// Override changes the manifest after that, each time it is read: for flags.
	// Default: nothing is changed.
	Override func(*manifest.Manifest)
}

// Project is a guest project on disk. It is not for several goroutines at once.
type Project struct {
	opts     Options
	path     string
	manifest *manifest.Manifest
}

// Open opens the project that dir belongs to. Its error matches
// manifest.ErrNotFound where there is none.
func Open(dir string, opts *Options) (*Project, error) {
	path, err := manifest.Find(dir)
	if err != nil {
		return nil, err
	}
	if path, err = filepath.Abs(path); err != nil {
		return nil, err
	}
	p := &Project{path: path}
	if opts != nil {
		p.opts = *opts
	}
	return p, p.Reload()
}

// Reload reads the manifest again. After an error the one before stays.
func (p *Project) Reload() error {
	m, err := manifest.Load(p.path)
	if err != nil {
		return err
	}
	if p.opts.Lookup != nil {
		if err := m.ApplyEnv(p.opts.Lookup); err != nil {
			return err
		}
	}
	if p.opts.Override != nil {
		p.opts.Override(m)
	}
	p.manifest = m
	return nil
}

// Manifest is what was read last.
func (p *Project) Manifest() *manifest.Manifest { return p.manifest }

// Dir is the project's folder, absolute.
func (p *Project) Dir() string { return filepath.Dir(p.path) }

// State makes and returns a folder below .waxo, which git ignores.
func (p *Project) State(elem ...string) (string, error) {
	root := filepath.Join(p.Dir(), manifest.StateDir)
	dir := filepath.Join(append([]string{root}, elem...)...)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	ignore := filepath.Join(root, ".gitignore")
	if _, err := os.Stat(ignore); errors.Is(err, fs.ErrNotExist) {
		if err := os.WriteFile(ignore, []byte("*\n"), 0o600); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// Output is where Keep puts the module that serves.
func (p *Project) Output() string {
	return filepath.Join(p.Dir(), manifest.StateDir, "build", p.manifest.Name+".wasm")
}

// MakeOptions says with what a module is signed.
type MakeOptions struct {
	Account *wascap.KeyPair                  // the issuer; nil: the module is not signed
	Module  *wascap.KeyPair                  // the module's own key; only its public half is used
	Dev     bool                             // the keys are throwaway keys: the claims say so, and end after DevLifetime
	Phase   func(name string) (ended func()) // told of each phase, as it begins and as it ends

	// Revision is the claim of that name, a number that grows with each release.
	// Default: none.
	Revision int

	// Env is set for the toolchain of a custom build, as "NAME=value". Default:
	// nothing beyond the environment of this process.
	Env []string
	// Optimize overrides the manifest's. Default, for nil: what that says.
	Optimize []string
	// Brief leaves out the optimizations that take longer than a module that is
	// soon replaced gains by them: only strip and merge are done, where they were
	// asked for.
	Brief bool
	// Measure has Slimmed tell sizes.
	Measure bool
}

// Made is a module in its stages.
type Made struct {
	Sealed  []byte
	Signed  []byte       // nil without keys
	Slimmed *slim.Report // what the optimizations came to
	Tool    string       // what built it
	Output  string       // the toolchain's words, such as warnings
}

// Short is the first digits of the sealed module's SHA-256.
func (m *Made) Short() string {
	sum := sha256.Sum256(m.Sealed)
	return hex.EncodeToString(sum[:4])
}

// Make builds, seals, optimizes and signs. Its errors are those of build.Build,
// seal.Seal, slim.Slim and wascap.Sign.
func (p *Project) Make(ctx context.Context, b *build.Builder, opts *MakeOptions) (*Made, error) {
	phase := opts.Phase
	if phase == nil {
		phase = func(string) func() { return func() {} }
	}
	ended := phase("build")
	built, err := b.Build(ctx, &build.Request{Manifest: p.manifest, Env: opts.Env})
	if err != nil {
		return nil, err
	}
	ended()
	made := &Made{Tool: built.Tool, Output: built.Output}
	ended = phase("seal")
	if err := p.finish(ctx, built.Module, made, opts); err != nil {
		return nil, err
	}
	ended()
	if opts.Account == nil {
		return made, nil
	}
	ended = phase("sign")
	if made.Signed, err = p.sign(made.Sealed, opts); err != nil {
		return nil, err
	}
	ended()
	return made, nil
}

// finish seals and optimizes. The module is taken apart once for both.
func (p *Project) finish(ctx context.Context, module []byte, made *Made, opts *MakeOptions) error {
	m, sealed, err := seal.Module(module, nil)
	if err != nil {
		return err
	}
	made.Slimmed, err = slim.Slim(ctx, m, &slim.Options{
		Steps:       p.steps(opts),
		MemoryLimit: p.manifest.Limits.Memory,
		Measure:     opts.Measure,
	})
	if err != nil {
		return err
	}
	made.Sealed = module
	if sealed.Replaced != nil || made.Slimmed.Changed {
		made.Sealed = m.Encode()
	}
	return nil
}

// steps are the optimizations to be done.
func (p *Project) steps(opts *MakeOptions) []slim.Step {
	names := opts.Optimize
	if names == nil {
		names = p.manifest.Build.Optimize
	}
	if names == nil {
		names = manifest.Optimizations()
	}
	steps := make([]slim.Step, 0, len(names))
	for _, name := range names {
		if step := slim.Step(name); !opts.Brief || step == slim.Strip || step == slim.Merge {
			steps = append(steps, step)
		}
	}
	return steps
}

func (p *Project) sign(sealed []byte, opts *MakeOptions) ([]byte, error) {
	claims := wascap.Claims{
		Subject:      opts.Module.PublicKey().String(),
		Name:         p.manifest.Name,
		Version:      p.manifest.Version,
		Revision:     opts.Revision,
		Capabilities: p.manifest.Capabilities,
	}
	if opts.Dev {
		claims.Tags = []string{wascap.DevTag}
		claims.Expires = time.Now().Add(DevLifetime)
	}
	return wascap.Sign(sealed, claims, opts.Account, nil)
}

// Keep writes the signed module to Output, all or nothing.
func (p *Project) Keep(m *Made) error {
	if _, err := p.State("build"); err != nil {
		return err
	}
	return WriteFile(p.Output(), m.Signed, 0o600)
}

// EnvironmentMarker is the variable by which an environment that was read from
// .waxo/env is known: what it says of services is true only while they run.
const EnvironmentMarker = "WAXO_ENV_OF"

// KeepEnvironment writes variables, as "NAME=value", to .waxo/env, from where shells
// read them: ". .waxo/env". EnvironmentMarker is set there to the project's folder.
// Nil removes the file.
func (p *Project) KeepEnvironment(env []string) error {
	dir, err := p.State()
	if err != nil {
		return err
	}
	if env == nil {
		if err := os.Remove(filepath.Join(dir, "env")); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	var b strings.Builder
	for _, e := range append([]string{EnvironmentMarker + "=" + p.Dir()}, env...) {
		name, value, _ := strings.Cut(e, "=")
		fmt.Fprintf(&b, "export %s='%s'\n", name, strings.ReplaceAll(value, "'", `'\''`))
	}
	return WriteFile(filepath.Join(dir, "env"), []byte(b.String()), 0o600)
}

// WriteFile writes a file aside and renames it, so that nobody sees half of it. What
// is there and is no regular file, such as a device, a pipe or a link, is not replaced
// but written to.
func WriteFile(path string, data []byte, mode fs.FileMode) error {
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return os.WriteFile(path, data, mode)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(mode), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("writing %s: %w", path, err), os.Remove(f.Name()))
	}
	return nil
}
