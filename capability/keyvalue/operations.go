package keyvalue

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/redis/go-redis/v9"

	"github.com/waxosuit/waxo/capability"
	pb "github.com/waxosuit/waxo/capability/payload/keyvaluepb"
)

// message is a payload that can be written.
type message interface {
	ProtoSize() int
	AppendProto([]byte) []byte
}

// call performs an operation.
func (s *store) call(ctx context.Context, c capability.Call) ([]byte, error) {
	switch c.Operation {
	case capability.OpGet:
		return with(ctx, c, s.get)
	case capability.OpSet:
		return with(ctx, c, s.set)
	case capability.OpDel:
		return with(ctx, c, s.del)
	case capability.OpAdd:
		return with(ctx, c, s.add)
	case capability.OpKeyExists:
		return with(ctx, c, s.exists)
	case capability.OpPush:
		return with(ctx, c, s.push)
	case capability.OpRange:
		return with(ctx, c, s.listRange)
	case capability.OpListItemDelete:
		return with(ctx, c, s.listDelete)
	case capability.OpClear:
		return with(ctx, c, s.listClear)
	case capability.OpSetAdd:
		return with(ctx, c, s.setAdd)
	case capability.OpSetRemove:
		return with(ctx, c, s.setRemove)
	case capability.OpSetQuery:
		return with(ctx, c, s.setQuery)
	case capability.OpSetUnion:
		return with(ctx, c, s.setUnion)
	case capability.OpSetIntersection:
		return with(ctx, c, s.setIntersection)
	}
	return nil, &capability.Error{Code: capability.CodeUnsupported, Message: "wascap:keyvalue has no operation " + quote(c.Operation)}
}

// with decodes the payload of an operation and encodes its answer.
func with[T any, P interface {
	*T
	UnmarshalProto([]byte) error
}, R message](ctx context.Context, c capability.Call, perform func(context.Context, P) (R, error)) ([]byte, error) {
	req := P(new(T))
	if err := req.UnmarshalProto(c.Payload); err != nil {
		return nil, invalid("the payload cannot be decoded: %s", err)
	}
	resp, err := perform(ctx, req)
	if err != nil {
		return nil, err
	}
	return resp.AppendProto(slices.Grow(c.Into[:0], resp.ProtoSize())), nil
}

func (s *store) get(ctx context.Context, r *pb.GetRequest) (*pb.GetResponse, error) {
	value, err := attempts(ctx, func() (string, error) { return s.client.Get(ctx, s.prefix+r.Key).Result() })
	switch {
	case errors.Is(err, redis.Nil):
		return &pb.GetResponse{}, nil
	case err != nil:
		return nil, s.failed(ctx, err, kindValue, r.Key)
	case !utf8.ValidString(value):
		return nil, notText("value", r.Key)
	}
	return &pb.GetResponse{Value: value, Exists: true}, nil
}

func (s *store) set(ctx context.Context, r *pb.SetRequest) (*pb.SetResponse, error) {
	if r.ExpiresS < 0 {
		return nil, invalid("a key cannot expire after %d seconds: give 0 for never, or a positive number", r.ExpiresS)
	}
	if err := s.client.Set(ctx, s.prefix+r.Key, r.Value, time.Duration(r.ExpiresS)*time.Second).Err(); err != nil {
		return nil, s.failed(ctx, err, kindValue, r.Key)
	}
	return &pb.SetResponse{Value: r.Value}, nil
}

func (s *store) del(ctx context.Context, r *pb.DelRequest) (*pb.DelResponse, error) {
	if err := s.client.Del(ctx, s.prefix+r.Key).Err(); err != nil {
		return nil, s.failed(ctx, err, kindValue, r.Key)
	}
	return &pb.DelResponse{Key: r.Key}, nil
}

func (s *store) add(ctx context.Context, r *pb.AddRequest) (*pb.AddResponse, error) {
	sum, err := addScript().Run(ctx, s.client, []string{s.prefix + r.Key}, r.Value).Int64()
	switch {
	case errors.Is(err, redis.Nil), redis.HasErrorPrefix(err, "increment or decrement would overflow"):
		return nil, &capability.Error{Code: capability.CodeOutOfRange, Message: "the sum for the key " + quote(r.Key) + " does not fit into 32 bits; the key is unchanged"}
	case redis.HasErrorPrefix(err, "value is not an integer"):
		return nil, &capability.Error{Code: capability.CodeWrongKind, Message: "the key " + quote(r.Key) + " holds a value that is no integer; Add needs one"}
	case err != nil:
		return nil, s.failed(ctx, err, kindValue, r.Key)
	}
	return &pb.AddResponse{Value: int32(sum)}, nil
}

