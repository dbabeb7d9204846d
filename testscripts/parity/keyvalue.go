package parity

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/waxosuit/waxo/capability"
	pb "github.com/waxosuit/waxo/capability/payload/keyvaluepb"
)

// KeyValue is the suite of "wascap:keyvalue". What it stores are keys that begin
// with the prefix of the run.
func KeyValue() Suite {
	suite := Suite{Capability: capability.KeyValue, watch: watchKeys}
	for _, story := range valueStories() {
		suite.tell(story)
	}
	for _, story := range listStories() {
		suite.tell(story)
	}
	for _, story := range setStories() {
		suite.tell(story)
	}
	suite.Cases = append(suite.Cases, keyValueCases()...)
	c := contract{
		sample: func(s *Session) (string, Message) {
			return set, &pb.SetRequest{Key: s.Name("sample"), Value: "sample"}
		},
		decoy:      func(s *Session) Message { return &pb.SetRequest{Key: s.Name("decoy"), Value: "decoy"} },
		answer:     func() Message { return new(pb.SetResponse) },
		empty:      get,
		text:       1,
		steady:     true,
		operations: []string{get, set, del, add, exists, push, slice, drop, clr, sadd, srem, query, union, sect},
		remote:     true,
	}
	c.addTo(&suite)
	c.addPayloads(&suite)
	return suite
}

const (
	get, set, del, add = capability.OpGet, capability.OpSet, capability.OpDel, capability.OpAdd
	exists, push       = capability.OpKeyExists, capability.OpPush
	slice, drop, clr   = capability.OpRange, capability.OpListItemDelete, capability.OpClear
	sadd, srem         = capability.OpSetAdd, capability.OpSetRemove
	query, union, sect = capability.OpSetQuery, capability.OpSetUnion, capability.OpSetIntersection

	odd = "key\x00 \r\n\"\\\u2028 世界 🙂"
)

// story is what a guest does, in order, on a store that is empty at first.
type story struct {
	name  string
	rules []string
	steps func(k func(key string) string) []step // k makes keys of the run's own
}

// step is a call and its answer: a payload, members in any order, or an error's
// text.
type step struct {
	op   string
	req  Message
	want any
}

// tell adds a story to a suite.
func (s *Suite) tell(story story) {
	c := Case{Name: story.name, Rules: story.rules}
	for _, step := range story.steps(func(key string) string { return key }) {
		c.Operations = append(c.Operations, step.op)
	}
	c.Run = func(s *Session) {
		for _, step := range story.steps(s.Name) {
			switch want := step.want.(type) {
			case string:
				s.WantError(step.op, step.req, want)
			case members:
				s.wantMembers(step.op, step.req, want)
			case Message:
				s.Want(step.op, step.req, want)
			}
		}
	}
	s.Cases = append(s.Cases, c)
}

// members are those of a set, in any order.
type members []string

func (s *Session) wantMembers(operation string, request Message, want members) {
	var got pb.SetQueryResponse
	if err := s.Call(operation, request, &got); err != nil {
		s.Errorf("%s %s fails: %v", operation, show(request), err)
		return
	}
	if slices.Sort(got.Values); !slices.Equal(got.Values, want) {
		s.Errorf("%s %s answers the members %q; want %q", operation, show(request), got.Values, want)
	}
}

// watchKeys has what a call may make be removed at the end.
func watchKeys(s *Session, operation string, payload []byte, err error) {
	var made pb.DelRequest // the key is the field 1 of all of them
	if made.UnmarshalProto(payload) != nil {
		return
	}
	switch operation {
	case set, add, push, sadd:
		s.undoOnce(del, made.AppendProto(nil))
	case del:
		if err == nil {
			s.isUndone(del, made.AppendProto(nil))
		}
	}
}

func rules(ids ...string) []string { return ids }

