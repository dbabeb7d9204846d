package parity

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/waxosuit/waxo/capability"
	pb "github.com/waxosuit/waxo/capability/payload/eventstreampb"
)

// EventStreams is the suite of "wascap:eventstreams". Its provider needs the keys
// "prefix", "deliver" and "concurrency" in its configuration, and a server that
// takes messages of 1 MiB. No operation removes events: of what the suite writes,
// the ids of streams begin with the prefix of the run and, where the provider knows
// the key, so does what it keeps them in.
func EventStreams() Suite {
	suite := Suite{Capability: capability.EventStreams}
	both := []string{writeEvent, queryStream}
	for _, c := range []struct {
		name  string
		rules []string
		run   func(e *events)
	}{
		{"WriteEvent answers an id", rules("EVT-1"), idsOfEvents},
		{"ids grow", rules("EVT-2"), growingIDs},
		{"QueryStream answers what was written, in order", rules("EVT-3"), writeAndQuery},
		{"a stream that was never written to", rules("EVT-6"), emptyStreams},
		{"names and values", rules("EVT-9"), oddValues},
		{"payloads: maps", rules("PAY-15", "PAY-16"), oddMaps},
		{"ids of streams", rules("EVT-8"), namesOfStreams},
		{"ids that are none", rules("EVT-8"), badStreams},
		{"a range of time", rules("EVT-4"), ranges},
		{"the ends of a range", rules("EVT-4"), endsOfRanges},
		{"count", rules("EVT-5"), counts},
		{"a range that ends before it begins", rules("EVT-7"), senselessRange},
		{"writes at once", rules("EVT-2", "EVT-3", "CAP-48"), writesAtOnce},
		{"large events", rules("EVT-9"), largeEvents},
		{"events and answers that are too large", rules("EVT-10"), tooLargeEvents},
	} {
		suite.Cases = append(suite.Cases, Case{
			Name: c.name, Rules: c.rules, Operations: both, Config: ownEvents(nil), Optional: optionalEvents(), Run: func(s *Session) { c.run(newEvents(s)) },
		})
	}
	suite.Cases = append(suite.Cases, deliveryCases()...)
	c := contract{
		config:   func(*Session) map[string]string { return ownEvents(nil) },
		optional: optionalEvents(),
		sample: func(s *Session) (string, Message) {
			return queryStream, &pb.StreamQuery{StreamID: s.Name("sample"), Count: 9}
		},
		operations: both, delivered: []string{deliverEvent},
		remote: true, steady: true,
	}
	c.addTo(&suite)
	c.setUp = func(s *Session) {
		s.perform(writeEvent, &pb.Event{Stream: s.Name("sample"), Values: map[string]string{"k": "v"}}, nil)
	}
	c.decoy = func(s *Session) Message { return &pb.StreamQuery{StreamID: s.Name("decoy"), Count: 1} }
	c.text = 1
	c.answer = func() Message { return new(pb.StreamResults) }
	c.addPayloads(&suite)
	return suite
}

const (
	writeEvent, queryStream = capability.OpWriteEvent, capability.OpQueryStream
	deliverEvent            = capability.OpDeliverEvent
)

// ownEvents is a configuration under which a case has its events for itself.
func ownEvents(more map[string]string) map[string]string {
	config := map[string]string{"prefix": NamePlaceholder}
	maps.Copy(config, more)
	return config
}

func optionalEvents() []string { return []string{"prefix"} }

// events is a session that knows the events that it has written. Their ids are the
// provider's to choose, so transcripts have them as #1, #2 and so on.
type events struct {
	*Session
	mu  sync.Mutex
	ids []string // in the order in which they were written
}

func newEvents(s *Session) *events { return &events{Session: s} }

// write writes an event, and returns it with its id.
func (e *events) write(stream string, values map[string]string) *pb.Event {
	event := &pb.Event{Stream: stream, Values: values}
	var answer pb.WriteResponse
	e.perform(writeEvent, event, &answer)
	event.EventID = answer.EventID
	e.mu.Lock()
	e.ids = append(e.ids, answer.EventID)
	e.mu.Unlock()
	e.Note("wrote %s", e.neutralEvent(event))
	return event
}

// neutralEvent is an event as transcripts have it.
func (e *events) neutralEvent(event *pb.Event) string {
	e.mu.Lock()
	i := slices.Index(e.ids, event.EventID)
	e.mu.Unlock()
	return fmt.Sprintf("#%d %q %q", i+1, event.Stream, (&pb.Event{Values: event.Values}).AppendProto(nil))
}

// query asks for events.
func (e *events) query(q *pb.StreamQuery) ([]*pb.Event, error) {
	answer, err := e.Quiet(queryStream, q.AppendProto(nil))
	var results pb.StreamResults
	if err == nil {
		e.decode(queryStream, answer, &results)
	}
	return results.Events, err
}

