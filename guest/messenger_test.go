package guest_test

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/eventstreams"
	"github.com/waxosuit/waxo/capability/messaging"
	"github.com/waxosuit/waxo/capability/payload/messagingpb"
	"github.com/waxosuit/waxo/emulators/nats"
	"github.com/waxosuit/waxo/guest/guesttest"
)

// instance is a guest that serves one call after another.
type instance struct {
	mu    sync.Mutex
	guest *guesttest.Guest
}

// serving brings the operations of a capability to an instance.
type serving struct {
	*instance
	capability string
}

func (s serving) Dispatch(ctx context.Context, operation string, payload, into []byte) (capability.Reply, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	answer, err := s.guest.View(ctx, capability.Waxosuit.Spell(s.capability, operation), payload)
	if err != nil {
		return capability.Reply{}, &capability.Error{Code: capability.CodeGuest, Message: err.Error()}
	}
	return capability.Reply{Payload: append(into[:0], answer...)}, nil
}

// others are those with whom the guest exchanges messages.
type others chan *messagingpb.BrokerMessage

func (o others) Dispatch(_ context.Context, _ string, payload, _ []byte) (capability.Reply, error) {
	d := new(messagingpb.DeliverMessage)
	if err := d.UnmarshalProto(bytes.Clone(payload)); err != nil {
		return capability.Reply{}, capability.AsError(err)
	}
	o <- d.Message
	return capability.Reply{}, nil
}

// TestMessenger has a guest, through the SDK, perform every operation on messages
// and events, on the providers of production.
func TestMessenger(t *testing.T) {
	server, err := nats.Start(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	messages, streams := messaging.New(nil), eventstreams.New(nil)
	id := capability.BindingID{Guest: "MGUEST", Name: capability.DefaultBinding}
	g := guesttest.Run(t, guesttest.Build(t, "testdata/messenger"), func(binding, namespace, operation string, payload []byte) ([]byte, error) {
		p := map[string]capability.Provider{capability.Messaging: messages, capability.EventStreams: streams}[namespace]
		_, bare, err := capability.Resolve(namespace, operation)
		if err != nil {
			return nil, err
		}
		return p.Call(t.Context(), capability.Call{BindingID: capability.BindingID{Guest: id.Guest, Name: binding}, Operation: bare, Payload: payload})
	})
	one := &instance{guest: g}
	bind := func(p capability.Provider, id capability.BindingID, d capability.Dispatcher, config map[string]string) {
		t.Helper()
		config["url"] = server.URL()
		if err := p.Bind(t.Context(), capability.Binding{BindingID: id, Config: config}, d); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			if err := p.Close(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	bind(messages, id, serving{one, capability.Messaging}, map[string]string{"subscriptions": "guest.*"})
	world, outside := make(others, 100), capability.BindingID{Guest: "MOUTSIDE", Name: capability.DefaultBinding}
	bind(messages, outside, world, map[string]string{"subscriptions": "outside.*,settled"})
	bind(streams, id, serving{one, capability.EventStreams}, map[string]string{"deliver": "watched"})

	send := func(operation string, payload interface{ AppendProto([]byte) []byte }) string {
		t.Helper()
		answer, err := messages.Call(t.Context(), capability.Call{BindingID: outside, Operation: operation, Payload: payload.AppendProto(nil)})
		if err != nil {
			t.Fatal(err)
		}
		return string(answer)
	}
	ask := func(deed, body, want string) {
		t.Helper()
		if got := send(capability.OpRequest, &messagingpb.RequestMessage{Subject: "guest." + deed, Body: []byte(body)}); got != want && !(strings.HasSuffix(want, "...") && strings.HasPrefix(got, want[:len(want)-3])) {
			t.Errorf("%s %q: %q, want %q", deed, body, got, want)
		}
	}
	arrives := func(subject, body string) *messagingpb.BrokerMessage {
		t.Helper()
		select {
		case m := <-world:
			if m.Subject != subject || string(m.Body) != body {
				t.Errorf("%s got %q, want %s %q", m.Subject, m.Body, subject, body)
			}
			return m
		case <-time.After(20 * time.Second):
			t.Fatalf("no message came to %s", subject)
			return nil
		}
	}
	ask("echo", "hello \x00\xff", "hello \x00\xff")
	send(capability.OpPublish, &messagingpb.PublishMessage{Message: &messagingpb.BrokerMessage{Subject: "guest.forward", ReplyTo: "there", Body: []byte("outside.x a message")}})
	if m := arrives("outside.x", "a message"); m.ReplyTo != "there" {
		t.Errorf("forwarded %+v", m)
	}
	ask("ask", "nobody", `they say not_found: nobody subscribes to "nobody", so nobody answers`)
	ask("ask", "$JS.API.INFO", "they say denied: the subject...")
	ask("write", "plain one", "1")
	ask("write", "plain two", "2")
	ask("query", "plain", "1 one,2 two")
	ask("query", "nothing", "")
	ask("write", "watched three", "3")
	arrives("settled", "3 watched three")
	replies := make(chan string)
	go func() {
		m := <-world
		_, err := messages.Call(t.Context(), capability.Call{BindingID: outside, Operation: capability.OpPublish, Payload: (&messagingpb.PublishMessage{
			Message: &messagingpb.BrokerMessage{Subject: m.ReplyTo, Body: append([]byte("re: "), m.Body...)},
		}).AppendProto(nil)})
		if err != nil {
			t.Error(err)
		}
		replies <- string(m.Body)
	}()
	ask("ask", "outside.y how are you", "they say re: how are you")
	if body := <-replies; body != "how are you" {
		t.Errorf("asked %q", body)
	}
}
