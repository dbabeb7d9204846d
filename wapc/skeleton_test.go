package wapc

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/tetratelabs/wazero"
)

// TestSkeletonsAreNeverCompiled: where there is no machine code for a skeleton,
// the engine must fail, and leave none behind.
func TestSkeletonsAreNeverCompiled(t *testing.T) {
	module, err := os.ReadFile(filepath.Join("testdata", "echo.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := prepare(module, moduleKey{1}, false)
	if err != nil {
		t.Fatal(err)
	}
	p.code = nil
	dir := t.TempDir()
	for range 2 {
		cache, err := wazero.NewCompilationCacheWithDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		b := building{tier: TierCompiled, config: wazero.NewRuntimeConfig(), cache: cache}
		c, err := build(t.Context(), p, nil, b)
		if err == nil {
			err = errors.Join(errors.New("the skeleton was compiled"), c.drop(t.Context()))
			t.Fatal(err)
		}
		if made, err := machineCode(dir); err == nil {
			t.Fatalf("it left %s", made)
		}
	}
}

// TestSkeletonsDiffer: two modules that differ in their functions alone have
// different skeletons.
func TestSkeletonsDiffer(t *testing.T) {
	m := dataModule(1, false)
	if string(skeletonOf(m, moduleKey{1})) == string(skeletonOf(m, moduleKey{2})) {
		t.Fatal("they are the same")
	}
}
