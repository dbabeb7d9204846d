// Package guests builds guests of other origins than this repository's SDK, for
// tests that must hold for them too.
//
// Their sources lie beside it, a folder each, and are embedded; a guest is built
// on first use with the toolchain of its language and kept in the user's cache
// folder, under the hash of its sources, for all test binaries and later runs.
// Where the toolchain is missing, the test that asked skips and says so; with
// CI=true it fails.
package guests

import (
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/lockedfile"
)

// The exit statuses of a build script that mean that this machine cannot build
// the guest, as opposed to a build that failed.
const (
	exitNoToolchain = 3
	exitNoCrates    = 4
)

//go:embed waxosuit-rust/Cargo.toml waxosuit-rust/Cargo.lock waxosuit-rust/build.sh waxosuit-rust/src
var sources embed.FS

// WaxosuitRust returns an unsigned guest built on the original SDK, the crate
// waxosuit-guest 0.3.6. It answers HandleRequest with a counter in the key-value
// store (GET: {"count":N}, POST adds one: {"counter":N}), and HealthRequest.
func WaxosuitRust(tb testing.TB) []byte {
	tb.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		tb.Fatalf("guests: no place to keep the built guest: %v", err)
	}
	source, err := fs.Sub(sources, "waxosuit-rust")
	if err != nil {
		tb.Fatal(err)
	}
	module, err := build(source, filepath.Join(cache, "waxo", "guests"))
	switch {
	case errors.Is(err, errCannotBuild) && os.Getenv("CI") == "":
		tb.Skipf("the guest on the original Rust SDK cannot be built here: %v", err)
	case err != nil:
		tb.Fatal(err)
	}
	return module
}

// errCannotBuild is matched by errors that speak of the machine, not of the
// guest.
var errCannotBuild = errors.New("the machine lacks what the build needs")

// build returns the module that a guest's build.sh makes, from the cache where
// it is there.
func build(source fs.FS, cache string) ([]byte, error) {
	key, err := hashFiles(source)
	if err != nil {
		return nil, err
	}
	out := filepath.Join(cache, key+".wasm")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return nil, fmt.Errorf("guests: %w", err)
	}
	unlock, err := lockedfile.MutexAt(filepath.Join(cache, "lock")).Lock()
	if err != nil {
		return nil, fmt.Errorf("guests: lock the cache: %w", err)
	}
	defer unlock()
	if module, err := os.ReadFile(out); !errors.Is(err, fs.ErrNotExist) {
		return module, err
	}
	if err := runBuild(source, out); err != nil {
		return nil, err
	}
	return os.ReadFile(out)
}

// runBuild copies the sources to a temporary folder and runs their build.sh,
// which leaves the module at out.
func runBuild(source fs.FS, out string) error {
	dir, err := os.MkdirTemp("", "waxo-guest-")
	if err != nil {
		return fmt.Errorf("guests: %w", err)
	}
	defer os.RemoveAll(dir)
	if err := os.CopyFS(dir, source); err != nil {
		return fmt.Errorf("guests: copy the sources: %w", err)
	}
	sh, err := exec.LookPath("sh")
	if err != nil {
		return fmt.Errorf("%w: %w", errCannotBuild, err)
	}
	output, err := exec.Command(sh, filepath.Join(dir, "build.sh"), out).CombinedOutput()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		switch exit.ExitCode() {
		case exitNoToolchain, exitNoCrates:
			return fmt.Errorf("%w: %s", errCannotBuild, output)
		}
		return fmt.Errorf("guests: build.sh: %w\n%s", err, output)
	}
	return err
}

// hashFiles names a tree of files by their names and contents.
func hashFiles(tree fs.FS) (string, error) {
	sum := sha256.New()
	err := fs.WalkDir(tree, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(tree, path)
		fmt.Fprintf(sum, "%q %d\n", path, len(content))
		sum.Write(content)
		return err
	})
	return fmt.Sprintf("%x", sum.Sum(nil)[:16]), err
}
