// Package events writes, finds and receives events, through the capability
// "wascap:eventstreams".
//
// An event is a set of names with values. It stands in a stream, which only ever
// grows and may have any name of up to 256 bytes. What was written is there for
// every instance of every guest that shares the streams, in one order.
//
//	func init() { events.Handle(settle) }
//
//	func settle(e *events.Event) error {
//		_, err := events.Write("settled", map[string]string{"order": e.Values["order"]})
//		return err
//	}
//
// Which streams a guest is given the events of stands in waxo.toml:
//
//	[[bind]]
//	capability = "wascap:eventstreams"
//	config = { deliver = "orders" }
//
// It is given them at least once: one on which it fails comes again, and so may one whose handling was cut off. A
// handler that must not do a thing twice remembers the ID.
//
// The functions of the package use the default binding; Open names another. Every
// error is a *waxo.Error.
package events

import (
	waxo "github.com/waxosuit/waxo/guest/go"
	"github.com/waxosuit/waxo/guest/go/internal/abi"
	pb "github.com/waxosuit/waxo/guest/go/internal/eventstreampb"
)

// Capability is the name under which a manifest asks for events.
const Capability = "wascap:eventstreams"

const op = Capability + "!" // leads every operation's name

// Event is an event. All of it may be kept.
type Event struct {
	ID     string // given when it was written; no other event of its streams has it
	Stream string
	Values map[string]string
}

// Handle has handler take all events. An event counts as handled when it returns no
// error. Call it in func init. It panics where handler is nil, where it was called
// before, or where a call has come before.
func Handle(handler func(*Event) error) {
	if handler == nil {
		panic("events: the handler is nil")
	}
	waxo.Handle(op+"DeliverEvent", func(payload []byte) ([]byte, error) {
		var e pb.Event
		if err := e.UnmarshalProto(payload); err != nil {
			return nil, &waxo.Error{Code: "invalid", Message: "events: the event: " + err.Error()}
		}
		return nil, handler(&Event{ID: e.EventID, Stream: e.Stream, Values: e.Values})
	})
}

// Streams are the streams under one binding.
type Streams struct{ binding string }

// Open returns the streams that are bound to the guest under the given name. It
// calls nothing: a binding that is missing is the error of the first operation.
func Open(binding string) *Streams { return &Streams{binding} }

var std = Open(waxo.DefaultBinding)

// Write adds an event to a stream and returns its ID, once the event is stored. Where
// the error is a waxo.ErrUnavailable or a waxo.ErrDeadline, whether it was stored is
// open.
func (s *Streams) Write(stream string, values map[string]string) (id string, err error) {
	x := abi.Begin()
	defer x.End()
	x.Request = (&pb.Event{Stream: stream, Values: values}).AppendProto(x.Request)
	answer, failure, ok := x.Call(s.binding, Capability, op+"WriteEvent")
	if !ok {
		return "", waxo.ParseError(failure)
	}
	var resp pb.WriteResponse
	if err := resp.UnmarshalProto(answer); err != nil {
		return "", malformed("WriteEvent", err)
	}
	return resp.EventID, nil
}

// Window says which events of a stream are asked for. The zero Window is all of
// them.
type Window struct {
	From  uint64 // Unix milliseconds; an event of that very time is included
	To    uint64 // likewise; 0: until now
	Count uint64 // the most events, the oldest ones; 0: no limit
}

// Query returns events of a stream, the oldest first. A stream to which nothing was
// written is empty. More than the host hands over at once, 8 MiB as a rule, is a
// waxo.ErrTooLarge: ask for less at a time.
func (s *Streams) Query(stream string, w Window) ([]Event, error) {
	x := abi.Begin()
	defer x.End()
	q := pb.StreamQuery{StreamID: stream, Count: w.Count}
	if w.From != 0 || w.To != 0 {
		q.Range = &pb.TimeRange{MinTime: w.From, MaxTime: w.To}
	}
	x.Request = q.AppendProto(x.Request)
	answer, failure, ok := x.Call(s.binding, Capability, op+"QueryStream")
	if !ok {
		return nil, waxo.ParseError(failure)
	}
	var results pb.StreamResults
	if err := results.UnmarshalProto(answer); err != nil {
		return nil, malformed("QueryStream", err)
	}
	found := make([]Event, len(results.Events))
	for i, e := range results.Events {
		found[i] = Event{ID: e.EventID, Stream: e.Stream, Values: e.Values}
	}
	return found, nil
}

// malformed returns the error for an answer that could not be read.
func malformed(operation string, err error) error {
	return &waxo.Error{Code: "internal", Message: "events: the answer to " + op + operation + ": " + err.Error()}
}

// Write is Streams.Write of the default binding.
func Write(stream string, values map[string]string) (id string, err error) {
	return std.Write(stream, values)
}

// Query is Streams.Query of the default binding.
func Query(stream string, w Window) ([]Event, error) { return std.Query(stream, w) }
