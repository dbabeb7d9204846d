package doctor_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/waxosuit/waxo/devhost/build"
	"github.com/waxosuit/waxo/devhost/doctor"
	"github.com/waxosuit/waxo/devhost/manifest"
)

// world is a machine as a test wants it.
type world struct {
	t    *testing.T
	dir  string
	opts doctor.Options
	env  map[string]string
}

func newWorld(t *testing.T, text string) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), env: map[string]string{"DOCKER_HOST": "unix://" + filepath.Join(t.TempDir(), "none.sock")}}
	w.opts.Lookup = func(name string) (string, bool) { v, ok := w.env[name]; return v, ok }
	if text != "" {
		m, err := manifest.Parse([]byte(text), filepath.Join(w.dir, manifest.FileName))
		if err != nil {
			t.Fatal(err)
		}
		w.opts.Manifest = m
	}
	return w
}

// expect examines the machine and wants a check to end so, with words of what was
// found and of what mends it.
func (w *world) expect(check string, status doctor.Status, found, fix string) {
	w.t.Helper()
	for _, f := range doctor.Examine(w.t.Context(), &w.opts) {
		if f.Check != check {
			continue
		}
		if f.Status != status || !strings.Contains(f.Found, found) || !strings.Contains(f.Fix, fix) || (fix == "") != (f.Fix == "") {
			w.t.Errorf("got %+v; want %s, %q, %q", f, status, found, fix)
		}
		return
	}
	w.t.Errorf("there is no check %s", check)
}

// checks are the names of all that was looked at.
func (w *world) checks() string {
	var names []string
	for _, f := range doctor.Examine(w.t.Context(), &w.opts) {
		names = append(names, f.Check)
	}
	return strings.Join(names, " ")
}

const project = "name = \"hello\"\nlanguage = \"go\"\ncapabilities = [\"wascap:http_server\", \"wascap:keyvalue\"]\n"

func TestToolchain(t *testing.T) {
	w := newWorld(t, "")
	w.expect("project", doctor.OK, "none here", "")
	w.expect("toolchain", doctor.OK, runtime.Version(), "")
	if got := w.checks(); got != "project toolchain containers" {
		t.Errorf("checks without a project: %s", got)
	}
	old := filepath.Join(t.TempDir(), "go")
	if err := os.WriteFile(old, []byte("#!/bin/sh\necho go1.21.3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	w = newWorld(t, project)
	w.expect("project", doctor.OK, "hello 0.1.0 in "+w.dir, "")
	w.opts.Builder = build.New(&build.Options{Go: old})
	w.expect("toolchain", doctor.Problem, "go1.21.3, which cannot build guests", "go.dev/dl")
	w.opts.Builder = build.New(&build.Options{Go: filepath.Join(w.dir, "none")})
	w.expect("toolchain", doctor.Problem, "none", "go.dev/dl")

	custom := func(program string) *world {
		return newWorld(t, "name = \"hello\"\nlanguage = \"custom\"\ncapabilities = []\n[build]\ncommand = [\""+program+"\", \"x\"]\noutput = \"a.wasm\"\n")
	}
	custom("sh").expect("toolchain", doctor.OK, "/sh", "")
	custom("no-such-compiler").expect("toolchain", doctor.Problem, "no-such-compiler", "[build] command in waxo.toml")
}

// TestRustTarget: cargo without a standard library for guests is not enough.
func TestRustTarget(t *testing.T) {
	bin, root := t.TempDir(), t.TempDir()
	for name, text := range map[string]string{"cargo": "", "rustc": "echo " + root} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	w := newWorld(t, "name = \"hello\"\nlanguage = \"custom\"\ncapabilities = []\n[build]\ncommand = [\"cargo\", \"build\"]\noutput = \"a.wasm\"\n")
	w.expect("toolchain", doctor.Problem, "no standard library for wasm32-unknown-unknown", "wasm32")
	if err := os.MkdirAll(filepath.Join(root, "lib/rustlib/wasm32-unknown-unknown/lib"), 0o755); err != nil {
		t.Fatal(err)
	}
	w.expect("toolchain", doctor.OK, filepath.Join(bin, "cargo"), "")
}

// serve is something that answers at a socket.
func serve(t *testing.T, answer string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "doctor") // paths of sockets are short
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "engine.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/version" {
			w.WriteHeader(http.StatusNotFound)
		}
		fmt.Fprint(w, answer)
	})}
	go s.Serve(l) //nolint:errcheck // ends with Close
	t.Cleanup(func() { s.Close(); os.RemoveAll(dir) })
	return socket
}

