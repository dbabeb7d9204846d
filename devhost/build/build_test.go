package build

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/waxosuit/waxo/devhost/manifest"
)

// project copies the guest of testdata into a folder and returns a request for
// it.
func project(t *testing.T, dir string) *Request {
	t.Helper()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "guest"))); err != nil {
		t.Fatal(err)
	}
	return request(t, dir, "name = \"guest\"\nlanguage = \"go\"\n")
}

func request(t *testing.T, dir, text string) *Request {
	t.Helper()
	m, err := manifest.Parse([]byte(text), filepath.Join(dir, manifest.FileName))
	if err != nil {
		t.Fatal(err)
	}
	return &Request{Manifest: m}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

func build(t *testing.T, r *Request, env ...string) *Result {
	t.Helper()
	result, err := New(&Options{Env: append(os.Environ(), env...)}).Build(t.Context(), r)
	if err != nil {
		var failed *BuildError
		if errors.As(err, &failed) {
			t.Log(failed.Output)
		}
		t.Fatal(err)
	}
	return result
}

// leftovers lists what the build has left in the project.
func leftovers(t *testing.T, dir string) string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if _, err := os.Stat(filepath.Join("testdata", "guest", rel)); err != nil {
			names = append(names, filepath.ToSlash(rel))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(names, " ")
}

// TestGoIsReproducible builds the same source in several folders, under settings
// that are meant for other projects.
func TestGoIsReproducible(t *testing.T) {
	top := t.TempDir()
	first := filepath.Join(top, "first")
	result := build(t, project(t, first))
	if !bytes.HasPrefix(result.Module, []byte("\x00asm\x01\x00\x00\x00")) || result.Tool != "go" || result.Output != "" || result.Took <= 0 {
		t.Errorf("module of %d bytes, tool %q, output %q, took %v", len(result.Module), result.Tool, result.Output, result.Took)
	}
	for _, name := range []string{"guest/inner.Answer", "__guest_call", "_initialize"} {
		if !bytes.Contains(result.Module, []byte(name)) {
			t.Errorf("the module does not name %s", name)
		}
	}
	if bytes.Contains(result.Module, []byte(top)) {
		t.Error("the module holds the path of the project")
	}
	if got := leftovers(t, first); got != ".waxo .waxo/tmp" {
		t.Errorf("left behind: %s", got)
	}

	second := filepath.Join(top, "deep", "er", "second")
	write(t, filepath.Join(top, "deep", "go.work"), "go 1.24\n")
	write(t, filepath.Join(top, "goenv"), "GOFLAGS=-mod=vendor\n")
	r := project(t, second)
	for name, env := range map[string][]string{
		"twice":       nil,
		"flags":       {"GOFLAGS=-mod=vendor -ldflags=-s"},
		"file":        {"GOFLAGS=", "GOENV=" + filepath.Join(top, "goenv")},
		"other port":  {"GOOS=plan9", "GOARCH=arm", "CGO_ENABLED=1", "GOWASM="},
		"old modules": {"GO111MODULE=off"},
		"workspace":   {"GOWORK=" + filepath.Join(top, "deep", "go.work")},
		"experiment":  {"GOEXPERIMENT=noregabi,synctest"},
	} {
		if got := build(t, r, env...); !bytes.Equal(got.Module, result.Module) {
			t.Errorf("%s: the module differs", name)
		}
	}
}

// TestGoOwnWorkspace: a workspace that is the project's own does count.
func TestGoOwnWorkspace(t *testing.T) {
	dir := t.TempDir()
	r := project(t, dir)
	write(t, filepath.Join(dir, "main.go"), "package main\n\nimport \"other\"\n\nfunc main() { other.F() }\n")
	write(t, filepath.Join(dir, "other", "go.mod"), "module other\n\ngo 1.24\n")
	write(t, filepath.Join(dir, "other", "o.go"), "package other\n\nfunc F() {}\n")
	write(t, filepath.Join(dir, "go.work"), "go 1.24\n\nuse (\n\t.\n\t./other\n)\n")
	build(t, r)
}

func TestGoMistakes(t *testing.T) {
	tests := []struct{ name, file, text, want string }{
		{"syntax", "main.go", "package main\n\nfunc main() {\n\tx := := 1\n}\n", "main.go:4:7: syntax error: unexpected :="},
		{"type", "inner/inner.go", "package inner\n\nfunc Answer(a, b uint32) uint32 { return \"\" }\n", "inner/inner.go:3:42: cannot use \"\" (untyped string constant) as uint32 value in return statement"},
		{"two lines", "main.go", "package main\n\nimport \"guest/inner\"\n\nfunc main() {\n\tinner.Answer(1)\n}\n", "main.go:6:15: not enough arguments in call to inner.Answer\n\thave (number)\n\twant (uint32, uint32)"},
		{"import", "main.go", "package main\n\nimport \"guest/none\"\n\nfunc main() { none.F() }\n", "main.go:3:8: package guest/none is not in std"},
		{"go.mod", "go.mod", "module guest\n\ngo 1.24\nnonsense\n", "go.mod:4: unknown directive: nonsense"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			r := project(t, dir)
			write(t, filepath.Join(dir, test.file), test.text)
			result, err := New(nil).Build(t.Context(), r)
			var failed *BuildError
			if !errors.As(err, &failed) {
				t.Fatalf("got %v, %v", result, err)
			}
			if len(failed.Diagnostics) == 0 || !strings.HasPrefix(failed.Diagnostics[0].String(), test.want) {
				t.Errorf("got %v, want %s; the output was\n%s", failed.Diagnostics, test.want, failed.Output)
			}
			first, _, _ := strings.Cut(test.want, "\n")
			if !strings.Contains(failed.Output, first) || !strings.Contains(err.Error(), first) {
				t.Errorf("%q and %q should hold %q", failed.Output, err.Error(), first)
			}
			var exit *exec.ExitError
			if failed.Tool != "go" || failed.Args[1] != "build" || !errors.As(err, &exit) {
				t.Errorf("tool %q, args %q, error %v", failed.Tool, failed.Args, failed.Err)
			}
			if got := leftovers(t, dir); got != ".waxo .waxo/tmp" {
				t.Errorf("left behind: %s", got)
			}
		})
	}
}

