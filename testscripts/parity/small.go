package parity

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/payload/clockpb"
	pb "github.com/waxosuit/waxo/capability/payload/extraspb"
)

// Clock is the suite of "waxo:clock". The clock of the provider must be that of this
// machine, to a second.
func Clock() Suite {
	suite := Suite{Capability: capability.Clock}
	now := []string{capability.OpNow}
	suite.Cases = append(suite.Cases,
		Case{Name: "Now", Rules: rules("CLK-1"), Operations: now, Run: rightTime},
		Case{Name: "time passes", Rules: rules("CLK-1"), Operations: now, Run: timePasses})
	contract{
		sample:     func(*Session) (string, Message) { return capability.OpNow, &clockpb.NowRequest{} },
		operations: now,
		empty:      capability.OpNow,
	}.addTo(&suite)
	return suite
}

// now is the time that the provider tells.
func (s *Session) now() time.Time {
	var answer clockpb.NowResponse
	s.perform(capability.OpNow, &clockpb.NowRequest{}, &answer)
	return time.Unix(0, answer.UnixNanos)
}

func rightTime(s *Session) {
	before := time.Now()
	got := s.now()
	if after := time.Now(); got.Before(before.Add(-time.Second)) || got.After(after.Add(time.Second)) {
		s.Errorf("it is %v, which is not between %v and %v", got, before, after)
	}
}

func timePasses(s *Session) {
	const gap = 100 * time.Millisecond
	first, begun := s.now(), time.Now()
	s.pause(gap)
	passed := s.now().Sub(first)
	if most := time.Since(begun) + gap; passed < gap/2 || passed > most {
		s.Errorf("%v passed between two calls that were %v apart", passed, most-gap)
	}
}

// Extras is the suite of "wascap:extras".
func Extras() Suite {
	suite := Suite{Capability: capability.Extras}
	all := []string{guid, sequence, random}
	for _, c := range []struct {
		name  string
		rules []string
		run   func(s *Session)
	}{
		{"RequestGuid", rules("EXT-1"), guids},
		{"RequestSequence", rules("EXT-2"), sequences},
		{"each binding has a sequence", rules("EXT-2", "CAP-33"), ownSequences},
		{"sequences at once", rules("EXT-2", "CAP-48"), sequencesAtOnce},
		{"RequestRandom", rules("EXT-3"), randoms},
		{"ranges without a number", rules("EXT-4"), noRange},
		{"the type of the generator", rules("EXT-5"), generatorTypes},
		{"each number is as likely", rules("EXT-6"), likely},
	} {
		suite.Cases = append(suite.Cases, Case{Name: c.name, Rules: c.rules, Operations: all, Run: c.run})
	}
	c := contract{
		sample:     func(*Session) (string, Message) { return random, &pb.GeneratorRequest{Gentype: 3, Min: 5, Max: 6} },
		decoy:      func(*Session) Message { return &pb.GeneratorRequest{Gentype: 1, Min: 9, Max: 2} },
		operations: all,
		answer:     func() Message { return new(pb.GeneratorResult) },
		empty:      guid,
		steady:     true,
	}
	c.addTo(&suite)
	c.addPayloads(&suite)
	return suite
}

const guid, sequence, random = capability.OpRequestGuid, capability.OpRequestSequence, capability.OpRequestRandom

// generate has something generated, which must be of a kind.
func (s *Session) generate(op string, req *pb.GeneratorRequest, kind pb.GeneratorResultValue) pb.GeneratorResult {
	var answer pb.GeneratorResult
	s.perform(op, req, &answer)
	if answer.Value != kind {
		s.Errorf("%s answers %s, with another value than its own", op, show(&answer))
	}
	return answer
}

func guids(s *Session) {
	seen := make(map[string]bool)
	for range 1000 {
		id := s.generate(guid, &pb.GeneratorRequest{Gentype: pb.GeneratorTypeGuid}, pb.GeneratorResultValueGuid).Guid
		if !isGUID(id) {
			s.Fatalf("%q is no random UUID of version 4 in its usual form", id)
		}
		seen[id] = true
	}
	if len(seen) < 1000 {
		s.Errorf("of 1000, there are %d different ones", len(seen))
	}
}

// isGUID knows 01234567-89ab-4def-8123-456789abcdef.
func isGUID(id string) bool {
	if len(id) != 36 || id[14] != '4' || !strings.ContainsRune("89ab", rune(id[19])) {
		return false
	}
	for i, c := range id {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		if dash != (c == '-') || !dash && !strings.ContainsRune("0123456789abcdef", c) {
			return false
		}
	}
	return true
}