func TestContainers(t *testing.T) {
	const asks = project + "[[bind]]\ncapability = \"wascap:keyvalue\"\nprovider = \"container\"\n"
	w := newWorld(t, project)
	w.expect("containers", doctor.Warning, "only --providers container needs one", "unset DOCKER_HOST")
	w = newWorld(t, asks)
	w.expect("containers", doctor.Problem, "waxo.toml asks for containers", "unset DOCKER_HOST")
	w.env["DOCKER_HOST"] = "ssh://somewhere"
	w.expect("containers", doctor.Problem, "ssh:// cannot be asked", "unset DOCKER_HOST")

	socket := serve(t, `{"Platform": {"Name": "Some Engine"}, "Version": "9.8.7"}`)
	w.env["DOCKER_HOST"] = "unix://" + socket
	w.expect("containers", doctor.OK, "Some Engine 9.8.7 at "+socket, "")
	w.opts.Companion = func() string { return "/somewhere/waxo-containers" }
	w.expect("containers", doctor.OK, "/somewhere/waxo-containers", "")
	w.opts.Companion = func() string { return "" }
	w.expect("containers", doctor.OK, "waxo-containers is built when it is first needed", "")
	w.opts.Builder = build.New(&build.Options{Go: filepath.Join(w.dir, "none")})
	w.expect("containers", doctor.Problem, "neither waxo-containers nor Go", "put waxo-containers beside waxo")
	w.env["DOCKER_HOST"] = "unix://" + serve(t, "hello")
	w.expect("containers", doctor.Problem, "what answers is no container engine", "DOCKER_HOST")

	// At one of the usual places.
	if _, err := os.Stat("/var/run/docker.sock"); err == nil {
		return // that one is asked first
	}
	delete(w.env, "DOCKER_HOST")
	w.expect("containers", doctor.Problem, "there is no container engine", " ")
	w.env["XDG_RUNTIME_DIR"] = t.TempDir()
	w.expect("containers", doctor.Problem, "there is no container engine", " ")
	if err := os.Rename(socket, filepath.Join(w.env["XDG_RUNTIME_DIR"], "docker.sock")); err != nil {
		t.Fatal(err)
	}
	w.opts.Companion = nil
	w.expect("containers", doctor.OK, "Some Engine 9.8.7", "")
}

func TestCache(t *testing.T) {
	w := newWorld(t, "")
	dir := filepath.Join(w.dir, "a/b")
	w.opts.Cache = func() (string, error) { return dir, nil }
	w.expect("cache", doctor.OK, dir, "")
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	file := filepath.Join(w.dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	dir = filepath.Join(file, "below")
	w.expect("cache", doctor.Warning, "each start compiles anew", "XDG_CACHE_HOME")
	w.opts.Cache = func() (string, error) { return "", errors.New("no HOME") }
	w.expect("cache", doctor.Warning, "no HOME", "XDG_CACHE_HOME")
}

func TestProject(t *testing.T) {
	w := newWorld(t, project)
	w.expect("watching", doctor.OK, "reported", "")
	if got := w.checks(); got != "project toolchain containers watching" {
		t.Errorf("checks: %s", got)
	}
	keys := filepath.Join(w.dir, manifest.StateDir, "keys")
	if err := os.MkdirAll(keys, 0o700); err != nil {
		t.Fatal(err)
	}
	w.expect("keys", doctor.OK, "for you alone", "")
	if runtime.GOOS != "windows" {
		if err := os.Chmod(keys, 0o750); err != nil {
			t.Fatal(err)
		}
		w.expect("keys", doctor.Warning, "others may read", "chmod -R go= "+keys)
	}
	asked := ""
	w.opts.Listen = func(_ context.Context, address string) error { asked = address; return nil }
	w.expect("port", doctor.OK, "127.0.0.1:8080 is free", "")
	if asked != "127.0.0.1:8080" {
		t.Errorf("asked for %s", asked)
	}
	w.opts.Listen = func(context.Context, string) error { return errors.New("it is taken") }
	w.expect("port", doctor.Problem, "it is taken", "--port 0")
	w.opts.Manifest.Dev.Port = 0
	if got := w.checks(); strings.Contains(got, "port") {
		t.Errorf("checks where any port will do: %s", got)
	}
}

func TestServices(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	bind := func(rest string) *world {
		return newWorld(t, project+"[[bind]]\ncapability = \"wascap:keyvalue\"\n"+rest)
	}
	url := func(url string) *world { return bind("provider = \"url\"\nurl = \"" + url + "\"\n") }
	const check = "wascap:keyvalue"
	url("redis://user:secret@"+l.Addr().String()+"/0").expect(check, doctor.OK, "somebody listens at "+l.Addr().String(), "")
	url("redis://127.0.0.1:1,redis://"+l.Addr().String()).expect(check, doctor.OK, l.Addr().String(), "")
	url("redis://127.0.0.1:1/0").expect(check, doctor.Problem, "nobody answers at 127.0.0.1:1", "start the service")
	url("other://127.0.0.1").expect(check, doctor.Problem, "names no port", "correct its url")
	w := url("redis://${DOCTOR_TEST}/0")
	w.expect(check, doctor.Problem, "DOCTOR_TEST is not set", "set it")
	w.env["DOCTOR_TEST"] = l.Addr().String()
	w.expect(check, doctor.OK, l.Addr().String(), "")
	for _, f := range doctor.Examine(t.Context(), &url("redis://user:secret@127.0.0.1:1/0").opts) {
		if strings.Contains(f.Found+f.Fix, "secret") {
			t.Errorf("a password is told: %+v", f)
		}
	}
	w = bind("name = \"other\"\nprovider = \"plugin\"\nplugin = \"./kv\"\n")
	w.expect(check+"/other", doctor.Problem, "not there", "build it")
	program := filepath.Join(w.dir, "kv")
	if err := os.WriteFile(program, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" {
		w.expect(check+"/other", doctor.Problem, "is no program", "chmod +x "+program)
		if err := os.Chmod(program, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	w.expect(check+"/other", doctor.OK, program, "")
}
