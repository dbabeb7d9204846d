package parity

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/waxosuit/waxo/capability"
	pb "github.com/waxosuit/waxo/capability/payload/keyvaluepb"
)

// KeyValue is the suite of "wascap:keyvalue". Its provider needs a key "prefix" in
// its configuration, which keeps the runs apart.
func KeyValue() Suite {
	suite := Suite{Capability: capability.KeyValue}
	stories := keyValueStories()
	for _, name := range slices.Sorted(maps.Keys(stories)) {
		suite.add(name, func(s *Session) { tell(s, stories[name]) })
	}
	suite.add("calls at random", randomCalls)
	suite.add("expiry", expiry)
	suite.add("concurrency", concurrentCalls)
	suite.add("large values", largeValues)
	suite.add("what cannot be decoded", undecodable)
	return suite
}

func (s *Suite) add(name string, run func(s *Session)) {
	s.Cases = append(s.Cases, Case{Name: name, Config: map[string]string{"prefix": NamePlaceholder}, Run: run})
}

// step is a call and its answer: a payload, or an error's text.
type step struct {
	op   string
	req  Message
	want any
}

func tell(s *Session, story []step) {
	for _, step := range story {
		if text, ok := step.want.(string); ok {
			s.WantError(step.op, step.req, text)
		} else {
			s.Want(step.op, step.req, step.want.(Message))
		}
	}
}

const (
	get, set, del, add = capability.OpGet, capability.OpSet, capability.OpDel, capability.OpAdd
	exists, push       = capability.OpKeyExists, capability.OpPush
	slice, drop, clr   = capability.OpRange, capability.OpListItemDelete, capability.OpClear
	sadd, srem         = capability.OpSetAdd, capability.OpSetRemove
	query, union, sect = capability.OpSetQuery, capability.OpSetUnion, capability.OpSetIntersection

	odd = "key\x00 \r\n\"\\\u2028 世界 🙂"
)

func values(v ...string) *pb.SetQueryResponse { return &pb.SetQueryResponse{Values: v} }
func items(v ...string) *pb.ListRangeResponse { return &pb.ListRangeResponse{Values: v} }
func size(n int32) *pb.SetOperationResponse   { return &pb.SetOperationResponse{NewCount: n} }
func length(n int32) *pb.ListResponse         { return &pb.ListResponse{NewCount: n} }

