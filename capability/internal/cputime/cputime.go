// Package cputime measures, for the benchmarks of the providers, what calls
// cost: CPU time is a steadier figure than time where a benchmark shares its
// machine.
package cputime

import (
	"runtime"
	"slices"
	"testing"
)

// A Meter adds up what rounds of calls cost this process.
type Meter struct {
	rounds       []float64 // us of CPU a call
	calls, alloc uint64
}

// Round performs calls and takes down what they cost.
func (m *Meter) Round(b *testing.B, calls int, perform func()) {
	b.Helper()
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	begin, ok := Used()
	if !ok {
		b.Skip("this system does not tell the CPU time of a process")
	}
	perform()
	end, _ := Used()
	runtime.ReadMemStats(&after)
	m.rounds = append(m.rounds, float64((end-begin).Nanoseconds())/1e3/float64(calls))
	m.calls += uint64(calls)
	m.alloc += after.Mallocs - before.Mallocs
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// Report adds to a benchmark what calls of m cost, what those of the limit do,
// and the ratio: the median of those of each round and the limit's beside it.
func (m *Meter) Report(b *testing.B, name string, limit *Meter, limitName string) {
	for who, m := range map[string]*Meter{name: m, limitName: limit} {
		b.ReportMetric(median(m.rounds), "us-cpu/"+who)
		b.ReportMetric(float64(m.alloc)/float64(m.calls), "allocs/"+who)
	}
	ratios := make([]float64, len(m.rounds))
	for i := range ratios {
		ratios[i] = m.rounds[i] / limit.rounds[i]
	}
	b.ReportMetric(median(ratios), "cpu-ratio")
}
