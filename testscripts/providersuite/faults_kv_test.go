package providersuite

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/waxosuit/waxo/capability"
	pb "github.com/waxosuit/waxo/capability/payload/keyvaluepb"
)

func keyValueFaults() []fault {
	kv := capability.KeyValue
	return []fault{
		{"Add loses the sign", kv, asks(capability.OpAdd, func(r *pb.AddRequest) { r.Value = max(r.Value, -r.Value) }), []string{"KV-7"}, []string{"KV-8", "PAY-5"}},
		{"Add wraps around", kv, wrapsAround, []string{"KV-8"}, nil},
		{"Add takes what only looks like a number", kv, takesAnyNumber, []string{"KV-9"}, nil},
		{"Add is made of Get and Set", kv, addInSteps, []string{"KV-42"}, []string{"KV-7", "CAP-48", "KV-10", "KV-8", "KV-9", "KV-41"}},
		{"Add ends the expiry", kv, endsExpiry, []string{"KV-10"}, nil},
		{"the expiry is ignored", kv, asks(capability.OpSet, func(r *pb.SetRequest) { r.ExpiresS = min(0, r.ExpiresS) }), []string{"KV-3"}, []string{"KV-10"}},
		{"the expiry is one of milliseconds", kv, inMilliseconds, []string{"KV-3"}, []string{"KV-2", "KV-10"}},
		{"the expiry of before stays", kv, keepsExpiry, []string{"KV-2"}, nil},
		{"a negative expiry is none", kv, asks(capability.OpSet, func(r *pb.SetRequest) { r.ExpiresS = max(0, r.ExpiresS) }), []string{"KV-4"}, nil},
		{"what is missing exists", kv, answers(capability.OpGet, func(r *pb.GetResponse) { r.Exists = true }), []string{"KV-1"}, []string{"KV-2", "KV-3", "KV-4", "KV-5", "KV-10", "KV-40", "CAP-33"}},
		{"Set answers nothing", kv, answers(capability.OpSet, func(r *pb.SetResponse) { r.Value = "" }), []string{"KV-2"},
			[]string{"KV-1", "KV-3", "KV-5", "KV-6", "KV-7", "KV-8", "KV-9", "KV-11", "KV-41", "CAP-33"}},
		{"values are ASCII", kv, asks(capability.OpSet, func(r *pb.SetRequest) { r.Value = strings.ToValidUTF8(ascii(r.Value), "?") }), []string{"KV-11"}, nil},
		{"an empty value is none", kv, answers(capability.OpGet, func(r *pb.GetResponse) { r.Exists = r.Value != "" }), []string{"KV-11"}, []string{"KV-9"}},
		{"Del of no key is an error", kv, delNotFound, []string{"KV-5"}, nil},
		{"KeyExists gives the value", kv, existsWithValue, []string{"KV-6"}, nil},
		{"Push puts in front", kv, pushInFront, []string{"KV-20"}, []string{"KV-11", "KV-21", "KV-22", "KV-42", "CAP-48"}},
		{"Range leaves stop out", kv, asks(capability.OpRange, func(r *pb.ListRangeRequest) {
			if r.Stop > 0 {
				r.Stop--
			}
		}), []string{"KV-21"}, nil},
		{"ListItemDelete removes the first alone", kv, removesOne, []string{"KV-22"}, nil},
		{"Clear answers how many there were", kv, clearCounts, []string{"KV-23"}, []string{"KV-40"}},
		{"a list that became empty is a key", kv, keepsEmpty, []string{"KV-40"}, nil},
		{"SetAdd answers 1", kv, answers(capability.OpSetAdd, func(r *pb.SetOperationResponse) { r.NewCount = 1 }), []string{"KV-30"}, []string{"KV-11", "KV-31", "KV-32", "KV-42", "CAP-48"}},
		{"SetUnion gives members twice", kv, exchanges(capability.OpSetUnion, func(r *pb.SetQueryResponse, _ *struct{}) {
			if len(r.Values) > 2 {
				r.Values = append(r.Values, r.Values[1])
			}
		}), []string{"KV-31"}, []string{"KV-32"}},
		{"members come as they like", kv, answers(capability.OpSetQuery, func(r *pb.SetQueryResponse) { slices.Reverse(r.Values) }), []string{"KV-32"}, nil},
		{"a union of nothing is empty", kv, fails(capability.CodeInvalid, func(c capability.Call, err error) ([]byte, error) {
			if c.Operation == capability.OpSetUnion && len(c.Payload) == 0 {
				return nil, nil
			}
			return nil, err
		}), []string{"KV-33"}, nil},
		{"another kind is an internal error", kv, instead(capability.CodeWrongKind, capability.CodeInternal), []string{"KV-41", "KV-9"}, []string{"KV-11"}},
		{"Push takes the place of a value", kv, pushReplaces, []string{"KV-41"}, nil},
		{"keys leak between bindings", kv, binds(func(config map[string]string) { delete(config, "prefix") }), []string{"CAP-33"}, nil},
	}
}

