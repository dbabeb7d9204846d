package templates_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/waxosuit/waxo/templates"
)

func TestWrite(t *testing.T) {
	for _, template := range templates.List() {
		t.Run(template.Name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "my-project")
			paths, err := templates.Write(dir, template.Name, nil)
			if err != nil {
				t.Fatal(err)
			}
			wanted := []string{".gitignore", "README.md", "go.mod", "main.go", "main_test.go"}
			texts := map[string]string{"go.mod": "module my-project\n", "README.md": "# my-project\n"}
			if !template.Provider {
				wanted = append(wanted, "sdk/go.mod", "waxo.toml", "testscripts")
				texts["waxo.toml"] = `name = "my-project"`
			}
			for _, want := range wanted {
				if !slices.ContainsFunc(paths, func(p string) bool { return p == want || strings.HasPrefix(p, want+"/") }) {
					t.Errorf("%s is missing from %v", want, paths)
				}
			}
			if found := filesIn(t, dir); !slices.Equal(found, paths) {
				t.Errorf("the folder holds %v, reported were %v", found, paths)
			}
			for path, want := range texts {
				if text := readFile(t, filepath.Join(dir, path)); !strings.Contains(text, want) {
					t.Errorf("%s does not hold %s:\n%s", path, want, text)
				}
			}
			for _, path := range paths {
				if strings.Contains(readFile(t, filepath.Join(dir, path)), "project-name") {
					t.Errorf("%s still holds project-name", path)
				}
			}
		})
	}
}

// TestProject has the go command work on what Write writes, offline.
func TestProject(t *testing.T) {
	for _, template := range templates.List() {
		if template.Provider {
			continue
		}
		t.Run(template.Name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "project")
			if _, err := templates.Write(dir, template.Name, nil); err != nil {
				t.Fatal(err)
			}
			before := filesIn(t, dir)
			run(t, dir, nil, "go", "vet", "./...")
			run(t, dir, nil, "go", "test", "./...")
			run(t, dir, []string{"GOOS=wasip1", "GOARCH=wasm"}, "go", "vet", "./...")
			run(t, filepath.Join(dir, "sdk"), nil, "go", "vet", "./...")
			if out := run(t, dir, nil, "gofmt", "-l", "."); out != "" {
				t.Errorf("not formatted: %s", out)
			}
			run(t, dir, []string{"GOFLAGS=-mod=readonly"}, "go", "mod", "tidy", "-diff")
			if after := filesIn(t, dir); !slices.Equal(after, before) {
				t.Errorf("the go command left %v, there were %v", after, before)
			}
		})
	}
}

// TestProviderProject does the same with a provider's project. That requires this
// module, which stands here in a version that no proxy has: the project gets it
// with what it requires itself, as "go mod tidy" would do.
func TestProviderProject(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "my-store")
	if _, err := templates.Write(dir, "provider", &templates.Options{Version: "v0.0.0-unpublished"}); err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	_, requirements, _ := strings.Cut(readFile(t, filepath.Join(root, "go.mod")), "require (")
	mod := readFile(t, filepath.Join(dir, "go.mod"))
	if !strings.Contains(mod, "require github.com/waxosuit/waxo v0.0.0-unpublished\n") {
		t.Errorf("go.mod does not require this module:\n%s", mod)
	}
	mod += "\nreplace github.com/waxosuit/waxo => " + root + "\n\nrequire (" + requirements
	for name, content := range map[string]string{"go.mod": mod, "go.sum": readFile(t, filepath.Join(root, "go.sum"))} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run(t, dir, nil, "go", "vet", "./...")
	run(t, dir, nil, "go", "test", "./...")
	run(t, dir, nil, "go", "build", "-o", "plugins/my-store")
	if out := run(t, dir, nil, "gofmt", "-l", "."); out != "" {
		t.Errorf("not formatted: %s", out)
	}
	without := filepath.Join(t.TempDir(), "latest")
	if _, err := templates.Write(without, "provider", nil); err != nil {
		t.Fatal(err)
	}
	if mod := readFile(t, filepath.Join(without, "go.mod")); strings.Contains(mod, "require") {
		t.Errorf("without a version, go.mod is:\n%s", mod)
	}
}

