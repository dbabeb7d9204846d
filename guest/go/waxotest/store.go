package waxotest

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	waxo "github.com/waxosuit/waxo/guest/go"
	pb "github.com/waxosuit/waxo/guest/go/internal/keyvaluepb"
)

// store is a key-value store with the semantics of Redis, which stands behind
// "wascap:keyvalue" in production.
type store struct{ keys map[string]*item }

// item is what a key holds: a value, a list or a set; lists and sets are never
// empty.
type item struct {
	kind    kind
	value   string
	members []string  // of a list in order, of a set each once
	expires time.Time // zero: never
}

type kind string

const (
	value kind = "value"
	list  kind = "list"
	set   kind = "set"
)

func newStore() *store { return &store{make(map[string]*item)} }

// message is a payload that can be written.
type message interface{ AppendProto([]byte) []byte }

// call performs an operation at a time.
func (s *store) call(operation string, payload []byte, now time.Time) ([]byte, error) {
	for key, it := range s.keys {
		if !it.expires.IsZero() && !now.Before(it.expires) {
			delete(s.keys, key)
		}
	}
	resp, err := s.perform(operation, payload, now)
	if err != nil {
		return nil, err
	}
	return resp.AppendProto(nil), nil
}

func (s *store) perform(operation string, payload []byte, now time.Time) (message, error) {
	switch operation {
	case "Get":
		return with(payload, s.get)
	case "Set":
		return with(payload, func(r *pb.SetRequest) (message, error) { return s.set(r, now) })
	case "Del":
		return with(payload, s.del)
	case "Add":
		return with(payload, s.add)
	case "KeyExists":
		return with(payload, s.exists)
	case "Push":
		return with(payload, s.push)
	case "Range":
		return with(payload, s.rangeOf)
	case "ListItemDelete":
		return with(payload, s.removeItem)
	case "Clear":
		return with(payload, s.clear)
	case "SetAdd":
		return with(payload, s.setAdd)
	case "SetRemove":
		return with(payload, s.setRemove)
	case "SetQuery":
		return with(payload, s.setQuery)
	case "SetUnion":
		return with(payload, s.setUnion)
	case "SetIntersection":
		return with(payload, s.setIntersection)
	}
	return nil, unsupported(operation)
}

// with decodes a payload for an operation.
func with[T any, P interface {
	*T
	unmarshaler
}](payload []byte, perform func(P) (message, error)) (message, error) {
	req := P(new(T))
	if err := decode(payload, req); err != nil {
		return nil, err
	}
	return perform(req)
}

// find returns what a key holds, nil if it holds nothing.
func (s *store) find(key string, want kind) (*item, error) {
	it := s.keys[key]
	if it != nil && it.kind != want {
		return nil, &waxo.Error{Code: "wrong_kind", Message: fmt.Sprintf("the key %q holds a %s, not a %s", key, it.kind, want)}
	}
	return it, nil
}

func (s *store) get(r *pb.GetRequest) (message, error) {
	it, err := s.find(r.Key, value)
	if err != nil || it == nil {
		return &pb.GetResponse{}, err
	}
	return &pb.GetResponse{Value: it.value, Exists: true}, nil
}

func (s *store) set(r *pb.SetRequest, now time.Time) (message, error) {
	it := &item{kind: value, value: r.Value}
	switch {
	case r.ExpiresS < 0:
		return nil, &waxo.Error{Code: "invalid", Message: fmt.Sprintf("a key cannot expire after %d seconds", r.ExpiresS)}
	case r.ExpiresS > 0:
		it.expires = now.Add(time.Duration(r.ExpiresS) * time.Second)
	}
	s.keys[r.Key] = it
	return &pb.SetResponse{Value: r.Value}, nil
}

func (s *store) del(r *pb.DelRequest) (message, error) {
	delete(s.keys, r.Key)
	return &pb.DelResponse{Key: r.Key}, nil
}

func (s *store) exists(r *pb.KeyExistsQuery) (message, error) {
	return &pb.GetResponse{Exists: s.keys[r.Key] != nil}, nil
}

