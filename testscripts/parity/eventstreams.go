package parity

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/waxosuit/waxo/capability"
	pb "github.com/waxosuit/waxo/capability/payload/eventstreampb"
)

// EventStreams is the suite of "wascap:eventstreams". Its provider needs the keys
// "prefix", "deliver" and "concurrency" in its configuration, and a server that
// takes messages of 1 MiB and whose clock is right to 100 ms.
func EventStreams() Suite {
	suite := Suite{Capability: capability.EventStreams}
	add := func(name, deliver, concurrency string, run func(s *Session)) {
		config := map[string]string{"prefix": NamePlaceholder, "concurrency": concurrency}
		if deliver != "" {
			config["deliver"] = deliver
		}
		suite.Cases = append(suite.Cases, Case{Name: name, Config: config, Run: run})
	}
	add("write and query", "", "1", writeAndQuery)
	add("names of streams", "", "1", namesOfStreams)
	add("range and count", "", "1", rangeAndCount)
	add("writes at once", "", "1", writesAtOnce)
	add("sizes", "", "1", sizesOfEvents)
	add("what makes no sense", "", "1", senselessEvents)
	add("deliver", "s,t%2C", "1", deliverInOrder)
	add("deliver at once", "*", "16", deliverAtOnce)
	add("a guest that fails", "s", "2", failingOnEvents)
	return suite
}

const (
	writeEvent, queryStream = capability.OpWriteEvent, capability.OpQueryStream
	deliverEvent            = capability.OpDeliverEvent
)

func written(id int) *pb.WriteResponse { return &pb.WriteResponse{EventID: fmt.Sprint(id)} }

func found(events ...*pb.Event) *pb.StreamResults { return &pb.StreamResults{Events: events} }

func writeAndQuery(s *Session) {
	s.Want(queryStream, &pb.StreamQuery{StreamID: "s"}, found())
	var all []*pb.Event
	for i, values := range []map[string]string{
		{"name": "value"},
		nil,
		{"": ""},
		{"b": "2", "a": "1", "世界": "🙂", "\x00\r\n": "\x00\r\n", "A": ""},
		{"name": "value"}, // the same again is another event
	} {
		s.Want(writeEvent, &pb.Event{EventID: "means nothing", Stream: "s", Values: values}, written(i+1))
		all = append(all, &pb.Event{EventID: fmt.Sprint(i + 1), Stream: "s", Values: values})
		s.Want(queryStream, &pb.StreamQuery{StreamID: "s"}, found(all...))
	}
	s.Want(queryStream, &pb.StreamQuery{StreamID: "s", Range: &pb.TimeRange{}}, found(all...))
	s.Want(queryStream, &pb.StreamQuery{StreamID: "t"}, found())
}

// namesOfStreams: whatever a stream is called, it holds its own events alone.
func namesOfStreams(s *Session) {
	names := []string{
		"a", "A", "a.b", "a b", "a.", ".a", "*", ">", "$JS", "=41", "a=", "%41", "a/b", `a\b`, "\x00", "\r\nPUB a 0\r\n", "世界", "🙂",
		strings.Repeat("x", 256), strings.Repeat("界", 85), "-", "_",
	}
	for i, name := range names {
		s.Want(writeEvent, &pb.Event{Stream: name, Values: map[string]string{"of": name}}, written(i+1))
	}
	for i, name := range names {
		s.Want(queryStream, &pb.StreamQuery{StreamID: name}, found(&pb.Event{EventID: fmt.Sprint(i + 1), Stream: name, Values: map[string]string{"of": name}}))
	}
}

