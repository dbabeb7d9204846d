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

	if err := os.WriteFile(old, []byte("#!/bin/sh\necho 'go: warning: go1.1 of \033[31mold' >&2\necho go1.99.1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	w.opts.Builder = build.New(&build.Options{Go: old})
	w.expect("toolchain", doctor.OK, "go1.99.1 ("+old+")", "")
	if err := os.WriteFile(old, []byte("#!/bin/sh\necho 'go: \033[31mnot today' >&2\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	w.expect("toolchain", doctor.Problem, `go: \x1b[31mnot today`, "go version")

	w = newWorld(t, "")
	w.opts.Mistake = errors.New("waxo.toml:1:1: nonsense")
	w.expect("project", doctor.Problem, "waxo.toml:1:1: nonsense", "correct what it names")
	w.expect("toolchain", doctor.OK, "go1.", "")

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
	w.expect("containers", doctor.Problem, "cannot be asked from here", "unset DOCKER_HOST")
	for _, host := range []string{"127.0.0.1:2375", "/var/run/docker.sock", "unix://var/run/docker.sock", "tcp://u:s3cret@127.0.0.1:1", "tcp://u:s3cret@%zz", "tcp://s3cret"} {
		w.env["DOCKER_HOST"] = host
		w.expect("containers", doctor.Problem, "no container engine answers at DOCKER_HOST: ", "unset DOCKER_HOST")
		for _, f := range doctor.Examine(t.Context(), &w.opts) {
			if strings.Contains(f.Found+f.Fix, "s3cret") {
				t.Errorf("a password is told: %+v", f)
			}
		}
	}

	socket := serve(t, `{"Platform": {"Name": "Some Engine"}, "Version": "9.8.7"}`)
	w.env["DOCKER_HOST"] = "unix://" + socket
	w.expect("containers", doctor.OK, "Some Engine 9.8.7 at "+socket, "")
	w.opts.Companion = func() (string, error) { return "/somewhere/waxo-containers", nil }
	w.expect("containers", doctor.OK, "/somewhere/waxo-containers", "")
	w.opts.Companion = func() (string, error) { return "", nil }
	w.expect("containers", doctor.OK, "Go builds waxo-containers when it is first needed", "")
	w.opts.Companion = func() (string, error) { return "", errors.New("there is no Go") }
	w.expect("containers", doctor.Problem, "no waxo-containers: there is no Go", "put waxo-containers beside waxo")
	w.env["DOCKER_HOST"] = "unix://" + serve(t, "hello")
	w.expect("containers", doctor.Problem, "what answers is no container engine", "DOCKER_HOST")

	// At one of the usual places, that of the user first.
	delete(w.env, "DOCKER_HOST")
	w.opts.Companion = nil
	w.env["XDG_RUNTIME_DIR"] = filepath.Dir(socket)
	if err := os.Rename(socket, filepath.Join(filepath.Dir(socket), "docker.sock")); err != nil {
		t.Fatal(err)
	}
	w.expect("containers", doctor.OK, "Some Engine 9.8.7", "")
	delete(w.env, "XDG_RUNTIME_DIR")
	if _, err := os.Stat("/var/run/docker.sock"); err == nil {
		return // that one is asked first
	}
	w.expect("containers", doctor.Problem, "there is no container engine", " ")
	podman := serve(t, `{"Version": "5"}`)
	w.env["XDG_RUNTIME_DIR"] = t.TempDir()
	to := filepath.Join(w.env["XDG_RUNTIME_DIR"], "podman", "podman.sock")
	if err := errors.Join(os.Mkdir(filepath.Dir(to), 0o700), os.Rename(podman, to)); err != nil {
		t.Fatal(err)
	}
	w.expect("containers", doctor.Problem, "engine 5 at "+to, "export DOCKER_HOST=unix://"+to)
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
	w.expect("watching", doctor.OK, "the system reports", "")
	if got := w.checks(); got != "project toolchain containers watching" {
		t.Errorf("checks: %s", got)
	}
	if entries, err := os.ReadDir(w.dir); err != nil || len(entries) != 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	gone := newWorld(t, project)
	if err := os.Remove(gone.dir); err != nil {
		t.Fatal(err)
	}
	gone.expect("project", doctor.Problem, "nothing can be built in it", "belong to you")
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
	url("nats://127.0.0.1:1,nats://"+l.Addr().String()).expect(check, doctor.OK, l.Addr().String(), "")
	url("redis://127.0.0.1:1/0").expect(check, doctor.Problem, "nobody listens at 127.0.0.1:1", "start the service")
	url("redis://u:s3,cret@"+l.Addr().String()).expect(check, doctor.OK, "somebody listens", "")
	url("other://127.0.0.1").expect(check, doctor.Problem, "no service is at other://", "correct its url")
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