func ascii(s string) string {
	return strings.Map(func(r rune) rune {
		if r > 0x7f {
			return '?'
		}
		return r
	}, s)
}

// wrapsAround: a sum that does not fit loses its upper bits.
func wrapsAround() spoil {
	return spoil{call: func(p capability.Provider, ctx context.Context, c capability.Call) ([]byte, error) {
		answer, err := p.Call(ctx, c)
		var r pb.AddRequest
		if c.Operation != capability.OpAdd || err == nil || capability.AsError(err).Code != capability.CodeOutOfRange || r.UnmarshalProto(c.Payload) != nil {
			return answer, err
		}
		got, err := ask[pb.GetResponse](p, ctx, c, capability.OpGet, &pb.GetRequest{Key: r.Key})
		old, _ := strconv.ParseInt(got.Value, 10, 64)
		sum := int32(old + int64(r.Value))
		if err == nil {
			_, err = ask[pb.SetResponse](p, ctx, c, capability.OpSet, &pb.SetRequest{Key: r.Key, Value: strconv.Itoa(int(sum))})
		}
		return (&pb.AddResponse{Value: sum}).AppendProto(nil), err
	}}
}

// takesAnyNumber: "+1" and "01" are numbers, too.
func takesAnyNumber() spoil {
	return spoil{call: func(p capability.Provider, ctx context.Context, c capability.Call) ([]byte, error) {
		var r pb.AddRequest
		if c.Operation == capability.OpAdd && r.UnmarshalProto(c.Payload) == nil {
			got, err := ask[pb.GetResponse](p, ctx, c, capability.OpGet, &pb.GetRequest{Key: r.Key})
			if n, e := strconv.ParseInt(got.Value, 10, 64); err == nil && e == nil && got.Value != strconv.FormatInt(n, 10) {
				ask[pb.SetResponse](p, ctx, c, capability.OpSet, &pb.SetRequest{Key: r.Key, Value: strconv.FormatInt(n, 10)})
			}
		}
		return p.Call(ctx, c)
	}}
}

func addInSteps() spoil {
	return spoil{call: func(p capability.Provider, ctx context.Context, c capability.Call) ([]byte, error) {
		var r pb.AddRequest
		if c.Operation != capability.OpAdd || r.UnmarshalProto(c.Payload) != nil {
			return p.Call(ctx, c)
		}
		got, err := ask[pb.GetResponse](p, ctx, c, capability.OpGet, &pb.GetRequest{Key: r.Key})
		if err != nil {
			return nil, err
		}
		old, err := strconv.ParseInt(got.Value, 10, 64)
		if got.Exists && err != nil {
			return p.Call(ctx, c)
		}
		_, err = ask[pb.SetResponse](p, ctx, c, capability.OpSet, &pb.SetRequest{Key: r.Key, Value: strconv.FormatInt(old+int64(r.Value), 10)})
		return (&pb.AddResponse{Value: int32(old + int64(r.Value))}).AppendProto(nil), err
	}}
}

