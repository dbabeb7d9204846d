package parity

import (
	"fmt"
	"math"
	"time"

	pb "github.com/waxosuit/waxo/capability/payload/eventstreampb"
)

// latest is a time after all, in Unix milliseconds: of the year 9999.
const latest = 253402300799999

// within is a query of a range of time.
func (e *events) within(from, to uint64) *pb.StreamQuery {
	return &pb.StreamQuery{StreamID: e.Name("s"), Range: &pb.TimeRange{MinTime: from, MaxTime: to}}
}

// has tells whether a query finds an event.
func (e *events) has(q *pb.StreamQuery, id string) bool {
	found, err := e.query(q)
	if err != nil {
		e.Fatalf("%s: %v", show(q), err)
	}
	for _, event := range found {
		if event.EventID == id {
			return true
		}
	}
	return false
}

// timeOf finds out the time of an event by the server's clock, which may be that of
// another machine: the earliest end of a range with it.
func (e *events) timeOf(event *pb.Event) uint64 {
	return earliest(func(ms uint64) bool { return e.has(e.within(0, ms), event.EventID) })
}

// earliest finds the first time for which f holds, as it does for all after it.
func earliest(f func(ms uint64) bool) uint64 {
	from, to := uint64(1), uint64(latest)
	for from < to {
		if middle := from + (to-from)/2; f(middle) {
			to = middle
		} else {
			from = middle + 1
		}
	}
	return from
}

// ranges writes events with time between them, and looks through every window.
func ranges(e *events) {
	const n = 4
	var all []*pb.Event
	var borders []uint64 // between the events
	last := uint64(0)
	for i := range n {
		event := e.write(e.Name("s"), map[string]string{"v": fmt.Sprint(i)})
		t := e.timeOf(event)
		if t < last+2 {
			e.Fatalf("an event has the time %d, the one after it %d, when two milliseconds had gone by", last, t)
		}
		all, borders, last = append(all, event), append(borders, t-1), t
		e.pause(3 * time.Millisecond)
	}
	borders = append(borders, last+1)
	for from := range n + 1 {
		for to := from; to <= n; to++ {
			want := all[from:to]
			q := e.within(borders[from], borders[to])
			e.find(fmt.Sprintf("from %d to %d", from, to), q, want...)
			q.Count = 1
			e.find(fmt.Sprintf("one from %d to %d", from, to), q, want[:min(1, len(want))]...)
		}
		e.find(fmt.Sprintf("from %d on", from), e.within(borders[from], 0), all[from:]...)
		e.find(fmt.Sprintf("up to %d", from), e.within(0, borders[from]), all[:from]...)
	}
	e.find("far away", e.within(latest, latest))
	e.find("everything", e.within(1, math.MaxUint64), all...)
	e.find("no range", &pb.StreamQuery{StreamID: e.Name("s"), Range: &pb.TimeRange{}}, all...)
}

// endsOfRanges: both ends belong to a range.
func endsOfRanges(e *events) {
	event := e.write(e.Name("s"), nil)
	end := e.timeOf(event)
	begin := earliest(func(ms uint64) bool { return !e.has(e.within(ms, 0), event.EventID) }) - 1
	if begin != end {
		e.Errorf("ranges with the event end at %d or later, and begin at %d or earlier: both ends belong to a range", end, begin)
	}
	for _, c := range []struct {
		from, to uint64
		want     bool
	}{{end, end, true}, {end - 1, end, true}, {end, end + 1, true}, {end + 1, end + 9, false}, {end - 9, end - 1, false}} {
		if got := e.has(e.within(c.from, c.to), event.EventID); got != c.want {
			e.Errorf("a range from %+d to %+d ms of the time of an event has it: %v", int64(c.from-end), int64(c.to-end), got)
		}
	}
	e.Note("the ends belong to a range")
}
