package eventstreams_test

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
	"github.com/nats-io/nats.go/jetstream"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/eventstreams"
	pb "github.com/waxosuit/waxo/capability/payload/eventstreampb"
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
func client(t testing.TB, url string) jetstream.JetStream {
	t.Helper()
	c, err := natsgo.Connect(url, natsgo.MaxReconnects(-1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	js, err := jetstream.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// guest is a guest that does with an event what a test says.
type guest func(ctx context.Context, e *pb.Event) ([]byte, error)

func (g guest) Dispatch(ctx context.Context, operation string, payload, into []byte) (capability.Reply, error) {
	event := new(pb.Event)
	if err := event.UnmarshalProto(bytes.Clone(payload)); err != nil || operation != capability.OpDeliverEvent {
		panic(operation)
	}
	answer, err := g(ctx, event)
	if err != nil {
		return capability.Reply{}, err
	}
	return capability.Reply{Payload: append(into[:0], answer...)}, nil
}

// collect is a guest that puts what it is given into a channel.
func collect() (guest, chan *pb.Event) {
	events := make(chan *pb.Event, 10_000)
	return func(_ context.Context, e *pb.Event) ([]byte, error) { events <- e; return nil, nil }, events
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
func bind(t testing.TB, url string, g guest, opts *eventstreams.Options, config map[string]string) *eventstreams.Provider {
	t.Helper()
	p := eventstreams.New(opts)
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

// bindSlowly is bind for a cluster that has just started.
func bindSlowly(t testing.TB, urls string, g guest, config map[string]string) *eventstreams.Provider {
	t.Helper()
	return bind(t, urls, g, &eventstreams.Options{BindTimeout: 30 * time.Second}, config)
}

type encoder interface{ AppendProto([]byte) []byte }

// call performs an operation as the host does.
func call(ctx context.Context, p *eventstreams.Provider, op string, req encoder) ([]byte, error) {
	return p.Call(ctx, capability.Call{BindingID: id, Operation: op, Payload: req.AppendProto(nil), Into: []byte("what is in the room means nothing")})
}

// write writes an event with one value, and returns its id.
func write(ctx context.Context, p *eventstreams.Provider, stream, value string) (string, error) {
	answer, err := call(ctx, p, capability.OpWriteEvent, &pb.Event{Stream: stream, Values: map[string]string{"v": value}})
	if err != nil {
		return "", err
	}
	var resp pb.WriteResponse
	if err := resp.UnmarshalProto(answer); err != nil {
		return "", err
	}
	return resp.EventID, nil
}

func mustWrite(t testing.TB, p *eventstreams.Provider, stream, value string) string {
	t.Helper()
	id, err := write(t.Context(), p, stream, value)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func query(ctx context.Context, p *eventstreams.Provider, q *pb.StreamQuery) ([]*pb.Event, error) {
	answer, err := call(ctx, p, capability.OpQueryStream, q)
	if err != nil {
		return nil, err
	}
	var results pb.StreamResults
	err = results.UnmarshalProto(answer)
	return results.Events, err
}

// values are those of the events that a query finds.
func values(t testing.TB, p *eventstreams.Provider, q *pb.StreamQuery) []string {
	t.Helper()
	events, err := query(t.Context(), p, q)
	if err != nil {
		t.Fatal(err)
	}
	found := []string{}
	for _, e := range events {
		if e.Stream != q.StreamID {
			t.Fatalf("an event of %q in the stream %q", e.Stream, q.StreamID)
		}
		found = append(found, e.Values["v"])
	}
	return found
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
	deadline := time.After(40 * time.Second)
	for !holds() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