// keyValueStories are what guests do, in order, on a store that is empty at first.
func keyValueStories() map[string][]step {
	return map[string][]step{
		"values": {
			{get, &pb.GetRequest{Key: "k"}, &pb.GetResponse{}},
			{exists, &pb.KeyExistsQuery{Key: "k"}, &pb.GetResponse{}},
			{set, &pb.SetRequest{Key: "k", Value: "v"}, &pb.SetResponse{Value: "v"}},
			{get, &pb.GetRequest{Key: "k"}, &pb.GetResponse{Value: "v", Exists: true}},
			{exists, &pb.KeyExistsQuery{Key: "k"}, &pb.GetResponse{Exists: true}},
			{set, &pb.SetRequest{Key: "k", Value: ""}, &pb.SetResponse{}},
			{get, &pb.GetRequest{Key: "k"}, &pb.GetResponse{Exists: true}},
			{del, &pb.DelRequest{Key: "k"}, &pb.DelResponse{Key: "k"}},
			{get, &pb.GetRequest{Key: "k"}, &pb.GetResponse{}},
			{del, &pb.DelRequest{Key: "k"}, &pb.DelResponse{Key: "k"}},
			{set, &pb.SetRequest{Key: "k", Value: "v", ExpiresS: -1}, "invalid: a key cannot expire after -1 seconds: give 0 for never, or a positive number"},
			{set, &pb.SetRequest{Key: "k", Value: "v", ExpiresS: math.MinInt32}, "invalid: a key cannot expire after -2147483648 seconds: give 0 for never, or a positive number"},
			{exists, &pb.KeyExistsQuery{Key: "k"}, &pb.GetResponse{}},
			{set, &pb.SetRequest{Key: "k", Value: "v", ExpiresS: math.MaxInt32}, &pb.SetResponse{Value: "v"}},
			{get, &pb.GetRequest{Key: "k"}, &pb.GetResponse{Value: "v", Exists: true}},
		},
		"odd names and values": {
			{set, &pb.SetRequest{Key: odd, Value: odd}, &pb.SetResponse{Value: odd}},
			{get, &pb.GetRequest{Key: odd}, &pb.GetResponse{Value: odd, Exists: true}},
			{set, &pb.SetRequest{Value: "the empty key"}, &pb.SetResponse{Value: "the empty key"}},
			{get, &pb.GetRequest{}, &pb.GetResponse{Value: "the empty key", Exists: true}},
			{push, &pb.ListPushRequest{Key: "l", Value: odd}, length(1)},
			{push, &pb.ListPushRequest{Key: "l"}, length(2)},
			{slice, &pb.ListRangeRequest{Key: "l", Stop: -1}, items(odd, "")},
			{sadd, &pb.SetAddRequest{Key: "s", Value: odd}, size(1)},
			{sadd, &pb.SetAddRequest{Key: "s"}, size(2)},
			{query, &pb.SetQueryRequest{Key: "s"}, values("", odd)},
			{add, &pb.AddRequest{Key: odd, Value: 1}, "wrong_kind: the key \"key\\x00 \\r\\n\\\"\\\\\\u2028 世界 🙂\" holds a value that is no integer; Add needs one"},
			{add, &pb.AddRequest{Key: strings.Repeat("é", 60), Value: 1}, &pb.AddResponse{Value: 1}},
			{push, &pb.ListPushRequest{Key: strings.Repeat("é", 60)}, "wrong_kind: the key \"" + strings.Repeat("é", 50) + "\"... holds a value; the operation needs a list"},
		},
		"numbers": {
			{add, &pb.AddRequest{Key: "n"}, &pb.AddResponse{}},
			{get, &pb.GetRequest{Key: "n"}, &pb.GetResponse{Value: "0", Exists: true}},
			{add, &pb.AddRequest{Key: "n", Value: 5}, &pb.AddResponse{Value: 5}},
			{add, &pb.AddRequest{Key: "n", Value: -7}, &pb.AddResponse{Value: -2}},
			{get, &pb.GetRequest{Key: "n"}, &pb.GetResponse{Value: "-2", Exists: true}},
			{add, &pb.AddRequest{Key: "n", Value: math.MinInt32}, "out_of_range: the sum for the key \"n\" does not fit into 32 bits; the key is unchanged"},
			{get, &pb.GetRequest{Key: "n"}, &pb.GetResponse{Value: "-2", Exists: true}},
			{set, &pb.SetRequest{Key: "n", Value: "2147483646"}, &pb.SetResponse{Value: "2147483646"}},
			{add, &pb.AddRequest{Key: "n", Value: 1}, &pb.AddResponse{Value: math.MaxInt32}},
			{add, &pb.AddRequest{Key: "n", Value: 1}, "out_of_range: the sum for the key \"n\" does not fit into 32 bits; the key is unchanged"},
			{add, &pb.AddRequest{Key: "n", Value: math.MinInt32}, &pb.AddResponse{Value: -1}},
			{add, &pb.AddRequest{Key: "m", Value: math.MinInt32}, &pb.AddResponse{Value: math.MinInt32}},
			{add, &pb.AddRequest{Key: "m", Value: -1}, "out_of_range: the sum for the key \"m\" does not fit into 32 bits; the key is unchanged"},
			{get, &pb.GetRequest{Key: "m"}, &pb.GetResponse{Value: "-2147483648", Exists: true}},
			{set, &pb.SetRequest{Key: "n", Value: "9223372036854775807"}, &pb.SetResponse{Value: "9223372036854775807"}},
			{add, &pb.AddRequest{Key: "n", Value: 1}, "out_of_range: the sum for the key \"n\" does not fit into 32 bits; the key is unchanged"},
			{add, &pb.AddRequest{Key: "n", Value: -1}, "out_of_range: the sum for the key \"n\" does not fit into 32 bits; the key is unchanged"},
			{get, &pb.GetRequest{Key: "n"}, &pb.GetResponse{Value: "9223372036854775807", Exists: true}},
			{set, &pb.SetRequest{Key: "n", Value: "3000000000"}, &pb.SetResponse{Value: "3000000000"}},
			{add, &pb.AddRequest{Key: "n", Value: -2000000000}, &pb.AddResponse{Value: 1000000000}},
			{set, &pb.SetRequest{Key: "n", Value: "+1"}, &pb.SetResponse{Value: "+1"}},
			{add, &pb.AddRequest{Key: "n", Value: 1}, "wrong_kind: the key \"n\" holds a value that is no integer; Add needs one"},
			{set, &pb.SetRequest{Key: "n", Value: "01"}, &pb.SetResponse{Value: "01"}},
			{add, &pb.AddRequest{Key: "n", Value: 1}, "wrong_kind: the key \"n\" holds a value that is no integer; Add needs one"},
			{get, &pb.GetRequest{Key: "n"}, &pb.GetResponse{Value: "01", Exists: true}},
			{set, &pb.SetRequest{Key: "n", Value: ""}, &pb.SetResponse{}},
			{add, &pb.AddRequest{Key: "n", Value: 1}, "wrong_kind: the key \"n\" holds a value that is no integer; Add needs one"},
		},
		"lists": {
			{slice, &pb.ListRangeRequest{Key: "l", Stop: -1}, items()},
			{drop, &pb.ListDelItemRequest{Key: "l", Value: "a"}, length(0)},
			{clr, &pb.ListClearRequest{Key: "l"}, length(0)},
			{push, &pb.ListPushRequest{Key: "l", Value: "a"}, length(1)},
			{push, &pb.ListPushRequest{Key: "l", Value: "b"}, length(2)},
			{push, &pb.ListPushRequest{Key: "l", Value: "a"}, length(3)},
			{push, &pb.ListPushRequest{Key: "l", Value: "c"}, length(4)},
			{slice, &pb.ListRangeRequest{Key: "l", Stop: -1}, items("a", "b", "a", "c")},
			{slice, &pb.ListRangeRequest{Key: "l"}, items("a")},
			{slice, &pb.ListRangeRequest{Key: "l", Start: 1, Stop: 2}, items("b", "a")},
			{slice, &pb.ListRangeRequest{Key: "l", Start: -2, Stop: -1}, items("a", "c")},
			{slice, &pb.ListRangeRequest{Key: "l", Start: 2, Stop: 1}, items()},
			{slice, &pb.ListRangeRequest{Key: "l", Start: 4, Stop: 9}, items()},
			{slice, &pb.ListRangeRequest{Key: "l", Start: math.MinInt32, Stop: math.MaxInt32}, items("a", "b", "a", "c")},
			{drop, &pb.ListDelItemRequest{Key: "l", Value: "a"}, length(2)},
			{drop, &pb.ListDelItemRequest{Key: "l", Value: "none"}, length(2)},
			{slice, &pb.ListRangeRequest{Key: "l", Stop: -1}, items("b", "c")},
			{clr, &pb.ListClearRequest{Key: "l"}, length(0)},
			{exists, &pb.KeyExistsQuery{Key: "l"}, &pb.GetResponse{}},
			{push, &pb.ListPushRequest{Key: "l", Value: "x"}, length(1)},
			{drop, &pb.ListDelItemRequest{Key: "l", Value: "x"}, length(0)},
			{exists, &pb.KeyExistsQuery{Key: "l"}, &pb.GetResponse{}},
		},
		"sets": {
			{query, &pb.SetQueryRequest{Key: "s"}, values()},
			{srem, &pb.SetRemoveRequest{Key: "s", Value: "a"}, size(0)},
			{sadd, &pb.SetAddRequest{Key: "s", Value: "b"}, size(1)},
			{sadd, &pb.SetAddRequest{Key: "s", Value: "a"}, size(2)},
			{sadd, &pb.SetAddRequest{Key: "s", Value: "a"}, size(2)},
			{sadd, &pb.SetAddRequest{Key: "s", Value: "10"}, size(3)},
			{sadd, &pb.SetAddRequest{Key: "s", Value: "9"}, size(4)},
			{query, &pb.SetQueryRequest{Key: "s"}, values("10", "9", "a", "b")},
			{sadd, &pb.SetAddRequest{Key: "t", Value: "b"}, size(1)},
			{sadd, &pb.SetAddRequest{Key: "t", Value: "c"}, size(2)},
			{union, &pb.SetUnionRequest{Keys: []string{"s", "t", "none"}}, values("10", "9", "a", "b", "c")},
			{sect, &pb.SetIntersectionRequest{Keys: []string{"s", "t"}}, values("b")},
			{sect, &pb.SetIntersectionRequest{Keys: []string{"s"}}, values("10", "9", "a", "b")},
			{sect, &pb.SetIntersectionRequest{Keys: []string{"s", "s"}}, values("10", "9", "a", "b")},
			{sect, &pb.SetIntersectionRequest{Keys: []string{"s", "none"}}, values()},
			{union, &pb.SetUnionRequest{}, "invalid: the request names no set"},
			{sect, &pb.SetIntersectionRequest{}, "invalid: the request names no set"},
			{srem, &pb.SetRemoveRequest{Key: "t", Value: "x"}, size(2)},
			{srem, &pb.SetRemoveRequest{Key: "t", Value: "c"}, size(1)},
			{srem, &pb.SetRemoveRequest{Key: "t", Value: "b"}, size(0)},
			{exists, &pb.KeyExistsQuery{Key: "t"}, &pb.GetResponse{}},
		},
		"kinds": {
			{set, &pb.SetRequest{Key: "v", Value: "1"}, &pb.SetResponse{Value: "1"}},
			{push, &pb.ListPushRequest{Key: "l", Value: "1"}, length(1)},
			{sadd, &pb.SetAddRequest{Key: "s", Value: "1"}, size(1)},
			{get, &pb.GetRequest{Key: "l"}, "wrong_kind: the key \"l\" holds a list; the operation needs a value"},
			{get, &pb.GetRequest{Key: "s"}, "wrong_kind: the key \"s\" holds a set; the operation needs a value"},
			{add, &pb.AddRequest{Key: "l", Value: 1}, "wrong_kind: the key \"l\" holds a list; the operation needs a value"},
			{push, &pb.ListPushRequest{Key: "v", Value: "1"}, "wrong_kind: the key \"v\" holds a value; the operation needs a list"},
			{slice, &pb.ListRangeRequest{Key: "s"}, "wrong_kind: the key \"s\" holds a set; the operation needs a list"},
			{drop, &pb.ListDelItemRequest{Key: "s", Value: "1"}, "wrong_kind: the key \"s\" holds a set; the operation needs a list"},
			{clr, &pb.ListClearRequest{Key: "v"}, "wrong_kind: the key \"v\" holds a value; the operation needs a list"},
			{sadd, &pb.SetAddRequest{Key: "l", Value: "1"}, "wrong_kind: the key \"l\" holds a list; the operation needs a set"},
			{srem, &pb.SetRemoveRequest{Key: "v", Value: "1"}, "wrong_kind: the key \"v\" holds a value; the operation needs a set"},
			{query, &pb.SetQueryRequest{Key: "l"}, "wrong_kind: the key \"l\" holds a list; the operation needs a set"},
			{union, &pb.SetUnionRequest{Keys: []string{"s", "none", "l"}}, "wrong_kind: the key \"l\" holds a list; the operation needs a set"},
			{sect, &pb.SetIntersectionRequest{Keys: []string{"v", "s"}}, "wrong_kind: the key \"v\" holds a value; the operation needs a set"},
			{exists, &pb.KeyExistsQuery{Key: "s"}, &pb.GetResponse{Exists: true}},
			{set, &pb.SetRequest{Key: "l", Value: "now a value"}, &pb.SetResponse{Value: "now a value"}},
			{get, &pb.GetRequest{Key: "l"}, &pb.GetResponse{Value: "now a value", Exists: true}},
			{del, &pb.DelRequest{Key: "s"}, &pb.DelResponse{Key: "s"}},
			{exists, &pb.KeyExistsQuery{Key: "s"}, &pb.GetResponse{}},
		},
	}
}

