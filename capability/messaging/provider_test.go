package messaging_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/messaging"
	pb "github.com/waxosuit/waxo/capability/payload/messagingpb"
)

// TestReplies: a guest replies by publishing; what it answers goes nowhere, not
// even where it looks like a message.
func TestReplies(t *testing.T) {
	url := start(t, nil).URL()
	var p *messaging.Provider
	g := guest(func(ctx context.Context, m *pb.BrokerMessage) ([]byte, error) {
		if err := publish(ctx, p, m.ReplyTo, "", "reply to "+string(m.Body)); err != nil {
			return nil, err
		}
		return (&pb.BrokerMessage{Subject: m.ReplyTo, Body: []byte("twice")}).AppendProto(nil), nil
	})
	p = bind(t, url, g, nil, map[string]string{"subscriptions": "greet"})
	other := client(t, url)
	inbox, err := other.SubscribeSync("answers")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if err := other.PublishRequest("greet", "answers", fmt.Append(nil, i)); err != nil {
			t.Fatal(err)
		}
		m, err := inbox.NextMsg(10 * time.Second)
		if err != nil || string(m.Data) != fmt.Sprint("reply to ", i) {
			t.Fatalf("%+v, %v", m, err)
		}
	}
	// What would have come twice, would have come before this.
	if reply, err := other.Request("greet", []byte("last"), 10*time.Second); err != nil || string(reply.Data) != "reply to last" {
		t.Error(reply, err)
	}
	if n, _, _ := inbox.Pending(); n != 0 {
		t.Errorf("%d replies too many", n)
	}
}

// TestConcurrency: as many deliveries as were asked for run side by side, no
// more, and with one of them the order is kept.
func TestConcurrency(t *testing.T) {
	url := start(t, nil).URL()
	for _, limit := range []int{1, 5, 16} {
		var now, most, total atomic.Int32
		var order []string
		release, full := make(chan struct{}), make(chan struct{})
		g := guest(func(_ context.Context, m *pb.BrokerMessage) ([]byte, error) {
			n := now.Add(1)
			defer now.Add(-1)
			for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
			}
			if n == int32(limit) && total.Load() == 0 {
				select {
				case full <- struct{}{}:
				case <-release:
				}
			}
			<-release
			if total.Add(1); limit == 1 {
				order = append(order, string(m.Body))
			}
			return nil, nil
		})
		config := map[string]string{"subscriptions": fmt.Sprintf(" many.%d.* , more.%[1]d", limit), "concurrency": fmt.Sprint(limit)}
		if limit == 16 {
			delete(config, "concurrency") // the default
		}
		p := bind(t, url, g, nil, config)
		other := client(t, url)
		const messages = 100
		for i := range messages {
			if err := other.Publish(fmt.Sprintf("many.%d.x", limit), fmt.Appendf(nil, "%03d", i)); err != nil {
				t.Fatal(err)
			}
		}
		other.Flush()
		receive(t, full, "the deliveries")
		close(release)
		wait(t, "all messages", func() bool { return total.Load() == messages })
		if most.Load() != int32(limit) {
			t.Errorf("%d deliveries side by side, want %d", most.Load(), limit)
		}
		if err := p.Unbind(t.Context(), id); err != nil {
			t.Error(err)
		}
		if limit == 1 && !slices.IsSorted(order) {
			t.Errorf("the order is %v", order)
		}
	}
}

// TestQueueGroup: of those in a group one is given each message.
func TestQueueGroup(t *testing.T) {
	url := start(t, nil).URL()
	var all, shared atomic.Int32
	count := func(n *atomic.Int32) guest {
		return func(context.Context, *pb.BrokerMessage) ([]byte, error) { n.Add(1); return nil, nil }
	}
	for range 3 {
		bind(t, url, count(&shared), nil, map[string]string{"subscriptions": "work", "queue_group": "workers"})
	}
	bind(t, url, count(&all), nil, map[string]string{"subscriptions": "work"})
	other := client(t, url)
	const messages = 200
	for range messages {
		if err := other.Publish("work", nil); err != nil {
			t.Fatal(err)
		}
	}
	wait(t, "all messages", func() bool { return all.Load() == messages && shared.Load() >= messages })
	if shared.Load() != messages {
		t.Errorf("the group was given %d messages of %d", shared.Load(), messages)
	}
}

