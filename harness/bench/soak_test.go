//go:build linux

package bench

import (
	"bytes"
	"net/http"
	"sync"
	"testing"
	"time"
)

// BenchmarkSoak loads a Go guest with a mix of requests, beside one that exceeds
// its time, and watches the memory of the process: it may not grow. An hour of
// it, which prints what the process takes each minute:
//
//	go test ./harness/bench -run '^$' -bench Soak -benchtime 1h -timeout 2h
func BenchmarkSoak(b *testing.B) {
	p := build(b)
	store := newStore(b, time.Millisecond)
	guest := run(b, p, p.goGuest, "--bind", "wascap:keyvalue="+store, "--call-timeout", "3s")
	mix := []*load{
		newLoad(b, guest.url, 2, "GET", "/", nil),
		newLoad(b, guest.url, 2, "POST", "/echo", make([]byte, 1<<10)),
		newLoad(b, guest.url, 1, "POST", "/echo", bytes.Repeat([]byte("large"), 50<<10)),
		newLoad(b, guest.url, 8, "GET", "/kv", nil),
	}
	var sizes []float64
	requests := 0
	begun, told := time.Now(), time.Now()
	for b.Loop() {
		var spinning sync.WaitGroup
		spinning.Go(func() { expire(b, guest) })
		for _, l := range mix {
			requests += len(l.run(b, window*3/4))
		}
		spinning.Wait()
		now, most := guest.memory(b)
		sizes = append(sizes, now)
		if time.Since(told) > time.Minute {
			told = time.Now()
			b.Logf("after %v: %.1f MB, at most %.1f MB, %d requests", time.Since(begun).Round(time.Second), now, most, requests)
		}
	}
	// The first tenth fills buffers and starts instances.
	tenth := len(sizes) / 10
	first := median(append([]float64(nil), sizes[tenth:2*tenth+1]...))
	last := median(append([]float64(nil), sizes[len(sizes)-tenth-1:]...))
	b.ReportMetric(first, "first-MB")
	b.ReportMetric(last, "MB")
	b.ReportMetric(last/first, "x-first")
	b.ReportMetric(float64(requests), "requests")
	b.ReportMetric(0, "ns/op")
}

// expire sends a request that exceeds its time: its instance is replaced.
func expire(b *testing.B, guest *process) {
	b.Helper()
	response, err := http.Post(guest.url+"/spin", "text/plain", nil)
	if err != nil {
		b.Error(err)
		return
	}
	response.Body.Close()
	if response.StatusCode != http.StatusGatewayTimeout {
		b.Errorf("a call that exceeds its time is answered with %s", response.Status)
	}
}
