// Package kv is the key-value store of a guest, the capability
// "wascap:keyvalue".
//
// Keys and values are UTF-8 text. A key holds a value, a list or a set; an
// operation on a key of another kind is a waxo.ErrWrongKind. What one call did
// is there for the next one, in this instance and in any other.
//
// The functions of the package use the default binding; Open names another.
// Every error is a *waxo.Error.
package kv

import (
	"math"
	"strconv"

	waxo "github.com/waxosuit/waxo/guest/go"
	"github.com/waxosuit/waxo/guest/go/internal/abi"
	pb "github.com/waxosuit/waxo/guest/go/internal/keyvaluepb"
)

// Capability is the name under which a manifest asks for the store.
const Capability = "wascap:keyvalue"

const op = Capability + "!" // leads every operation's name

// Store is a key-value store under one binding.
type Store struct{ binding string }

// Open returns the store that is bound to the guest under the given name. It
// calls nothing: a binding that is missing is the error of the first operation.
func Open(binding string) *Store { return &Store{binding} }

var std = Open(waxo.DefaultBinding)

type (
	request  interface{ AppendProto([]byte) []byte }
	response interface{ UnmarshalProto([]byte) error }
)

// call performs an operation. What it reads holds no memory of the call.
func (s *Store) call(operation string, req request, resp response) error {
	x := abi.Begin()
	defer x.End()
	x.Request = req.AppendProto(x.Request)
	answer, failure, ok := x.Call(s.binding, Capability, operation)
	if !ok {
		return waxo.ParseError(failure)
	}
	if err := resp.UnmarshalProto(answer); err != nil {
		return &waxo.Error{Code: "internal", Message: "kv: the answer to " + operation + ": " + err.Error()}
	}
	return nil
}

// Get returns the value of key, and whether there is one.
func (s *Store) Get(key string) (value string, ok bool, err error) {
	var resp pb.GetResponse
	err = s.call(op+"Get", &pb.GetRequest{Key: key}, &resp)
	return resp.Value, resp.Exists, err
}

// Set gives key a value, whatever it held.
func (s *Store) Set(key, value string) error {
	return s.call(op+"Set", &pb.SetRequest{Key: key, Value: value}, &pb.SetResponse{})
}

// SetFor gives key a value that expires after a number of seconds, at least one.
func (s *Store) SetFor(key, value string, seconds int) error {
	if seconds < 1 || seconds > math.MaxInt32 {
		return &waxo.Error{Code: "invalid", Message: "kv: a value cannot expire after " + strconv.Itoa(seconds) + " seconds: from 1 to 2147483647 can be meant; Set is for ever"}
	}
	return s.call(op+"Set", &pb.SetRequest{Key: key, Value: value, ExpiresS: int32(seconds)}, &pb.SetResponse{})
}

// Delete removes key, whatever it holds. It is no error if there is none.
func (s *Store) Delete(key string) error {
	return s.call(op+"Del", &pb.DelRequest{Key: key}, &pb.DelResponse{})
}

// Exists reports whether key holds anything.
func (s *Store) Exists(key string) (bool, error) {
	var resp pb.GetResponse
	err := s.call(op+"KeyExists", &pb.KeyExistsQuery{Key: key}, &resp)
	return resp.Exists, err
}

// Add adds n to the number that key holds and returns the sum, in one step that
// no other call comes between. Where there is none, it starts at 0. A sum beyond
// 32 bits is a waxo.ErrOutOfRange and changes nothing.
func (s *Store) Add(key string, n int32) (int32, error) {
	var resp pb.AddResponse
	err := s.call(op+"Add", &pb.AddRequest{Key: key, Value: n}, &resp)
	return resp.Value, err
}

// ListPush adds an item at the end of a list and returns the list's new length.
func (s *Store) ListPush(key, item string) (int, error) {
	return s.list(op+"Push", &pb.ListPushRequest{Key: key, Value: item})
}

// ListRange returns the items from start to stop, both included. A negative
// position counts from the end: 0, -1 is the whole list.
func (s *Store) ListRange(key string, start, stop int32) ([]string, error) {
	var resp pb.ListRangeResponse
	err := s.call(op+"Range", &pb.ListRangeRequest{Key: key, Start: start, Stop: stop}, &resp)
	return resp.Values, err
}

// ListRemove removes every occurrence of an item and returns the list's new length.
func (s *Store) ListRemove(key, item string) (int, error) {
	return s.list(op+"ListItemDelete", &pb.ListDelItemRequest{Key: key, Value: item})
}

// ListClear removes all items of a list.
func (s *Store) ListClear(key string) error {
	_, err := s.list(op+"Clear", &pb.ListClearRequest{Key: key})
	return err
}

func (s *Store) list(operation string, req request) (int, error) {
	var resp pb.ListResponse
	err := s.call(operation, req, &resp)
	return int(resp.NewCount), err
}

// SetAdd adds a member to a set and returns the set's new size.
func (s *Store) SetAdd(key, member string) (int, error) {
	return s.set(op+"SetAdd", &pb.SetAddRequest{Key: key, Value: member})
}

// SetRemove removes a member of a set and returns the set's new size.
func (s *Store) SetRemove(key, member string) (int, error) {
	return s.set(op+"SetRemove", &pb.SetRemoveRequest{Key: key, Value: member})
}

func (s *Store) set(operation string, req request) (int, error) {
	var resp pb.SetOperationResponse
	err := s.call(operation, req, &resp)
	return int(resp.NewCount), err
}

// SetMembers returns the members of a set, in no particular order.
func (s *Store) SetMembers(key string) ([]string, error) {
	return s.query(op+"SetQuery", &pb.SetQueryRequest{Key: key})
}

// SetUnion returns what is in any of the sets.
func (s *Store) SetUnion(keys ...string) ([]string, error) {
	return s.query(op+"SetUnion", &pb.SetUnionRequest{Keys: keys})
}

// SetIntersection returns what is in all of the sets.
func (s *Store) SetIntersection(keys ...string) ([]string, error) {
	return s.query(op+"SetIntersection", &pb.SetIntersectionRequest{Keys: keys})
}

func (s *Store) query(operation string, req request) ([]string, error) {
	var resp pb.SetQueryResponse
	err := s.call(operation, req, &resp)
	return resp.Values, err
}
