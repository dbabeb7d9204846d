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
	"path/filepath"
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
	ProviderEmbedded = "embedded" // a server inside the host
	ProviderURL      = "url"      // a server that runs already
)

// The defaults of what a manifest leaves out.
const (
	DefaultVersion      = "0.1.0"
	DefaultPort         = 8080
	DefaultMemory       = 256 << 20
	DefaultCallTimeout  = 30 * time.Second
	DefaultQueue        = 1000
	DefaultRequestBody  = 32 << 20
	DefaultResponseBody = 32 << 20
)

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
}

// Dev is for development alone.
type Dev struct {
	Port int // of the HTTP server; 0 lets the system pick one
}

// Bind connects a capability to a provider where the default does not serve.
type Bind struct {
	Capability string
	Name       string            // the binding's name, "default" if not given
	Provider   string            // ProviderEmbedded or ProviderURL
	URL        string            // for ProviderURL; may hold ${VAR}, see Expand
	Config     map[string]string // for the provider; values may hold ${VAR}

	at source
}

// Limits bound what one guest may use.
type Limits struct {
	Memory       int64         // bytes of each instance, whole pages of 64 KiB
	CallTimeout  time.Duration // of one call
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

// source is where a value stands.
type source struct {
	file string
	key  string
	pos  position
}

// position is a line and a column, both counted from 1.
type position struct{ line, column int }

// Find returns the path of the manifest of the project that dir belongs to:
// the nearest waxo.toml in dir and the folders above. Its error matches
// ErrNotFound where there is none.
func Find(dir string) (path string, err error) { return "", ErrNotFound }

// Load reads the manifest at path. Its error holds an *Error for each mistake.
func Load(path string) (*Manifest, error) { return nil, ErrNotFound }

// Parse reads a manifest from data; filename is for messages, and for Path. Its
// error joins (errors.Join) an *Error for each mistake.
func Parse(data []byte, filename string) (*Manifest, error) { return nil, ErrNotFound }

// ApplyEnv overrides what the environment names: WAXO_VERSION, WAXO_DEV_PORT,
// WAXO_LIMITS_MEMORY, WAXO_LIMITS_CALL_TIMEOUT, WAXO_LIMITS_QUEUE,
// WAXO_LIMITS_REQUEST_BODY, WAXO_LIMITS_RESPONSE_BODY. lookup is os.LookupEnv,
// or like it. Its error joins an *Error for each mistake, and the manifest is
// then as it was.
func (m *Manifest) ApplyEnv(lookup func(name string) (string, bool)) error { return nil }

// Expand returns the binding with each ${VAR} in its URL and its Config replaced
// by what lookup says; $$ stands for a single dollar sign. Its error joins an
// *Error for each variable that is missing. The result may hold secrets: it is
// for the provider alone.
func (b Bind) Expand(lookup func(name string) (string, bool)) (Bind, error) { return b, nil }

// Sources says which files count as source, as patterns relative to the
// manifest: those of [build] watch and the manifest itself, but not what the
// build leaves. They are the Include and Exclude of the watcher.
func (m *Manifest) Sources() (include, exclude []string) { return nil, nil }

// Difference says what differs between two manifests of a project, and so what
// is to be done.
type Difference struct {
	Added   []string // capabilities that only the newer one has
	Removed []string // capabilities that only the older one has

	Rebuild  bool // the module must be built again
	Resign   bool // the claims differ: sign it again
	Rebind   bool // bindings differ: bind the providers again
	Relimit  bool // limits differ: make the instances again
	Relisten bool // the port differs: close the listener, open another
	Rewatch  bool // the source patterns differ
}

// Any says whether there is a difference at all.
func (d Difference) Any() bool {
	return d.Rebuild || d.Resign || d.Rebind || d.Relimit || d.Relisten || d.Rewatch
}

// Diff compares two manifests. A nil older one differs in everything.
func Diff(older, newer *Manifest) Difference { return Difference{} }

// Error returns "file:line:column: message".
func (e *Error) Error() string { return e.Message }
