package parity

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	pb "github.com/waxosuit/waxo/capability/payload/keyvaluepb"
)

func keyValueCases() []Case {
	prefixed := map[string]string{"prefix": NamePlaceholder}
	return []Case{
		{Name: "expiry", Rules: rules("KV-3"), Operations: []string{set, get}, Run: expiry},
		{Name: "Add leaves the expiry alone", Rules: rules("KV-10"), Operations: []string{set, add, get}, Run: expiryOfSum},
		{Name: "Set again ends the expiry", Rules: rules("KV-2"), Operations: []string{set, get}, Run: expiryOfFormer},
		{Name: "Add at once", Rules: rules("KV-42", "KV-7", "CAP-48"), Operations: []string{add}, Run: addAtOnce},
		{Name: "Push at once", Rules: rules("KV-42", "KV-20", "CAP-48"), Operations: []string{push, slice}, Run: pushAtOnce},
		{Name: "SetAdd at once", Rules: rules("KV-42", "KV-30", "CAP-48"), Operations: []string{sadd}, Run: setAddAtOnce},
		{Name: "large values", Rules: rules("KV-12"), Operations: []string{set, get}, Run: largeValues},
		{Name: "bindings with prefixes of their own", Rules: rules("CAP-33"), Operations: []string{set, get}, Config: prefixed, Run: ownKeys},
		{Name: "the empty key", Rules: rules("KV-11"), Operations: []string{set, get}, Config: prefixed, Run: emptyKey},
		{Name: "payloads: negative numbers", Rules: rules("PAY-5"), Operations: []string{add}, Run: negativeSum},
		{
			Name: "calls at random", Operations: []string{get, set, del, add, exists, push, slice, drop, clr, sadd, srem, query, union, sect},
			Run: randomCalls,
		},
	}
}

// perform performs an operation that must succeed, and records nothing.
func (s *Session) perform(op string, req, resp Message) {
	answer, err := s.Quiet(op, req.AppendProto(nil))
	if err == nil && resp != nil {
		err = resp.UnmarshalProto(answer)
	}
	if err != nil {
		s.Errorf("%s %.200s: %v", op, show(req), err)
		panic(ended{})
	}
}

// slack is by how much the clock of a service may differ in the length of a second.
const slack = 20 * time.Millisecond

// untilGone asks for a key with a second to live, which it was given between begun
// and done, until it is gone.
func untilGone(s *Session, key, value string, begun, done time.Time) {
	for {
		asked := time.Now()
		var got pb.GetResponse
		s.perform(get, &pb.GetRequest{Key: key}, &got)
		switch {
		case got.Exists && got.Value != value:
			s.Fatalf("the value is %q", got.Value)
		case got.Exists && asked.After(done.Add(time.Second+slack)):
			s.Fatalf("it is still there %v after its end", asked.Sub(done)-time.Second)
		case !got.Exists && time.Since(begun) < time.Second-slack:
			s.Fatalf("it is gone after %v", time.Since(begun))
		case !got.Exists:
			return
		}
		s.pause(time.Millisecond)
	}
}

// pause waits.
func (s *Session) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.Context.Done():
		s.Fatalf("the time of the case is over")
	}
}

// expiry: a key with a second to live is there before its end and gone after it.
func expiry(s *Session) {
	begun := time.Now()
	s.perform(set, &pb.SetRequest{Key: s.Name("k"), Value: "v", ExpiresS: 1}, &pb.SetResponse{})
	untilGone(s, s.Name("k"), "v", begun, time.Now())
}

func expiryOfSum(s *Session) {
	begun := time.Now()
	s.perform(set, &pb.SetRequest{Key: s.Name("n"), Value: "1", ExpiresS: 1}, &pb.SetResponse{})
	done := time.Now()
	var sum pb.AddResponse
	s.perform(add, &pb.AddRequest{Key: s.Name("n"), Value: 1}, &sum)
	if sum.Value == 1 && time.Since(begun) > time.Second-slack {
		s.Skip("this machine is too slow: a second went by between two calls")
	}
	untilGone(s, s.Name("n"), "2", begun, done)
}

func expiryOfFormer(s *Session) {
	s.perform(set, &pb.SetRequest{Key: s.Name("former"), Value: "v", ExpiresS: 1}, &pb.SetResponse{})
	s.perform(set, &pb.SetRequest{Key: s.Name("former"), Value: "w"}, &pb.SetResponse{})
	s.pause(time.Second + slack)
	s.Want(get, &pb.GetRequest{Key: s.Name("former")}, there("w"))
}

// callers is how many call at once.
const callers = 200

// atOnce has many call at the same time.
func (s *Session) atOnce(call func(i int)) {
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() { s.play(func() { call(i) }) })
	}
	all.Wait()
}

func addAtOnce(s *Session) {
	sums := make([]int32, callers)
	s.atOnce(func(i int) {
		var sum pb.AddResponse
		s.perform(add, &pb.AddRequest{Key: s.Name("n"), Value: 1}, &sum)
		sums[i] = sum.Value
	})
	slices.Sort(sums)
	for i, sum := range sums {
		if sum != int32(i+1) {
			s.Fatalf("of %d additions at once, the one that should give %d gave %d", callers, i+1, sum)
		}
	}
}

// negativeSum looks at the bytes of an answer: ten of them for -2.
func negativeSum(s *Session) {
	answer, err := s.Quiet(add, (&pb.AddRequest{Key: s.Name("n"), Value: -2}).AppendProto(nil))
	if want := sum(-2).AppendProto(nil); err != nil || string(answer) != string(want) {
		s.Errorf("the sum of 0 and -2 comes as %q, %v; want %q", answer, err, want)
	}
}

