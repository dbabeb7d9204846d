//go:build linux

package bench

import (
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"
)

// callTimeout is the time that a call has in BenchmarkDeadline.
const callTimeout = 300 * time.Millisecond

// BenchmarkDeadline has four calls at once exceed their time, and measures how
// late they are answered and how long the host's collections of garbage take
// meanwhile.
func BenchmarkDeadline(b *testing.B) {
	p := build(b)
	guest := run(b, p, p.goGuest, "--call-timeout", callTimeout.String())
	get := newLoad(b, guest.url, polite, "GET", "/", nil)
	var late time.Duration
	for b.Loop() {
		var wg sync.WaitGroup
		took := make([]time.Duration, spinning)
		for i := range took {
			wg.Go(func() {
				begun := time.Now()
				expire(b, guest)
				took[i] = time.Since(begun)
			})
		}
		get.run(b, callTimeout) // makes garbage
		wg.Wait()
		late = max(late, percentile(took, 100)-callTimeout)
	}
	pause, whole := collections(guest.text())
	b.ReportMetric(millis(late), "ms-late")
	b.ReportMetric(pause, "GC-pause-ms")
	b.ReportMetric(whole, "GC-ms")
	b.ReportMetric(0, "ns/op")
}

// The runtime's own words on a collection: the times of the pause before, of
// the concurrent part, and of the pause after.
// https://pkg.go.dev/runtime#hdr-Environment_Variables
var collection = regexp.MustCompile(`gc \d+ @\S+ \S+: ([0-9.]+)\+([0-9.]+)\+([0-9.]+) ms clock`)

// collections gives the longest pause and the longest collection, in ms.
func collections(trace string) (pause, whole float64) {
	for _, m := range collection.FindAllStringSubmatch(trace, -1) {
		var part [3]float64
		for i := range part {
			part[i], _ = strconv.ParseFloat(m[i+1], 64)
		}
		pause = max(pause, part[0], part[2])
		whole = max(whole, part[0]+part[1]+part[2])
	}
	return pause, whole
}
