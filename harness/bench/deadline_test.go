//go:build linux

package bench

import (
	"regexp"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

// callTimeout is the time that a call has in BenchmarkDeadline.
const callTimeout = 300 * time.Millisecond

// BenchmarkDeadline has four calls at once exceed their time, and measures how
// late they are answered and how long the host's collections of garbage take
// meanwhile. Those of the start are not among them: the guest is being compiled
// then, on all cores, and spins nowhere.
func BenchmarkDeadline(b *testing.B) {
	p := build(b)
	guest := run(b, p, p.goGuest, "--call-timeout", callTimeout.String())
	get := newLoad(b, guest.url, polite, "GET", "/", nil)
	started := len(guest.text())
	var late time.Duration
	for b.Loop() {
		before := len(collections(guest.text()))
		// The ballast makes a collection rare: until there was one, or enough of it.
		for range 20 {
			late = max(late, expireAll(b, guest, get)-callTimeout)
			if len(collections(guest.text())) > before {
				break
			}
		}
	}
	found := collections(guest.text()[started:])
	if len(found) == 0 {
		b.Fatal("there was no collection while the guests looped")
	}
	var pauses, wholes []float64
	for _, c := range found {
		pauses = append(pauses, max(c[0], c[2]))
		wholes = append(wholes, c[0]+c[1]+c[2])
	}
	b.ReportMetric(millis(late), "ms-late")
	b.ReportMetric(slices.Max(pauses), "GC-pause-ms")
	b.ReportMetric(slices.Max(wholes), "GC-ms")
	b.ReportMetric(median(wholes), "GC-median-ms")
	b.ReportMetric(float64(len(found)), "GCs")
	b.ReportMetric(0, "ns/op")
}

// expireAll has four calls exceed their time while others make garbage, and gives
// how long the longest of the four took.
func expireAll(b *testing.B, guest *process, get *load) time.Duration {
	b.Helper()
	var wg sync.WaitGroup
	took := make([]time.Duration, spinning)
	for i := range took {
		wg.Go(func() {
			begun := time.Now()
			expire(b, guest)
			took[i] = time.Since(begun)
		})
	}
	get.run(b, callTimeout)
	wg.Wait()
	return percentile(took, 100)
}

// The runtime's own words on a collection: the times of the pause before, of
// the concurrent part, and of the pause after.
// https://pkg.go.dev/runtime#hdr-Environment_Variables
var collection = regexp.MustCompile(`gc \d+ @\S+ \S+: ([0-9.]+)\+([0-9.]+)\+([0-9.]+) ms clock`)

// collections gives the three parts of each collection in a trace, in ms.
func collections(trace string) (found [][3]float64) {
	for _, m := range collection.FindAllStringSubmatch(trace, -1) {
		var part [3]float64
		for i := range part {
			part[i], _ = strconv.ParseFloat(m[i+1], 64)
		}
		found = append(found, part)
	}
	return found
}
