//go:build linux

package bench

import (
	"bytes"
	"testing"
	"time"
)

// connections is how many clients there are at once.
const connections = 64

// window is how long one server is measured before it is the other's turn.
const window = time.Second

// BenchmarkEcho posts 1 KiB to a Go guest and to the native server.
func BenchmarkEcho(b *testing.B) {
	p := build(b)
	native := start(b, p.native)
	guest := run(b, p, p.goGuest)
	body := bytes.Repeat([]byte("0123456789abcdef"), 64)
	compare(b, native, guest, "POST", "/echo", body)
}

// BenchmarkKeyValueGet has a Go guest and the native server get a value from
// one Redis with the same client.
func BenchmarkKeyValueGet(b *testing.B) {
	p := build(b)
	store := newStore(b, 0)
	native := start(b, p.native, "-redis", store)
	guest := run(b, p, p.goGuest, "--bind", "wascap:keyvalue="+store)
	compare(b, native, guest, "GET", "/kv", nil)
}

// compare measures two servers in turn and reports what a request costs them.
func compare(b *testing.B, native, guest *process, method, path string, body []byte) {
	b.Helper()
	type side struct {
		*process
		load     *load
		cpu      time.Duration
		requests int
		rate     []float64
	}
	sides := []*side{{process: native}, {process: guest}}
	for _, s := range sides {
		s.load = newLoad(b, s.url, connections, method, path, body)
		s.load.run(b, window) // to warm it
	}
	for b.Loop() {
		for _, s := range sides {
			before := s.process.cpu(b)
			took := s.load.run(b, window)
			s.cpu += s.process.cpu(b) - before
			s.requests += len(took)
			s.rate = append(s.rate, float64(len(took))/window.Seconds())
		}
	}
	micros := func(s *side) float64 { return float64(s.cpu.Microseconds()) / float64(s.requests) }
	b.ReportMetric(micros(sides[1]), "us-CPU/req")
	b.ReportMetric(micros(sides[0]), "native-us-CPU/req")
	b.ReportMetric(micros(sides[1])/micros(sides[0]), "x-native")
	b.ReportMetric(median(sides[1].rate), "req/s")
	b.ReportMetric(median(sides[0].rate), "native-req/s")
	b.ReportMetric(0, "ns/op")
}