// rangeAndCount writes events with time between them, and looks through every
// window.
func rangeAndCount(s *Session) {
	const n, gap = 4, 300 * time.Millisecond
	var borders []uint64 // Unix milliseconds, well before each event and after the last
	pause := func() {
		timer := time.NewTimer(gap)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-s.Context.Done():
		}
	}
	for i := range n {
		borders = append(borders, uint64(time.Now().UnixMilli()))
		pause()
		s.Want(writeEvent, &pb.Event{Stream: "s", Values: map[string]string{"v": fmt.Sprint(i)}}, written(i+1))
		pause()
	}
	borders = append(borders, uint64(time.Now().UnixMilli()))
	look := func(what string, q *pb.StreamQuery, from, to int) {
		q.StreamID = "s"
		answer, err := s.Quiet(queryStream, q.AppendProto(nil))
		s.Note("%s: %s", what, s.outcome(answer, err))
		var results pb.StreamResults
		if err == nil {
			err = results.UnmarshalProto(answer)
		}
		ids := []string{}
		for _, e := range results.Events {
			ids = append(ids, e.EventID)
		}
		want := []string{}
		for i := from; i < to; i++ {
			want = append(want, fmt.Sprint(i+1))
		}
		if err != nil || !slices.Equal(ids, want) {
			s.Errorf("%s finds %q, %v; want %q", what, ids, err, want)
		}
	}
	for from := range n + 1 {
		for to := from; to <= n; to++ {
			window := &pb.TimeRange{MinTime: borders[from], MaxTime: borders[to]}
			look(fmt.Sprintf("from %d to %d", from, to), &pb.StreamQuery{Range: window}, from, to)
			look(fmt.Sprintf("one from %d to %d", from, to), &pb.StreamQuery{Range: window, Count: 1}, from, min(to, from+1))
		}
		look(fmt.Sprintf("from %d on", from), &pb.StreamQuery{Range: &pb.TimeRange{MinTime: borders[from]}}, from, n)
		look(fmt.Sprintf("up to %d", from), &pb.StreamQuery{Range: &pb.TimeRange{MaxTime: borders[from]}}, 0, from)
		look(fmt.Sprintf("%d of them", from+1), &pb.StreamQuery{Count: uint64(from) + 1}, 0, min(from+1, n))
	}
	look("far away", &pb.StreamQuery{Range: &pb.TimeRange{MinTime: math.MaxUint64, MaxTime: math.MaxUint64}}, 0, 0)
	look("everything", &pb.StreamQuery{Range: &pb.TimeRange{MinTime: 1, MaxTime: math.MaxUint64}, Count: math.MaxUint64}, 0, n)
}

// writesAtOnce: 1,000 events, of which none is lost, in the order of their ids.
func writesAtOnce(s *Session) {
	const writers, each = 50, 20
	var all sync.WaitGroup
	var mu sync.Mutex
	values := make(map[string]string) // by id
	for i := range writers {
		all.Go(func() {
			for j := range each {
				value := fmt.Sprint(i, " ", j)
				answer, err := s.Quiet(writeEvent, (&pb.Event{Stream: "s", Values: map[string]string{"v": value}}).AppendProto(nil))
				var resp pb.WriteResponse
				if err == nil {
					err = resp.UnmarshalProto(answer)
				}
				if err != nil {
					s.Errorf("%s: %v", value, err)
				}
				mu.Lock()
				values[resp.EventID] = value
				mu.Unlock()
			}
		})
	}
	all.Wait()
	answer, err := s.Quiet(queryStream, (&pb.StreamQuery{StreamID: "s"}).AppendProto(nil))
	var results pb.StreamResults
	if err == nil {
		err = results.UnmarshalProto(answer)
	}
	if err != nil || len(results.Events) != writers*each || len(values) != writers*each {
		s.Fatalf("%d events with %d ids, %v", len(results.Events), len(values), err)
	}
	for i, e := range results.Events {
		if e.EventID != fmt.Sprint(i+1) || e.Values["v"] != values[e.EventID] {
			s.Fatalf("event %d is %+v, and was written as %q", i, e, values[e.EventID])
		}
	}
}

// sizesOfEvents: an event of 1 MiB is the largest, an answer of 8 MiB too.
func sizesOfEvents(s *Session) {
	const limit = 1 << 20
	event := func(size int) *pb.Event {
		e := &pb.Event{Stream: "s", Values: map[string]string{"v": strings.Repeat("x", size-20)}}
		for e.ProtoSize() < size {
			e.Values["v"] += "x"
		}
		return e
	}
	quiet := func(op string, req Message) error {
		_, err := s.Quiet(op, req.AppendProto(nil))
		return err
	}
	for i := range 8 {
		if err := quiet(writeEvent, event(limit-i)); err != nil {
			s.Fatalf("an event of 1 MiB: %v", err)
		}
	}
	err := quiet(writeEvent, event(limit+1))
	if text := `too_large: the event of 1048577 bytes for the stream "s" is larger than the 1048576 bytes that the server takes`; err == nil || err.Error() != text {
		s.Errorf("an event with a byte too much: %v", err)
	}
	if err := quiet(queryStream, &pb.StreamQuery{StreamID: "s", Count: 7}); err != nil {
		s.Errorf("7 MiB: %v", err)
	}
	s.WantError(queryStream, &pb.StreamQuery{StreamID: "s"},
		`too_large: the events of the stream "s" that were asked for take more than 8388608 bytes: ask for a shorter range of time, or give a count`)
}