func run(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off"), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func TestWriteIntoFolders(t *testing.T) {
	t.Run("empty", func(t *testing.T) {
		dir := t.TempDir()
		t.Chdir(dir)
		if _, err := templates.Write(".", "kvcounter", &templates.Options{ProjectName: "hello"}); err != nil {
			t.Fatal(err)
		}
		if text := readFile(t, "go.mod"); !strings.HasPrefix(text, "module hello\n") {
			t.Error(text)
		}
		entries, err := os.ReadDir(".")
		if err != nil || len(entries) != 8 {
			t.Errorf("the folder holds %v, %v", entries, err)
		}
	})
	t.Run("parents", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "a", "b")
		if _, err := templates.Write(dir, "kvcounter", nil); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("not empty", func(t *testing.T) {
		dir := t.TempDir()
		for _, name := range []string{"a", "b", "c", "d", "e", "f", "g"} {
			writeFile(t, filepath.Join(dir, name))
		}
		_, err := templates.Write(dir, "kvcounter", &templates.Options{ProjectName: "hello"})
		if !errors.Is(err, templates.ErrNotEmpty) || !strings.HasSuffix(err.Error(), "a, b, c, d, e, and 2 more") {
			t.Errorf("err = %v", err)
		}
		if found := filesIn(t, dir); len(found) != 7 {
			t.Errorf("the folder holds %v", found)
		}
	})
	t.Run("file", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "hello")
		writeFile(t, path)
		if _, err := templates.Write(path, "kvcounter", nil); err == nil {
			t.Error("a file was taken for a folder")
		}
	})
	t.Run("below a file", func(t *testing.T) {
		parent := filepath.Join(t.TempDir(), "parent")
		writeFile(t, parent)
		if _, err := templates.Write(filepath.Join(parent, "hello"), "kvcounter", nil); err == nil {
			t.Error("a file was taken for a folder")
		}
	})
}

func TestWriteRefuses(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "hello")
	_, err := templates.Write(dir, "absent", nil)
	if !errors.Is(err, templates.ErrUnknownTemplate) || !strings.Contains(err.Error(), "kvcounter, http, provider") {
		t.Errorf("unknown template: %v", err)
	}
	for name, proposal := range map[string]string{
		"Hello":                 "hello",
		"hello world":           "hello-world",
		"9lives":                "lives",
		"-x":                    "x",
		"große_Sache":           "gro-e-sache",
		"日本":                    "guest",
		"a/b":                   "a-b",
		"..":                    "guest",
		"log":                   "log-guest",
		"FMT":                   "fmt-guest",
		strings.Repeat("a", 65): strings.Repeat("a", 64),
	} {
		_, err := templates.Write(dir, "kvcounter", &templates.Options{ProjectName: name})
		if !errors.Is(err, templates.ErrInvalidName) || !strings.HasSuffix(err.Error(), ": "+proposal+" would do") {
			t.Errorf("%q: %v, want the proposal %s", name, err, proposal)
		}
		if err := templates.CheckName(proposal); err != nil {
			t.Errorf("the proposal %q: %v", proposal, err)
		}
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something was written: %v", err)
	}
	for _, name := range []string{"a", "a1", "hello-world", strings.Repeat("a", 64)} {
		if err := templates.CheckName(name); err != nil {
			t.Error(err)
		}
	}
}

// TestReservedNames asks the go command which names a module cannot have.
func TestReservedNames(t *testing.T) {
	for name := range strings.FieldsSeq(run(t, ".", nil, "go", "list", "std") + " go cmd all std tool work") {
		if !strings.Contains(name, "/") && templates.CheckName(name) == nil {
			t.Errorf("%s is a name that Go keeps for itself", name)
		}
	}
}

func filesIn(t *testing.T, dir string) []string {
	t.Helper()
	var paths []string
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			rel, _ := filepath.Rel(dir, path)
			paths = append(paths, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(paths)
	return paths
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func writeFile(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o666); err != nil {
		t.Fatal(err)
	}
}
