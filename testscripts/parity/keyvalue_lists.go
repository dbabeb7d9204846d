package parity

import (
	"math"
	"strings"

	pb "github.com/waxosuit/waxo/capability/payload/keyvaluepb"
)

// pushed are the steps that make a list.
func pushed(key string, values ...string) []step {
	var steps []step
	for i, v := range values {
		steps = append(steps, step{push, &pb.ListPushRequest{Key: key, Value: v}, length(int32(i + 1))})
	}
	return steps
}

// added are the steps that make a set of different members.
func added(key string, members ...string) []step {
	var steps []step
	for i, m := range members {
		steps = append(steps, step{sadd, &pb.SetAddRequest{Key: key, Value: m}, size(int32(i + 1))})
	}
	return steps
}

func listStories() []story {
	return []story{
		{"Push appends", rules("KV-20"), func(k func(string) string) []step {
			return append(pushed(k("l"), "a", "b", "a", "c"),
				step{slice, &pb.ListRangeRequest{Key: k("l"), Stop: -1}, items("a", "b", "a", "c")})
		}},
		{"Push of any text", rules("KV-11"), func(k func(string) string) []step {
			return append(pushed(k(odd), odd, ""),
				step{slice, &pb.ListRangeRequest{Key: k(odd), Stop: -1}, items(odd, "")})
		}},
		{"Range includes both ends", rules("KV-21"), func(k func(string) string) []step {
			return append(pushed(k("l"), "a", "b", "c", "d"),
				step{slice, &pb.ListRangeRequest{Key: k("l")}, items("a")},
				step{slice, &pb.ListRangeRequest{Key: k("l"), Start: 1, Stop: 2}, items("b", "c")},
				step{slice, &pb.ListRangeRequest{Key: k("l"), Start: 3, Stop: 3}, items("d")},
				step{slice, &pb.ListRangeRequest{Key: k("l"), Start: 2, Stop: 1}, items()})
		}},
		{"Range counts from the end", rules("KV-21"), func(k func(string) string) []step {
			return append(pushed(k("l"), "a", "b", "c", "d"),
				step{slice, &pb.ListRangeRequest{Key: k("l"), Start: -2, Stop: -1}, items("c", "d")},
				step{slice, &pb.ListRangeRequest{Key: k("l"), Start: 1, Stop: -2}, items("b", "c")},
				step{slice, &pb.ListRangeRequest{Key: k("l"), Start: -1, Stop: -2}, items()})
		}},
		{"Range beyond the ends", rules("KV-21"), func(k func(string) string) []step {
			return append(pushed(k("l"), "a", "b", "c"),
				step{slice, &pb.ListRangeRequest{Key: k("l"), Start: math.MinInt32, Stop: math.MaxInt32}, items("a", "b", "c")},
				step{slice, &pb.ListRangeRequest{Key: k("l"), Start: -9, Stop: 0}, items("a")},
				step{slice, &pb.ListRangeRequest{Key: k("l"), Start: 2, Stop: 9}, items("c")},
				step{slice, &pb.ListRangeRequest{Key: k("l"), Start: 3, Stop: 9}, items()},
				step{slice, &pb.ListRangeRequest{Key: k("l"), Start: 0, Stop: -9}, items()})
		}},
		{"ListItemDelete", rules("KV-22"), func(k func(string) string) []step {
			return append(pushed(k("l"), "a", "b", "a", "c", "a"),
				step{drop, &pb.ListDelItemRequest{Key: k("l"), Value: "none"}, length(5)},
				step{drop, &pb.ListDelItemRequest{Key: k("l"), Value: "a"}, length(2)},
				step{slice, &pb.ListRangeRequest{Key: k("l"), Stop: -1}, items("b", "c")})
		}},
		{"Clear", rules("KV-23"), func(k func(string) string) []step {
			return append(pushed(k("l"), "a", "b"),
				step{clr, &pb.ListClearRequest{Key: k("l")}, length(0)},
				step{slice, &pb.ListRangeRequest{Key: k("l"), Stop: -1}, items()},
				step{push, &pb.ListPushRequest{Key: k("l"), Value: "x"}, length(1)})
		}},
		{"lists of no key", rules("KV-40"), func(k func(string) string) []step {
			return []step{
				{slice, &pb.ListRangeRequest{Key: k("l"), Stop: -1}, items()},
				{drop, &pb.ListDelItemRequest{Key: k("l"), Value: "a"}, length(0)},
				{clr, &pb.ListClearRequest{Key: k("l")}, length(0)},
				{exists, &pb.KeyExistsQuery{Key: k("l")}, &pb.GetResponse{}},
			}
		}},
		{"a list that became empty is no key", rules("KV-40"), func(k func(string) string) []step {
			return []step{
				{push, &pb.ListPushRequest{Key: k("l"), Value: "x"}, length(1)},
				{drop, &pb.ListDelItemRequest{Key: k("l"), Value: "x"}, length(0)},
				{exists, &pb.KeyExistsQuery{Key: k("l")}, &pb.GetResponse{}},
				{sadd, &pb.SetAddRequest{Key: k("l"), Value: "x"}, size(1)},
				{push, &pb.ListPushRequest{Key: k("m"), Value: "x"}, length(1)},
				{clr, &pb.ListClearRequest{Key: k("m")}, length(0)},
				{exists, &pb.KeyExistsQuery{Key: k("m")}, &pb.GetResponse{}},
				{get, &pb.GetRequest{Key: k("m")}, &pb.GetResponse{}},
			}
		}},
		{"kinds: lists", rules("KV-41"), func(k func(string) string) []step {
			long := k(strings.Repeat("é", 60))
			return []step{
				{set, &pb.SetRequest{Key: k("v"), Value: "1"}, &pb.SetResponse{Value: "1"}},
				{sadd, &pb.SetAddRequest{Key: k("s"), Value: "1"}, size(1)},
				{push, &pb.ListPushRequest{Key: k("v"), Value: "1"}, holds(k("v"), "a value", "a list")},
				{slice, &pb.ListRangeRequest{Key: k("s")}, holds(k("s"), "a set", "a list")},
				{drop, &pb.ListDelItemRequest{Key: k("s"), Value: "1"}, holds(k("s"), "a set", "a list")},
				{clr, &pb.ListClearRequest{Key: k("v")}, holds(k("v"), "a value", "a list")},
				{set, &pb.SetRequest{Key: long, Value: "1"}, &pb.SetResponse{Value: "1"}},
				{push, &pb.ListPushRequest{Key: long}, holds(long, "a value", "a list")},
				{get, &pb.GetRequest{Key: k("v")}, there("1")},
				{query, &pb.SetQueryRequest{Key: k("s")}, values("1")},
			}
		}},
	}
}