func (s *store) exists(ctx context.Context, r *pb.KeyExistsQuery) (*pb.GetResponse, error) {
	n, err := attempts(ctx, func() (int64, error) { return s.client.Exists(ctx, s.prefix+r.Key).Result() })
	if err != nil {
		return nil, s.failed(ctx, err, kindValue, r.Key)
	}
	return &pb.GetResponse{Exists: n > 0}, nil
}

func (s *store) push(ctx context.Context, r *pb.ListPushRequest) (*pb.ListResponse, error) {
	n, err := s.client.RPush(ctx, s.prefix+r.Key, r.Value).Result()
	if err != nil {
		return nil, s.failed(ctx, err, kindList, r.Key)
	}
	return &pb.ListResponse{NewCount: count(n)}, nil
}

func (s *store) listRange(ctx context.Context, r *pb.ListRangeRequest) (*pb.ListRangeResponse, error) {
	values, err := attempts(ctx, func() ([]string, error) {
		return s.client.LRange(ctx, s.prefix+r.Key, int64(r.Start), int64(r.Stop)).Result()
	})
	switch {
	case err != nil:
		return nil, s.failed(ctx, err, kindList, r.Key)
	case slices.ContainsFunc(values, notUTF8):
		return nil, notText("list", r.Key)
	}
	return &pb.ListRangeResponse{Values: values}, nil
}

func (s *store) listDelete(ctx context.Context, r *pb.ListDelItemRequest) (*pb.ListResponse, error) {
	tx, key := s.client.TxPipeline(), s.prefix+r.Key
	tx.LRem(ctx, key, 0, r.Value)
	n := tx.LLen(ctx, key)
	if _, err := tx.Exec(ctx); err != nil {
		return nil, s.failed(ctx, err, kindList, r.Key)
	}
	return &pb.ListResponse{NewCount: count(n.Val())}, nil
}

// listClear trims the list to nothing, because DEL would take a key of any
// kind.
func (s *store) listClear(ctx context.Context, r *pb.ListClearRequest) (*pb.ListResponse, error) {
	if err := s.client.LTrim(ctx, s.prefix+r.Key, 1, 0).Err(); err != nil {
		return nil, s.failed(ctx, err, kindList, r.Key)
	}
	return &pb.ListResponse{}, nil
}

func (s *store) setAdd(ctx context.Context, r *pb.SetAddRequest) (*pb.SetOperationResponse, error) {
	tx, key := s.client.TxPipeline(), s.prefix+r.Key
	tx.SAdd(ctx, key, r.Value)
	return s.setChange(ctx, tx, r.Key)
}

func (s *store) setRemove(ctx context.Context, r *pb.SetRemoveRequest) (*pb.SetOperationResponse, error) {
	tx, key := s.client.TxPipeline(), s.prefix+r.Key
	tx.SRem(ctx, key, r.Value)
	return s.setChange(ctx, tx, r.Key)
}

// setChange performs what tx has and asks for the size of the set after it.
func (s *store) setChange(ctx context.Context, tx redis.Pipeliner, key string) (*pb.SetOperationResponse, error) {
	n := tx.SCard(ctx, s.prefix+key)
	if _, err := tx.Exec(ctx); err != nil {
		return nil, s.failed(ctx, err, kindSet, key)
	}
	return &pb.SetOperationResponse{NewCount: count(n.Val())}, nil
}

func (s *store) setQuery(ctx context.Context, r *pb.SetQueryRequest) (*pb.SetQueryResponse, error) {
	return s.members(ctx, []string{r.Key}, s.client.SUnion)
}

func (s *store) setUnion(ctx context.Context, r *pb.SetUnionRequest) (*pb.SetQueryResponse, error) {
	return s.members(ctx, r.Keys, s.client.SUnion)
}

func (s *store) setIntersection(ctx context.Context, r *pb.SetIntersectionRequest) (*pb.SetQueryResponse, error) {
	return s.members(ctx, r.Keys, s.client.SInter)
}

// members answers, sorted, what a command makes of sets.
func (s *store) members(ctx context.Context, keys []string, command func(context.Context, ...string) *redis.StringSliceCmd) (*pb.SetQueryResponse, error) {
	if len(keys) == 0 {
		return nil, invalid("the request names no set")
	}
	names := keys
	if s.prefix != "" {
		names = make([]string, len(keys))
		for i, key := range keys {
			names[i] = s.prefix + key
		}
	}
	values, err := attempts(ctx, func() ([]string, error) { return command(ctx, names...).Result() })
	switch {
	case err != nil:
		return nil, s.failed(ctx, err, kindSet, keys...)
	case slices.ContainsFunc(values, notUTF8):
		return nil, notText("set", keys...)
	}
	slices.Sort(values)
	return &pb.SetQueryResponse{Values: values}, nil
}

func notUTF8(s string) bool { return !utf8.ValidString(s) }

// count is a number of items as the payloads carry it.
func count(n int64) int32 { return int32(min(n, math.MaxInt32)) }