// randomCalls makes 4,000 calls on few keys, so that they get in each other's way.
func randomCalls(s *Session) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 4000 {
		op, req := randomCall(random)
		s.Raw(op, req.AppendProto(nil)) // what is right, only another target tells
	}
}

func randomCall(r *rand.Rand) (string, Message) {
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	key := func() string { return pick("a", "b", "c", "") }
	value := func() string {
		return pick("", "1", "x", "y", "世", "2147483647", "-2147483648", "007", "-0", "9223372036854775807", fmt.Sprint(r.Int32()))
	}
	number := func() int32 {
		return []int32{0, 1, -1, 2, -3, r.Int32(), -r.Int32(), math.MaxInt32, math.MinInt32}[r.IntN(9)]
	}
	keys := func() []string { return []string{key(), key(), key()}[:r.IntN(4)] }
	switch r.IntN(16) {
	case 0:
		return get, &pb.GetRequest{Key: key()}
	case 1:
		return set, &pb.SetRequest{Key: key(), Value: value(), ExpiresS: []int32{0, 0, 1000, -1}[r.IntN(4)]}
	case 2, 3:
		return del, &pb.DelRequest{Key: key()}
	case 4:
		return add, &pb.AddRequest{Key: key(), Value: number()}
	case 5:
		return exists, &pb.KeyExistsQuery{Key: key()}
	case 6, 7:
		return push, &pb.ListPushRequest{Key: key(), Value: value()}
	case 8:
		return slice, &pb.ListRangeRequest{Key: key(), Start: number(), Stop: number()}
	case 9:
		return drop, &pb.ListDelItemRequest{Key: key(), Value: value()}
	case 10:
		return clr, &pb.ListClearRequest{Key: key()}
	case 11, 12:
		return sadd, &pb.SetAddRequest{Key: key(), Value: value()}
	case 13:
		return srem, &pb.SetRemoveRequest{Key: key(), Value: value()}
	case 14:
		return union, &pb.SetUnionRequest{Keys: keys()}
	default:
		return sect, &pb.SetIntersectionRequest{Keys: keys()}
	}
}

