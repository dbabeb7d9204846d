// Package doctor finds out what a machine lacks to build and to run guests, and
// knows what mends it.
//
// It looks and changes nothing, but that it makes the folder for compiled code: nothing
// is built or started, no port is kept. What it says is true of the moment in which it
// looked.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/devhost/build"
	"github.com/waxosuit/waxo/devhost/manifest"
	"github.com/waxosuit/waxo/devhost/printable"
	"github.com/waxosuit/waxo/devhost/watch"
)

// Status is how a check ended.
type Status string

// The ways in which a check ends.
const (
	OK      Status = "ok"
	Warning Status = "warning" // something works less well, or will be missed later
	Problem Status = "problem" // something that is needed is missing
)

// Finding is what a check found.
type Finding struct {
	Check  string `json:"check"` // what was looked at, such as "toolchain"
	Status Status `json:"status"`
	Found  string `json:"found"`         // what there is, or what is wrong
	Fix    string `json:"fix,omitempty"` // what mends it: a command, where there is one
}

// Options say what is needed; nil works.
type Options struct {
	// Manifest is that of the project. Default: there is none, and what a Go project
	// needs is looked for.
	Manifest *manifest.Manifest

	// Mistake is what is wrong with the project's manifest, its environment or its waxo
	// dev. Default: nothing.
	Mistake error

	// Binds say where the services of the project are. Default: as its manifest has it.
	Binds []manifest.Bind

	// Lookup reads the environment. Default: nothing is set.
	Lookup func(name string) (string, bool)

	// Builder is what builds the project. Default: build.New(nil).
	Builder *build.Builder

	// Listen tries whether the port of the HTTP server is free. Default: it is not
	// tried.
	Listen func(ctx context.Context, address string) error

	// Companion tells where the program is that runs containers, "" where it is built
	// when it is needed, and why it cannot be. Default: it is not asked.
	Companion func() (string, error)

	// Cache tells where the folder for compiled code is. Default: it is not tried.
	Cache func() (string, error)
}

// Examine makes all checks.
func Examine(ctx context.Context, opts *Options) []Finding {
	e := &examination{}
	if opts != nil {
		e.Options = *opts
	}
	if e.Lookup == nil {
		e.Lookup = func(string) (string, bool) { return "", false }
	}
	if e.Builder == nil {
		e.Builder = build.New(nil)
	}
	if e.Binds == nil && e.Manifest != nil {
		e.Binds = e.Manifest.Binds
	}
	e.project()
	e.toolchain(ctx)
	e.containers(ctx)
	e.cache()
	if e.Manifest != nil {
		e.watching(ctx)
		e.keys()
		e.port(ctx)
		e.services(ctx)
	}
	return e.findings
}

type examination struct {
	Options
	findings []Finding
}

// Others have a part in what is found: it may not steer a terminal.
func (e *examination) ok(check, format string, args ...any) {
	e.findings = append(e.findings, Finding{check, OK, printable.Line(fmt.Sprintf(format, args...)), ""})
}

func (e *examination) bad(status Status, check, fix, format string, args ...any) {
	e.findings = append(e.findings, Finding{check, status, printable.Line(fmt.Sprintf(format, args...)), printable.Line(fix)})
}

// project looks whether the project can be read, and be built in.
func (e *examination) project() {
	switch {
	case e.Mistake != nil:
		e.bad(Problem, "project", "correct what it names", "%v", e.Mistake)
		return
	case e.Manifest == nil:
		e.ok("project", "none here; waxo new writes one")
		return
	}
	m := e.Manifest
	dir := filepath.Join(m.Dir(), manifest.StateDir)
	if _, err := os.Stat(dir); err != nil {
		dir = m.Dir() // where it is made
	}
	if err := tryFolder(dir); err != nil {
		e.bad(Problem, "project", "have it belong to you", "nothing can be built in it: %v", err)
		return
	}
	e.ok("project", "%s %s in %s", m.Name, m.Version, m.Dir())
}