// endsExpiry sets anew what Add has made of a key with an expiry.
func endsExpiry() spoil {
	var mu sync.Mutex
	expires := make(map[string]bool)
	return spoil{call: func(p capability.Provider, ctx context.Context, c capability.Call) ([]byte, error) {
		answer, err := p.Call(ctx, c)
		var set pb.SetRequest
		var sum pb.AddResponse
		if err != nil || set.UnmarshalProto(c.Payload) != nil {
			return answer, err
		}
		mu.Lock()
		defer mu.Unlock()
		switch c.Operation {
		case capability.OpSet:
			expires[set.Key] = set.ExpiresS > 0
		case capability.OpAdd: // whose key is where that of Set is
			if expires[set.Key] && sum.UnmarshalProto(answer) == nil {
				_, err = ask[pb.SetResponse](p, ctx, c, capability.OpSet, &pb.SetRequest{Key: set.Key, Value: strconv.Itoa(int(sum.Value))})
			}
		}
		return answer, err
	}}
}

// later removes a key after a time, if the provider is still there.
func later(p capability.Provider, c capability.Call, key string, d time.Duration) {
	time.AfterFunc(d, func() {
		ask[pb.DelResponse](p, context.Background(), c, capability.OpDel, &pb.DelRequest{Key: key})
	})
}

func inMilliseconds() spoil {
	return spoil{call: func(p capability.Provider, ctx context.Context, c capability.Call) ([]byte, error) {
		var r pb.SetRequest
		if c.Operation != capability.OpSet || r.UnmarshalProto(c.Payload) != nil || r.ExpiresS <= 0 {
			return p.Call(ctx, c)
		}
		if r.ExpiresS < 10 {
			later(p, c, r.Key, time.Duration(r.ExpiresS)*time.Millisecond)
		}
		r.ExpiresS = 0
		c.Payload = r.AppendProto(nil)
		return p.Call(ctx, c)
	}}
}

// keepsExpiry: a key that had an expiry has it for ever.
func keepsExpiry() spoil {
	var mu sync.Mutex
	had := make(map[string]bool)
	return spoil{call: func(p capability.Provider, ctx context.Context, c capability.Call) ([]byte, error) {
		var r pb.SetRequest
		if c.Operation == capability.OpSet && r.UnmarshalProto(c.Payload) == nil {
			mu.Lock()
			if r.ExpiresS == 0 && had[r.Key] {
				r.ExpiresS = 1
			}
			had[r.Key] = r.ExpiresS > 0
			mu.Unlock()
			c.Payload = r.AppendProto(nil)
		}
		return p.Call(ctx, c)
	}}
}

func delNotFound() spoil {
	return spoil{call: func(p capability.Provider, ctx context.Context, c capability.Call) ([]byte, error) {
		var r pb.DelRequest
		if c.Operation == capability.OpDel && r.UnmarshalProto(c.Payload) == nil {
			if got, err := ask[pb.GetResponse](p, ctx, c, capability.OpKeyExists, &pb.KeyExistsQuery{Key: r.Key}); err == nil && !got.Exists {
				return nil, &capability.Error{Code: capability.CodeNotFound, Message: "there is no such key"}
			}
		}
		return p.Call(ctx, c)
	}}
}

func existsWithValue() spoil {
	return spoil{call: func(p capability.Provider, ctx context.Context, c capability.Call) ([]byte, error) {
		if c.Operation == capability.OpKeyExists {
			c.Operation = capability.OpGet // whose request is the same
			if answer, err := p.Call(ctx, c); err == nil {
				return answer, nil
			}
			c.Operation = capability.OpKeyExists
		}
		return p.Call(ctx, c)
	}}
}