func setStories() []story {
	return []story{
		{"SetAdd and SetRemove count members", rules("KV-30"), func(k func(string) string) []step {
			return append(added(k("s"), "b", "a", "10"),
				step{sadd, &pb.SetAddRequest{Key: k("s"), Value: "a"}, size(3)},
				step{srem, &pb.SetRemoveRequest{Key: k("s"), Value: "x"}, size(3)},
				step{srem, &pb.SetRemoveRequest{Key: k("s"), Value: "a"}, size(2)},
				step{srem, &pb.SetRemoveRequest{Key: k("s"), Value: "a"}, size(2)},
				step{srem, &pb.SetRemoveRequest{Key: k("s"), Value: "b"}, size(1)})
		}},
		{"SetQuery gives each member once", rules("KV-31"), func(k func(string) string) []step {
			return append(added(k("s"), "a"),
				step{sadd, &pb.SetAddRequest{Key: k("s"), Value: "a"}, size(1)},
				step{query, &pb.SetQueryRequest{Key: k("s")}, values("a")})
		}},
		{"SetUnion", rules("KV-31"), func(k func(string) string) []step {
			return append(append(added(k("s"), "a", "b"), added(k("t"), "b", "c")...),
				step{union, &pb.SetUnionRequest{Keys: []string{k("s"), k("t"), k("none")}}, values("a", "b", "c")},
				step{union, &pb.SetUnionRequest{Keys: []string{k("t")}}, values("b", "c")},
				step{union, &pb.SetUnionRequest{Keys: []string{k("none")}}, values()})
		}},
		{"SetIntersection", rules("KV-31"), func(k func(string) string) []step {
			return append(append(added(k("s"), "a", "b", "c"), added(k("t"), "b", "c", "d")...),
				step{sect, &pb.SetIntersectionRequest{Keys: []string{k("s"), k("t")}}, values("b", "c")},
				step{sect, &pb.SetIntersectionRequest{Keys: []string{k("s")}}, values("a", "b", "c")},
				step{sect, &pb.SetIntersectionRequest{Keys: []string{k("s"), k("s")}}, values("a", "b", "c")},
				step{sect, &pb.SetIntersectionRequest{Keys: []string{k("s"), k("none")}}, values()})
		}},
		{"members are sorted", rules("KV-32"), func(k func(string) string) []step {
			return append(append(added(k("s"), "b", "a", "10", "9", "é", "B"), added(k("t"), "ab", "a")...),
				step{query, &pb.SetQueryRequest{Key: k("s")}, inOrder("10", "9", "B", "a", "b", "é")},
				step{union, &pb.SetUnionRequest{Keys: []string{k("s"), k("t")}}, inOrder("10", "9", "B", "a", "ab", "b", "é")})
		}},
		{"members of any text", rules("KV-11"), func(k func(string) string) []step {
			return append(added(k("s"), odd, ""),
				step{srem, &pb.SetRemoveRequest{Key: k("s"), Value: ""}, size(1)},
				step{query, &pb.SetQueryRequest{Key: k("s")}, values(odd)})
		}},
		{"unions of nothing", rules("KV-33"), func(k func(string) string) []step {
			return []step{
				{union, &pb.SetUnionRequest{}, "invalid: the request names no set"},
				{sect, &pb.SetIntersectionRequest{}, "invalid: the request names no set"},
			}
		}},
		{"sets of no key", rules("KV-40"), func(k func(string) string) []step {
			return []step{
				{query, &pb.SetQueryRequest{Key: k("s")}, values()},
				{srem, &pb.SetRemoveRequest{Key: k("s"), Value: "a"}, size(0)},
				{exists, &pb.KeyExistsQuery{Key: k("s")}, &pb.GetResponse{}},
			}
		}},
		{"a set that became empty is no key", rules("KV-40"), func(k func(string) string) []step {
			return append(added(k("s"), "a"),
				step{srem, &pb.SetRemoveRequest{Key: k("s"), Value: "a"}, size(0)},
				step{exists, &pb.KeyExistsQuery{Key: k("s")}, &pb.GetResponse{}},
				step{push, &pb.ListPushRequest{Key: k("s"), Value: "a"}, length(1)})
		}},
		{"kinds: sets", rules("KV-41"), func(k func(string) string) []step {
			return []step{
				{set, &pb.SetRequest{Key: k("v"), Value: "1"}, &pb.SetResponse{Value: "1"}},
				{push, &pb.ListPushRequest{Key: k("l"), Value: "1"}, length(1)},
				{sadd, &pb.SetAddRequest{Key: k("s"), Value: "1"}, size(1)},
				{sadd, &pb.SetAddRequest{Key: k("l"), Value: "1"}, holds(k("l"), "a list", "a set")},
				{srem, &pb.SetRemoveRequest{Key: k("v"), Value: "1"}, holds(k("v"), "a value", "a set")},
				{query, &pb.SetQueryRequest{Key: k("l")}, holds(k("l"), "a list", "a set")},
				{union, &pb.SetUnionRequest{Keys: []string{k("s"), k("none"), k("l")}}, holds(k("l"), "a list", "a set")},
				{sect, &pb.SetIntersectionRequest{Keys: []string{k("v"), k("s")}}, holds(k("v"), "a value", "a set")},
				{slice, &pb.ListRangeRequest{Key: k("l"), Stop: -1}, items("1")},
				{get, &pb.GetRequest{Key: k("v")}, there("1")},
			}
		}},
	}
}
