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

// compiledIn lists the compiled code below a cache directory.
func compiledIn(t testing.TB, dir string) (files []string, size int64) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "wazero-*", strings.Repeat("?", 64)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if info, err := os.Stat(f); err == nil {
			size += info.Size()
		}
	}
	return files, size
}

func TestCompiledCodeIsFoundUnderOtherClaims(t *testing.T) {
	dir := t.TempDir()
	e := engine(t, &wapc.EngineOptions{CacheDir: dir})
	for _, claims := range []string{"signed today", "signed tomorrow"} {
		compileBytes(t, e, named(t, "jwt", claims))
	}
	if files, _ := compiledIn(t, dir); len(files) != 1 {
		t.Errorf("one module was compiled %d times", len(files))
	}
}

func TestTheCacheIsBounded(t *testing.T) {
	dir := t.TempDir()
	first := engine(t, &wapc.EngineOptions{CacheDir: dir})
	compileBytes(t, first, named(t, "name", "first"))
	files, one := compiledIn(t, dir)
	if len(files) != 1 {
		t.Fatalf("the cache holds %q", files)
	}
	old := time.Now().Add(-2 * time.Hour)
	folder, leftover := filepath.Dir(files[0]), files[0]+".123.tmp"
	foreign := []string{filepath.Join(dir, "diary.txt"), filepath.Join(folder, "diary.txt"), files[0] + ".456.tmp"}
	for _, f := range append(foreign, leftover) {
		if err := os.WriteFile(f, make([]byte, 100*one), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range append(foreign[:2:2], leftover, files[0]) {
		if err := os.Chtimes(f, old, old); err != nil {
			t.Fatal(err)
		}
	}
	limit := 3*one + one/2
	e, err := wapc.NewEngine(&wapc.EngineOptions{CacheDir: dir, CacheLimit: limit})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		compileBytes(t, e, named(t, "name", fmt.Sprint("later", i)))
	}
	if err := e.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	left, size := compiledIn(t, dir)
	if size > limit || len(left) < 2 {
		t.Errorf("%d files with %d bytes are left, the limit is %d", len(left), size, limit)
	}
	for _, gone := range []string{files[0], leftover} {
		if _, err := os.Lstat(gone); err == nil {
			t.Errorf("%s is still there, the oldest of all", gone)
		}
	}
	for _, f := range foreign {
		if _, err := os.Lstat(f); err != nil {
			t.Errorf("what is not the cache's was touched: %v", err)
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
	if files, _ := compiledIn(t, dir); len(files) != 0 {
		t.Errorf("beyond the limit, %d files are left", len(files))
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
	if files, _ := compiledIn(t, dir); len(files) != 2 {
		t.Errorf("the cache holds %q", files)
	}
}
