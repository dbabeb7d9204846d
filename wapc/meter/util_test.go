package meter_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/waxosuit/waxo/wapc/meter"
	"github.com/waxosuit/waxo/wapc/wasm"
)

// rewritten meters a module.
func rewritten(t testing.TB, module []byte, opts *meter.Options) []byte {
	t.Helper()
	m, err := wasm.Decode(module)
	if err != nil {
		t.Fatal(err)
	}
	if err := meter.Rewrite(m, opts); err != nil {
		t.Fatal(err)
	}
	return m.Encode()
}

// guest is a module that runs.
type guest struct {
	api.Module
	looks int
	look  func() // if it is not nil
}

// features are those of package wasm.
const features = api.CoreFeaturesV2 | experimental.CoreFeaturesTailCall | experimental.CoreFeaturesExtendedConst

// start runs a module, metered or not.
func start(t testing.TB, config wazero.RuntimeConfig, module []byte, g *guest) *guest {
	t.Helper()
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, config.WithCoreFeatures(features).WithDebugInfoEnabled(false))
	t.Cleanup(func() { _ = r.Close(ctx) })
	wasi_snapshot_preview1.MustInstantiate(ctx, r)
	look := api.GoModuleFunc(func(context.Context, api.Module, []uint64) {
		if g.looks++; g.look != nil {
			g.look()
		}
	})
	host := r.NewHostModuleBuilder(meter.ImportModule)
	if _, err := host.NewFunctionBuilder().WithGoModuleFunction(look, nil, nil).Export(meter.ImportName).Instantiate(ctx); err != nil {
		t.Fatal(err)
	}
	plus := api.GoModuleFunc(func(_ context.Context, _ api.Module, stack []uint64) { stack[0] = uint64(uint32(stack[0]) + 1) })
	number := []api.ValueType{api.ValueTypeI32}
	host = r.NewHostModuleBuilder("waxo_test")
	if _, err := host.NewFunctionBuilder().WithGoModuleFunction(plus, number, number).Export("plus").Instantiate(ctx); err != nil {
		t.Fatal(err)
	}
	var err error
	if g.Module, err = r.InstantiateWithConfig(ctx, module, wazero.NewModuleConfig().WithStartFunctions("_initialize")); err != nil {
		t.Fatal(err)
	}
	return g
}

// jsonGuest builds the guest of testdata/json, once.
var jsonGuest = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "meter")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "guest.wasm")
	cmd := exec.Command("go", "build", "-buildmode=c-shared", "-o", out, "./testdata/json")
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=")
	if text, err := cmd.CombinedOutput(); err != nil {
		return nil, &buildError{err, string(text)}
	}
	return os.ReadFile(out)
})

type buildError struct {
	err  error
	text string
}

func (e *buildError) Error() string { return e.err.Error() + "\n" + e.text }

// testModule returns a module of testdata.
func testModule(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".wasm"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
