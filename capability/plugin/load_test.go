//go:build unix

package plugin_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/waxosuit/waxo/capability/plugin"
)

// load loads a folder and closes what was loaded; it returns what that offers.
func load(t *testing.T, dir string, opts *plugin.Options, capabilities ...string) ([]string, error) {
	t.Helper()
	providers, err := plugin.Load(within(t), dir, capabilities, opts)
	var offered []string
	for _, p := range providers {
		offered = append(offered, p.Describe().Capability)
		if err := p.Close(within(t)); err != nil {
			t.Error(err)
		}
	}
	return offered, err
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"kv", "blob", "unasked", ".hidden"} {
		link(t, dir, name)
	}
	for name, mode := range map[string]os.FileMode{"README.md": 0o600, "kv.jwt.bak": 0o600} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("text"), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	l := newLog()
	opts := development("serve")
	opts.Log = l.logger()
	offered, err := load(t, dir, opts, "test:kv", "test:blob", "test:hidden", "test:other")
	if want := []string{"test:blob", "test:kv"}; err != nil || !slices.Equal(offered, want) {
		t.Errorf("loaded are %q, %v, want %q", offered, err, want)
	}
	l.wait(t, "no claim asks for this plugin: it is unloaded")
}

// TestLoadExecutesOnlyWhatIsAsked: what is signed says what it is without being
// executed.
func TestLoadExecutesOnlyWhatIsAsked(t *testing.T) {
	dir, opts := t.TempDir(), development("serve")
	opts.Development, opts.Trust = false, []string{sign(t, link(t, dir, "kv"), nil)}
	executed := marked(t, opts)
	if offered, err := load(t, dir, opts, "test:other"); err != nil || len(offered) > 0 || executed() {
		t.Errorf("loaded are %q, %v; executed %t", offered, err, executed())
	}
	if offered, err := load(t, dir, opts, "test:kv"); err != nil || len(offered) != 1 || !executed() {
		t.Errorf("loaded are %q, %v; executed %t", offered, err, executed())
	}
	if err := os.WriteFile(filepath.Join(dir, "kv.jwt"), []byte("no claims"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := load(t, dir, opts, "test:other"); err == nil {
		t.Error("claims that cannot be read are passed over")
	}
}

func TestLoadRefuses(t *testing.T) {
	dir := t.TempDir()
	link(t, dir, "kv-one")
	link(t, dir, "kv-two")
	_, err := load(t, dir, development("serve"), "test:kv")
	if err == nil || !strings.Contains(err.Error(), "two plugins offer test:kv: "+filepath.Join(dir, "kv-one")+" and "+filepath.Join(dir, "kv-two")) {
		t.Errorf("two for one capability: %v", err)
	}
	if _, err := load(t, dir, development("garbage"), "test:kv"); err == nil || !strings.Contains(err.Error(), "kv-one does not start") || !strings.Contains(err.Error(), "kv-two does not start") {
		t.Errorf("two that do not start: %v", err)
	}
	opts := development("serve")
	opts.Development = false
	if _, err := load(t, dir, opts, "test:kv"); !errors.Is(err, plugin.ErrUnsigned) {
		t.Errorf("unsigned ones: %v", err)
	}
	if _, err := load(t, filepath.Join(dir, "nothing"), opts); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "broken")); err != nil {
		t.Fatal(err)
	}
	if _, err := load(t, dir, development("serve"), "test:kv"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a broken link: %v", err)
	}
}
