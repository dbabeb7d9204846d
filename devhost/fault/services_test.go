package fault_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/blobstore"
	"github.com/waxosuit/waxo/capability/messaging"
	"github.com/waxosuit/waxo/capability/payload/blobstorepb"
	"github.com/waxosuit/waxo/capability/payload/messagingpb"
	"github.com/waxosuit/waxo/devhost/fault"
	"github.com/waxosuit/waxo/emulators/nats"
	"github.com/waxosuit/waxo/emulators/s3"
)

// patience is how long a service may take to be found again.
const patience = 20 * time.Second

// received is a guest that passes on what it is delivered.
type received chan string

func (r received) Dispatch(_ context.Context, _ string, payload, _ []byte) (capability.Reply, error) {
	var m messagingpb.DeliverMessage
	if err := m.UnmarshalProto(payload); err != nil {
		return capability.Reply{}, err
	}
	r <- string(m.Message.Body)
	return capability.Reply{}, nil
}

// cutTwice expects that a call fails while its service is cut off, and is answered
// again afterwards, both times. It makes three calls that are answered, and returns
// how to make another one.
func cutTwice(t *testing.T, inner capability.Provider, config map[string]string, d capability.Dispatcher, operation string, payload []byte) (call func() error) {
	t.Helper()
	i := fault.New(nil)
	p := i.Wrap(inner)
	name := inner.Describe().Capability
	t.Cleanup(func() {
		if err := errors.Join(i.Close(context.Background()), p.Close(context.Background())); err != nil {
			t.Error(err)
		}
	})
	if err := p.Bind(t.Context(), capability.Binding{BindingID: id, Config: config}, d); err != nil {
		t.Fatal(err)
	}
	call = func() error {
		_, err := p.Call(t.Context(), capability.Call{BindingID: id, Operation: operation, Payload: payload})
		return err
	}
	if err := call(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := i.Set(t.Context(), fault.Fault{Capability: name, Cut: true}); err != nil {
			t.Fatal(err)
		}
		if err := call(); !errors.Is(err, &capability.Error{Code: capability.CodeUnavailable}) || !i.List()[0].Real {
			t.Errorf("while it is cut off: %v, %+v", err, i.List())
		}
		if _, err := i.Clear(t.Context(), "", ""); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		for err := call(); err != nil; err = call() {
			if time.Since(begun) > patience {
				t.Fatal("afterwards: ", err)
			}
		}
	}
	return call
}

// TestNATSIsCut: what the guest subscribed to is delivered afterwards, too.
func TestNATSIsCut(t *testing.T) {
	server, err := nats.Start(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	got := make(received, 10)
	message := messagingpb.PublishMessage{Message: &messagingpb.BrokerMessage{Subject: "news", Body: []byte("x")}}
	config := map[string]string{"url": server.URL(), "subscriptions": "news"}
	publish := cutTwice(t, messaging.New(nil), config, got, capability.OpPublish, message.AppendProto(nil))
	const published = 3 // around the cuts, by which each of them may get lost
	for range published + 1 {
		if err := publish(); err != nil {
			t.Fatal(err)
		}
	}
	for range published + 1 {
		select {
		case <-got:
		case <-time.After(patience):
			t.Fatal("a message is missing")
		}
	}
}

func TestS3IsCut(t *testing.T) {
	server, err := s3.Start(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	container := blobstorepb.Container{ID: "shelf"}
	cutTwice(t, blobstore.New(nil), map[string]string{"url": server.URL()}, make(received), capability.OpCreateContainer, container.AppendProto(nil))
}
