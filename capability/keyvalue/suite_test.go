package keyvalue_test

import (
	"context"
	"testing"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/keyvalue"
	pb "github.com/waxosuit/waxo/capability/payload/keyvaluepb"
	"github.com/waxosuit/waxo/testscripts/parity"
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
)

// TestSuite: the provider does what is asked of every provider, and answers the
// same, byte by byte, whatever is behind it.
func TestSuite(t *testing.T) {
	real := realRedis(t)
	var all [][]parity.Result
	for _, target := range []struct{ name, url string }{{"embedded", embedded(t)}, {"redis-server", real}} {
		results, err := parity.KeyValue().Run(t.Context(), parity.Target{
			Name: target.name, Provider: keyvalue.New(nil), Config: map[string]string{"url": target.url}, Exact: true,
			Open: func(context.Context) (capability.Provider, error) { return keyvalue.New(nil), nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			if r.Skipped != "" {
				t.Errorf("%s is skipped: %s", r.Case, r.Skipped)
			}
			for _, f := range r.Failures {
				t.Errorf("%s: %s: %s", target.name, r.Case, f)
			}
		}
		all = append(all, results)
	}
	for _, d := range parity.Compare(all[0], all[1]) {
		t.Error(d)
	}
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
			{slice, &pb.ListRangeRequest{Key: "l"}, &pb.ListRangeResponse{Values: []string{"fine"}}},
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