func senselessEvents(s *Session) {
	for _, c := range []struct{ id, text string }{
		{"", "invalid: the stream's id is empty"},
		{strings.Repeat("x", 257), "invalid: the stream's id has 257 bytes, and may have 256"},
	} {
		s.WantError(writeEvent, &pb.Event{Stream: c.id}, c.text)
		s.WantError(queryStream, &pb.StreamQuery{StreamID: c.id}, c.text)
	}
	s.WantError(queryStream, &pb.StreamQuery{StreamID: "s", Range: &pb.TimeRange{MinTime: 2, MaxTime: 1}}, "invalid: the range ends at 1, before it begins at 2")
	for _, op := range []string{writeEvent, queryStream} {
		if _, err := s.Raw(op, []byte("\x0a\xff")); err == nil || capability.AsError(err).Code != capability.CodeInvalid {
			s.Errorf("%s takes a payload that is none: %v", op, err)
		}
	}
	for _, op := range []string{"Frobnicate", deliverEvent} {
		if _, err := s.Raw(op, nil); err == nil || capability.AsError(err).Code != capability.CodeUnsupported {
			s.Errorf("there is an operation %s for guests: %v", op, err)
		}
	}
}

// events has the guest put what it is given into a channel, unless fails says that
// it fails.
func events(s *Session, fails func(e *pb.Event) bool) <-chan *pb.Event {
	delivered := make(chan *pb.Event, 1000)
	s.Handle(deliverEvent, func(payload []byte) ([]byte, error) {
		e := new(pb.Event)
		if err := e.UnmarshalProto(payload); err != nil {
			s.Errorf("%s %q: %v", deliverEvent, payload, err)
			return nil, nil
		}
		delivered <- e
		if fails != nil && fails(e) {
			return nil, errors.New("not today")
		}
		return []byte("anything"), nil
	})
	return delivered
}

// deliverInOrder: the events of the streams that were asked for, as they were
// written, and no others.
func deliverInOrder(s *Session) {
	delivered := events(s, nil)
	var want []*pb.Event
	for i := range 50 {
		stream := []string{"s", "t,", "t", "other"}[i%4]
		e := &pb.Event{Stream: stream, Values: map[string]string{"v": fmt.Sprint(i), "世界": "🙂"}}
		s.Want(writeEvent, e, written(i+1))
		if i%4 < 2 {
			e.EventID = fmt.Sprint(i + 1)
			want = append(want, e)
		}
	}
	for _, e := range want {
		got := Receive(s, delivered, "an event")
		s.Note("delivered %q", got.AppendProto(nil))
		if string(got.AppendProto(nil)) != string(e.AppendProto(nil)) {
			s.Fatalf("delivered %+v; want %+v", got, e)
		}
	}
}

// deliverAtOnce: each of 300 events comes.
func deliverAtOnce(s *Session) {
	const n = 300
	delivered := events(s, nil)
	var writers sync.WaitGroup
	for i := range n {
		writers.Go(func() {
			if _, err := s.Quiet(writeEvent, (&pb.Event{Stream: fmt.Sprint("s", i%7)}).AppendProto(nil)); err != nil {
				s.Errorf("%v", err)
			}
		})
	}
	writers.Wait()
	ids := make(map[string]bool)
	for len(ids) < n {
		ids[Receive(s, delivered, "an event").EventID] = true
	}
}

// failingOnEvents: an event on which the guest fails comes again, and those after
// it do not wait for that.
func failingOnEvents(s *Session) {
	var mu sync.Mutex
	failed := 0
	delivered := events(s, func(e *pb.Event) bool {
		mu.Lock()
		defer mu.Unlock()
		if e.Values["v"] != "poison" || failed == 2 {
			return false
		}
		failed++
		return true
	})
	s.Want(writeEvent, &pb.Event{Stream: "s", Values: map[string]string{"v": "poison"}}, written(1))
	first := Receive(s, delivered, "the event")
	s.Want(writeEvent, &pb.Event{Stream: "s", Values: map[string]string{"v": "fine"}}, written(2))
	count := map[string]int{first.Values["v"]: 1}
	for range 3 {
		count[Receive(s, delivered, "the next event").Values["v"]]++
	}
	if count["poison"] != 3 || count["fine"] != 1 {
		s.Errorf("delivered %v", count)
	}
}