func TestGoMissing(t *testing.T) {
	goPath, err := exec.LookPath("go")
	if err != nil {
		t.Fatal(err)
	}
	r := project(t, t.TempDir())
	root := filepath.Join(t.TempDir(), "root")
	t.Setenv("PATH", t.TempDir())
	_, err = New(&Options{Env: []string{"GOROOT=" + root}}).Build(t.Context(), r)
	var missing *ToolchainError
	if !errors.As(err, &missing) || !strings.Contains(err.Error(), "https://go.dev/dl") || missing.Tool != "go" {
		t.Errorf("got %v", err)
	}
	_, err = New(&Options{Go: filepath.Join(root, "go")}).Build(t.Context(), r)
	if !errors.As(err, &missing) {
		t.Errorf("got %v", err)
	}
	path, err := New(&Options{Env: []string{"GOROOT=" + filepath.Dir(filepath.Dir(goPath))}}).findGo()
	if err != nil || filepath.Base(path) != filepath.Base(goPath) {
		t.Errorf("by GOROOT: %q, %v", path, err)
	}
}

// script writes a shell script and returns its path.
func script(t *testing.T, text string) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("shell scripts need a Unix system")
	}
	name := filepath.Join(t.TempDir(), "script")
	write(t, name, "#!/bin/sh\n"+text)
	return name
}

