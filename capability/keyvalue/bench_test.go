package keyvalue_test

import (
	"testing"

	"github.com/waxosuit/waxo/capability"
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