// TestUnbindDrains: what was taken from the server is delivered, and the guest
// can call until the last delivery has ended.
func TestUnbindDrains(t *testing.T) {
	url := start(t, nil).URL()
	const messages = 300
	var p *messaging.Provider
	var seen, replied atomic.Int32
	begun, proceed := make(chan struct{}, messages), make(chan struct{})
	g := guest(func(ctx context.Context, m *pb.BrokerMessage) ([]byte, error) {
		seen.Add(1)
		begun <- struct{}{}
		<-proceed
		if err := publish(ctx, p, m.ReplyTo, "", "done"); err != nil {
			return nil, err
		}
		replied.Add(1)
		return nil, nil
	})
	p = bind(t, url, g, nil, map[string]string{"subscriptions": "work"})
	other := client(t, url)
	for range messages {
		if err := other.PublishRequest("work", "done", nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := other.Flush(); err != nil {
		t.Fatal(err)
	}
	receive(t, begun, "a delivery")
	unbound := make(chan error)
	go func() { unbound <- p.Unbind(context.Background(), id) }()
	wait(t, "the subscription to end", func() bool {
		_, err := other.Request("work", nil, 50*time.Millisecond)
		return errors.Is(err, natsgo.ErrNoResponders)
	})
	select {
	case err := <-unbound:
		t.Fatalf("Unbind returned with a delivery in hand: %v", err)
	default:
	}
	close(proceed)
	if err := receive(t, unbound, "Unbind"); err != nil {
		t.Error(err)
	}
	if seen.Load() < messages || replied.Load() < messages {
		t.Errorf("of %d messages %d were delivered and %d replied to", messages, seen.Load(), replied.Load())
	}
	is(t, publish(t.Context(), p, "work", "", ""), capability.CodeUnavailable, "not bound")
}

func TestUnbindHasADeadline(t *testing.T) {
	url := start(t, nil).URL()
	begun, ended := make(chan struct{}, 100), make(chan struct{}, 100)
	g := guest(func(ctx context.Context, _ *pb.BrokerMessage) ([]byte, error) {
		begun <- struct{}{}
		<-ctx.Done()
		ended <- struct{}{}
		return nil, ctx.Err()
	})
	p := bind(t, url, g, nil, map[string]string{"subscriptions": "work", "concurrency": "1"})
	other := client(t, url)
	for range 2 {
		if err := other.Publish("work", nil); err != nil {
			t.Fatal(err)
		}
	}
	receive(t, begun, "a delivery")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	is(t, p.Unbind(ctx, id), capability.CodeDeadline)
	receive(t, ended, "the delivery to be given up")
}

func TestBindings(t *testing.T) {
	url := start(t, nil).URL()
	p := messaging.New(nil)
	ctx := t.Context()
	binding := capability.Binding{BindingID: id, Config: map[string]string{"url": url, "subscriptions": "x"}}
	is(t, publish(ctx, p, "x", "", ""), capability.CodeUnavailable, "not bound", id.Guest)
	for range 2 {
		if err := p.Unbind(ctx, id); err != nil {
			t.Errorf("Unbind of what is not bound: %v", err)
		}
	}
	quiet := guest(func(context.Context, *pb.BrokerMessage) ([]byte, error) { return nil, nil })
	for range 2 {
		if err := p.Bind(ctx, binding, quiet); err != nil {
			t.Fatal(err)
		}
		is(t, p.Bind(ctx, binding, quiet), capability.CodeConflict, "exists already")
		if err := publish(ctx, p, "x", "", ""); err != nil {
			t.Error(err)
		}
		if err := p.Unbind(ctx, id); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"default", "second"} {
		b := binding
		b.Name = name
		if err := p.Bind(ctx, b, quiet); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := p.Close(ctx); err != nil {
			t.Error(err)
		}
	}
	is(t, publish(ctx, p, "x", "", ""), capability.CodeUnavailable)
	is(t, p.Bind(ctx, binding, quiet), capability.CodeUnavailable, "closed")
}

func TestCloseLeavesNothing(t *testing.T) {
	url := start(t, nil).URL()
	p := messaging.New(nil)
	g := guest(func(context.Context, *pb.BrokerMessage) ([]byte, error) { return nil, nil })
	if err := p.Bind(t.Context(), capability.Binding{BindingID: id, Config: map[string]string{"url": url, "subscriptions": "a,b.>"}}, g); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if err := publish(t.Context(), p, "a", "", "x"); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	wait(t, "the goroutines to end", func() bool { return !running("/nats%2ego.(", "/capability/messaging.(", "/natsconn.(") })
}

// running tells whether a goroutine runs what one of the names leads, other than
// the test's own.
func running(names ...string) bool {
	stacks := make([]byte, 1<<20)
	for stack := range strings.SplitSeq(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
		for _, name := range names {
			if strings.Contains(stack, name) && !strings.Contains(stack, "_test.TestCloseLeavesNothing") {
				return true
			}
		}
	}
	return false
}

func TestBadConfigurations(t *testing.T) {
	for _, c := range []struct {
		config map[string]string
		want   string
	}{
		{map[string]string{"uri": "nats://127.0.0.1"}, `no configuration key "uri": there are url,`},
		{map[string]string{"url": "127.0.0.1:4222"}, "is no URL of a NATS server"},
		{map[string]string{"url": "http://secret@127.0.0.1:4222"}, "is no URL of a NATS server"},
		{map[string]string{"url": "nats://secret@127.0.0.1:port"}, "is no URL of a NATS server"},
		{map[string]string{"url": "nats://127.0.0.1,secret://x"}, "is no URL of a NATS server"},
		{map[string]string{"url": "nats://"}, "is no URL of a NATS server"},
		{map[string]string{"subscriptions": "a..b"}, "empty word"},
		{map[string]string{"subscriptions": "a b"}, "a space"},
		{map[string]string{"subscriptions": "fine,a.>.b"}, "not at its end"},
		{map[string]string{"subscriptions": "a", "queue_group": "x y"}, "queue_group"},
		{map[string]string{"concurrency": "0"}, "from 1 to 1024"},
		{map[string]string{"concurrency": "many"}, `"many"`},
		{map[string]string{"client_jwt": "secret"}, "belong together"},
		{map[string]string{"client_seed": "secret"}, "belong together"},
	} {
		err := messaging.New(nil).Bind(t.Context(), capability.Binding{BindingID: id, Config: c.config}, nil)
		is(t, err, capability.CodeInvalid, c.want)
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%v: the error shows the password: %v", c.config, err)
		}
	}
}

func TestServerIsNotThere(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	bindTo := func(opts *messaging.Options) error {
		config := map[string]string{"url": "nats://user:secret@" + addr}
		return messaging.New(opts).Bind(t.Context(), capability.Binding{BindingID: id, Config: config}, nil)
	}
	begun := time.Now()
	// The system takes the connection, and nobody ever answers.
	err = bindTo(&messaging.Options{BindTimeout: 50 * time.Millisecond})
	is(t, err, capability.CodeUnavailable, addr, "no answer in time", "start it")
	listener.Close()
	err = bindTo(nil)
	is(t, err, capability.CodeUnavailable, addr, "start it")
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("to find that out took %v", took)
	}
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("the error shows the password: %v", err)
	}
}

