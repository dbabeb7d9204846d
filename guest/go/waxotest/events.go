package waxotest

import (
	"fmt"
	"maps"
	"strconv"
	"time"

	waxo "github.com/waxosuit/waxo/guest/go"
	pb "github.com/waxosuit/waxo/guest/go/internal/eventstreampb"
)

// streams are the event streams under one binding.
type streams struct{ written []event }

type event struct {
	pb.Event
	millis int64 // when it was written, Unix
}

// maxResults is the largest answer to a query in bytes.
const maxResults = 8 << 20

// DeliverEvent writes an event to a stream of the default binding, and has the guest
// handle it. The error is a *waxo.Error; in production the event would come again.
// Events that the guest writes, or the test by events.Write, are not given to it by
// themselves: which streams it is given is for its binding to say.
func (h *Host) DeliverEvent(stream string, values map[string]string) error {
	h.t.Helper()
	h.mu.Lock()
	e, err := h.streamsOf(waxo.DefaultBinding).write(&pb.Event{Stream: stream, Values: maps.Clone(values)}, h.now)
	h.mu.Unlock()
	if err != nil {
		h.t.Fatal("waxotest: ", err)
	}
	_, err = h.Call("wascap:eventstreams!DeliverEvent", e.AppendProto(nil))
	return err
}

func (h *Host) streamsOf(binding string) *streams {
	if h.streams[binding] == nil {
		h.streams[binding] = new(streams)
	}
	return h.streams[binding]
}

// call performs an operation at a time.
func (s *streams) call(operation string, payload []byte, now time.Time) ([]byte, error) {
	switch operation {
	case "WriteEvent":
		e := new(pb.Event)
		if err := decode(payload, e); err != nil {
			return nil, err
		}
		e, err := s.write(e, now)
		if err != nil {
			return nil, err
		}
		return (&pb.WriteResponse{EventID: e.EventID}).AppendProto(nil), nil
	case "QueryStream":
		var q pb.StreamQuery
		if err := decode(payload, &q); err != nil {
			return nil, err
		}
		return s.query(&q)
	}
	return nil, unsupported(operation)
}

func checkStream(id string) error {
	if id == "" || len(id) > 256 {
		return &waxo.Error{Code: "invalid", Message: fmt.Sprintf("the stream's id has %d bytes: it may have 1 to 256", len(id))}
	}
	return nil
}

// write adds an event and gives it its id, which counts up over all streams.
func (s *streams) write(e *pb.Event, now time.Time) (*pb.Event, error) {
	if err := checkStream(e.Stream); err != nil {
		return nil, err
	}
	e.EventID = ""
	if size := e.ProtoSize(); size > maxMessage {
		return nil, &waxo.Error{Code: "too_large", Message: fmt.Sprintf("the event of %d bytes for the stream %q is larger than the %d bytes that the server takes", size, e.Stream, maxMessage)}
	}
	e.EventID = strconv.Itoa(len(s.written) + 1)
	s.written = append(s.written, event{*e, now.UnixMilli()})
	return e, nil
}

func (s *streams) query(q *pb.StreamQuery) ([]byte, error) {
	if err := checkStream(q.StreamID); err != nil {
		return nil, err
	}
	var window pb.TimeRange
	if q.Range != nil {
		window = *q.Range
	}
	if window.MaxTime != 0 && window.MinTime > window.MaxTime {
		return nil, &waxo.Error{Code: "invalid", Message: fmt.Sprintf("the range ends at %d, before it begins at %d", window.MaxTime, window.MinTime)}
	}
	var results pb.StreamResults
	for i := range s.written {
		e := &s.written[i]
		if e.Stream != q.StreamID || uint64(e.millis) < window.MinTime || window.MaxTime != 0 && uint64(e.millis) > window.MaxTime {
			continue
		}
		if q.Count != 0 && uint64(len(results.Events)) == q.Count {
			break
		}
		results.Events = append(results.Events, &e.Event)
	}
	if results.ProtoSize() > maxResults {
		return nil, &waxo.Error{Code: "too_large", Message: fmt.Sprintf("the events that were asked for take more than %d bytes: ask for a shorter range of time, or give a count", maxResults)}
	}
	return results.AppendProto(nil), nil
}
