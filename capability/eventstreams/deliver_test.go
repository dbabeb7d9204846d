package eventstreams_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/eventstreams"
	pb "github.com/waxosuit/waxo/capability/payload/eventstreampb"
)

// TestDelivery: events come once, as they were written, also those from before the
// guest was bound, and not again when it is bound anew.
func TestDelivery(t *testing.T) {
	url := start(t, nil).URL()
	writer := bind(t, url, nil, nil, nil)
	before := mustWrite(t, writer, "orders, *%", "before")
	mustWrite(t, writer, "others", "not for us")
	g, events := collect()
	config := map[string]string{"deliver": " orders%2C %2A%25 ,second"}
	p := bind(t, url, g, nil, config)
	e := receive(t, events, "the event from before")
	if e.EventID != before || e.Stream != "orders, *%" || !maps.Equal(e.Values, map[string]string{"v": "before"}) {
		t.Errorf("delivered %+v", e)
	}
	now := mustWrite(t, writer, "second", "now")
	if e := receive(t, events, "the event"); e.EventID != now || e.Stream != "second" {
		t.Errorf("delivered %+v", e)
	}
	if err := p.Unbind(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	meanwhile := mustWrite(t, writer, "second", "meanwhile")
	bind(t, url, g, nil, config)
	if e := receive(t, events, "the event"); e.EventID != meanwhile {
		t.Errorf("delivered %+v", e)
	}
	// A stream more is a change of what is delivered, from the first event on.
	second := eventstreams.New(nil)
	other := capability.BindingID{Guest: id.Guest, Name: "other"}
	defer second.Close(context.Background())
	if err := second.Bind(t.Context(), capability.Binding{BindingID: other, Config: map[string]string{"url": url, "deliver": "*", "concurrency": "1"}}, g); err != nil {
		t.Fatal(err)
	}
	var got []string
	for range 4 {
		got = append(got, receive(t, events, "an event").Values["v"])
	}
	if want := []string{"before", "not for us", "now", "meanwhile"}; !slices.Equal(got, want) {
		t.Errorf("all events are %q, want %q", got, want)
	}
}

func TestFromNew(t *testing.T) {
	url := start(t, nil).URL()
	writer := bind(t, url, nil, nil, nil)
	mustWrite(t, writer, "s", "old")
	g, events := collect()
	config := map[string]string{"deliver": "s", "from": "new"}
	p := bind(t, url, g, nil, config)
	mustWrite(t, writer, "s", "new")
	if e := receive(t, events, "the event"); e.Values["v"] != "new" {
		t.Errorf("delivered %+v", e)
	}
	if err := p.Unbind(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	// It counts for the first time alone.
	mustWrite(t, writer, "s", "meanwhile")
	bind(t, url, g, nil, config)
	if e := receive(t, events, "the event"); e.Values["v"] != "meanwhile" {
		t.Errorf("delivered %+v", e)
	}
}

// TestRedelivery: an event on which the guest fails comes again, later each time,
// and the others come meanwhile.
func TestRedelivery(t *testing.T) {
	url := start(t, nil).URL()
	var attempts []time.Time
	done, others := make(chan struct{}), make(chan string, 10)
	g := guest(func(_ context.Context, e *pb.Event) ([]byte, error) {
		if e.Values["v"] != "poison" {
			others <- e.Values["v"]
			return nil, nil
		}
		if attempts = append(attempts, time.Now()); len(attempts) < 4 {
			return nil, &capability.Error{Code: capability.CodeTrap, Message: "not yet"}
		}
		close(done)
		return []byte("anything"), nil
	})
	var log logged
	p := bind(t, url, g, &eventstreams.Options{Log: log.logger()}, map[string]string{"deliver": "s", "concurrency": "2"})
	mustWrite(t, p, "s", "poison")
	mustWrite(t, p, "s", "fine")
	receive(t, others, "the other event")
	receive(t, done, "the event to come again")
	for i, least := range []time.Duration{100, 200, 400} {
		if gap := attempts[i+1].Sub(attempts[i]); gap < least*time.Millisecond {
			t.Errorf("it came again after %v, want %d ms", gap, least)
		}
	}
	if err := p.Unbind(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if len(attempts) != 4 {
		t.Errorf("it came %d times", len(attempts))
	}
	if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "not yet") {
		t.Errorf("the log:\n%s", text)
	}
}

// TestOrder: with a concurrency of 1 an event waits until the one before it is
// done with, however often that fails; with more, as many as that are in hand.
func TestOrder(t *testing.T) {
	url := start(t, nil).URL()
	var order []string
	done := make(chan struct{})
	failed := false
	g := guest(func(_ context.Context, e *pb.Event) ([]byte, error) {
		if e.Values["v"] == "10" && !failed {
			failed = true
			return nil, &capability.Error{Code: capability.CodeGuest, Message: "once"}
		}
		if order = append(order, e.Values["v"]); len(order) == 50 {
			close(done)
		}
		return nil, nil
	})
	p := bind(t, url, g, nil, map[string]string{"deliver": "s", "concurrency": "1"})
	var want []string
	for i := range 50 {
		want = append(want, fmt.Sprint(i))
		mustWrite(t, p, "s", want[i])
	}
	receive(t, done, "all events")
	if !slices.Equal(order, want) {
		t.Errorf("the order is %v", order)
	}
	if err := p.Unbind(t.Context(), id); err != nil {
		t.Fatal(err)
	}
}

func TestConcurrency(t *testing.T) {
	url := start(t, nil).URL()
	var now, total atomic.Int32
	full, release := make(chan struct{}, 100), make(chan struct{})
	const limit, events = 5, 40
	g := guest(func(context.Context, *pb.Event) ([]byte, error) {
		if now.Add(1) == limit {
			full <- struct{}{}
		}
		<-release
		if now.Add(-1) >= limit {
			t.Error("more than that at once")
		}
		total.Add(1)
		return nil, nil
	})
	p := bind(t, url, g, nil, map[string]string{"deliver": "s", "concurrency": fmt.Sprint(limit)})
	for range events {
		mustWrite(t, p, "s", "")
	}
	receive(t, full, "the deliveries")
	close(release)
	wait(t, "all events", func() bool { return total.Load() == events })
}

// TestLongWork: an event that is being worked on for longer than the server waits
// for a word of it does not come again.
func TestLongWork(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 13 s")
	}
	t.Parallel()
	url := start(t, nil).URL()
	var seen atomic.Int32
	begun, proceed := make(chan struct{}, 10), make(chan struct{})
	g := guest(func(context.Context, *pb.Event) ([]byte, error) {
		seen.Add(1)
		begun <- struct{}{}
		<-proceed
		return nil, nil
	})
	p := bind(t, url, g, nil, map[string]string{"deliver": "s"})
	mustWrite(t, p, "s", "")
	receive(t, begun, "the event")
	select {
	case <-begun:
		t.Error("it came again")
	case <-time.After(13 * time.Second):
	}
	close(proceed)
	if err := p.Unbind(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if seen.Load() != 1 {
		t.Errorf("it came %d times", seen.Load())
	}
}

// TestUnbind: the delivery in hand is finished, with the calls that it makes; where
// there is no time for it, its event comes again.
func TestUnbind(t *testing.T) {
	url := start(t, nil).URL()
	var p *eventstreams.Provider
	begun, proceed := make(chan struct{}, 10), make(chan struct{})
	g := guest(func(ctx context.Context, e *pb.Event) ([]byte, error) {
		begun <- struct{}{}
		select {
		case <-proceed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		_, err := write(ctx, p, "results", "of "+e.Values["v"])
		return nil, err
	})
	config := map[string]string{"deliver": "s"}
	p = bind(t, url, g, nil, config)
	mustWrite(t, p, "s", "first")
	receive(t, begun, "the event")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	is(t, p.Unbind(ctx, id), capability.CodeDeadline)

	p = bind(t, url, g, nil, config)
	receive(t, begun, "the event to come again")
	unbound := make(chan error)
	go func() { unbound <- p.Unbind(context.Background(), id) }()
	select {
	case err := <-unbound:
		t.Fatalf("Unbind returned with a delivery in hand: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	close(proceed)
	if err := receive(t, unbound, "Unbind"); err != nil {
		t.Error(err)
	}
	p = bind(t, url, g, nil, config)
	if got := values(t, p, &pb.StreamQuery{StreamID: "results"}); !slices.Equal(got, []string{"of first"}) {
		t.Errorf("the results are %q", got)
	}
}