// expiry: a key with a second to live is there before its end and gone after it;
// who adds to it does not prolong it, who sets it again does.
func expiry(s *Session) {
	perform := func(op string, req, resp Message) {
		answer, err := s.Quiet(op, req.AppendProto(nil))
		if err == nil {
			err = resp.UnmarshalProto(answer)
		}
		if err != nil {
			s.Fatalf("%s %+v: %v", op, req, err)
		}
	}
	begun := time.Now()
	perform(set, &pb.SetRequest{Key: "k", Value: "1", ExpiresS: 1}, &pb.SetResponse{})
	done := time.Now()
	perform(add, &pb.AddRequest{Key: "k", Value: 1}, &pb.AddResponse{})
	perform(set, &pb.SetRequest{Key: "again", Value: "v", ExpiresS: 1}, &pb.SetResponse{})
	perform(set, &pb.SetRequest{Key: "again", Value: "v"}, &pb.SetResponse{})

	const slack = 20 * time.Millisecond // the clock may be another machine's
	for got := (pb.GetResponse{Exists: true}); got.Exists; {
		asked := time.Now()
		got = pb.GetResponse{}
		perform(get, &pb.GetRequest{Key: "k"}, &got)
		switch {
		case got.Exists && got.Value != "2":
			s.Fatalf("the value is %q", got.Value)
		case got.Exists && asked.After(done.Add(time.Second+slack)):
			s.Fatalf("still there %v after the end", asked.Sub(done)-time.Second)
		case !got.Exists && time.Since(begun) < time.Second-slack:
			s.Fatalf("gone after %v", time.Since(begun))
		}
	}
	s.Want(exists, &pb.KeyExistsQuery{Key: "again"}, &pb.GetResponse{Exists: true})
}

