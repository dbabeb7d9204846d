// Package build turns the source of a guest project into a module, with the
// toolchain of the project's language.
//
// It promises that the same Go source gives the same bytes in any folder, that it
// leaves nothing in the project's tree but what a custom command itself writes,
// that the toolchain's own words reach the caller unabridged, and that a build
// which is cancelled leaves no process behind. What it returns is what the
// toolchain made: neither sealed nor signed, and not looked into.
package build

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/waxosuit/waxo/devhost/manifest"
)

// Options say what a Builder works with. nil works.
type Options struct {
	// Go is the go command. Default: the "go" of this process's PATH, else that of
	// the GOROOT in Env.
	Go string

	// Env is the environment of the toolchain, as "NAME=value". What would change
	// the result of a Go build is overridden. Default: that of this process.
	Env []string
}

// Builder builds guest modules. It may be used by several goroutines at once, but
// two builds of one custom project would write the same files.
type Builder struct {
	goCommand string
	env       []string
}

// New returns a Builder.
func New(o *Options) *Builder {
	if o == nil {
		o = &Options{}
	}
	b := &Builder{goCommand: o.Go, env: o.Env}
	if b.env == nil {
		b.env = os.Environ()
	}
	return b
}

// Request says what to build.
type Request struct {
	// Manifest is the project's; its Dir is where the build runs.
	Manifest *manifest.Manifest

	// Env is set for a custom command in addition, as "NAME=value". Default: nothing.
	Env []string
}

// Result is a module as the toolchain made it.
type Result struct {
	Module []byte        // unsealed, unsigned
	Tool   string        // what built it: "go", or the custom command's name
	Output string        // what the toolchain said, such as warnings; often empty
	Took   time.Duration // of the toolchain
}

// Build builds the project. It returns a *ToolchainError where the toolchain is
// missing or too old, a *BuildError where it ran and failed, an error that
// matches ctx's where ctx ended first.
func (b *Builder) Build(ctx context.Context, r *Request) (*Result, error) {
	dir, err := filepath.Abs(r.Manifest.Dir())
	if err != nil {
		return nil, fmt.Errorf("build: %w", err)
	}
	scratch, err := makeScratch(dir)
	if err != nil {
		return nil, fmt.Errorf("build: %w", err)
	}
	defer os.RemoveAll(scratch)

	var result *Result
	switch r.Manifest.Language {
	case manifest.LanguageGo:
		result, err = b.buildGo(ctx, dir, scratch)
	case manifest.LanguageCustom:
		result, err = b.buildCustom(ctx, dir, scratch, &r.Manifest.Build, r.Env)
	default:
		return nil, fmt.Errorf("build: no toolchain for the language %q", r.Manifest.Language)
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("build: %w", ctx.Err())
	}
	return result, err
}

// lookTime is how long a toolchain may take to tell its version.
const lookTime = 10 * time.Second

// Look finds the toolchain that would build the project, and tells which it is. It
// builds nothing and has nothing downloaded. The error is a *ToolchainError where the
// toolchain is missing or too old.
func (b *Builder) Look(ctx context.Context, m *manifest.Manifest) (string, error) {
	if m.Language == manifest.LanguageCustom {
		args, err := resolve(m.Dir(), m.Build.Command)
		if err != nil {
			return "", err
		}
		return args[0], nil
	}
	command, err := b.findGo()
	if err != nil {
		return "", &ToolchainError{Tool: "go", Hint: InstallGo, Err: err}
	}
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	version, err := goVersion(ctx, command, m.Dir(), append(slices.Clone(b.env), "GOTOOLCHAIN=local"))
	if err != nil {
		return "", &ToolchainError{Tool: "go", Hint: "see what go version says in " + m.Dir(), Err: fmt.Errorf("%s does not tell its version: %w", command, err)}
	}
	if err := tooOld(command, version); err != nil {
		return "", err
	}
	return version + " (" + command + ")", nil
}

// scratchDir is the folder in manifest.StateDir that is the builder's alone.
const scratchDir = "tmp"

// abandoned is the age of a scratch folder that only a killed process can have
// left.
const abandoned = time.Hour

// makeScratch makes a folder for one build. It lies within the project, so that
// files move between the two by renaming, and removes those that were left
// behind by processes which were killed.
func makeScratch(dir string) (string, error) {
	parent := filepath.Join(dir, manifest.StateDir, scratchDir)
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return "", err
	}
	entries, err := os.ReadDir(parent)
	if err != nil {
		return "", err
	}
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil && time.Since(info.ModTime()) > abandoned {
			_ = os.RemoveAll(filepath.Join(parent, entry.Name())) // the next build tries again
		}
	}
	return os.MkdirTemp(parent, "")
}

// BuildError says that the toolchain refused the source, or left no module.
type BuildError struct {
	Tool        string       // "go", or the custom command's name
	Args        []string     // the command line, program first
	Output      string       // the toolchain's own words, stdout and stderr as they came, unabridged
	Diagnostics []Diagnostic // the places that Output names, in its order
	Err         error        // how the toolchain ended, or what is wrong with its output
}

// Error says what failed. The toolchain's own words are in Output.
func (e *BuildError) Error() string {
	if len(e.Diagnostics) > 0 {
		return fmt.Sprintf("build: %s: %v: %s", e.Tool, e.Err, e.Diagnostics[0])
	}
	if first, _, _ := strings.Cut(strings.TrimSpace(e.Output), "\n"); first != "" {
		return fmt.Sprintf("build: %s: %v: %s", e.Tool, e.Err, first)
	}
	return fmt.Sprintf("build: %s: %v", e.Tool, e.Err)
}

// Unwrap returns Err.
func (e *BuildError) Unwrap() error { return e.Err }

// ToolchainError says that a toolchain cannot be used.
type ToolchainError struct {
	Tool string // "go", or the custom command's name
	Hint string // what to do about it
	Err  error  // what is wrong
}

// Error says what is wrong, and what to do.
func (e *ToolchainError) Error() string { return fmt.Sprintf("build: %v: %s", e.Err, e.Hint) }

// Unwrap returns Err.
func (e *ToolchainError) Unwrap() error { return e.Err }

// errNoOutput is for a toolchain that ended well and left nothing.
var errNoOutput = errors.New("it ended without an error, but left no module")
