package seal_test

import (
	"context"
	"os"
	"os/exec"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/waxosuit/waxo/devhost/seal"
	"github.com/waxosuit/waxo/wapc/wasm"
)

const features = api.CoreFeaturesV2 | experimental.CoreFeaturesTailCall | experimental.CoreFeaturesExtendedConst

// host is a host that offers the imports of the call protocol and nothing
// else.
type host struct {
	lines                                []string
	operation, message, response, failed []byte
}

// cache keeps what was compiled: several tests run the same guests.
var cache wazero.CompilationCache

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "seal")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		if cache, err = wazero.NewCompilationCacheWithDir(dir); err != nil {
			panic(err)
		}
		defer cache.Close(context.Background())
		return m.Run()
	}())
}

// runtime returns an engine with the host's module in it.
func (h *host) runtime(t testing.TB) wazero.Runtime {
	t.Helper()
	ctx := t.Context()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCoreFeatures(features).WithCompilationCache(cache))
	t.Cleanup(func() { r.Close(context.Background()) })
	read := func(m api.Module, at, n uint32) []byte {
		view, ok := m.Memory().Read(at, n)
		if !ok {
			panic("the guest handed over what is not in its memory")
		}
		return append([]byte(nil), view...)
	}
	b := r.NewHostModuleBuilder("wapc")
	export := func(name string, f any) { b = b.NewFunctionBuilder().WithFunc(f).Export(name) }
	export("__console_log", func(_ context.Context, m api.Module, at, n uint32) {
		h.lines = append(h.lines, string(read(m, at, n)))
	})
	export("__guest_request", func(_ context.Context, m api.Module, operation, message uint32) {
		m.Memory().Write(operation, h.operation)
		m.Memory().Write(message, h.message)
	})
	export("__guest_response", func(_ context.Context, m api.Module, at, n uint32) { h.response = read(m, at, n) })
	export("__guest_error", func(_ context.Context, m api.Module, at, n uint32) { h.failed = read(m, at, n) })
	if _, err := b.Instantiate(ctx); err != nil {
		t.Fatal(err)
	}
	return r
}

// start instantiates a module as the engine does.
func (h *host) start(t testing.TB, module []byte) api.Module {
	t.Helper()
	config := wazero.NewModuleConfig().WithName("").WithStartFunctions("_start", "_initialize", "wapc_init")
	m, err := h.runtime(t).InstantiateWithConfig(t.Context(), module, config)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// guest is a running guest.
type guest struct {
	*host
	api.Module
	call api.Function
}

func startGuest(t testing.TB, module []byte) *guest {
	t.Helper()
	h := new(host)
	m := h.start(t, module)
	return &guest{h, m, m.ExportedFunction("__guest_call")}
}

// invoke calls the guest and returns its response.
func (g *guest) invoke(t testing.TB, operation, message string) string {
	t.Helper()
	if err := g.try(t, operation, message); err != nil {
		t.Fatalf("%s: %v", operation, err)
	}
	return string(g.response)
}

// try calls the guest and returns the trap, if there is one.
func (g *guest) try(t testing.TB, operation, message string) error {
	t.Helper()
	g.operation, g.message = []byte(operation), []byte(message)
	results, err := g.call.Call(t.Context(), uint64(len(operation)), uint64(len(message)))
	if err == nil && results[0] != 1 {
		t.Fatalf("%s: the guest reported %q", operation, g.failed)
	}
	return err
}

// takeLines returns the lines that were logged since the last time.
func (h *host) takeLines() []string {
	lines := h.lines
	h.lines = nil
	return lines
}

func mustSeal(t testing.TB, module []byte, opts *seal.Options) []byte {
	t.Helper()
	sealed, _, err := seal.Seal(module, opts)
	if err != nil {
		t.Fatal(err)
	}
	imports, err := wasm.Imports(sealed)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range imports {
		if i.Module != "wapc" {
			t.Errorf("the sealed module imports %s.%s", i.Module, i.Name)
		}
	}
	return sealed
}

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// needTool ends a test whose tool is missing: with CI=true that is a failure.
func needTool(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		missing(t, "%s: %v", name, err)
	}
	return path
}

func missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("this test needs "+format, args...)
	}
	t.Skipf("this test needs "+format, args...)
}

func run(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
}
