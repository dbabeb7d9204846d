package messaging_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/messaging"
	pb "github.com/waxosuit/waxo/capability/payload/messagingpb"
	"github.com/waxosuit/waxo/emulators/nats"
)

var id = capability.BindingID{Guest: "MGUEST", Name: capability.DefaultBinding}

func start(t testing.TB, opts *nats.Options) *nats.Server {
	t.Helper()
	s, err := nats.Start(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// client is the other client of a server.
func client(t testing.TB, url string) *natsgo.Conn {
	t.Helper()
	c, err := natsgo.Connect(url, natsgo.MaxReconnects(-1), natsgo.ReconnectWait(10*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// guest is a guest that does with a message what a test says.
type guest func(ctx context.Context, m *pb.BrokerMessage) ([]byte, error)

func (g guest) Dispatch(ctx context.Context, operation string, payload, into []byte) (capability.Reply, error) {
	var req pb.DeliverMessage
	if err := req.UnmarshalProto(bytes.Clone(payload)); err != nil || operation != capability.OpDeliverMessage || req.Message == nil {
		panic(operation)
	}
	answer, err := g(ctx, req.Message)
	if err != nil {
		return capability.Reply{}, err
	}
	return capability.Reply{Payload: append(into[:0], answer...)}, nil
}

// logged collects a log.
type logged struct {
	mu  sync.Mutex
	out bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.String()
}

func (l *logged) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// bind makes a provider that is bound to a server, and to a guest, which may be nil.
func bind(t testing.TB, url string, g guest, opts *messaging.Options, config map[string]string) *messaging.Provider {
	t.Helper()
	p := messaging.New(opts)
	all := map[string]string{"url": url}
	maps.Copy(all, config)
	if err := p.Bind(t.Context(), capability.Binding{BindingID: id, GuestName: "tester", Config: all}, g); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := p.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return p
}

type encoder interface{ AppendProto([]byte) []byte }

// call performs an operation as the host does.
func call(ctx context.Context, p *messaging.Provider, op string, req encoder) ([]byte, error) {
	return p.Call(ctx, capability.Call{BindingID: id, Operation: op, Payload: req.AppendProto(nil), Into: []byte("what is in the room means nothing")})
}

func publish(ctx context.Context, p *messaging.Provider, subject, replyTo, body string) error {
	req := &pb.PublishMessage{Message: &pb.BrokerMessage{Subject: subject, ReplyTo: replyTo, Body: []byte(body)}}
	answer, err := call(ctx, p, capability.OpPublish, req)
	if len(answer) > 0 {
		panic("an answer to Publish")
	}
	return err
}

func request(ctx context.Context, p *messaging.Provider, subject, body string, timeout time.Duration) (string, error) {
	answer, err := call(ctx, p, capability.OpRequest, &pb.RequestMessage{Subject: subject, Body: []byte(body), TimeoutMs: timeout.Milliseconds()})
	return string(answer), err
}

// is checks the kind of an error, and that its text has all of some parts.
func is(t testing.TB, err error, code capability.Code, parts ...string) {
	t.Helper()
	if !errors.Is(err, &capability.Error{Code: code}) {
		t.Errorf("the error is %v, want one of %s", err, code)
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error is %v, want one with %q", err, part)
		}
	}
}

// receive returns what comes from a channel.
func receive[T any](t testing.TB, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(20 * time.Second):
		t.Fatalf("waited in vain for %s", what)
		panic("unreachable")
	}
}

// wait polls until something holds, or fails the test.
func wait(t testing.TB, what string, holds func() bool) {
	t.Helper()
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(20 * time.Second)
	for !holds() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
