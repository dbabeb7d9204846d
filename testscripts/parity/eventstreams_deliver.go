package parity

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	pb "github.com/waxosuit/waxo/capability/payload/eventstreampb"
)

func deliveryCases() []Case {
	const n = NamePlaceholder
	var cases []Case
	for _, c := range []struct {
		name                 string
		rules                []string
		deliver, concurrency string
		run                  func(e *events)
	}{
		{"deliver", rules("EVT-11"), n + "s," + n + "t%2C", "4", deliverStreams},
		{"deliver in order", rules("EVT-13"), n + "s", "1", deliverInOrder},
		{"deliver at once", rules("EVT-11", "CAP-48"), n + "s0," + n + "s1," + n + "s2", "16", deliverAtOnce},
		{"an event on which the guest fails", rules("EVT-12"), n + "s", "2", failingOnEvents},
		{"an event that the end of a binding leaves", rules("EVT-11"), n + "s", "1", leftEvents},
		{"Unbind waits for a delivery", rules("CAP-38"), n + "s", "1", unbindInEvent},
		{"nothing after Unbind", rules("CAP-36"), n + "s", "4", noEventsAfterUnbind},
	} {
		cases = append(cases, Case{
			Name: c.name, Rules: c.rules, Operations: []string{writeEvent},
			Config: ownEvents(map[string]string{"deliver": c.deliver, "concurrency": c.concurrency}), Optional: optionalEvents(),
			Run: func(s *Session) { c.run(newEvents(s)) },
		})
	}
	return append(cases, Case{
		Name: "bindings with prefixes of their own", Rules: rules("CAP-33"), Operations: []string{writeEvent, queryStream},
		Config: map[string]string{"prefix": n, "concurrency": "1"}, Run: func(s *Session) { ownStreams(newEvents(s)) },
	})
}

