package project

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waxosuit/waxo/devhost/build"
	"github.com/waxosuit/waxo/devhost/manifest"
	"github.com/waxosuit/waxo/devhost/slim"
	"github.com/waxosuit/waxo/wascap"
)

// tiny is a module that seals: it has the exports of the call protocol, and a
// call that traps.
var tiny = []byte("\x00asm\x01\x00\x00\x00" +
	"\x01\x07\x01\x60\x02\x7f\x7f\x01\x7f" + // a type (i32, i32) -> i32
	"\x03\x02\x01\x00" + // a function of that type
	"\x05\x03\x01\x00\x01" + // a memory of one page
	"\x07\x19\x02\x06memory\x02\x00\x0c__guest_call\x00\x00" +
	"\x0a\x05\x01\x03\x00\x00\x0b")

func open(t *testing.T, opts *Options) *Project {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, manifest.FileName), `name = "tester"
version = "1.2.3"
language = "custom"
capabilities = ["wascap:http_server", "vendor:thing"]
[build]
command = ["cp", "source.wasm", "out.wasm"]
output = "out.wasm"
`)
	write(t, filepath.Join(dir, "source.wasm"), string(tiny))
	p, err := Open(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestMakeSignsWhatTheManifestGrants(t *testing.T) {
	p := open(t, nil)
	keys, err := p.Keys()
	if err != nil {
		t.Fatal(err)
	}
	var phases []string
	made, err := p.Make(t.Context(), build.New(nil), &MakeOptions{
		Account: keys.Account, Module: keys.Module, Dev: true,
		Phase: func(name string) func() { return func() { phases = append(phases, name) } },
	})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(phases, []string{"build", "seal", "sign"}) {
		t.Errorf("phases %v", phases)
	}
	token, err := wascap.Verify(made.Signed, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	c := token.Claims
	if c.Name != "tester" || c.Version != "1.2.3" || !slices.Equal(c.Capabilities, p.Manifest().Capabilities) ||
		c.Subject != keys.Module.PublicKey().String() || c.Issuer != keys.Account.PublicKey().String() {
		t.Errorf("the claims are %+v", c)
	}
	if !c.HasTag(wascap.DevTag) || time.Until(c.Expires) > DevLifetime || time.Until(c.Expires) < DevLifetime-time.Hour {
		t.Errorf("throwaway claims have tags %v and end %v", c.Tags, c.Expires)
	}
	if _, err := wascap.Verify(made.Signed, time.Now().Add(DevLifetime+time.Minute)); err == nil {
		t.Error("throwaway claims do not end")
	}
	if err := p.Keep(made); err != nil {
		t.Fatal(err)
	}
	if kept, err := os.ReadFile(p.Output()); err != nil || !bytes.Equal(kept, made.Signed) {
		t.Errorf("kept %d bytes, %v", len(kept), err)
	}
}

// debugged is tiny with a section that strip removes.
var debugged = string(tiny) + "\x00\x0d\x0b.debug_info!"

func TestMakeOptimizes(t *testing.T) {
	var all []string
	for _, step := range slim.Steps() {
		all = append(all, string(step))
	}
	if !slices.Equal(all, manifest.Optimizations()) {
		t.Errorf("the manifest knows %v, there are %v", manifest.Optimizations(), all)
	}
	for _, test := range []struct {
		manifest string
		opts     MakeOptions
		want     []string
		smaller  bool
	}{
		{"", MakeOptions{}, all, true},
		{"", MakeOptions{Brief: true}, []string{"strip", "merge"}, true},
		{"", MakeOptions{Optimize: []string{}}, nil, false},
		{"", MakeOptions{Optimize: []string{"dead", "strip"}}, []string{"strip", "dead"}, true},
		{"optimize = []", MakeOptions{}, nil, false},
		{"optimize = []", MakeOptions{Optimize: all}, all, true},
		{`optimize = ["snapshot", "strip"]`, MakeOptions{Measure: true}, []string{"strip", "snapshot"}, true},
		{`optimize = ["snapshot", "strip"]`, MakeOptions{Brief: true}, []string{"strip"}, true},
		{`optimize = ["merge"]`, MakeOptions{}, []string{"merge"}, false},
	} {
		p := open(t, &Options{})
		write(t, filepath.Join(p.Dir(), "source.wasm"), debugged)
		text, err := os.ReadFile(filepath.Join(p.Dir(), manifest.FileName))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(p.Dir(), manifest.FileName), string(text)+test.manifest+"\n")
		if err := p.Reload(); err != nil {
			t.Fatal(err)
		}
		made, err := p.Make(t.Context(), build.New(nil), &test.opts)
		if err != nil {
			t.Fatal(err)
		}
		var did []string
		for _, r := range made.Slimmed.Steps {
			did = append(did, string(r.Step))
		}
		if !slices.Equal(did, test.want) || (len(made.Sealed) < len(debugged)) != test.smaller || (made.Slimmed.Before > 0) != test.opts.Measure {
			t.Errorf("%q, %+v: did %v, %d bytes became %d, report %+v", test.manifest, test.opts, did, len(debugged), len(made.Sealed), made.Slimmed)
		}
	}
}

// Claims hold for the bytes as they are, however those are encoded.
func TestMakeLeavesASignedModuleAlone(t *testing.T) {
	p := open(t, nil)
	padded := strings.Replace(debugged, "\x00\x0d\x0b.debug", "\x00\x8d\x00\x0b.debug", 1)
	account, _ := wascap.Generate(wascap.Account)
	module, _ := wascap.Generate(wascap.Module)
	signed, err := wascap.Sign([]byte(padded), wascap.Claims{Subject: module.PublicKey().String(), Name: "x"}, account, nil)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(p.Dir(), "source.wasm"), string(signed))
	made, err := p.Make(t.Context(), build.New(nil), &MakeOptions{})
	if err != nil || !bytes.Equal(made.Sealed, signed) {
		t.Errorf("error %v, %d bytes became %d", err, len(signed), len(made.Sealed))
	}
}

