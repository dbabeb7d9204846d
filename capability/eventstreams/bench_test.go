package eventstreams_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/internal/cputime"
	pb "github.com/waxosuit/waxo/capability/payload/eventstreampb"
)

const callers, each = 16, 100

// all has as many callers as a guest may have instances perform calls.
func all(b *testing.B, one func() error) func() {
	return func() {
		var wg sync.WaitGroup
		for range callers {
			wg.Go(func() {
				for range each {
					if err := one(); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
	}
}

// BenchmarkWriteEvent compares with a bare client that publishes the same bytes to
// the same stream, and waits likewise. The server is in this process, and counted.
func BenchmarkWriteEvent(b *testing.B) {
	url := start(b, nil).URL()
	p, js := bind(b, url, nil, nil, nil), client(b, url)
	event := pb.Event{Stream: "bench", Values: map[string]string{"name": "value", "other": "of some more length"}}
	req := capability.Call{BindingID: id, Operation: capability.OpWriteEvent, Payload: event.AppendProto(nil)}
	ctx, cancel := context.WithTimeout(b.Context(), time.Hour)
	defer cancel()
	provider := all(b, func() error {
		_, err := p.Call(ctx, req)
		return err
	})
	bare := all(b, func() error {
		_, err := js.Publish(ctx, "$WAXO.EVENTS.default.bench", req.Payload)
		return err
	})
	var ours, theirs cputime.Meter
	for b.Loop() {
		ours.Round(b, callers*each, provider)
		theirs.Round(b, callers*each, bare)
	}
	ours.Report(b, "provider", &theirs, "client")
}

// BenchmarkQueryStream finds 100 events, and compares with a bare client that reads
// as many with a consumer that it makes and deletes.
func BenchmarkQueryStream(b *testing.B) {
	url := start(b, nil).URL()
	p, js := bind(b, url, nil, nil, nil), client(b, url)
	for range 100 {
		mustWrite(b, p, "bench", "value")
	}
	req := capability.Call{BindingID: id, Operation: capability.OpQueryStream, Payload: (&pb.StreamQuery{StreamID: "bench"}).AppendProto(nil)}
	ctx, cancel := context.WithTimeout(b.Context(), time.Hour)
	defer cancel()
	provider := func() {
		for range each {
			if _, err := p.Call(ctx, req); err != nil {
				b.Fatal(err)
			}
		}
	}
	const stream = "WAXO_EVENTS_default"
	bare := func() {
		for range each {
			c, err := js.CreateConsumer(ctx, stream, jetstream.ConsumerConfig{FilterSubject: "$WAXO.EVENTS.default.bench", AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true})
			if err != nil {
				b.Fatal(err)
			}
			batch, err := c.FetchNoWait(100)
			if err != nil {
				b.Fatal(err)
			}
			n := 0
			for range batch.Messages() {
				n++
			}
			if n != 100 || js.DeleteConsumer(ctx, stream, c.CachedInfo().Name) != nil {
				b.Fatal(n, "messages")
			}
		}
	}
	var ours, theirs cputime.Meter
	for b.Loop() {
		ours.Round(b, each, provider)
		theirs.Round(b, each, bare)
	}
	ours.Report(b, "provider", &theirs, "client")
}