func TestBadCalls(t *testing.T) {
	p := bind(t, start(t, nil).URL(), nil, nil, nil)
	for _, op := range []string{"Frobnicate", capability.OpDeliverMessage} {
		_, err := p.Call(t.Context(), capability.Call{BindingID: id, Operation: op})
		is(t, err, capability.CodeUnsupported, op)
	}
	for _, op := range p.Describe().Operations {
		_, err := p.Call(t.Context(), capability.Call{BindingID: id, Operation: op, Payload: []byte("\x0a\xff")})
		is(t, err, capability.CodeInvalid)
	}
	_, err := request(t.Context(), p, "x", "", math.MinInt64)
	is(t, err, capability.CodeInvalid, "cannot wait for")
}

// TestRequestDeadlines: a request ends at its own time-out, at that of the call,
// or when the call is given up, whichever is first.
func TestRequestDeadlines(t *testing.T) {
	url := start(t, nil).URL()
	p := bind(t, url, nil, nil, nil)
	canceled, cancelAll := context.WithCancel(t.Context())
	defer cancelAll()
	other := client(t, url)
	for subject, take := range map[string]func(*natsgo.Msg){"hole": func(*natsgo.Msg) {}, "cancels": func(*natsgo.Msg) { cancelAll() }} {
		if _, err := other.Subscribe(subject, take); err != nil {
			t.Fatal(err)
		}
	}
	if err := other.Flush(); err != nil { // the server has the subscriptions
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	begun := time.Now()
	for _, timeout := range []time.Duration{0, time.Hour, math.MaxInt64} {
		_, err := request(short, p, "hole", "", timeout)
		is(t, err, capability.CodeDeadline)
	}
	_, err := request(t.Context(), p, "hole", "", 20*time.Millisecond)
	is(t, err, capability.CodeDeadline, `"hole"`, "in time")
	_, err = request(canceled, p, "cancels", "", time.Hour)
	is(t, err, capability.CodeCanceled)
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("that took %v", took)
	}
}

// TestAllAtOnce: as many requests as a guest has instances are under way at once.
func TestAllAtOnce(t *testing.T) {
	url := start(t, nil).URL()
	p := bind(t, url, nil, nil, nil)
	const calls = 128
	var waiting []*natsgo.Msg
	other := client(t, url)
	if _, err := other.Subscribe("echo", func(m *natsgo.Msg) {
		if waiting = append(waiting, m); len(waiting) == calls {
			for _, m := range slices.Backward(waiting) {
				m.Respond(m.Data)
			}
		}
	}); err != nil {
		t.Fatal(err)
	}
	if err := other.Flush(); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range calls {
		wg.Go(func() {
			if reply, err := request(t.Context(), p, "echo", fmt.Sprint(i), 0); err != nil || reply != fmt.Sprint(i) {
				t.Errorf("%d: %q, %v", i, reply, err)
			}
		})
	}
	wg.Wait()
}

func TestDescribe(t *testing.T) {
	d := messaging.New(nil).Describe()
	if d.Capability != capability.Messaging || d.Name == "" || !slices.Equal(d.Operations, []string{capability.OpPublish, capability.OpRequest}) {
		t.Errorf("%+v", d)
	}
}