func pushAtOnce(s *Session) {
	lengths := make([]int32, callers)
	s.atOnce(func(i int) {
		var length pb.ListResponse
		s.perform(push, &pb.ListPushRequest{Key: s.Name("l"), Value: fmt.Sprint(i)}, &length)
		lengths[i] = length.NewCount
	})
	var list pb.ListRangeResponse
	s.perform(slice, &pb.ListRangeRequest{Key: s.Name("l"), Stop: -1}, &list)
	if len(list.Values) != callers {
		s.Fatalf("of %d items that were pushed at once, %d are there", callers, len(list.Values))
	}
	for i, length := range lengths {
		if length < 1 || length > callers || list.Values[length-1] != fmt.Sprint(i) {
			s.Fatalf("the list had the length %d after the item %d, which is not in that place", length, i)
		}
	}
}

func setAddAtOnce(s *Session) {
	s.atOnce(func(i int) {
		s.perform(sadd, &pb.SetAddRequest{Key: s.Name("s"), Value: fmt.Sprint(i % 100)}, &pb.SetOperationResponse{})
	})
	s.Want(sadd, &pb.SetAddRequest{Key: s.Name("s"), Value: "0"}, size(100))
}

// largeValues: 16 MiB go in and come out.
func largeValues(s *Session) {
	big := strings.Repeat("0123456789abcdef", 1<<20)
	if _, err := s.Quiet(set, (&pb.SetRequest{Key: s.Name("k"), Value: big}).AppendProto(nil)); err != nil {
		s.Fatalf("Set of %d bytes: %v", len(big), err)
	}
	var got pb.GetResponse
	s.perform(get, &pb.GetRequest{Key: s.Name("k")}, &got)
	if got.Value != big {
		s.Fatalf("it came back with %d bytes, or others", len(got.Value))
	}
}

// ownKeys: guests and bindings with different prefixes have keys of their own, and
// those with the same prefix share them.
func ownKeys(s *Session) {
	all := []*Session{
		s, s.As("X", "", map[string]string{"prefix": NamePlaceholder + "x-"}), s.As("", "second", map[string]string{"prefix": NamePlaceholder + "second-"}),
	}
	for i, guest := range all {
		guest.Want(get, &pb.GetRequest{Key: "k"}, &pb.GetResponse{})
		guest.Want(set, &pb.SetRequest{Key: "k", Value: fmt.Sprint(i)}, &pb.SetResponse{Value: fmt.Sprint(i)})
	}
	for i, guest := range all {
		guest.Want(get, &pb.GetRequest{Key: "k"}, there(fmt.Sprint(i)))
	}
}

func emptyKey(s *Session) {
	s.Want(set, &pb.SetRequest{Value: "v"}, &pb.SetResponse{Value: "v"})
	s.Want(get, &pb.GetRequest{}, there("v"))
}

// randomCalls makes 2,000 calls on few keys, so that they get in each other's way.
// What is right, only another target tells.
func randomCalls(s *Session) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		op, req, resp := randomCall(random, s.Name)
		s.Call(op, req, resp)
	}
}

func randomCall(r *rand.Rand, name func(string) string) (op string, req, resp Message) {
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	key := func() string { return name(pick("a", "b", "c", "")) }
	value := func() string {
		return pick("", "1", "x", "y", "世", "2147483647", "-2147483648", "007", "-0", "9223372036854775807", fmt.Sprint(r.Int32()))
	}
	number := func() int32 {
		return []int32{0, 1, -1, 2, -3, r.Int32(), -r.Int32(), math.MaxInt32, math.MinInt32}[r.IntN(9)]
	}
	keys := func() []string { return []string{key(), key(), key()}[:r.IntN(4)] }
	switch r.IntN(16) {
	case 0:
		return get, &pb.GetRequest{Key: key()}, &pb.GetResponse{}
	case 1:
		return set, &pb.SetRequest{Key: key(), Value: value(), ExpiresS: []int32{0, 0, 1000, -1}[r.IntN(4)]}, &pb.SetResponse{}
	case 2, 3:
		return del, &pb.DelRequest{Key: key()}, &pb.DelResponse{}
	case 4:
		return add, &pb.AddRequest{Key: key(), Value: number()}, &pb.AddResponse{}
	case 5:
		return exists, &pb.KeyExistsQuery{Key: key()}, &pb.GetResponse{}
	case 6, 7:
		return push, &pb.ListPushRequest{Key: key(), Value: value()}, &pb.ListResponse{}
	case 8:
		return slice, &pb.ListRangeRequest{Key: key(), Start: number(), Stop: number()}, &pb.ListRangeResponse{}
	case 9:
		return drop, &pb.ListDelItemRequest{Key: key(), Value: value()}, &pb.ListResponse{}
	case 10:
		return clr, &pb.ListClearRequest{Key: key()}, &pb.ListResponse{}
	case 11, 12:
		return sadd, &pb.SetAddRequest{Key: key(), Value: value()}, &pb.SetOperationResponse{}
	case 13:
		return srem, &pb.SetRemoveRequest{Key: key(), Value: value()}, &pb.SetOperationResponse{}
	case 14:
		return union, &pb.SetUnionRequest{Keys: keys()}, &pb.SetQueryResponse{}
	default:
		return sect, &pb.SetIntersectionRequest{Keys: keys()}, &pb.SetQueryResponse{}
	}
}
