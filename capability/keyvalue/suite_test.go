package keyvalue_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/keyvalue"
	pb "github.com/waxosuit/waxo/capability/payload/keyvaluepb"
)

type (
	request  interface{ AppendProto([]byte) []byte }
	response interface {
		AppendProto([]byte) []byte
		UnmarshalProto([]byte) error
	}
)

// call performs an operation as the host does.
func call(ctx context.Context, p *keyvalue.Provider, op string, req request) ([]byte, error) {
	return p.Call(ctx, capability.Call{BindingID: id, Operation: op, Payload: req.AppendProto(nil), Into: []byte("what is in the room means nothing")})
}

// step is a call and its answer: a payload, or an error's text.
type step struct {
	op   string
	req  request
	want any
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

// stories are what guests do, in order, on a server that is empty at first.
var stories = map[string][]step{
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

// TestStories: every backend gives the very bytes that the story tells.
func TestStories(t *testing.T) {
	each(t, func(t *testing.T, url string) {
		p, c := bind(t, url), client(t, url)
		for name, story := range stories {
			do(t, c, "FLUSHALL")
			for i, s := range story {
				answer, err := call(t.Context(), p, s.op, s.req)
				got, want := string(answer), s.want
				if err != nil {
					got = err.Error()
				}
				if m, ok := want.(response); ok {
					want = string(m.AppendProto(nil))
				}
				if got != want {
					t.Errorf("%s, step %d: %s %+v\nanswered %q\nwant     %q", name, i, s.op, s.req, got, want)
				}
			}
		}
	})
}

// differences lists the answers in which the embedded server may differ from
// Redis, by operation and the start of what the embedded one says, with the
// reason. There are none.
var differences = []struct{ op, embedded, reason string }{}

// TestSameAsRedis makes the same 4,000 calls at random on both backends, on few
// keys so that they get in each other's way: every answer is the same, byte by
// byte.
func TestSameAsRedis(t *testing.T) {
	real, ours := bind(t, realRedis(t)), bind(t, embedded(t))
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 4000 {
		op, req := randomCall(random)
		a, errA := call(t.Context(), ours, op, req)
		b, errB := call(t.Context(), real, op, req)
		if textA, textB := fmt.Sprintf("%q %v", a, errA), fmt.Sprintf("%q %v", b, errB); textA != textB {
			known := false
			for _, d := range differences {
				known = known || d.op == op && strings.HasPrefix(textA, d.embedded)
			}
			if !known {
				t.Fatalf("call %d: %s %+v\nembedded: %s\nRedis:    %s", i, op, req, textA, textB)
			}
		}
	}
}

func randomCall(r *rand.Rand) (string, request) {
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

// TestExpiry: a key with a second to live is there before its end and gone
// after it; who adds to it does not prolong it, who sets it again does.
func TestExpiry(t *testing.T) {
	each(t, func(t *testing.T, url string) {
		p := bind(t, url)
		perform := func(op string, req request, resp response) {
			t.Helper()
			answer, err := call(t.Context(), p, op, req)
			if err == nil {
				err = resp.UnmarshalProto(answer)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		begun := time.Now()
		perform(set, &pb.SetRequest{Key: "k", Value: "1", ExpiresS: 1}, &pb.SetResponse{})
		done := time.Now()
		perform(add, &pb.AddRequest{Key: "k", Value: 1}, &pb.AddResponse{})
		perform(set, &pb.SetRequest{Key: "again", Value: "v", ExpiresS: 1}, &pb.SetResponse{})
		perform(set, &pb.SetRequest{Key: "again", Value: "v"}, &pb.SetResponse{})

		const slack = 3 * time.Millisecond // Redis counts in milliseconds
		for {
			asked := time.Now()
			var got pb.GetResponse
			perform(get, &pb.GetRequest{Key: "k"}, &got)
			switch {
			case got.Exists && got.Value != "2":
				t.Fatalf("the value is %q", got.Value)
			case got.Exists && asked.After(done.Add(time.Second+slack)):
				t.Fatalf("still there %v after the end", asked.Sub(done)-time.Second)
			case !got.Exists && time.Since(begun) < time.Second-slack:
				t.Fatalf("gone after %v", time.Since(begun))
			}
			if !got.Exists {
				break
			}
		}
		var again pb.GetResponse
		perform(exists, &pb.KeyExistsQuery{Key: "again"}, &again)
		if !again.Exists {
			t.Error("the key that was set again, for ever, is gone")
		}
	})
}

// TestConcurrency: 1,000 additions at once, and as many members and items.
func TestConcurrency(t *testing.T) {
	each(t, func(t *testing.T, url string) {
		p := bind(t, url)
		const callers = 1000
		sums := make([]int32, callers)
		var wg sync.WaitGroup
		for i := range callers {
			wg.Go(func() {
				var sum pb.AddResponse
				answer, err := call(t.Context(), p, add, &pb.AddRequest{Key: "n", Value: 1})
				err = errors.Join(err, sum.UnmarshalProto(answer))
				_, err2 := call(t.Context(), p, push, &pb.ListPushRequest{Key: "l", Value: "x"})
				_, err3 := call(t.Context(), p, sadd, &pb.SetAddRequest{Key: "s", Value: fmt.Sprint(i % 100)})
				if err = errors.Join(err, err2, err3); err != nil {
					t.Error(err)
				}
				sums[i] = sum.Value
			})
		}
		wg.Wait()
		seen := make(map[int32]bool)
		for _, sum := range sums {
			seen[sum] = true
		}
		if len(seen) != callers || !seen[1] || !seen[callers] {
			t.Errorf("%d additions gave %d different sums", callers, len(seen))
		}
		answer, err := call(t.Context(), p, drop, &pb.ListDelItemRequest{Key: "l", Value: "none"})
		if want := length(callers).AppendProto(nil); err != nil || !reflect.DeepEqual(answer, want) {
			t.Errorf("the list's length: %q (%v)", answer, err)
		}
		answer, err = call(t.Context(), p, sadd, &pb.SetAddRequest{Key: "s", Value: "0"})
		if want := size(100).AppendProto(nil); err != nil || !reflect.DeepEqual(answer, want) {
			t.Errorf("the set's size: %q (%v)", answer, err)
		}
	})
}

// TestWhatOthersStored: what a payload cannot carry is an error that says so.
func TestWhatOthersStored(t *testing.T) {
	each(t, func(t *testing.T, url string) {
		p, c := bind(t, url), client(t, url)
		do(t, c, "SET", "v", "\xff")
		do(t, c, "RPUSH", "l", "fine", "\xff")
		do(t, c, "SADD", "s", "fine", "\xff")
		do(t, c, "HSET", "h", "f", "v")
		do(t, c, "ZADD", "z", "1", "m")
		for _, s := range []step{
			{get, &pb.GetRequest{Key: "v"}, "wrong_kind: the value at the key \"v\" is not UTF-8 text, and no other can be handed to a guest"},
			{slice, &pb.ListRangeRequest{Key: "l", Stop: -1}, "wrong_kind: the list at the key \"l\" is not UTF-8 text, and no other can be handed to a guest"},
			{slice, &pb.ListRangeRequest{Key: "l"}, items("fine")},
			{query, &pb.SetQueryRequest{Key: "s"}, "wrong_kind: the set at the key \"s\" is not UTF-8 text, and no other can be handed to a guest"},
			{add, &pb.AddRequest{Key: "v", Value: 1}, "wrong_kind: the key \"v\" holds a value that is no integer; Add needs one"},
			{get, &pb.GetRequest{Key: "h"}, "wrong_kind: the key \"h\" holds a hash; the operation needs a value"},
			{push, &pb.ListPushRequest{Key: "z"}, "wrong_kind: the key \"z\" holds a sorted set; the operation needs a list"},
		} {
			answer, err := call(t.Context(), p, s.op, s.req)
			if m, ok := s.want.(response); ok {
				if err != nil || string(answer) != string(m.AppendProto(nil)) {
					t.Errorf("%s: %q, %v", s.op, answer, err)
				}
			} else if err == nil || err.Error() != s.want {
				t.Errorf("%s: error %v\nwant %s", s.op, err, s.want)
			}
		}
	})
}

// TestLargeValues: 16 MiB go in and come out.
func TestLargeValues(t *testing.T) {
	each(t, func(t *testing.T, url string) {
		p := bind(t, url)
		big := strings.Repeat("0123456789abcdef", 1<<20)
		if _, err := call(t.Context(), p, set, &pb.SetRequest{Key: "k", Value: big}); err != nil {
			t.Fatal(err)
		}
		answer, err := call(t.Context(), p, get, &pb.GetRequest{Key: "k"})
		var got pb.GetResponse
		if err := errors.Join(err, got.UnmarshalProto(answer)); err != nil || got.Value != big {
			t.Errorf("came back with %d bytes (%v)", len(got.Value), err)
		}
	})
}
