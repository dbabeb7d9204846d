package seal_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"
	"time"

	"github.com/waxosuit/waxo/devhost/seal"
)

var year2000 = uint64(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano())

// look returns the time of a clock.
func (s *sandbox) look(id uint64) uint64 {
	s.t.Helper()
	s.expect(0, "clock_time_get", id, 0, 40000)
	return s.u64(40000)
}

func TestClocksCount(t *testing.T) {
	s := newSandbox(t, nil)
	for i := range uint64(12) {
		if got, want := s.look(i%4), year2000+1000*i; got != want {
			t.Errorf("look %d at the clock %d: %d, want %d", i, i%4, got, want)
		}
	}
	for id := range uint64(4) {
		s.expect(0, "clock_res_get", id, 40008)
		if got := s.u64(40008); got != 1000 {
			t.Errorf("the resolution of the clock %d is %d ns", id, got)
		}
	}
	before := s.look(0)
	for _, id := range []uint64{4, 0xffffffff} {
		s.expect(28, "clock_time_get", id, 0, 40000)
		s.expect(28, "clock_res_get", id, 40000)
	}
	if after := s.look(0); after != before+1000 {
		t.Errorf("a clock that does not exist moved the time by %d", after-before)
	}
}

func TestClockStart(t *testing.T) {
	for _, test := range []struct {
		start time.Time
		want  uint64
	}{
		{time.Unix(0, 0), 0},
		{time.Unix(12, 34), 12_000_000_034},
		{time.Date(1969, 1, 1, 0, 0, 0, 0, time.UTC), 0},
		{time.Date(1600, 1, 1, 0, 0, 0, 0, time.UTC), 0},
		{time.Date(3000, 1, 1, 0, 0, 0, 0, time.UTC), math.MaxInt64},
	} {
		s := newSandbox(t, &seal.Options{Start: test.start})
		if got := s.look(1); got != test.want {
			t.Errorf("a clock that starts at %v shows %d, want %d", test.start, got, test.want)
		}
		if got, want := s.look(1), min(test.want+1000, math.MaxInt64); got != want {
			t.Errorf("then %d, want %d", got, want)
		}
	}
}

// subscription is one for poll_oneoff.
type subscription struct {
	tag      byte
	id       uint32 // of a clock, or a descriptor
	timeout  uint64
	absolute uint16
}

// poll calls poll_oneoff with a junk of bytes wherever nothing is looked at,
// and returns the events as strings of their bytes.
func (s *sandbox) poll(in, out uint32, subs ...subscription) (events [][]byte, errno uint32) {
	s.t.Helper()
	for i, sub := range subs {
		b := bytes.Repeat([]byte{0xee}, 48)
		binary.LittleEndian.PutUint64(b, uint64(1000+i))
		b[8] = sub.tag
		binary.LittleEndian.PutUint32(b[16:], sub.id)
		if sub.tag == 0 {
			binary.LittleEndian.PutUint64(b[24:], sub.timeout)
			binary.LittleEndian.PutUint16(b[40:], 0xfffe|sub.absolute)
		}
		s.write(in+uint32(48*i), b)
	}
	s.write(30000, []byte{0xff, 0xff, 0xff, 0xff})
	errno = s.errno("poll_oneoff", uint64(in), uint64(out), uint64(len(subs)), 30000)
	if errno == 0 {
		for i := range s.u32(30000) {
			events = append(events, s.read(out+32*i, 32))
		}
	}
	return events, errno
}

func event(userdata uint64, errno uint16, tag byte) []byte {
	b := binary.LittleEndian.AppendUint64(nil, userdata)
	b = binary.LittleEndian.AppendUint16(b, errno)
	return append(b, append([]byte{tag}, make([]byte, 21)...)...)
}

