package meter_test

import (
	"slices"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
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
		median := float64(times[i][len(times[i])/2])
		if i == 0 {
			first = median
			b.ReportMetric(median, "ns/"+name)
			continue
		}
		b.ReportMetric(median/first, "x-"+name)
	}
}

// BenchmarkGuest runs what a module exports on the bare engine, metered, and as
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