// take has the guest put what it is given into a channel, unless fails says that it
// fails.
func (e *events) take(fails func(event *pb.Event) bool) <-chan *pb.Event {
	delivered := make(chan *pb.Event, 1000)
	e.Handle(deliverEvent, func(ctx context.Context, payload []byte) ([]byte, error) {
		event := new(pb.Event)
		if err := event.UnmarshalProto(payload); err != nil {
			e.Errorf("%s %q: %v", deliverEvent, payload, err)
			return nil, nil
		}
		select {
		case delivered <- event:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if fails != nil && fails(event) {
			return nil, errors.New("not today")
		}
		return []byte("anything"), nil
	})
	return delivered
}

// deliverStreams: the events of the streams that were asked for, as they were
// written, and no others.
func deliverStreams(e *events) {
	delivered := e.take(nil)
	want := make(map[string]string)
	for i := range 40 {
		event := e.write(e.Name([]string{"s", "t,", "t", "other"}[i%4]), map[string]string{"v": fmt.Sprint(i), "世界": "🙂", "": ""})
		if i%4 < 2 {
			want[event.EventID] = show(event)
		}
	}
	got := make(map[string]string)
	for len(got) < len(want) {
		event := Receive(e.Session, delivered, fmt.Sprintf("an event after %d of %d", len(got), len(want)))
		got[event.EventID] = show(event)
		if want[event.EventID] != show(event) {
			e.Fatalf("delivered %s; it was written as %s", show(event), want[event.EventID])
		}
	}
	e.Note("delivered %d events", len(got))
}

func deliverInOrder(e *events) {
	delivered := e.take(nil)
	var want []*pb.Event
	for i := range 50 {
		want = append(want, e.write(e.Name("s"), map[string]string{"v": fmt.Sprint(i)}))
	}
	for _, event := range want {
		got := Receive(e.Session, delivered, "an event")
		e.Note("delivered %s", e.neutralEvent(got))
		if show(got) != show(event) {
			e.Fatalf("delivered %s; want %s", show(got), show(event))
		}
	}
}

// deliverAtOnce: each of 300 events comes.
func deliverAtOnce(e *events) {
	const n = 300
	delivered := e.take(nil)
	var writers sync.WaitGroup
	for i := range n {
		writers.Go(func() {
			e.play(func() {
				e.perform(writeEvent, &pb.Event{Stream: e.Name(fmt.Sprint("s", i%3)), Values: map[string]string{"v": fmt.Sprint(i)}}, nil)
			})
		})
	}
	writers.Wait()
	seen := make(map[string]bool)
	for len(seen) < n {
		seen[Receive(e.Session, delivered, fmt.Sprintf("an event after %d of %d", len(seen), n)).Values["v"]] = true
	}
}

// failingOnEvents: an event on which the guest fails comes again, and those after
// it do not wait for that.
func failingOnEvents(e *events) {
	var failed atomic.Int32
	delivered := e.take(func(event *pb.Event) bool { return event.Values["v"] == "poison" && failed.Add(1) <= 2 })
	e.write(e.Name("s"), map[string]string{"v": "poison"})
	first := Receive(e.Session, delivered, "the event")
	e.write(e.Name("s"), map[string]string{"v": "fine"})
	count := map[string]int{first.Values["v"]: 1}
	for range 3 {
		count[Receive(e.Session, delivered, "the next event").Values["v"]]++
	}
	if count["poison"] != 3 || count["fine"] != 1 {
		e.Errorf("delivered %v", count)
	}
}

// leftEvents: what the guest failed on when its binding ended, and what was written
// while it was not bound, comes when it is bound again.
func leftEvents(e *events) {
	var down atomic.Bool
	down.Store(true)
	delivered := e.take(func(*pb.Event) bool { return down.Load() })
	first := e.write(e.Name("s"), nil)
	Receive(e.Session, delivered, "the event")
	if err := e.unbind(e.Context); err != nil {
		e.Fatalf("%v", err)
	}
	down.Store(false)
	for len(delivered) > 0 {
		<-delivered
	}
	if err := e.bind(ownEvents(map[string]string{"deliver": NamePlaceholder + "s", "concurrency": "1"})); err != nil {
		e.Fatalf("Bind again: %v", err)
	}
	second := e.write(e.Name("s"), nil)
	want := []string{first.EventID, second.EventID}
	for len(want) > 0 {
		event := Receive(e.Session, delivered, "the event that was left")
		want = slices.DeleteFunc(want, func(id string) bool { return id == event.EventID })
	}
}

func unbindInEvent(e *events) {
	arrived, proceed := make(chan struct{}, 10), make(chan struct{})
	release := sync.OnceFunc(func() { close(proceed) })
	defer release()
	var done atomic.Bool
	e.Handle(deliverEvent, func(context.Context, []byte) ([]byte, error) {
		arrived <- struct{}{}
		<-proceed
		done.Store(true)
		return nil, nil
	})
	e.write(e.Name("s"), nil)
	Receive(e.Session, arrived, "the event")
	ended := e.ending()
	e.stillEnding(ended, "a delivery")
	release()
	if err := Receive(e.Session, ended, "the end of the binding"); err != nil {
		e.Errorf("%v", err)
	}
	if !done.Load() {
		e.Errorf("Unbind returned before the guest was done")
	}
}

func noEventsAfterUnbind(e *events) {
	config := ownEvents(map[string]string{"deliver": NamePlaceholder + "s", "concurrency": "4"})
	other := newEvents(e.As("X", "", config))
	others := other.take(nil)
	var over atomic.Bool
	first := make(chan struct{}, 1000)
	e.Handle(deliverEvent, func(context.Context, []byte) ([]byte, error) {
		if over.Load() {
			e.Errorf("an event was delivered after the end of the binding")
		}
		first <- struct{}{}
		return nil, nil
	})
	const n = 100
	var writing sync.WaitGroup
	defer writing.Wait()
	writing.Go(func() {
		other.play(func() {
			for range n {
				other.perform(writeEvent, &pb.Event{Stream: e.Name("s")}, nil)
			}
		})
	})
	Receive(e.Session, first, "an event")
	if err := e.unbind(e.Context); err != nil {
		e.Errorf("%v", err)
	}
	over.Store(true)
	ids := make(map[string]bool)
	for len(ids) < n {
		ids[Receive(e.Session, others, "an event for somebody else").EventID] = true
	}
}

// ownStreams: guests and bindings with different prefixes have streams of their own,
// and those with the same prefix share them.
func ownStreams(e *events) {
	all := []*events{
		e, newEvents(e.As("X", "", map[string]string{"prefix": NamePlaceholder + "x"})), newEvents(e.As("", "second", map[string]string{"prefix": NamePlaceholder + "y"})),
	}
	var written []*pb.Event
	for i, guest := range all {
		guest.find("nobody's stream", guest.stream("s"))
		written = append(written, guest.write("s", map[string]string{"of": fmt.Sprint(i)}))
	}
	for i, guest := range all {
		guest.find("an own stream", guest.stream("s"), written[i])
	}
	same := newEvents(e.As("Y", "", map[string]string{"prefix": NamePlaceholder}))
	if got, err := same.query(same.stream("s")); err != nil || len(got) != 1 || got[0].EventID != written[0].EventID {
		same.Errorf("a guest with the same prefix finds %s, %v", showAll(got), err)
	}
}