func (s *store) add(r *pb.AddRequest) (message, error) {
	it, err := s.find(r.Key, value)
	if err != nil {
		return nil, err
	}
	if it == nil {
		it = &item{kind: value, value: "0"}
	}
	number, err := strconv.ParseInt(it.value, 10, 64)
	if err != nil || strconv.FormatInt(number, 10) != it.value {
		return nil, &waxo.Error{Code: "wrong_kind", Message: fmt.Sprintf("the key %q holds a value that is no number", r.Key)}
	}
	const far = math.MaxInt64 / 2 // no int32 brings a number from beyond it back
	sum := number + int64(r.Value)
	if number < -far || number > far || sum < math.MinInt32 || sum > math.MaxInt32 {
		return nil, &waxo.Error{Code: "out_of_range", Message: fmt.Sprintf("the sum for the key %q does not fit into 32 bits; the key is unchanged", r.Key)}
	}
	it.value = strconv.FormatInt(sum, 10)
	s.keys[r.Key] = it
	return &pb.AddResponse{Value: int32(sum)}, nil
}

func (s *store) push(r *pb.ListPushRequest) (message, error) {
	it, err := s.find(r.Key, list)
	if err != nil {
		return nil, err
	}
	if it == nil {
		it = &item{kind: list}
		s.keys[r.Key] = it
	}
	it.members = append(it.members, r.Value)
	return &pb.ListResponse{NewCount: int32(len(it.members))}, nil
}

func (s *store) rangeOf(r *pb.ListRangeRequest) (message, error) {
	it, err := s.find(r.Key, list)
	if err != nil || it == nil {
		return &pb.ListRangeResponse{}, err
	}
	n := len(it.members)
	start, stop := max(position(r.Start, n), 0), min(position(r.Stop, n), n-1)
	if start > stop {
		return &pb.ListRangeResponse{}, nil
	}
	return &pb.ListRangeResponse{Values: it.members[start : stop+1]}, nil
}

// position counts from the end where it is negative.
func position(p int32, n int) int {
	if p < 0 {
		return int(p) + n
	}
	return int(p)
}

func (s *store) removeItem(r *pb.ListDelItemRequest) (message, error) {
	n, err := s.remove(r.Key, r.Value, list)
	return &pb.ListResponse{NewCount: n}, err
}

func (s *store) clear(r *pb.ListClearRequest) (message, error) {
	if _, err := s.find(r.Key, list); err != nil {
		return nil, err
	}
	delete(s.keys, r.Key)
	return &pb.ListResponse{}, nil
}

func (s *store) setAdd(r *pb.SetAddRequest) (message, error) {
	it, err := s.find(r.Key, set)
	if err != nil {
		return nil, err
	}
	if it == nil {
		it = &item{kind: set}
		s.keys[r.Key] = it
	}
	if !slices.Contains(it.members, r.Value) {
		it.members = append(it.members, r.Value)
	}
	return &pb.SetOperationResponse{NewCount: int32(len(it.members))}, nil
}

func (s *store) setRemove(r *pb.SetRemoveRequest) (message, error) {
	n, err := s.remove(r.Key, r.Value, set)
	return &pb.SetOperationResponse{NewCount: n}, err
}

// remove takes all occurrences of a member out and returns the number of those
// that are left.
func (s *store) remove(key, member string, from kind) (int32, error) {
	it, err := s.find(key, from)
	if err != nil || it == nil {
		return 0, err
	}
	it.members = slices.DeleteFunc(it.members, func(m string) bool { return m == member })
	if len(it.members) == 0 {
		delete(s.keys, key)
	}
	return int32(len(it.members)), nil
}

func (s *store) setQuery(r *pb.SetQueryRequest) (message, error) {
	return s.combine([]string{r.Key}, 1)
}

func (s *store) setUnion(r *pb.SetUnionRequest) (message, error) { return s.combine(r.Keys, 1) }

func (s *store) setIntersection(r *pb.SetIntersectionRequest) (message, error) {
	return s.combine(r.Keys, len(r.Keys))
}

// combine returns, sorted, what is in at least so many of the sets.
func (s *store) combine(keys []string, least int) (message, error) {
	if len(keys) == 0 {
		return nil, &waxo.Error{Code: "invalid", Message: "the request names no set"}
	}
	counts := make(map[string]int)
	for _, key := range keys {
		it, err := s.find(key, set)
		if err != nil {
			return nil, err
		}
		if it == nil {
			continue
		}
		for _, m := range it.members {
			counts[m]++
		}
	}
	resp := &pb.SetQueryResponse{}
	for m, n := range counts {
		if n >= least {
			resp.Values = append(resp.Values, m)
		}
	}
	slices.Sort(resp.Values)
	return resp, nil
}