func TestGoTooOld(t *testing.T) {
	r := project(t, t.TempDir())
	for version, old := range map[string]bool{"go1.23.4": true, "go1.9": true, "go1.24rc1": false, "go1.26.0": false, "devel +abc": false} {
		fake := script(t, `if [ "$1" = env ]; then echo "`+version+`"; else echo no >&2; exit 1; fi`)
		_, err := New(&Options{Go: fake}).Build(t.Context(), r)
		var toolchain *ToolchainError
		var failed *BuildError
		if errors.As(err, &toolchain) != old || errors.As(err, &failed) == old {
			t.Errorf("%s: got %v", version, err)
		}
		if old && (!strings.Contains(err.Error(), version) || !strings.Contains(err.Error(), "1.24")) {
			t.Errorf("%s: got %v", version, err)
		}
	}
}

const customHead = "name = \"c\"\nlanguage = \"custom\"\n[build]\noutput = \"out/c.wasm\"\n"

func custom(t *testing.T, dir, shell string) *Request {
	t.Helper()
	return request(t, dir, customHead+"command = ['''"+script(t, shell)+"''', \"an argument\"]\n")
}

func TestCustom(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "out", "c.wasm"), "old")
	r := custom(t, dir, `echo "$PWD $1"; echo warning >&2; test ! -e out/c.wasm && echo "module $FROM_ENV $FROM_REQUEST" >out/c.wasm`)
	r.Env = []string{"FROM_REQUEST=y"}
	for range 2 {
		result := build(t, r, "FROM_ENV=x", "FROM_REQUEST=overridden")
		if string(result.Module) != "module x y\n" || result.Output != dir+" an argument\nwarning\n" || result.Tool != r.Manifest.Build.Command[0] {
			t.Errorf("module %q, output %q, tool %q", result.Module, result.Output, result.Tool)
		}
	}
	got, err := os.ReadFile(filepath.Join(dir, "out", "c.wasm"))
	if err != nil || string(got) != "module x y\n" {
		t.Errorf("the output in its place: %q, %v", got, err)
	}
}

// TestCustomRelative: the program may be the project's own.
func TestCustomRelative(t *testing.T) {
	dir := t.TempDir()
	if err := os.Rename(script(t, "mkdir -p out; echo m >out/c.wasm"), filepath.Join(dir, "make.sh")); err != nil {
		t.Fatal(err)
	}
	build(t, request(t, dir, customHead+"command = [\"./make.sh\"]\n"))
}

func TestCustomFailures(t *testing.T) {
	tests := []struct{ name, shell, want string }{
		{"fails", "echo words; exit 3", "exit status 3: words"},
		{"writes nothing", ":", "left no module: out/c.wasm was not written; see [build] output in waxo.toml"},
		{"writes an empty file", ": >out/c.wasm", "c.wasm is empty"},
		{"writes, then fails", "echo half >out/c.wasm; exit 1", "exit status 1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			output := filepath.Join(dir, "out", "c.wasm")
			write(t, output, "old")
			result, err := New(nil).Build(t.Context(), custom(t, dir, test.shell))
			var failed *BuildError
			if !errors.As(err, &failed) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, %v; want %q", result, err, test.want)
			}
			if got, err := os.ReadFile(output); err != nil || string(got) != "old" {
				t.Errorf("the earlier module became %q, %v", got, err)
			}
		})
	}
	t.Run("missing program", func(t *testing.T) {
		for _, program := range []string{"no-such-program-anywhere", "./none", "/none/at/all"} {
			_, err := New(nil).Build(t.Context(), request(t, t.TempDir(), customHead+"command = [\""+program+"\"]\n"))
			var missing *ToolchainError
			if !errors.As(err, &missing) || missing.Tool != program || !strings.Contains(err.Error(), "[build] command") {
				t.Errorf("%s: got %v", program, err)
			}
		}
	})
	t.Run("output is a folder", func(t *testing.T) {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "out", "c.wasm", "precious"), "x")
		if result, err := New(nil).Build(t.Context(), custom(t, dir, ":")); err == nil || !strings.Contains(err.Error(), "is a folder") {
			t.Errorf("got %v, %v", result, err)
		}
		if _, err := os.Stat(filepath.Join(dir, "out", "c.wasm", "precious")); err != nil {
			t.Error(err)
		}
	})
}