// refill makes a list of values anew.
func refill(p capability.Provider, ctx context.Context, c capability.Call, key string, values []string) ([]byte, error) {
	if _, err := ask[pb.ListResponse](p, ctx, c, capability.OpClear, &pb.ListClearRequest{Key: key}); err != nil {
		return nil, err
	}
	for _, v := range values {
		if _, err := ask[pb.ListResponse](p, ctx, c, capability.OpPush, &pb.ListPushRequest{Key: key, Value: v}); err != nil {
			return nil, err
		}
	}
	return (&pb.ListResponse{NewCount: int32(len(values))}).AppendProto(nil), nil
}

func pushInFront() spoil {
	return spoil{call: func(p capability.Provider, ctx context.Context, c capability.Call) ([]byte, error) {
		var r pb.ListPushRequest
		if c.Operation != capability.OpPush || r.UnmarshalProto(c.Payload) != nil {
			return p.Call(ctx, c)
		}
		got, err := ask[pb.ListRangeResponse](p, ctx, c, capability.OpRange, &pb.ListRangeRequest{Key: r.Key, Stop: -1})
		if err != nil {
			return nil, err
		}
		return refill(p, ctx, c, r.Key, append([]string{r.Value}, got.Values...))
	}}
}

func removesOne() spoil {
	return spoil{call: func(p capability.Provider, ctx context.Context, c capability.Call) ([]byte, error) {
		var r pb.ListDelItemRequest
		if c.Operation != capability.OpListItemDelete || r.UnmarshalProto(c.Payload) != nil {
			return p.Call(ctx, c)
		}
		got, err := ask[pb.ListRangeResponse](p, ctx, c, capability.OpRange, &pb.ListRangeRequest{Key: r.Key, Stop: -1})
		if err != nil {
			return nil, err
		}
		if i := slices.Index(got.Values, r.Value); i >= 0 {
			got.Values = slices.Delete(got.Values, i, i+1)
		}
		return refill(p, ctx, c, r.Key, got.Values)
	}}
}

func clearCounts() spoil {
	return spoil{call: func(p capability.Provider, ctx context.Context, c capability.Call) ([]byte, error) {
		var r pb.ListClearRequest
		if c.Operation != capability.OpClear || r.UnmarshalProto(c.Payload) != nil {
			return p.Call(ctx, c)
		}
		got, err := ask[pb.ListRangeResponse](p, ctx, c, capability.OpRange, &pb.ListRangeRequest{Key: r.Key, Stop: -1})
		if err != nil {
			return nil, err
		}
		_, err = p.Call(ctx, c)
		return (&pb.ListResponse{NewCount: int32(len(got.Values))}).AppendProto(nil), err
	}}
}

// keepsEmpty: what was a list is one, whatever became of it.
func keepsEmpty() spoil {
	var mu sync.Mutex
	lists := make(map[string]bool)
	return spoil{call: func(p capability.Provider, ctx context.Context, c capability.Call) ([]byte, error) {
		var r pb.KeyExistsQuery // whose key is where all have it
		if r.UnmarshalProto(c.Payload) != nil {
			return p.Call(ctx, c)
		}
		answer, err := p.Call(ctx, c)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case c.Operation == capability.OpPush && err == nil:
			lists[r.Key] = true
		case c.Operation == capability.OpKeyExists && lists[r.Key]:
			return (&pb.GetResponse{Exists: true}).AppendProto(nil), nil
		}
		return answer, err
	}}
}

func pushReplaces() spoil {
	return spoil{call: func(p capability.Provider, ctx context.Context, c capability.Call) ([]byte, error) {
		answer, err := p.Call(ctx, c)
		var r pb.ListPushRequest
		if c.Operation == capability.OpPush && err != nil && capability.AsError(err).Code == capability.CodeWrongKind && r.UnmarshalProto(c.Payload) == nil {
			ask[pb.DelResponse](p, ctx, c, capability.OpDel, &pb.DelRequest{Key: r.Key})
			return p.Call(ctx, c)
		}
		return answer, err
	}}
}
