//go:build linux

package bench

import (
	"fmt"
	"net"
	"net/url"
	"testing"
	"time"
)

// spinning is how many calls spin, and polite is how many clients want
// something else meanwhile.
const (
	spinning = 4
	polite   = 16
)

// BenchmarkNeighbours measures how long a request takes at a Go guest while four
// other calls of the same guest spin without end, against the same without them.
func BenchmarkNeighbours(b *testing.B) {
	for _, path := range []string{"/spin", "/recurse"} {
		b.Run(path[1:], func(b *testing.B) {
			p := build(b)
			guest := run(b, p, p.goGuest, "--call-timeout", "10m")
			get := newLoad(b, guest.url, polite, "GET", "/", nil)
			get.run(b, window)
			var alone, beside []time.Duration
			for b.Loop() {
				alone = append(alone, get.run(b, window)...)
				end := spin(b, guest, path)
				beside = append(beside, get.run(b, window)...)
				end()
			}
			b.ReportMetric(millis(percentile(alone, 99)), "alone-p99-ms")
			b.ReportMetric(millis(percentile(beside, 99)), "p99-ms")
			b.ReportMetric(millis(percentile(beside, 99))/millis(percentile(alone, 99)), "x-alone")
			b.ReportMetric(millis(percentile(alone, 50)), "alone-p50-ms")
			b.ReportMetric(millis(percentile(beside, 50)), "p50-ms")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// spin sends requests that are never answered. The host stops a call whose
// client has gone.
func spin(b *testing.B, guest *process, path string) (end func()) {
	b.Helper()
	u, err := url.Parse(guest.url)
	if err != nil {
		b.Fatal(err)
	}
	var conns []net.Conn
	before := guest.cpu(b)
	for range spinning {
		conn, err := net.Dial("tcp", u.Host)
		if err != nil {
			b.Fatal(err)
		}
		conns = append(conns, conn)
		if _, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: 0\r\n\r\n", path, u.Host); err != nil {
			b.Fatal(err)
		}
	}
	used(b, guest, before, 100*time.Millisecond)
	return func() {
		for _, conn := range conns {
			conn.Close()
		}
		quiet(b, guest)
	}
}

// used waits until the process has had so much more CPU time.
func used(b *testing.B, p *process, before, more time.Duration) {
	b.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range 3000 {
		if p.cpu(b)-before >= more {
			return
		}
		<-tick.C
	}
	b.Fatal("the guest does not spin")
}

// quiet waits until the process uses no more CPU time.
func quiet(b *testing.B, p *process) {
	b.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	last := p.cpu(b)
	for range 600 {
		<-tick.C
		now := p.cpu(b)
		if now-last <= 10*time.Millisecond {
			return
		}
		last = now
	}
	b.Fatal("the guest spins on although its clients have gone")
}