func TestUnknownLanguage(t *testing.T) {
	r := &Request{Manifest: &manifest.Manifest{Path: filepath.Join(t.TempDir(), "waxo.toml"), Language: "cobol"}}
	if _, err := New(nil).Build(t.Context(), r); err == nil || !strings.Contains(err.Error(), "cobol") {
		t.Errorf("got %v", err)
	}
}

func TestScratchIsSwept(t *testing.T) {
	dir := t.TempDir()
	old := filepath.Join(dir, manifest.StateDir, scratchDir, "old")
	recent := filepath.Join(dir, manifest.StateDir, scratchDir, "recent")
	write(t, filepath.Join(old, "x"), "x")
	write(t, filepath.Join(recent, "x"), "x")
	info, err := os.Stat(old)
	if err != nil {
		t.Fatal(err)
	}
	past := info.ModTime().Add(-2 * abandoned)
	if err := os.Chtimes(old, past, past); err != nil {
		t.Fatal(err)
	}
	if _, err := makeScratch(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(old); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the abandoned folder: %v", err)
	}
	if _, err := os.Stat(recent); err != nil {
		t.Errorf("another build's folder: %v", err)
	}
}

func TestCanceledBefore(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if result, err := New(nil).Build(ctx, project(t, t.TempDir())); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, %v", result, err)
	}
}

func TestWordsAreBounded(t *testing.T) {
	var w words
	chunk := bytes.Repeat([]byte("x"), maxOutput/2+1)
	for range 3 {
		if n, err := w.Write(chunk); n != len(chunk) || err != nil {
			t.Fatal(n, err)
		}
	}
	if s := w.String(); len(s) > maxOutput+100 || !strings.HasSuffix(s, "bytes more)\n") {
		t.Errorf("%d bytes, end %q", len(s), s[max(0, len(s)-50):])
	}
}

func TestDiagnostics(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.go", "src/main.rs", "assembly/index.ts", "with space.c"} {
		write(t, filepath.Join(dir, name), "x")
	}
	outside := filepath.Join(t.TempDir(), "o.go")
	write(t, outside, "x")
	tests := []struct{ output, want string }{
		{"# guest\n./a.go:5:2: undefined: x\n", "a.go:5:2: undefined: x"},
		{"a.go:5: no column\r\n", "a.go:5: no column"},
		{"./a.go:1:2: one\n\thave x\n./a.go:3:4: two\nmore\n\tnot its own\n", "a.go:1:2: one\n\thave x|a.go:3:4: two"},
		{filepath.Join(dir, "a.go") + ":5:2: absolute", "a.go:5:2: absolute"},
		{outside + ":5:2: outside", filepath.ToSlash(outside) + ":5:2: outside"},
		{"with space.c:7:1: error: x", "with space.c:7:1: error: x"},
		{"error[E0425]: cannot find value `y`\n  --> src/main.rs:3:5\n   |\n3 |     y\n", "src/main.rs:3:5: error[E0425]: cannot find value `y`"},
		{"ERROR TS2304: Cannot find name 'x'.\n   :\n 3 │ x\n   │ ~\n   └─ in assembly/index.ts(3,1)\n", "assembly/index.ts:3:1: ERROR TS2304: Cannot find name 'x'."},
		{"assembly/index.ts(3,1): error TS1: x", "assembly/index.ts:3:1: error TS1: x"},
		{"12:34:56: no file\nnone.go:1:2: no file\nsrc:1:2: a folder\na.go:0:1: no line\na.go:99999999999999999999:1: no line\n\tno place\n", ""},
	}
	for _, test := range tests {
		var got []string
		for _, d := range diagnostics(test.output, dir) {
			got = append(got, d.String())
		}
		if s := strings.Join(got, "|"); s != test.want {
			t.Errorf("%q:\ngot  %q\nwant %q", test.output, s, test.want)
		}
	}
}
