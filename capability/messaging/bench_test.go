package messaging_test

import (
	"context"
	"sync"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/internal/cputime"
	pb "github.com/waxosuit/waxo/capability/payload/messagingpb"
)

const callers, each = 16, 250

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

// compare performs calls in turns from the provider and from the bare client, and
// reports what each of them costs this process, the server included.
func compare(b *testing.B, provider, bare func() error) {
	var ours, theirs cputime.Meter
	for b.Loop() {
		ours.Round(b, callers*each, all(b, provider))
		theirs.Round(b, callers*each, all(b, bare))
	}
	ours.Report(b, "provider", &theirs, "client")
}

// BenchmarkPublish compares with a client that waits until the server has taken
// its message, as the provider does.
func BenchmarkPublish(b *testing.B) {
	url := start(b, nil).URL()
	p, c := bind(b, url, nil, nil, nil), client(b, url)
	body := make([]byte, 64)
	req := capability.Call{
		BindingID: id, Operation: capability.OpPublish,
		Payload: (&pb.PublishMessage{Message: &pb.BrokerMessage{Subject: "bench", Body: body}}).AppendProto(nil),
	}
	ctx, cancel := context.WithTimeout(b.Context(), time.Hour)
	defer cancel()
	compare(b, func() error {
		_, err := p.Call(ctx, req)
		return err
	}, func() error {
		if err := c.Publish("bench", body); err != nil {
			return err
		}
		return c.FlushWithContext(ctx)
	})
}

func BenchmarkRequest(b *testing.B) {
	url := start(b, nil).URL()
	p, c := bind(b, url, nil, nil, nil), client(b, url)
	echo := client(b, url)
	if _, err := echo.Subscribe("echo", func(m *natsgo.Msg) { m.Respond(m.Data) }); err != nil {
		b.Fatal(err)
	}
	if err := echo.Flush(); err != nil {
		b.Fatal(err)
	}
	body := make([]byte, 64)
	req := capability.Call{BindingID: id, Operation: capability.OpRequest, Payload: (&pb.RequestMessage{Subject: "echo", Body: body}).AppendProto(nil)}
	ctx, cancel := context.WithTimeout(b.Context(), time.Hour)
	defer cancel()
	compare(b, func() error {
		_, err := p.Call(ctx, req)
		return err
	}, func() error {
		_, err := c.RequestWithContext(ctx, "echo", body)
		return err
	})
}

// BenchmarkDeliver compares a delivery to a guest that does nothing with a
// callback that does nothing.
func BenchmarkDeliver(b *testing.B) {
	url := start(b, nil).URL()
	var ours, theirs sync.WaitGroup
	g := guest(func(context.Context, *pb.BrokerMessage) ([]byte, error) { ours.Done(); return nil, nil })
	bind(b, url, g, nil, map[string]string{"subscriptions": "ours"})
	c, sender := client(b, url), client(b, url)
	if _, err := c.Subscribe("theirs", func(*natsgo.Msg) { theirs.Done() }); err != nil {
		b.Fatal(err)
	}
	if err := c.Flush(); err != nil {
		b.Fatal(err)
	}
	body := make([]byte, 64)
	send := func(subject string, arrived *sync.WaitGroup) func() {
		return func() {
			arrived.Add(callers * each)
			for range callers * each {
				if err := sender.Publish(subject, body); err != nil {
					b.Fatal(err)
				}
			}
			arrived.Wait()
		}
	}
	var a, z cputime.Meter
	for b.Loop() {
		a.Round(b, callers*each, send("ours", &ours))
		z.Round(b, callers*each, send("theirs", &theirs))
	}
	a.Report(b, "provider", &z, "client")
}
