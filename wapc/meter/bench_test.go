package meter_test

import (
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/waxosuit/waxo/wapc/meter"
	"github.com/waxosuit/waxo/wapc/wasm"
)

// contest lets the contenders take turns and reports the median time of each,
// and how many times the first one's that is.
func contest(b *testing.B, names []string, turns []func()) {
	times := make([][]time.Duration, len(turns))
	for b.Loop() {
		for i, turn := range turns {
			begin := time.Now()
			turn()
			times[i] = append(times[i], time.Since(begin))
		}
	}
	b.ReportMetric(0, "ns/op")
	var first float64
	for i, name := range names {
		slices.Sort(times[i])
		median := float64(times[i][len(times[i])/20])
		if i == 0 {
			first = median
			b.ReportMetric(median, "ns/"+name)
			continue
		}
		b.ReportMetric(median/first, "x-"+name)
	}
}

// benchmarkGuest runs what a module exports on the bare engine, metered, and as
// the engine has it with deadlines.
func benchmarkGuest(b *testing.B, module []byte, export string, n uint64) {
	plain := start(b, wazero.NewRuntimeConfig(), module, &guest{})
	metered := start(b, wazero.NewRuntimeConfig(), rewritten(b, module, nil), &guest{})
	closing := start(b, wazero.NewRuntimeConfig().WithCloseOnContextDone(true), module, &guest{})
	call := func(g *guest) func() {
		f := g.ExportedFunction(export)
		return func() {
			if _, err := f.Call(b.Context(), n); err != nil {
				b.Fatal(err)
			}
		}
	}
	contest(b, []string{"bare", "metered", "closing"}, []func(){call(plain), call(metered), call(closing)})
	b.ReportMetric(float64(metered.looks), "looks")
}

func BenchmarkGuestJSON(b *testing.B) {
	module, err := jsonGuest()
	if err != nil {
		b.Fatal(err)
	}
	benchmarkGuest(b, module, "handle", 20)
}

func BenchmarkGuestEcho(b *testing.B) {
	module, err := jsonGuest()
	if err != nil {
		b.Fatal(err)
	}
	benchmarkGuest(b, module, "echo", 1000)
}

// BenchmarkLoop runs what testdata/work.wat does, tight loops above all.
func BenchmarkLoop(b *testing.B) {
	module := testModule(b, "work")
	for _, name := range busy {
		b.Run(name, func(b *testing.B) { benchmarkGuest(b, module, name, 100_000) })
	}
}

// BenchmarkGap tells how much time lies between two looks.
func BenchmarkGap(b *testing.B) {
	for _, engine := range []struct {
		name   string
		config wazero.RuntimeConfig
		work   uint64
	}{{"compiler", wazero.NewRuntimeConfigCompiler(), 10_000_000}, {"interpreter", wazero.NewRuntimeConfigInterpreter(), 500_000}} {
		for _, name := range busy {
			b.Run(engine.name+"/"+name, func(b *testing.B) {
				g := &guest{}
				start(b, engine.config, rewritten(b, testModule(b, "work"), nil), g)
				var gaps []time.Duration
				last := time.Now()
				g.look = func() {
					gaps = append(gaps, time.Since(last))
					last = time.Now()
				}
				for b.Loop() {
					if _, err := g.ExportedFunction(name).Call(b.Context(), engine.work); err != nil {
						b.Fatal(err)
					}
				}
				slices.Sort(gaps)
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(float64(gaps[len(gaps)/2])/1e3, "µs-median")
				b.ReportMetric(float64(gaps[len(gaps)*99/100])/1e3, "µs-p99")
			})
		}
	}
}

// BenchmarkRewrite rewrites a Go guest of 3.3 MB, and compares how long the
// engine takes to compile it before and after.
func BenchmarkRewrite(b *testing.B) {
	module, err := jsonGuest()
	if err != nil {
		b.Fatal(err)
	}
	b.Run("rewrite", func(b *testing.B) {
		b.SetBytes(int64(len(module)))
		for b.Loop() {
			b.StopTimer()
			m, err := wasm.Decode(module)
			if err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
			if err := meter.Rewrite(m, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("compile", func(b *testing.B) {
		metered := rewritten(b, module, nil)
		ctx := experimental.WithCompilationWorkers(b.Context(), runtime.GOMAXPROCS(0))
		compile := func(module []byte) func() {
			return func() {
				r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithDebugInfoEnabled(false))
				if _, err := r.CompileModule(ctx, module); err != nil {
					b.Fatal(err)
				}
				if err := r.Close(ctx); err != nil {
					b.Fatal(err)
				}
			}
		}
		contest(b, []string{"bare", "metered"}, []func(){compile(module), compile(metered)})
		b.ReportMetric(float64(len(metered))/float64(len(module)), "x-bytes")
	})
}