func TestRealKeysLeaveNoTraceOfDevelopment(t *testing.T) {
	p := open(t, nil)
	account, _ := wascap.Generate(wascap.Account)
	module, _ := wascap.Generate(wascap.Module)
	made, err := p.Make(t.Context(), build.New(nil), &MakeOptions{Account: account, Module: module, Revision: 7})
	if err != nil {
		t.Fatal(err)
	}
	token, err := wascap.Verify(made.Signed, time.Now().AddDate(50, 0, 0))
	if err != nil || token.Claims.Revision != 7 || token.Claims.HasTag(wascap.DevTag) || !token.Claims.Expires.IsZero() {
		t.Errorf("%+v, %v", token, err)
	}
	if _, err := os.Stat(filepath.Join(p.Dir(), manifest.StateDir, "keys")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("throwaway keys were made: %v", err)
	}
	unsigned, err := p.Make(t.Context(), build.New(nil), &MakeOptions{})
	if err != nil || unsigned.Signed != nil || !bytes.Equal(unsigned.Sealed, made.Sealed) {
		t.Errorf("unsigned: %v", err)
	}
}

func TestKeysAreMadeOnceAndKeptPrivate(t *testing.T) {
	p := open(t, nil)
	first, err := p.Keys()
	if err != nil {
		t.Fatal(err)
	}
	again, err := p.Keys()
	if err != nil {
		t.Fatal(err)
	}
	if first.Account.PublicKey() != again.Account.PublicKey() || first.Module.PublicKey() != again.Module.PublicKey() {
		t.Error("the keys changed")
	}
	state := filepath.Join(p.Dir(), manifest.StateDir)
	for path, want := range map[string]fs.FileMode{"keys": 0o700, "keys/account.nk": 0o600, "keys/module.nk": 0o600, "": 0o700} {
		info, err := os.Stat(filepath.Join(state, path))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, %v; want %v", path, info.Mode(), err, want)
		}
	}
	write(t, filepath.Join(state, "keys", "account.nk"), "damaged")
	if _, err := p.Keys(); err == nil || !strings.Contains(err.Error(), "account.nk") || !strings.Contains(err.Error(), "remove it") {
		t.Errorf("a damaged key: %v", err)
	}
	if ignore, err := os.ReadFile(filepath.Join(state, ".gitignore")); string(ignore) != "*\n" {
		t.Errorf("git sees the state: %q, %v", ignore, err)
	}
}

func TestReadKeySaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	module, _ := wascap.Generate(wascap.Module)
	seed, _ := module.Seed()
	file := filepath.Join(dir, "key.nk")
	write(t, file, "  "+string(seed)+"\n\n")
	if _, err := ReadKey(file, wascap.Module); err != nil {
		t.Errorf("white space around the seed: %v", err)
	}
	_, err := ReadKey(file, wascap.Account)
	if err == nil || !strings.Contains(err.Error(), "key.nk holds a key of kind module, but one of kind account is needed") {
		t.Errorf("got %v", err)
	}
	write(t, file, "SUsecretandbroken")
	if _, err = ReadKey(file, wascap.Account); err == nil || !strings.Contains(err.Error(), "key.nk") || strings.Contains(err.Error(), "secretandbroken") {
		t.Errorf("got %v", err)
	}
}

func TestReloadKeepsWhatWasGood(t *testing.T) {
	p := open(t, &Options{
		Lookup: func(name string) (string, bool) {
			if name == "WAXO_DEV_PORT" {
				return "9001", true
			}
			return "", false
		},
		Override: func(m *manifest.Manifest) { m.Version = "9.9.9" },
	})
	if m := p.Manifest(); m.Dev.Port != 9001 || m.Version != "9.9.9" {
		t.Errorf("port %d, version %s", m.Dev.Port, m.Version)
	}
	good := p.Manifest()
	write(t, filepath.Join(p.Dir(), manifest.FileName), "nonsense")
	if err := p.Reload(); err == nil || p.Manifest() != good {
		t.Errorf("after nonsense: %v, %+v", err, p.Manifest())
	}
}

func TestWriteFileLeavesNoHalves(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "a")
	if err := WriteFile(file, []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	// A folder in the way: the rename fails, and what was written goes.
	if err := os.MkdirAll(filepath.Join(dir, "b", "c"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(filepath.Join(dir, "b"), []byte("two"), 0o600); err == nil {
		t.Error("a folder was replaced")
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// TestWriteFileKeepsWhatIsNoFile: whoever writes to /dev/stdout or /dev/null must
// not find a file in its place.
func TestWriteFileKeepsWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "target"), filepath.Join(dir, "link")
	if err := os.Symlink(target, link); err != nil {
		t.Skipf("no symbolic links here: %v", err)
	}
	for _, path := range []string{link, target, link} {
		if err := WriteFile(path, []byte("by "+filepath.Base(path)), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(target); err != nil || string(got) != "by "+filepath.Base(path) {
			t.Errorf("the target is %q, %v", got, err)
		}
	}
	if info, err := os.Lstat(link); err != nil || info.Mode().Type() != fs.ModeSymlink {
		t.Errorf("the link is %v, %v", info, err)
	}
	if err := WriteFile(dir, nil, 0o600); err == nil {
		t.Error("a folder is written")
	}
}
