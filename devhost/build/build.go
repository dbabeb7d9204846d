// Package build turns the source of a guest project into a module, with the
// toolchain of the project's language.
//
// It promises that the same source gives the same bytes in any folder, that
// nothing is left behind in the project's tree, that the toolchain's own words
// reach the caller unabridged, and that a build which is cancelled leaves no
// process behind. What it returns is what the toolchain made: neither sealed nor
// signed, and not looked into.
package build

import (
	"context"
	"time"

	"github.com/waxosuit/waxo/devhost/manifest"
)

// Options say what a Builder works with. nil works.
type Options struct {
	// Env is the environment of the toolchain. Default: that of this process.
	Env []string
}

// Builder builds guest modules. It may be used by several goroutines at once.
type Builder struct{}

// New returns a Builder.
func New(o *Options) *Builder { return &Builder{} }

// Request says what to build.
type Request struct {
	// Manifest is the project's; its Dir is where the build runs.
	Manifest *manifest.Manifest
}

// Result is a module as the toolchain made it.
type Result struct {
	Module []byte        // unsealed, unsigned
	Tool   string        // what built it, for people: "go1.26.0", or the command's name
	Output string        // what the toolchain said, such as warnings; often empty
	Took   time.Duration // of the toolchain
}

// Build builds the project. It returns a *ToolchainError where the toolchain is
// missing or too old, a *BuildError where it ran and failed, ctx's error where
// ctx ended first.
func (b *Builder) Build(ctx context.Context, r *Request) (*Result, error) { return nil, ctx.Err() }

// BuildError says that the toolchain refused the source, or left no module.
type BuildError struct {
	Tool        string       // "go", or the command's name
	Args        []string     // the command line, program first
	Output      string       // the toolchain's own words, stdout and stderr as they came, unabridged
	Diagnostics []Diagnostic // the places that Output names, in its order
	Err         error        // how the toolchain ended, or what is wrong with its output
}

// Diagnostic is one place that the toolchain complains about.
type Diagnostic struct {
	File    string // relative to the project's folder where it lies within, with slashes
	Line    int    // counted from 1
	Column  int    // counted from 1; 0: not known
	Message string
}

// ToolchainError says that a toolchain cannot be used.
type ToolchainError struct {
	Tool string // "go", or the command's name
	Hint string // what to do about it
	Err  error  // what is wrong
}

// Error says what failed. The toolchain's own words are in Output.
func (e *BuildError) Error() string { return e.Tool + ": " + e.Err.Error() }

// Unwrap returns Err.
func (e *BuildError) Unwrap() error { return e.Err }

// Error says what is wrong, and what to do.
func (e *ToolchainError) Error() string { return e.Tool + ": " + e.Err.Error() + "; " + e.Hint }

// Unwrap returns Err.
func (e *ToolchainError) Unwrap() error { return e.Err }
