// Package manifest reads waxo.toml, the file that says what a guest project is
// called, what it may touch, how it is built and what it is bound to.
//
// A manifest that loads is complete and sound: defaults are filled in, every
// value is in its range, every capability and every provider is known. One that
// does not load reports all of its mistakes at once, each with file, line and
// column, and with the way out.
//
// The package reads the one file and nothing else: the environment comes in
// through look-up functions, and whether an output exists or an address answers
// is for those to find out who build and bind.
package manifest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// FileName is the manifest's name; it stands in the root of a project.
const FileName = "waxo.toml"

// StateDir is the folder beside the manifest that holds keys, state, recordings
// and build files.
const StateDir = ".waxo"

// The languages that can be built.
const (
	LanguageGo     = "go"     // with the Go toolchain
	LanguageCustom = "custom" // with a command of the project's own
)

// The providers that a binding can name.
const (
	ProviderEmbedded  = "embedded"  // a server inside the host
	ProviderContainer = "container" // the real service in a container
	ProviderURL       = "url"       // a server that runs already
	ProviderPlugin    = "plugin"    // a provider in a program of its own
)

// The defaults of what a manifest leaves out.
const (
	DefaultVersion      = "0.1.0"
	DefaultPort         = 8080
	DefaultMemory       = 256 << 20
	DefaultCallTimeout  = 30 * time.Second
	DefaultInstances    = 128
	DefaultTotalMemory  = 1 << 30
	DefaultQueue        = 1000
	DefaultRequestBody  = 32 << 20
	DefaultResponseBody = 32 << 20
)

// maxSize bounds what Load reads.
const maxSize = 1 << 20

// ErrNotFound is what Find's error matches where no folder holds a manifest.
var ErrNotFound = errors.New("no " + FileName)

// Manifest is what a waxo.toml says, with the defaults filled in.
type Manifest struct {
	// Path is the file that it was read from, as it was given to Load or Parse.
	Path string

	Name         string   // lower-case letters, digits and hyphens
	Version      string   // for people; goes into the claims
	Language     string   // LanguageGo or LanguageCustom
	Capabilities []string // what the guest may touch, in the order of the file, each once
	Build        Build
	Dev          Dev
	Binds        []Bind
	Limits       Limits
}

// Build says how the module is made.
type Build struct {
	Command []string // LanguageCustom: the program and its arguments; no shell
	Output  string   // LanguageCustom: the module that Command leaves, relative to the manifest, with slashes
	Watch   []string // which files count as source, as patterns relative to the manifest
	// Optimize is what is done to the sealed module, of Optimizations; nil: all
	// of it, empty: nothing.
	Optimize []string
}

// Optimizations lists what Build.Optimize may name, in the order in which it is
// done.
func Optimizations() []string { return []string{"strip", "merge", "snapshot", "dead"} }

// Dev is for development alone.
type Dev struct {
	Port   int     // of the HTTP server; 0 lets the system pick one
	Faults []Fault // what goes wrong on purpose
}

// Bind connects a capability to a provider where the default does not serve.
type Bind struct {
	Capability string
	Name       string            // the binding's name, "default" if not given
	Provider   string            // ProviderEmbedded, -Container, -URL or -Plugin
	Image      string            // for ProviderContainer; empty: the one that is known to serve
	URL        string            // for ProviderURL; may hold ${VAR}, see Expand
	Plugin     string            // for ProviderPlugin: the program, relative to the manifest, or absolute
	Allow      []string          // for wascap:http_client: the hosts that may be called; nil: see package httpclient
	Config     map[string]string // for the provider; values may hold ${VAR}

	Origin string // what else than the manifest says so, for people; empty: the manifest

	at  *reader // where it stands, for Expand; nil if it was not parsed
	key string
}

// Limits bound what one guest may use.
type Limits struct {
	Memory       int64         // bytes of each instance, whole pages of 64 KiB
	CallTimeout  time.Duration // of one call
	Instances    int           // at once; each serves one call at a time
	TotalMemory  int64         // bytes of all instances: beyond it no further one is started
	Queue        int           // calls that may wait for an instance; 0: none waits
	RequestBody  int64         // bytes
	ResponseBody int64         // bytes
}

// Dir is the project's folder.
func (m *Manifest) Dir() string { return filepath.Dir(m.Path) }

// Error is one mistake.
type Error struct {
	File    string // the manifest; empty for a mistake in the environment
	Line    int    // counted from 1
	Column  int    // counted from 1, in bytes
	Key     string // such as "bind[0].url"; in the environment the variable's name
	Message string // what is wrong, and what to do
}

// position is a line and a column, both counted from 1.
type position struct{ line, column int }

// Error returns "file:line:column: message", or "variable: message".
func (e *Error) Error() string {
	if e.File == "" {
		return e.Key + ": " + e.Message
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Message)
}

// Find returns the path of the manifest of the project that dir belongs to:
// the nearest waxo.toml in dir and the folders above. Its error matches
// ErrNotFound where there is none.
func Find(dir string) (path string, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("manifest: %w", err)
	}
	for at := dir; ; at = filepath.Dir(at) {
		path := filepath.Join(at, FileName)
		info, err := os.Stat(path)
		switch {
		case err == nil && !info.IsDir():
			return path, nil
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return "", fmt.Errorf("manifest: %w", err)
		case at == filepath.Dir(at):
			return "", fmt.Errorf("%w in %s or any folder above: change into a project, or make one with waxo new", ErrNotFound, dir)
		}
	}
}

// Load reads the manifest at path. Its error holds an *Error for each mistake, or
// matches that of the file system.
func Load(path string) (*Manifest, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxSize+1))
	if err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	if len(data) > maxSize {
		return nil, &Error{File: path, Line: 1, Column: 1, Message: "this is larger than 1 MiB, too large for a manifest"}
	}
	return Parse(data, path)
}

// Sources says which files count as source, as patterns relative to the
// manifest: those of [build] watch and the manifest itself, but not what the
// build leaves. They are the Include and Exclude of the watcher. Where the
// manifest names no patterns, every file counts, as any may be embedded; only
// the tests of a Go guest do not.
func (m *Manifest) Sources() (include, exclude []string) {
	include = []string{"**"}
	switch {
	case len(m.Build.Watch) > 0:
		include = append(slices.Clone(m.Build.Watch), FileName)
	case m.Language == LanguageGo:
		exclude = append(exclude, "**/*_test.go")
	}
	if m.Build.Output != "" {
		exclude = append(exclude, literal(m.Build.Output))
	}
	return include, exclude
}

// literal makes a pattern that matches one path alone.
func literal(path string) string {
	return strings.NewReplacer(`*`, `\*`, `?`, `\?`, `[`, `\[`, `{`, `\{`).Replace(path)
}

// Defaults is what holds where there is no manifest: the port and the limits.
func Defaults() *Manifest {
	return &Manifest{
		Dev: Dev{Port: DefaultPort},
		Limits: Limits{
			Memory: DefaultMemory, CallTimeout: DefaultCallTimeout,
			Instances: DefaultInstances, TotalMemory: DefaultTotalMemory, Queue: DefaultQueue,
			RequestBody: DefaultRequestBody, ResponseBody: DefaultResponseBody,
		},
	}
}
