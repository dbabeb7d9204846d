package wapc_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waxosuit/waxo/wapc"
)

// BenchmarkNeighbours measures HTTP requests, served by a guest over 8
// connections, alone and while others spin without end. It reports the times
// of the slowest in a hundred, and how many times the one is the other.
func BenchmarkNeighbours(b *testing.B) {
	e := engine(b, nil)
	echo, err := compile(b, e, "echo").NewPool(nil)
	if err != nil {
		b.Fatal(err)
	}
	spinners, err := compile(b, e, "puppet8").NewPool(&wapc.PoolOptions{CallTimeout: time.Hour})
	if err != nil {
		b.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		out, err := echo.Call(r.Context(), "echo", body)
		if err != nil {
			b.Error(err)
		}
		_, _ = w.Write(out)
	}))
	defer server.Close()
	client := server.Client()
	client.Transport.(*http.Transport).MaxIdleConnsPerHost = 64
	const connections = 8
	measure := func(n int) []time.Duration {
		var wg sync.WaitGroup
		all := make([][]time.Duration, connections)
		for c := range connections {
			wg.Go(func() {
				for range n {
					begin := time.Now()
					resp, err := client.Post(server.URL, "", strings.NewReader("hello"))
					if err != nil {
						b.Error(err)
						return
					}
					_, _ = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
					all[c] = append(all[c], time.Since(begin))
				}
			})
		}
		wg.Wait()
		d := slices.Concat(all...)
		slices.Sort(d)
		return d
	}
	measure(100)
	for _, n := range []int{1, 2, 4} {
		b.Run(fmt.Sprintf("%d", n), func(b *testing.B) {
			var alone, beside []time.Duration
			for b.Loop() {
				alone = append(alone, measure(100)...)
				ctx, cancel := context.WithCancel(b.Context())
				var wg sync.WaitGroup
				for range n {
					wg.Go(func() { _, _ = spinners.Call(ctx, "op", (&script{}).do(spin).bytes()) })
				}
				measure(10)
				beside = append(beside, measure(100)...)
				cancel()
				wg.Wait()
			}
			slices.Sort(alone)
			slices.Sort(beside)
			p := func(d []time.Duration, q float64) float64 { return float64(d[int(float64(len(d))*q)]) / 1e3 }
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(p(alone, 0.5), "us-p50")
			b.ReportMetric(p(beside, 0.5), "us-p50-beside")
			b.ReportMetric(p(alone, 0.99), "us-p99")
			b.ReportMetric(p(beside, 0.99), "us-p99-beside")
			b.ReportMetric(p(beside, 0.99)/p(alone, 0.99), "x-p99")
		})
	}
}