// find checks which events a query finds.
func (e *events) find(what string, q *pb.StreamQuery, want ...*pb.Event) {
	got, err := e.query(q)
	if err != nil {
		e.Note("%s: %s", what, e.outcome(nil, err))
		e.Errorf("%s: %v", what, err)
		return
	}
	texts := func(events []*pb.Event) string {
		all := make([]string, 0, len(events))
		for _, event := range events {
			all = append(all, e.neutralEvent(event))
		}
		return "[" + strings.Join(all, ", ") + "]"
	}
	e.Note("%s: %s", what, texts(got))
	if g, w := texts(got), texts(want); g != w {
		e.Errorf("%s finds %s; want %s", what, g, w)
	}
}

func (e *events) stream(id string) *pb.StreamQuery { return &pb.StreamQuery{StreamID: id} }

// idsOfEvents: the answer says the id that the event has; one in the request means
// nothing.
func idsOfEvents(e *events) {
	id := e.Name("s")
	var answer pb.WriteResponse
	e.perform(writeEvent, &pb.Event{EventID: "means nothing", Stream: id, Values: map[string]string{"a": "b"}}, &answer)
	if answer.EventID == "" || answer.EventID == "means nothing" {
		e.Errorf("the event has the id %q", answer.EventID)
	}
	got, err := e.query(e.stream(id))
	if err != nil || len(got) != 1 || got[0].EventID != answer.EventID || got[0].Stream != id {
		e.Errorf("written with the id %q, there are %s, %v", answer.EventID, showAll(got), err)
	}
}

// showAll are events for people.
func showAll(events []*pb.Event) string { return show(&pb.StreamResults{Events: events}) }

// larger tells whether one id is larger than another: as numbers where they are.
func larger(a, b string) bool {
	x, errX := strconv.ParseUint(a, 10, 64)
	y, errY := strconv.ParseUint(b, 10, 64)
	if errX == nil && errY == nil {
		return x > y
	}
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b)) > 0
}

func growingIDs(e *events) {
	last := ""
	for range 20 {
		event := e.write(e.Name("s"), nil)
		if last != "" && !larger(event.EventID, last) {
			e.Errorf("the id %q comes after %q", event.EventID, last)
		}
		last = event.EventID
	}
}

func writeAndQuery(e *events) {
	var all []*pb.Event
	for _, values := range []map[string]string{
		{"name": "value"}, {"name": "other"}, {"name": "value"}, // the same again is another event
		{"z": "1"}, {"a": "2"},
	} {
		all = append(all, e.write(e.Name("s"), values))
		e.find("the stream", e.stream(e.Name("s")), all...)
	}
}

func emptyStreams(e *events) {
	e.find("a stream of nothing", e.stream(e.Name("s")))
	e.write(e.Name("s"), nil)
	e.find("another one", e.stream(e.Name("t")))
}

func oddValues(e *events) {
	var all []*pb.Event
	for _, values := range []map[string]string{
		nil, {"": ""}, {"": "v", "k": ""}, {"b": "2", "a": "1", "世界": "🙂", "\x00\r\n": "\x00\r\n", "A": ""}, {"long": strings.Repeat("x", 100_000)},
	} {
		all = append(all, e.write(e.Name("s"), values))
	}
	e.find("the stream", e.stream(e.Name("s")), all...)
}

// oddMaps: of entries without a key or a value these are empty, and of those that
// are there twice the last one counts.
func oddMaps(e *events) {
	payload := (&pb.Event{Stream: e.Name("s"), Values: map[string]string{"twice": "first"}}).AppendProto(nil)
	payload = append(payload, "\x1a\x03\x0a\x01k"+"\x1a\x03\x12\x01v"+"\x1a\x0d\x0a\x05twice\x12\x04last"...)
	answer, err := e.Quiet(writeEvent, payload)
	var written pb.WriteResponse
	if err == nil {
		err = written.UnmarshalProto(answer)
	}
	if err != nil {
		e.Fatalf("%s %q: %v", writeEvent, payload, err)
	}
	e.ids = append(e.ids, written.EventID)
	e.find("the stream", e.stream(e.Name("s")), &pb.Event{EventID: written.EventID, Stream: e.Name("s"), Values: map[string]string{"k": "", "": "v", "twice": "last"}})
}

// namesOfStreams: whatever a stream is called, it holds its own events alone.
func namesOfStreams(e *events) {
	names := []string{
		"a", "A", "a.b", "a b", "a.", ".a", "*", ">", "$JS", "=41", "a=", "%41", "a/b", `a\b`, "\x00", "\r\nPUB a 0\r\n", "世界", "🙂",
		strings.Repeat("x", 244), strings.Repeat("界", 81), "-", "_", "",
	}
	all := make(map[string]*pb.Event)
	for _, name := range names {
		all[name] = e.write(e.Name(name), map[string]string{"of": name})
	}
	for _, name := range names {
		e.find(fmt.Sprintf("%q", name), e.stream(e.Name(name)), all[name])
	}
}