// toolchain looks for what builds the project.
func (e *examination) toolchain(ctx context.Context) {
	m := e.Manifest
	if m == nil {
		m = &manifest.Manifest{Language: manifest.LanguageGo}
	}
	tool, err := e.Builder.Look(ctx, m)
	if err != nil {
		fix := ""
		if missing := (*build.ToolchainError)(nil); errors.As(err, &missing) {
			fix, err = missing.Hint, missing.Err
		}
		e.bad(Problem, "toolchain", fix, "%v", err)
		return
	}
	if m.Language == manifest.LanguageCustom && m.Build.Command[0] == "cargo" && !rustTarget(ctx, m.Dir()) {
		e.bad(Problem, "toolchain", pick("rustup target add "+wasmTarget, map[string]string{"apt-get": "apt-get install libstd-rust-dev-wasm32"}, "rustup"),
			"%s, but no standard library for %s", tool, wasmTarget)
		return
	}
	e.ok("toolchain", "%s", tool)
}

// containers looks for a container engine, which the project may need.
func (e *examination) containers(ctx context.Context) {
	needed := slices.ContainsFunc(e.Binds, func(b manifest.Bind) bool { return b.Provider == manifest.ProviderContainer })
	status, only := Warning, "; only --providers container needs one"
	if needed {
		status, only = Problem, ", and waxo.toml asks for containers"
	}
	found, fix, err := findEngine(ctx, e.Lookup)
	if err != nil {
		e.bad(status, "containers", fix, "%v%s", err, only)
		return
	}
	if e.Companion == nil {
		e.ok("containers", "%s", found)
		return
	}
	switch companion, err := e.Companion(); {
	case err != nil:
		e.bad(status, "containers", "put waxo-containers beside waxo, or have Go build it: "+build.InstallGo, "%s, but no waxo-containers: %v%s", found, err, only)
	case companion != "":
		e.ok("containers", "%s, and %s", found, companion)
	default:
		e.ok("containers", "%s; Go builds waxo-containers when it is first needed", found)
	}
}

// cache tries to write into the folder for compiled code.
func (e *examination) cache() {
	if e.Cache == nil {
		return
	}
	dir, err := e.Cache()
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err == nil {
		err = tryFolder(dir)
	}
	if err != nil {
		e.bad(Warning, "cache", "make it yours, or name another with XDG_CACHE_HOME", "compiled code cannot be kept, so each start compiles anew: %v", err)
		return
	}
	e.ok("cache", "%s", dir)
}

// tryFolder tries to write into a folder.
func tryFolder(dir string) error {
	f, err := os.CreateTemp(dir, ".waxo-doctor-")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// watching tries whether the system reports changes of the project's files.
func (e *examination) watching(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var notice string
	w, err := watch.New(ctx, &watch.Options{
		Root: e.Manifest.Dir(), Exclude: []string{manifest.StateDir}, Notice: func(text string) { notice = text },
	})
	if err != nil {
		e.bad(Problem, "watching", "", "%v", err)
		return
	}
	w.Close()
	if notice != "" {
		e.bad(Warning, "watching", "sysctl fs.inotify.max_user_watches=524288 fs.inotify.max_user_instances=1024", "%s", notice)
		return
	}
	e.ok("watching", "by what the system reports, with a look now and then")
}

// keys looks whether others may read the throwaway keys.
func (e *examination) keys() {
	dir := filepath.Join(e.Manifest.Dir(), manifest.StateDir, "keys")
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return // they are made when they are needed
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0:
		e.bad(Warning, "keys", "chmod -R go= "+dir, "others may read %s", dir)
	default:
		e.ok("keys", "throwaway keys, for you alone")
	}
}

func (e *examination) port(ctx context.Context) {
	if e.Listen == nil || e.Manifest.Dev.Port == 0 || !slices.Contains(e.Manifest.Capabilities, capability.HTTPServer) {
		return
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(e.Manifest.Dev.Port))
	if err := e.Listen(ctx, address); err != nil {
		message := err.Error()
		if known := capability.AsError(err); known != nil {
			message = known.Message
		}
		e.bad(Problem, "port", "waxo dev --port 0, or port under [dev] in "+manifest.FileName, "%s", message)
		return
	}
	e.ok("port", "%s is free", address)
}
