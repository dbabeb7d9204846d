package keyvalue_test

import (
	"sync"
	"testing"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/internal/cputime"
	pb "github.com/waxosuit/waxo/capability/payload/keyvaluepb"
)

// BenchmarkCall shows what the provider adds to the bare client, on each
// backend.
func BenchmarkCall(b *testing.B) {
	for _, server := range backends {
		url := server.url(b)
		p, c := bind(b, url), client(b, url)
		do(b, c, "SET", "k", "value")
		b.Run(server.name+"/Get", func(b *testing.B) {
			req := capability.Call{BindingID: id, Operation: get, Payload: (&pb.GetRequest{Key: "k"}).AppendProto(nil)}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Call(b.Context(), req); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(server.name+"/bare GET", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := c.Get(b.Context(), "k").Err(); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(server.name+"/Add", func(b *testing.B) {
			req := capability.Call{BindingID: id, Operation: add, Payload: (&pb.AddRequest{Key: "n"}).AppendProto(nil)}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Call(b.Context(), req); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(server.name+"/bare INCRBY", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := c.IncrBy(b.Context(), "n", 0).Err(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkGet has as many callers as a guest has instances get a value of a
// real server, in turns from the provider and from the bare client, and reports
// what each of them costs this process.
func BenchmarkGet(b *testing.B) {
	const callers, each = 16, 250
	url := realRedis(b)
	p, c := bind(b, url), client(b, url)
	do(b, c, "SET", "k", "value")
	all := func(one func(into []byte) error) func() {
		return func() {
			var wg sync.WaitGroup
			for range callers {
				wg.Go(func() {
					into := make([]byte, 0, 64)
					for range each {
						if err := one(into); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
		}
	}
	request := (&pb.GetRequest{Key: "k"}).AppendProto(nil)
	provider := all(func(into []byte) error {
		_, err := p.Call(b.Context(), capability.Call{BindingID: id, Operation: get, Payload: request, Into: into})
		return err
	})
	bare := all(func([]byte) error { return c.Get(b.Context(), "k").Err() })
	var ours, theirs cputime.Meter
	for b.Loop() {
		ours.Round(b, callers*each, provider)
		theirs.Round(b, callers*each, bare)
	}
	ours.Report(b, "provider", &theirs, "client")
}
