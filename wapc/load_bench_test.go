package wapc_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/waxosuit/waxo/devhost/seal"
	"github.com/waxosuit/waxo/wapc"
)

// kvcounter is a template: 2 MB, as most Go guests are.
const kvcounter = "../templates/kvcounter"

// goGuest builds a guest in Go as waxo build does.
func goGuest(b *testing.B, dir string) []byte {
	b.Helper()
	out := filepath.Join(b.TempDir(), "guest.wasm")
	build := exec.Command("go", "build", "-buildmode=c-shared", "-ldflags=-s -w", "-o", out, dir)
	build.Env = append(build.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if output, err := build.CombinedOutput(); err != nil {
		b.Fatalf("build the guest: %v\n%s", err, output)
	}
	module, err := os.ReadFile(out)
	if err != nil {
		b.Fatal(err)
	}
	if module, _, err = seal.Seal(module, nil); err != nil {
		b.Fatal(err)
	}
	return module
}

// contest has two ways of doing something take turns, and reports the median of
// the first, and how many times that of the second it is.
func contest(b *testing.B, ours, bare func() time.Duration) {
	b.Helper()
	var turns [2][]time.Duration
	for b.Loop() {
		turns[0] = append(turns[0], ours())
		turns[1] = append(turns[1], bare())
	}
	median := func(i int) float64 {
		slices.Sort(turns[i])
		return float64(turns[i][len(turns[i])/2])
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(0)/1e6, "ms")
	b.ReportMetric(median(0)/median(1), "x-bare")
}

// bareRuntime is the engine without any of what this package does.
func bareRuntime(b *testing.B, config wazero.RuntimeConfig, module []byte) (wazero.Runtime, wazero.CompiledModule) {
	b.Helper()
	ctx := experimental.WithCompilationWorkers(b.Context(), 2)
	r := wazero.NewRuntimeWithConfig(ctx, config)
	compiled, err := r.CompileModule(ctx, module)
	if err != nil {
		b.Fatal(err)
	}
	return r, compiled
}

func timeBare(b *testing.B, config wazero.RuntimeConfig, module []byte) time.Duration {
	b.Helper()
	begin := time.Now()
	r, _ := bareRuntime(b, config, module)
	took := time.Since(begin)
	if err := r.Close(b.Context()); err != nil {
		b.Fatal(err)
	}
	return took
}

func timeCompile(b *testing.B, opts *wapc.EngineOptions, module []byte) time.Duration {
	b.Helper()
	begin := time.Now()
	e, err := wapc.NewEngine(opts)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := e.Compile(b.Context(), module); err != nil {
		b.Fatal(err)
	}
	took := time.Since(begin)
	if err := e.Close(b.Context()); err != nil {
		b.Fatal(err)
	}
	return took
}

// BenchmarkCompile makes a Go guest ready to be instantiated, beside the bare
// engine, which does not see to deadlines: from nothing, for the interpreter,
// and from a cache on disk.
func BenchmarkCompile(b *testing.B) {
	module := goGuest(b, kvcounter)
	b.Run("cold", func(b *testing.B) {
		contest(b,
			func() time.Duration { return timeCompile(b, nil, module) },
			func() time.Duration { return timeBare(b, wazero.NewRuntimeConfig(), module) })
	})
	b.Run("interpreter", func(b *testing.B) {
		contest(b,
			func() time.Duration { return timeCompile(b, &wapc.EngineOptions{Interpreter: true}, module) },
			func() time.Duration { return timeBare(b, wazero.NewRuntimeConfigInterpreter(), module) })
	})
	b.Run("warm", func(b *testing.B) {
		opts := &wapc.EngineOptions{CacheDir: b.TempDir()}
		dir := b.TempDir()
		timeCompile(b, opts, module)
		bare := func() time.Duration {
			begin := time.Now()
			cache, err := wazero.NewCompilationCacheWithDir(dir)
			if err != nil {
				b.Fatal(err)
			}
			timeBare(b, wazero.NewRuntimeConfig().WithCompilationCache(cache), module)
			took := time.Since(begin)
			if err := cache.Close(b.Context()); err != nil {
				b.Fatal(err)
			}
			return took
		}
		bare()
		contest(b, func() time.Duration { return timeCompile(b, opts, module) }, bare)
	})
}

// BenchmarkInstantiate starts an instance of a Go guest, beside the bare engine.
func BenchmarkInstantiate(b *testing.B) {
	ctx := b.Context()
	module := goGuest(b, kvcounter)
	m, err := engine(b, nil).Compile(ctx, module)
	if err != nil {
		b.Fatal(err)
	}
	r, compiled := bareRuntime(b, wazero.NewRuntimeConfig(), module)
	host := r.NewHostModuleBuilder("wapc")
	for _, f := range compiled.ImportedFunctions() {
		_, name, _ := f.Import()
		host.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(func(context.Context, api.Module, []uint64) {}),
			f.ParamTypes(), f.ResultTypes()).Export(name)
	}
	if _, err := host.Instantiate(ctx); err != nil {
		b.Fatal(err)
	}
	ours := func() time.Duration {
		p, err := m.NewPool(nil)
		if err != nil {
			b.Fatal(err)
		}
		begin := time.Now()
		if err := p.Warm(ctx, 1); err != nil {
			b.Fatal(err)
		}
		took := time.Since(begin)
		if err := p.Close(ctx); err != nil {
			b.Fatal(err)
		}
		return took
	}
	contest(b, ours, func() time.Duration {
		begin := time.Now()
		g, err := r.InstantiateModule(ctx, compiled, wazero.NewModuleConfig().WithName("").WithStartFunctions("_initialize"))
		if err != nil {
			b.Fatal(err)
		}
		took := time.Since(begin)
		if err := g.Close(ctx); err != nil {
			b.Fatal(err)
		}
		return took
	})
	if err := r.Close(ctx); err != nil {
		b.Fatal(err)
	}
}
