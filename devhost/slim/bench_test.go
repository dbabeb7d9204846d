package slim_test

import (
	"testing"

	"github.com/tetratelabs/wazero"

	"github.com/waxosuit/waxo/devhost/seal"
	"github.com/waxosuit/waxo/devhost/slim"
)

// choices are the steps of waxo build, those of waxo dev, and none.
var choices = []struct {
	name  string
	steps []slim.Step
}{
	{"none", []slim.Step{}},
	{"strip and merge", []slim.Step{slim.Strip, slim.Merge}},
	{"all", nil},
}

// BenchmarkSlim seals a Go guest and does the steps; "none" is sealing alone.
func BenchmarkSlim(b *testing.B) {
	module := buildGo(b, "../../templates/kvcounter")
	for _, choice := range choices {
		b.Run(choice.name, func(b *testing.B) {
			var size int
			for b.Loop() {
				m, _, err := seal.Module(module, nil)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := slim.Slim(b.Context(), m, &slim.Options{Steps: choice.steps}); err != nil {
					b.Fatal(err)
				}
				size = len(m.Encode())
			}
			b.ReportMetric(float64(size), "bytes")
		})
	}
}

// BenchmarkLoad loads a Go guest and starts one instance, from compiled code in
// a cache and in the interpreter: the whole of it, and the instance alone.
func BenchmarkLoad(b *testing.B) {
	plain := buildGo(b, "../../templates/kvcounter")
	dir := b.TempDir()
	for _, choice := range choices {
		m, _, err := seal.Module(plain, nil)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := slim.Slim(b.Context(), m, &slim.Options{Steps: choice.steps}); err != nil {
			b.Fatal(err)
		}
		module := m.Encode()
		for _, kind := range []string{"warm", "interpreter", "instance"} {
			b.Run(choice.name+"/"+kind, func(b *testing.B) { benchmarkLoad(b, module, dir, kind) })
		}
	}
}

func benchmarkLoad(b *testing.B, module []byte, dir, kind string) {
	ctx := b.Context()
	load := func() (wazero.Runtime, wazero.CompiledModule) {
		config := wazero.NewRuntimeConfigInterpreter()
		if kind != "interpreter" {
			cache, err := wazero.NewCompilationCacheWithDir(dir)
			if err != nil {
				b.Fatal(err)
			}
			config = wazero.NewRuntimeConfig().WithCompilationCache(cache)
		}
		r := wazero.NewRuntimeWithConfig(ctx, config.WithDebugInfoEnabled(false))
		h := &host{answers: noAnswer}
		if err := h.offer(ctx, r, module); err != nil {
			b.Fatal(err)
		}
		compiled, err := r.CompileModule(ctx, module)
		if err != nil {
			b.Fatal(err)
		}
		return r, compiled
	}
	start := func(r wazero.Runtime, compiled wazero.CompiledModule) {
		config := wazero.NewModuleConfig().WithName("").WithStartFunctions("_initialize")
		guest, err := r.InstantiateModule(ctx, compiled, config)
		if err != nil {
			b.Fatal(err)
		}
		guest.Close(ctx)
	}
	r, compiled := load() // and fill the cache
	defer r.Close(ctx)
	if kind == "instance" {
		for b.Loop() {
			start(r, compiled)
		}
		return
	}
	for b.Loop() {
		r, compiled := load()
		start(r, compiled)
		r.Close(ctx)
	}
}
