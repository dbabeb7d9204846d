//go:build linux

package bench

import (
	"testing"
	"time"
)

// storeDelay is how long a slow store takes.
const storeDelay = 100 * time.Millisecond

// BenchmarkSlowCalls has 64 clients call a Go guest which asks a store that
// takes 100 ms, and measures the memory of the whole process.
func BenchmarkSlowCalls(b *testing.B) {
	p := build(b)
	store := newStore(b, storeDelay)
	guest := run(b, p, p.goGuest, "--bind", "wascap:keyvalue="+store)
	get := newLoad(b, guest.url, connections, "GET", "/kv", nil)
	var took []time.Duration
	for b.Loop() {
		took = append(took, get.run(b, window)...)
	}
	_, most := guest.memory(b)
	b.ReportMetric(most, "MB-most")
	b.ReportMetric(millis(percentile(took, 50)), "p50-ms")
	b.ReportMetric(millis(percentile(took, 50))/millis(storeDelay), "x-store")
	b.ReportMetric(0, "ns/op")
}