func (s *Session) next() uint64 {
	return s.generate(sequence, &pb.GeneratorRequest{Gentype: pb.GeneratorTypeSequence}, pb.GeneratorResultValueSequenceNo).SequenceNo
}

func sequences(s *Session) {
	for want := range uint64(100) {
		if got := s.next(); got != want {
			s.Fatalf("the number %d comes when it is the turn of %d", got, want)
		}
	}
}

func ownSequences(s *Session) {
	all := []*Session{s, s.As("X", "", nil), s.As("", "second", nil)}
	for want := range uint64(10) {
		for i, guest := range all {
			if got := guest.next(); got != want {
				s.Fatalf("the number %d comes to the binding %d when it is the turn of %d", got, i, want)
			}
		}
	}
}

func sequencesAtOnce(s *Session) {
	var mu sync.Mutex
	var got []uint64
	s.atOnce(func(int) {
		n := s.next()
		mu.Lock()
		defer mu.Unlock()
		got = append(got, n)
	})
	slices.Sort(got)
	for i, n := range got {
		if n != uint64(i) {
			s.Fatalf("of %d numbers that were asked for at once, %d is there and %d is not", len(got), n, i)
		}
	}
}

func (s *Session) draw(low, high uint32) uint32 {
	n := s.generate(random, &pb.GeneratorRequest{Gentype: pb.GeneratorTypeRandom, Min: low, Max: high}, pb.GeneratorResultValueRandomNo).RandomNo
	if n < low || n >= high {
		s.Fatalf("the number %d is not in the range from %d up to, and not including, %d", n, low, high)
	}
	return n
}

func randoms(s *Session) {
	for range 20 {
		s.draw(5, 6)
		s.draw(0, 1)
		s.draw(math.MaxUint32-1, math.MaxUint32)
		s.draw(0, math.MaxUint32)
	}
	seen := make(map[uint32]bool)
	for range 400 {
		seen[s.draw(10, 14)] = true
	}
	if len(seen) != 4 { // by chance: once in 10^49 runs
		s.Errorf("of 10 to 13, only %d numbers came in 400 draws", len(seen))
	}
}

// likely: what is off by chance alone is off once in 10^10 runs at most.
func likely(s *Session) {
	var count [10]int
	for range 10_000 {
		count[s.draw(0, 10)]++
	}
	square := 0.0
	for _, n := range count {
		square += float64((n-1000)*(n-1000)) / 1000
	}
	if square > 75 {
		s.Errorf("of 10,000 draws of 10 numbers, they came %v times", count)
	}
	low := 0
	for range 3000 { // a remainder of 32 bits is in this third half of the time
		if s.draw(0, 3<<30) < 1<<30 {
			low++
		}
	}
	if low < 800 || low > 1200 {
		s.Errorf("of 3,000 draws from a range, %d were in its first third", low)
	}
}

func noRange(s *Session) {
	for _, r := range [][2]uint32{{0, 0}, {5, 5}, {6, 5}, {math.MaxUint32, 0}} {
		s.WantError(random, &pb.GeneratorRequest{Gentype: pb.GeneratorTypeRandom, Min: r[0], Max: r[1]},
			fmt.Sprintf("invalid: there is no number from %d up to, and not including, %d", r[0], r[1]))
	}
}

func generatorTypes(s *Session) {
	s.generate(guid, &pb.GeneratorRequest{}, pb.GeneratorResultValueGuid)
	s.generate(sequence, &pb.GeneratorRequest{}, pb.GeneratorResultValueSequenceNo)
	s.generate(random, &pb.GeneratorRequest{Max: 1}, pb.GeneratorResultValueRandomNo)
	for _, c := range []struct {
		op   string
		want pb.GeneratorType
	}{{guid, pb.GeneratorTypeGuid}, {sequence, pb.GeneratorTypeSequence}, {random, pb.GeneratorTypeRandom}} {
		for _, other := range []pb.GeneratorType{1, 2, 3, 4, -1} {
			if other != c.want {
				s.WantError(c.op, &pb.GeneratorRequest{Gentype: other, Max: 1},
					fmt.Sprintf("invalid: %s does not go with the generator type %d: it is %d, or 0", c.op, other, c.want))
			}
		}
	}
}