// concurrentCalls: 1,000 additions at once, and as many members and items.
func concurrentCalls(s *Session) {
	const callers = 1000
	sums := make([]int32, callers)
	quiet := func(op string, req Message) []byte {
		answer, err := s.Quiet(op, req.AppendProto(nil))
		if err != nil {
			s.Errorf("%s: %v", op, err)
		}
		return answer
	}
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			var sum pb.AddResponse
			if err := sum.UnmarshalProto(quiet(add, &pb.AddRequest{Key: "n", Value: 1})); err != nil {
				s.Errorf("Add: %v", err)
			}
			sums[i] = sum.Value
			quiet(push, &pb.ListPushRequest{Key: "l", Value: "x"})
			quiet(sadd, &pb.SetAddRequest{Key: "s", Value: fmt.Sprint(i % 100)})
		})
	}
	wg.Wait()
	slices.Sort(sums)
	for i, sum := range sums {
		if sum != int32(i+1) {
			s.Fatalf("of %d additions at once, the one that should give %d gave %d", callers, i+1, sum)
		}
	}
	s.Want(drop, &pb.ListDelItemRequest{Key: "l", Value: "none"}, length(callers))
	s.Want(sadd, &pb.SetAddRequest{Key: "s", Value: "0"}, size(100))
}

// largeValues: 16 MiB go in and come out.
func largeValues(s *Session) {
	big := strings.Repeat("0123456789abcdef", 1<<20)
	if _, err := s.Quiet(set, (&pb.SetRequest{Key: "k", Value: big}).AppendProto(nil)); err != nil {
		s.Fatalf("Set of %d bytes: %v", len(big), err)
	}
	answer, err := s.Quiet(get, (&pb.GetRequest{Key: "k"}).AppendProto(nil))
	var got pb.GetResponse
	if err == nil {
		err = got.UnmarshalProto(answer)
	}
	if err != nil || got.Value != big {
		s.Fatalf("came back with %d bytes (%v)", len(got.Value), err)
	}
}

// undecodable: payloads that are none, and operations that are not there.
func undecodable(s *Session) {
	for _, op := range []string{get, set, del, add, exists, push, slice, drop, clr, sadd, srem, query, union, sect} {
		if _, err := s.Raw(op, []byte("\x0a\xff")); err == nil || capability.AsError(err).Code != capability.CodeInvalid {
			s.Errorf("%s takes a payload that is none: %v", op, err)
		}
	}
	if _, err := s.Raw("Frobnicate", nil); err == nil || capability.AsError(err).Code != capability.CodeUnsupported {
		s.Errorf("there is an operation Frobnicate: %v", err)
	}
}