func values(v ...string) members               { return v }
func inOrder(v ...string) *pb.SetQueryResponse { return &pb.SetQueryResponse{Values: v} }
func items(v ...string) *pb.ListRangeResponse  { return &pb.ListRangeResponse{Values: v} }
func size(n int32) *pb.SetOperationResponse    { return &pb.SetOperationResponse{NewCount: n} }
func length(n int32) *pb.ListResponse          { return &pb.ListResponse{NewCount: n} }
func sum(n int32) *pb.AddResponse              { return &pb.AddResponse{Value: n} }
func there(value string) *pb.GetResponse       { return &pb.GetResponse{Value: value, Exists: true} }

// The words of errors.

func noFit(key string) string {
	return "out_of_range: the sum for the key " + quoted(key) + " does not fit into 32 bits; the key is unchanged"
}

func noInteger(key string) string {
	return "wrong_kind: the key " + quoted(key) + " holds a value that is no integer; Add needs one"
}

func holds(key, has, need string) string {
	return "wrong_kind: the key " + quoted(key) + " holds " + has + "; the operation needs " + need
}

// quoted is a key in an error: no more than 100 bytes of it.
func quoted(key string) string {
	if len(key) > 100 {
		return strconv.Quote(strings.ToValidUTF8(key[:100], "")) + "..."
	}
	return strconv.Quote(key)
}

