package wapc_test

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/waxosuit/waxo/wapc"
)

// BenchmarkCollection measures whole collections of the host's garbage, alone
// and while four guests spin without end: none can begin or end before each
// guest has come by.
func BenchmarkCollection(b *testing.B) {
	spinners, err := compile(b, engine(b, nil), "puppet8").NewPool(&wapc.PoolOptions{CallTimeout: time.Hour})
	if err != nil {
		b.Fatal(err)
	}
	collect := func() float64 {
		begun := time.Now()
		runtime.GC()
		return float64(time.Since(begun)) / 1e6
	}
	var alone, beside []float64
	for b.Loop() {
		alone = append(alone, collect())
	}
	ctx, cancel := context.WithCancel(b.Context())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { _, _ = spinners.Call(ctx, "op", (&script{}).do(spin).bytes()) })
	}
	for spinners.Stats().Busy < 4 {
		runtime.Gosched()
	}
	for range alone {
		beside = append(beside, collect())
	}
	cancel()
	wg.Wait()
	slices.Sort(alone)
	slices.Sort(beside)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(alone[len(alone)/2], "alone-ms")
	b.ReportMetric(beside[len(beside)/2], "ms")
	b.ReportMetric(beside[len(beside)*99/100], "p99-ms")
}
