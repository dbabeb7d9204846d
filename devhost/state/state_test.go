package state_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waxosuit/waxo/devhost/state"
)

func fill(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func holds(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	got := make(map[string]string)
	err := filepath.WalkDir(dir, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(file)
		name, _ := filepath.Rel(dir, file)
		got[filepath.ToSlash(name)] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Errorf("%s holds %q, want %q", dir, got, want)
	}
	for name, content := range want {
		if got[name] != content {
			t.Errorf("%s holds %q in %s, want %q", dir, got[name], name, content)
		}
	}
}

var files = map[string]string{"keyvalue.jsonl": "{}\n", "nats/jetstream/a/b.blk": "\x00\xff", "s3/empty": ""}

func TestThereAndBack(t *testing.T) {
	root := t.TempDir()
	dir, archive := filepath.Join(root, "state"), filepath.Join(root, "copy.tar.gz")
	fill(t, dir, files)
	fill(t, dir, map[string]string{"keyvalue.jsonl.lock": "1", "keyvalue.jsonl.tmp": "half"})
	if n, err := state.Export(t.Context(), dir, archive, "hello"); n != len(files) || err != nil {
		t.Fatalf("%d files, %v", n, err)
	}
	if err := state.Reset(dir); err != nil {
		t.Fatal(err)
	}
	holds(t, dir, nil)
	fill(t, dir, map[string]string{"other": "gone after the import"})
	head, err := state.Import(t.Context(), archive, dir)
	if err != nil || head.Project != "hello" || head.Created.IsZero() {
		t.Fatalf("%+v, %v", head, err)
	}
	holds(t, dir, files)
	if err := state.Reset(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := state.Import(t.Context(), archive, dir); err != nil {
		t.Errorf("into no folder: %v", err)
	}
	holds(t, dir, files)
	leavings(t, root, 2)
}

// TestComplete: what is there already stays, what is missing comes.
func TestComplete(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	fill(t, from, files)
	fill(t, from, map[string]string{"keyvalue.jsonl.lock": "1"})
	fill(t, to, map[string]string{"keyvalue.jsonl": "newer"})
	if err := state.Complete(t.Context(), from, to); err != nil {
		t.Fatal(err)
	}
	holds(t, to, map[string]string{"keyvalue.jsonl": "newer", "nats/jetstream/a/b.blk": files["nats/jetstream/a/b.blk"], "s3/empty": ""})
	if err := state.Complete(t.Context(), filepath.Join(from, "none"), to); err != nil {
		t.Errorf("from nowhere: %v", err)
	}
}

// leavings fails where something was left beside what is meant to be there.
func leavings(t *testing.T, dir string, want int) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != want {
		t.Errorf("%v is in %s (%v), want %d", entries, dir, err, want)
	}
}

func TestNoState(t *testing.T) {
	root := t.TempDir()
	archive := filepath.Join(root, "a.tar.gz")
	if n, err := state.Export(t.Context(), filepath.Join(root, "none"), archive, "p"); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if _, err := state.Import(t.Context(), archive, filepath.Join(root, "none")); err != nil {
		t.Error(err)
	}
	holds(t, filepath.Join(root, "none"), nil)
}

// TestFailedExport: the archive of before stays, and nothing is left beside it.
func TestFailedExport(t *testing.T) {
	root := t.TempDir()
	dir, archive := filepath.Join(root, "state"), filepath.Join(root, "copy.tar.gz")
	fill(t, root, map[string]string{"copy.tar.gz": "the one before"})
	fill(t, dir, files)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := state.Export(ended, dir, archive, "p"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if err := os.Symlink("/etc/hostname", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if _, err := state.Export(t.Context(), dir, archive, "p"); err == nil || !strings.Contains(err.Error(), "link is no regular file") {
		t.Errorf("a link was followed: %v", err)
	}
	if data, err := os.ReadFile(archive); string(data) != "the one before" || err != nil {
		t.Errorf("%q, %v", data, err)
	}
	leavings(t, root, 2)
}

// TestBadArchives: what is not whole, or not ours, changes nothing.
func TestBadArchives(t *testing.T) {
	root := t.TempDir()
	dir, good := filepath.Join(root, "state"), filepath.Join(root, "good")
	fill(t, dir, files)
	if _, err := state.Export(t.Context(), dir, good, "p"); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	head := tar.Header{Name: "waxo-state.json", Size: 12, Mode: 0o600}
	const text = `{"format":1}`
	flipped := bytes.Clone(whole)
	flipped[len(flipped)-6] ^= 1
	for name, archive := range map[string][]byte{
		"nothing":     nil,
		"no gzip":     []byte("hello"),
		"cut off":     whole[:len(whole)/2],
		"cut a bit":   whole[:len(whole)-9],
		"flipped":     flipped,
		"another tar": pack(t, tar.Header{Name: "a", Size: 1}, "x"),
		"no JSON":     pack(t, tar.Header{Name: "waxo-state.json", Size: 1}, "x"),
		"later":       pack(t, head, `{"format":9}`),
		"outside":     pack(t, head, text, tar.Header{Name: "state/../../a", Size: 1}, "x"),
		"absolute":    pack(t, head, text, tar.Header{Name: "/a", Size: 1}, "x"),
		"link":        pack(t, head, text, tar.Header{Name: "state/a", Typeflag: tar.TypeSymlink, Linkname: "/etc"}, ""),
		"twice":       pack(t, head, text, tar.Header{Name: "state/a", Size: 1}, "x", tar.Header{Name: "state/a", Size: 1}, "y"),
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(root, "bad")
			if err := os.WriteFile(file, archive, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := state.Import(t.Context(), file, dir)
			if err == nil || name != "later" && name != "twice" && !errors.Is(err, state.ErrNotState) {
				t.Errorf("%v", err)
			}
			if name == "later" && !strings.Contains(err.Error(), "format 9") {
				t.Errorf("%v", err)
			}
			holds(t, dir, files)
			leavings(t, root, 3)
		})
	}
}

// pack makes an archive of headers and the contents that follow them.
func pack(t *testing.T, parts ...any) []byte {
	t.Helper()
	var b bytes.Buffer
	zipped := gzip.NewWriter(&b)
	w := tar.NewWriter(zipped)
	for i := 0; i < len(parts); i += 2 {
		h := parts[i].(tar.Header)
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(parts[i+1].(string))); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), zipped.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