func valueStories() []story {
	return []story{
		{"Get of no key", rules("KV-1"), func(k func(string) string) []step {
			return []step{
				{get, &pb.GetRequest{Key: k("k")}, &pb.GetResponse{}},
			}
		}},
		{"Set and Get", rules("KV-1", "KV-2"), func(k func(string) string) []step {
			return []step{
				{set, &pb.SetRequest{Key: k("k"), Value: "v"}, &pb.SetResponse{Value: "v"}},
				{get, &pb.GetRequest{Key: k("k")}, there("v")},
				{set, &pb.SetRequest{Key: k("k"), Value: "w"}, &pb.SetResponse{Value: "w"}},
				{get, &pb.GetRequest{Key: k("k")}, there("w")},
				{get, &pb.GetRequest{Key: k("K")}, &pb.GetResponse{}},
			}
		}},
		{"the empty value", rules("KV-11"), func(k func(string) string) []step {
			return []step{
				{set, &pb.SetRequest{Key: k("k")}, &pb.SetResponse{}},
				{get, &pb.GetRequest{Key: k("k")}, there("")},
			}
		}},
		{"any text as key and value", rules("KV-11"), func(k func(string) string) []step {
			return []step{
				{set, &pb.SetRequest{Key: k(odd), Value: odd}, &pb.SetResponse{Value: odd}},
				{get, &pb.GetRequest{Key: k(odd)}, there(odd)},
				{set, &pb.SetRequest{Key: k(""), Value: " \t"}, &pb.SetResponse{Value: " \t"}},
				{get, &pb.GetRequest{Key: k("")}, there(" \t")},
				{set, &pb.SetRequest{Key: k(strings.Repeat("é", 2000)), Value: "\u0080\ufffd\U0010ffff"}, &pb.SetResponse{Value: "\u0080\ufffd\U0010ffff"}},
				{get, &pb.GetRequest{Key: k(strings.Repeat("é", 2000))}, there("\u0080\ufffd\U0010ffff")},
				{add, &pb.AddRequest{Key: k(odd), Value: 1}, noInteger(k(odd))},
			}
		}},
		{"Del", rules("KV-5"), func(k func(string) string) []step {
			return []step{
				{del, &pb.DelRequest{Key: k("k")}, &pb.DelResponse{Key: k("k")}},
				{set, &pb.SetRequest{Key: k("k"), Value: "v"}, &pb.SetResponse{Value: "v"}},
				{set, &pb.SetRequest{Key: k("l"), Value: "v"}, &pb.SetResponse{Value: "v"}},
				{del, &pb.DelRequest{Key: k("k")}, &pb.DelResponse{Key: k("k")}},
				{get, &pb.GetRequest{Key: k("k")}, &pb.GetResponse{}},
				{get, &pb.GetRequest{Key: k("l")}, there("v")},
				{del, &pb.DelRequest{Key: k("k")}, &pb.DelResponse{Key: k("k")}},
			}
		}},
		{"Del of a list and a set", rules("KV-5"), func(k func(string) string) []step {
			return []step{
				{push, &pb.ListPushRequest{Key: k("l"), Value: "1"}, length(1)},
				{sadd, &pb.SetAddRequest{Key: k("s"), Value: "1"}, size(1)},
				{del, &pb.DelRequest{Key: k("l")}, &pb.DelResponse{Key: k("l")}},
				{del, &pb.DelRequest{Key: k("s")}, &pb.DelResponse{Key: k("s")}},
				{slice, &pb.ListRangeRequest{Key: k("l"), Stop: -1}, items()},
				{query, &pb.SetQueryRequest{Key: k("s")}, values()},
			}
		}},
		{"KeyExists", rules("KV-6"), func(k func(string) string) []step {
			return []step{
				{exists, &pb.KeyExistsQuery{Key: k("k")}, &pb.GetResponse{}},
				{set, &pb.SetRequest{Key: k("k"), Value: "v"}, &pb.SetResponse{Value: "v"}},
				{exists, &pb.KeyExistsQuery{Key: k("k")}, &pb.GetResponse{Exists: true}},
				{set, &pb.SetRequest{Key: k("k")}, &pb.SetResponse{}},
				{exists, &pb.KeyExistsQuery{Key: k("k")}, &pb.GetResponse{Exists: true}},
			}
		}},
		{"KeyExists of a list and a set", rules("KV-6"), func(k func(string) string) []step {
			return []step{
				{push, &pb.ListPushRequest{Key: k("l"), Value: "1"}, length(1)},
				{sadd, &pb.SetAddRequest{Key: k("s"), Value: "1"}, size(1)},
				{exists, &pb.KeyExistsQuery{Key: k("l")}, &pb.GetResponse{Exists: true}},
				{exists, &pb.KeyExistsQuery{Key: k("s")}, &pb.GetResponse{Exists: true}},
			}
		}},
		{"a negative expiry", rules("KV-4"), func(k func(string) string) []step {
			return []step{
				{set, &pb.SetRequest{Key: k("k"), Value: "v", ExpiresS: -1}, "invalid: a key cannot expire after -1 seconds: give 0 for never, or a positive number"},
				{set, &pb.SetRequest{Key: k("k"), Value: "v", ExpiresS: math.MinInt32}, "invalid: a key cannot expire after -2147483648 seconds: give 0 for never, or a positive number"},
				{get, &pb.GetRequest{Key: k("k")}, &pb.GetResponse{}},
			}
		}},
		{"an expiry in a long time", rules("KV-3"), func(k func(string) string) []step {
			return []step{
				{set, &pb.SetRequest{Key: k("k"), Value: "v", ExpiresS: math.MaxInt32}, &pb.SetResponse{Value: "v"}},
				{get, &pb.GetRequest{Key: k("k")}, there("v")},
			}
		}},
		{"Add", rules("KV-7"), func(k func(string) string) []step {
			return []step{
				{add, &pb.AddRequest{Key: k("n")}, sum(0)},
				{get, &pb.GetRequest{Key: k("n")}, there("0")},
				{add, &pb.AddRequest{Key: k("n"), Value: 5}, sum(5)},
				{add, &pb.AddRequest{Key: k("n"), Value: -7}, sum(-2)},
				{get, &pb.GetRequest{Key: k("n")}, there("-2")},
				{add, &pb.AddRequest{Key: k("n"), Value: 2}, sum(0)},
				{add, &pb.AddRequest{Key: k("m"), Value: math.MinInt32}, sum(math.MinInt32)},
				{add, &pb.AddRequest{Key: k("m"), Value: math.MaxInt32}, sum(-1)},
			}
		}},
		{"Add to a value that was set", rules("KV-7"), func(k func(string) string) []step {
			return []step{
				{set, &pb.SetRequest{Key: k("n"), Value: "40"}, &pb.SetResponse{Value: "40"}},
				{add, &pb.AddRequest{Key: k("n"), Value: 2}, sum(42)},
				{get, &pb.GetRequest{Key: k("n")}, there("42")},
				{set, &pb.SetRequest{Key: k("n"), Value: "3000000000"}, &pb.SetResponse{Value: "3000000000"}},
				{add, &pb.AddRequest{Key: k("n"), Value: -2000000000}, sum(1000000000)},
			}
		}},
		{"Add beyond 32 bits", rules("KV-8"), func(k func(string) string) []step {
			return []step{
				{set, &pb.SetRequest{Key: k("n"), Value: "2147483646"}, &pb.SetResponse{Value: "2147483646"}},
				{add, &pb.AddRequest{Key: k("n"), Value: 1}, sum(math.MaxInt32)},
				{add, &pb.AddRequest{Key: k("n"), Value: 1}, noFit(k("n"))},
				{get, &pb.GetRequest{Key: k("n")}, there("2147483647")},
				{set, &pb.SetRequest{Key: k("n"), Value: "-2147483648"}, &pb.SetResponse{Value: "-2147483648"}},
				{add, &pb.AddRequest{Key: k("n"), Value: -1}, noFit(k("n"))},
				{get, &pb.GetRequest{Key: k("n")}, there("-2147483648")},
				{set, &pb.SetRequest{Key: k("n"), Value: "9223372036854775807"}, &pb.SetResponse{Value: "9223372036854775807"}},
				{add, &pb.AddRequest{Key: k("n"), Value: 1}, noFit(k("n"))},
				{add, &pb.AddRequest{Key: k("n"), Value: -1}, noFit(k("n"))},
				{get, &pb.GetRequest{Key: k("n")}, there("9223372036854775807")},
			}
		}},
		{"Add to what is no number", rules("KV-9"), func(k func(string) string) []step {
			var steps []step
			for _, text := range []string{"x", "+1", "01", "-0", "1 ", " 1", "1.0", "1e3", ""} {
				steps = append(steps,
					step{set, &pb.SetRequest{Key: k("n"), Value: text}, &pb.SetResponse{Value: text}},
					step{add, &pb.AddRequest{Key: k("n"), Value: 1}, noInteger(k("n"))},
					step{get, &pb.GetRequest{Key: k("n")}, there(text)})
			}
			return steps
		}},
		{"kinds: values", rules("KV-41"), func(k func(string) string) []step {
			return []step{
				{push, &pb.ListPushRequest{Key: k("l"), Value: "1"}, length(1)},
				{sadd, &pb.SetAddRequest{Key: k("s"), Value: "1"}, size(1)},
				{get, &pb.GetRequest{Key: k("l")}, holds(k("l"), "a list", "a value")},
				{get, &pb.GetRequest{Key: k("s")}, holds(k("s"), "a set", "a value")},
				{add, &pb.AddRequest{Key: k("l"), Value: 1}, holds(k("l"), "a list", "a value")},
				{add, &pb.AddRequest{Key: k("s"), Value: 1}, holds(k("s"), "a set", "a value")},
				{slice, &pb.ListRangeRequest{Key: k("l"), Stop: -1}, items("1")},
				{query, &pb.SetQueryRequest{Key: k("s")}, values("1")},
			}
		}},
		{"Set takes a key of any kind", rules("KV-2", "KV-41"), func(k func(string) string) []step {
			return []step{
				{push, &pb.ListPushRequest{Key: k("l"), Value: "1"}, length(1)},
				{set, &pb.SetRequest{Key: k("l"), Value: "now a value"}, &pb.SetResponse{Value: "now a value"}},
				{get, &pb.GetRequest{Key: k("l")}, there("now a value")},
				{sadd, &pb.SetAddRequest{Key: k("s"), Value: "1"}, size(1)},
				{set, &pb.SetRequest{Key: k("s"), Value: "2"}, &pb.SetResponse{Value: "2"}},
				{add, &pb.AddRequest{Key: k("s"), Value: 1}, sum(3)},
			}
		}},
	}
}