func TestPoll(t *testing.T) {
	const second = uint64(time.Second)
	tests := []struct {
		name  string
		subs  []subscription
		want  [][]byte
		after uint64 // the time then, less that before
	}{
		{"relative", []subscription{{0, 1, 5 * second, 0}}, [][]byte{event(1000, 0, 0)}, 5 * second},
		{"none", []subscription{{0, 1, 0, 0}}, [][]byte{event(1000, 0, 0)}, 0},
		{"absolute", []subscription{{0, 0, year2000 + 7*second, 1}}, [][]byte{event(1000, 0, 0)}, 7 * second},
		{"absolute in the past", []subscription{{0, 0, 3, 1}}, [][]byte{event(1000, 0, 0)}, 0},
		{"the earliest of three", []subscription{{0, 0, 9 * second, 0}, {0, 1, 2 * second, 0}, {0, 0, year2000 + 3*second, 1}}, [][]byte{event(1001, 0, 0)}, 2 * second},
		{"two at once", []subscription{{0, 0, 2 * second, 0}, {0, 1, 4 * second, 0}, {0, 3, year2000 + 2*second, 1}}, [][]byte{event(1000, 0, 0), event(1002, 0, 0)}, 2 * second},
		{"an unknown clock", []subscription{{0, 4, 2 * second, 0}, {0, 1, 4 * second, 0}}, [][]byte{event(1000, 28, 0)}, 0},
		{"descriptors before clocks", []subscription{{0, 0, second, 0}, {tag: 1, id: 0}, {tag: 2, id: 1}, {tag: 2, id: 2}}, [][]byte{event(1001, 0, 1), event(1002, 0, 2), event(1003, 0, 2)}, 0},
		{"wrong descriptors", []subscription{{tag: 1, id: 1}, {tag: 1, id: 3}, {tag: 2, id: 0}, {tag: 2, id: 3}, {tag: 2, id: 1 << 31}}, [][]byte{event(1000, 8, 1), event(1001, 8, 1), event(1002, 8, 2), event(1003, 8, 2), event(1004, 8, 2)}, 0},
		{"for ever", []subscription{{0, 1, math.MaxUint64, 0}}, [][]byte{event(1000, 0, 0)}, math.MaxInt64 - year2000},
		{"until for ever", []subscription{{0, 1, math.MaxUint64, 1}}, [][]byte{event(1000, 0, 0)}, math.MaxInt64 - year2000},
		{"beyond the clock's end", []subscription{{0, 1, math.MaxInt64, 0}}, [][]byte{event(1000, 0, 0)}, math.MaxInt64 - year2000},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, out := range []uint32{20000, 10000} { // apart, and in the same place
				s := newSandbox(t, nil)
				got, errno := s.poll(10000, out, test.subs...)
				if errno != 0 || len(got) != len(test.want) {
					t.Fatalf("error number %d, events %x, want %x", errno, got, test.want)
				}
				for i := range got {
					if !bytes.Equal(got[i], test.want[i]) {
						t.Errorf("event %d is %x, want %x", i, got[i], test.want[i])
					}
				}
				if now := s.look(0); now-year2000 != test.after {
					t.Errorf("the time moved by %d, want %d", now-year2000, test.after)
				}
				if first, second := s.look(0), s.look(0); second < first {
					t.Errorf("the clock shows %d, then %d", first, second)
				}
			}
		})
	}
}

func TestPollRefuses(t *testing.T) {
	s := newSandbox(t, nil)
	if _, errno := s.poll(10000, 20000); errno != 28 {
		t.Errorf("no subscription gives the error number %d", errno)
	}
	if _, errno := s.poll(10000, 20000, subscription{timeout: 5}, subscription{tag: 3}); errno != 28 {
		t.Errorf("an unknown subscription gives the error number %d", errno)
	}
	if got := s.look(0); got != year2000 {
		t.Errorf("refused polls moved the time to %d", got)
	}
	for _, args := range [][]uint64{{65536 - 41, 0, 1, 100}, {0, 65536 - 31, 1, 100}, {0, 100, 1, 65536 - 3}} {
		if _, err := s.mod.ExportedFunction("poll_oneoff").Call(t.Context(), args...); err == nil {
			t.Errorf("poll_oneoff%v reached behind the memory", args)
		}
	}
}