func badStreams(e *events) {
	for _, c := range []struct{ id, text string }{
		{"", "invalid: the stream's id is empty"},
		{strings.Repeat("x", 257), "invalid: the stream's id has 257 bytes, and may have 256"},
	} {
		e.WantError(writeEvent, &pb.Event{Stream: c.id}, c.text)
		e.WantError(queryStream, &pb.StreamQuery{StreamID: c.id}, c.text)
	}
}

func senselessRange(e *events) {
	e.write(e.Name("s"), nil)
	e.WantError(queryStream, &pb.StreamQuery{StreamID: e.Name("s"), Range: &pb.TimeRange{MinTime: 2, MaxTime: 1}}, "invalid: the range ends at 1, before it begins at 2")
}

func counts(e *events) {
	var all []*pb.Event
	for i := range 30 {
		all = append(all, e.write(e.Name("s"), map[string]string{"v": fmt.Sprint(i)}))
	}
	for _, count := range []uint64{1, 2, 16, 17, 29, 30, 31, 1 << 40} {
		q := e.stream(e.Name("s"))
		q.Count = count
		e.find(fmt.Sprintf("%d of them", count), q, all[:min(count, 30)]...)
	}
	e.find("all of them", e.stream(e.Name("s")), all...)
}

// writesAtOnce: 1,000 events, of which none is lost, in the order of their ids.
func writesAtOnce(e *events) {
	const writers, each = 50, 20
	var all sync.WaitGroup
	var mu sync.Mutex
	values := make(map[string]string) // by id
	for i := range writers {
		all.Go(func() {
			e.play(func() {
				for j := range each {
					value := fmt.Sprint(i, " ", j)
					var answer pb.WriteResponse
					e.perform(writeEvent, &pb.Event{Stream: e.Name("s"), Values: map[string]string{"v": value}}, &answer)
					mu.Lock()
					values[answer.EventID] = value
					mu.Unlock()
				}
			})
		})
	}
	all.Wait()
	got, err := e.query(e.stream(e.Name("s")))
	if err != nil || len(got) != writers*each || len(values) != writers*each {
		e.Fatalf("%d events with %d ids, %v", len(got), len(values), err)
	}
	for i, event := range got {
		if i > 0 && !larger(event.EventID, got[i-1].EventID) || event.Values["v"] != values[event.EventID] {
			e.Fatalf("event %d is %s, and was written as %q", i, show(event), values[event.EventID])
		}
	}
}

// sized is an event of so many bytes.
func (e *events) sized(size int) *pb.Event {
	event := &pb.Event{Stream: e.Name("s"), Values: map[string]string{"v": strings.Repeat("x", size-40)}}
	for event.ProtoSize() < size {
		event.Values["v"] += strings.Repeat("x", size-event.ProtoSize())
	}
	return event
}

func largeEvents(e *events) {
	for i, size := range []int{1_000, 100_000, 1_000_000} {
		event := e.sized(size)
		e.perform(writeEvent, event, nil)
		got, err := e.query(e.stream(e.Name("s")))
		if err != nil || len(got) != i+1 || got[i].Values["v"] != event.Values["v"] {
			e.Errorf("of an event of %d bytes, %d events, %v", size, len(got), err)
		}
	}
}

// tooLargeEvents: of a server that takes 1 MiB, and answers 8 MiB.
func tooLargeEvents(e *events) {
	const limit = 1 << 20
	if !e.target.Exact {
		_, err := e.Quiet(writeEvent, e.sized(64<<20+1).AppendProto(nil)) // more than any NATS server takes
		e.wantError("an event of more than 64 MiB", err, "too_large: ...")
		return
	}
	for i := range 8 {
		e.perform(writeEvent, e.sized(limit-i), nil)
	}
	_, err := e.Quiet(writeEvent, e.sized(limit+1).AppendProto(nil))
	e.wantError("an event with a byte too much", err, fmt.Sprintf(
		"too_large: the event of 1048577 bytes for the stream %q is larger than the 1048576 bytes that the server takes", e.Name("s")))
	q := e.stream(e.Name("s"))
	q.Count = 7
	if got, err := e.query(q); err != nil || len(got) != 7 {
		e.Errorf("7 MiB: %d events, %v", len(got), err)
	}
	e.WantError(queryStream, e.stream(e.Name("s")), fmt.Sprintf(
		"too_large: the events of the stream %q that were asked for take more than 8388608 bytes: ask for a shorter range of time, or give a count", e.Name("s")))
}
