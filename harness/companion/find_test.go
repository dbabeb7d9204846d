package companion

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
)

func TestVersions(t *testing.T) {
	dep := func(d debug.Module) *debug.BuildInfo {
		return &debug.BuildInfo{Main: debug.Module{Path: "example.com/guest", Version: "v9.0.0"}, Deps: []*debug.Module{{Path: "example.com/other", Version: "v8.0.0"}, &d}}
	}
	main := func(version string) *debug.BuildInfo {
		return &debug.BuildInfo{Main: debug.Module{Path: module, Version: version}}
	}
	for want, infos := range map[string][]*debug.BuildInfo{
		"v1.2.3": {main("v1.2.3"), dep(debug.Module{Path: module, Version: "v1.2.3"})},
		"":       {main("(devel)"), main("v1.2.4-0.20260102030405-abcdefabcdef+dirty"), dep(debug.Module{Path: module, Version: "v1.2.3", Replace: &debug.Module{Path: "../waxo"}})},
	} {
		for _, info := range infos {
			if got := versionOf(info); got != want {
				t.Errorf("%+v: %q, want %q", info, got, want)
			}
		}
	}
}

func TestSources(t *testing.T) {
	_, file, _, _ := runtime.Caller(0)
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if got := sources(file); got != root {
		t.Errorf("sources(%s) = %q, want %q", file, got, root)
	}
	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "go.mod"), []byte("module example.com/other\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{filepath.Join(other, "harness", "companion", "find.go"), module + "@v1.0.0/harness/companion/find.go"} {
		if got := sources(file); got != "" {
			t.Errorf("sources(%s) = %q", file, got)
		}
	}
}

// TestProvide: what cannot have changed is built once; a checkout, each time.
func TestProvide(t *testing.T) {
	quiet := func(string) {}
	cache := t.TempDir()
	if _, err := (builder{cache: cache, progress: quiet}).provide(t.Context()); err == nil || !strings.Contains(err.Error(), "go install "+command+"@latest") {
		t.Errorf("nothing is known: %v", err)
	}
	for _, test := range []struct {
		root string
		once bool
	}{{"waxo", false}, {"waxo@v1.2.3", true}} {
		root := filepath.Join(t.TempDir(), test.root)
		write(t, filepath.Join(root, "go.mod"), "module "+module+"\n\ngo 1.26\n")
		main := filepath.Join(root, "cmd", Program, "main.go")
		write(t, main, "package main\n\nfunc main() { print(1) }\n")
		b := builder{root: root, cache: cache, progress: quiet}
		run := func() string {
			path, err := b.provide(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			output, err := exec.Command(path).CombinedOutput()
			if err != nil {
				t.Fatal(err)
			}
			return string(output)
		}
		first := run()
		write(t, main, "package main\n\nfunc main() { print(2) }\n")
		if second := run(); first != "1" || (second == "1") != test.once {
			t.Errorf("%s: printed %s, then %s", test.root, first, second)
		}
		write(t, main, "no Go at all\n")
		_, err := builder{root: root, cache: t.TempDir(), progress: quiet}.provide(t.Context())
		if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || !strings.Contains(err.Error(), "main.go:1") {
			t.Errorf("%s: a build that fails: %v", test.root, err)
		}
	}
	left, err := filepath.Glob(filepath.Join(cache, "*", "build-*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left: %v (%v)", left, err)
	}
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestFind: a program that was named, or lies beside this one or in PATH, is taken
// and nothing is built.
func TestFind(t *testing.T) {
	if path, err := (&Options{Program: "/opt/x"}).find(t.Context()); err != nil || path != "/opt/x" {
		t.Errorf("named: %q, %v", path, err)
	}
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	write(t, filepath.Join(dir, executable()), "#!/bin/sh\n")
	if err := os.Chmod(filepath.Join(dir, executable()), 0o700); err != nil {
		t.Fatal(err)
	}
	if path, err := (&Options{}).find(t.Context()); err != nil || path != filepath.Join(dir, executable()) {
		t.Errorf("in PATH: %q, %v", path, err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	beside := filepath.Join(filepath.Dir(self), executable())
	write(t, beside, "")
	defer os.Remove(beside)
	if path, err := (&Options{}).find(t.Context()); err != nil || path == beside && runtime.GOOS != "windows" {
		t.Errorf("beside, but no program: %q, %v", path, err)
	}
	if err := os.Chmod(beside, 0o700); err != nil {
		t.Fatal(err)
	}
	if path, err := (&Options{}).find(t.Context()); err != nil || path != beside {
		t.Errorf("beside: %q, %v", path, err)
	}
	if path, err := Locate(); err != nil || path != beside {
		t.Errorf("it is located at %q, %v", path, err)
	}
}

// TestLocate: what would have to be built is not, and what cannot be is told.
func TestLocate(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	if path, err := Locate(); err != nil || path != "" {
		t.Errorf("with Go: %q, %v", path, err)
	}
	t.Setenv("PATH", t.TempDir())
	if path, err := Locate(); err == nil || path != "" || !strings.Contains(err.Error(), "without Go it cannot be built") {
		t.Errorf("without Go: %q, %v", path, err)
	}
}
