package wapc_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waxosuit/waxo/wapc"
	"github.com/waxosuit/waxo/wapc/wasm"
)

// named is the echo with a custom section: one that is called "name" holds the
// module's name.
func named(t testing.TB, section, name string) []byte {
	t.Helper()
	m, err := wasm.Decode(guest(t, "echo"))
	if err != nil {
		t.Fatal(err)
	}
	content := append([]byte{0, byte(len(name) + 1), byte(len(name))}, name...)
	m.SetCustom(section, content)
	return m.Encode()
}

func compileBytes(t testing.TB, e *wapc.Engine, module []byte) {
	t.Helper()
	m, err := e.Compile(context.Background(), module)
	if err == nil {
		err = m.Close(context.Background())
	}
	if err != nil {
		t.Error(err)
	}
}

// entriesIn lists the entries of a cache directory.
func entriesIn(t testing.TB, dir string) (entries []string, size int64) {
	t.Helper()
	entries, err := filepath.Glob(filepath.Join(dir, "modules", strings.Repeat("?", 64)))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		files, total := filesIn(e), int64(0)
		for _, f := range files {
			if info, err := os.Stat(f); err == nil {
				total += info.Size()
			}
		}
		if len(files) != 2 {
			t.Errorf("an entry has the files %q", files)
		}
		size += total
	}
	return entries, size
}

// filesIn lists the files below a folder.
func filesIn(folder string) (files []string) {
	_ = filepath.WalkDir(folder, func(path string, d os.DirEntry, _ error) error {
		if d != nil && !d.IsDir() {
			files = append(files, path)
		}
		return nil
	})
	return files
}

func TestCompiledCodeIsFoundUnderOtherClaims(t *testing.T) {
	dir := t.TempDir()
	for i, claims := range []string{"signed today", "signed tomorrow"} {
		e := engine(t, &wapc.EngineOptions{CacheDir: dir})
		m, err := e.Compile(t.Context(), named(t, "jwt", claims))
		if err != nil {
			t.Fatal(err)
		}
		if cached := m.CompileStats().Cached; cached != (i > 0) {
			t.Errorf("%s: cached is %t", claims, cached)
		}
		if err := e.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if entries, _ := entriesIn(t, dir); len(entries) != 1 {
		t.Errorf("one module was compiled %d times", len(entries))
	}
}

func TestTheCacheIsBounded(t *testing.T) {
	dir := t.TempDir()
	fill := func(limit int64, names ...string) {
		e, err := wapc.NewEngine(&wapc.EngineOptions{CacheDir: dir, CacheLimit: limit})
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			compileBytes(t, e, named(t, "name", name))
		}
		if err := e.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	fill(0, "first")
	entries, one := entriesIn(t, dir)
	if len(entries) != 1 {
		t.Fatalf("the cache holds %q", entries)
	}
	first, old := entries[0], time.Now().Add(-2*time.Hour)
	fill(0, "second")
	entries, _ = entriesIn(t, dir)
	second := entries[0]
	if second == first {
		second = entries[1]
	}
	abandoned := first + ".123.tmp"
	foreign := []string{
		filepath.Join(dir, "diary"), filepath.Join(dir, "modules", "diary"),
		second + ".456.tmp", second + ".tmp", filepath.Join(dir, strings.Repeat("a", 64)),
	}
	for _, folder := range append(foreign, abandoned) {
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, "f"), make([]byte, 100*one), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for i, folder := range []string{first, second, abandoned, foreign[0], foreign[1], foreign[3]} {
		when := old.Add(time.Duration(i) * time.Minute)
		if err := os.Chtimes(folder, when, when); err != nil {
			t.Fatal(err)
		}
	}
	limit := 3*one + one/2
	// What is used is not old: of the two that were there, it is the second that goes.
	fill(limit, "first", "third", "fourth")
	left, size := entriesIn(t, dir)
	if size > limit || len(left) != 3 {
		t.Errorf("%d entries with %d bytes are left, the limit is %d", len(left), size, limit)
	}
	for _, gone := range []string{second, abandoned} {
		if _, err := os.Lstat(gone); err == nil {
			t.Errorf("%s is still there", gone)
		}
	}
	for _, f := range append(foreign, first) {
		if _, err := os.Lstat(f); err != nil {
			t.Errorf("what is not old, or not the cache's, was touched: %v", err)
		}
	}
}

// TestTheCacheIsTrimmedAtTheEnd: what others left is, too, though this engine has
// added nothing.
func TestTheCacheIsTrimmedAtTheEnd(t *testing.T) {
	dir := t.TempDir()
	for _, limit := range []int64{0, 1} {
		e, err := wapc.NewEngine(&wapc.EngineOptions{CacheDir: dir, CacheLimit: limit})
		if err != nil {
			t.Fatal(err)
		}
		if limit == 0 {
			compileBytes(t, e, named(t, "name", "one"))
		}
		if err := e.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if entries, _ := entriesIn(t, dir); len(entries) == 0 != (limit == 1) {
			t.Errorf("with the limit %d, there are %d entries", limit, len(entries))
		}
	}
}

func TestProcessesShareABoundedCache(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	for n := range 4 {
		wg.Go(func() {
			e, err := wapc.NewEngine(&wapc.EngineOptions{CacheDir: dir, CacheLimit: 1})
			if err != nil {
				t.Error(err)
				return
			}
			for i := range 20 {
				compileBytes(t, e, named(t, "name", fmt.Sprint("module", (i+n)%5)))
			}
			if err := e.Close(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if files := filesIn(dir); len(files) != 0 {
		t.Errorf("beyond the limit, there are %q", files)
	}
}

func TestANegativeLimitIsNone(t *testing.T) {
	dir := t.TempDir()
	e := engine(t, &wapc.EngineOptions{CacheDir: dir, CacheLimit: -1})
	compileBytes(t, e, named(t, "name", "one"))
	compileBytes(t, e, named(t, "name", "two"))
	if err := e.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if entries, _ := entriesIn(t, dir); len(entries) != 2 {
		t.Errorf("the cache holds %q", entries)
	}
}
