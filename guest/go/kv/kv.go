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
	"github.com/waxosuit/waxo/guest/go/internal/wire"
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

// The operations append to an Exchange's request and read its answer, each with the
// type that it has: where a type is hidden behind an interface, every call costs the
// guest allocations. What they return holds no memory of the Exchange.

// call performs an operation.
func (s *Store) call(x *abi.Exchange, operation string) ([]byte, error) {
	answer, failure, ok := x.Call(s.binding, Capability, operation)
	if !ok {
		return nil, waxo.ParseError(failure)
	}
	return answer, nil
}

// malformed returns the error for an answer that could not be read.
func malformed(operation string, err error) error {
	return &waxo.Error{Code: "internal", Message: "kv: the answer to " + operation + ": " + err.Error()}
}

// value performs an operation that is answered by a value. It does without defer,
// which takes a guest long, as nothing in it panics.
func (s *Store) value(x *abi.Exchange, operation string) (value string, exists bool, err error) {
	answer, err := s.call(x, operation)
	if text, ok := plain(answer); ok {
		value, exists = x.Text(text), true
	} else if err == nil {
		var resp pb.GetResponse
		if err = resp.UnmarshalProto(answer); err != nil {
			err = malformed(operation, err)
		} else {
			value, exists = resp.Value, resp.Exists
		}
	}
	x.End()
	return value, exists, err
}

// plain reads the answer that nearly all are: a GetResponse with a short value in
// ASCII that exists, as every host encodes it.
func plain(answer []byte) (text []byte, ok bool) {
	const value, exists = 1<<3 | byte(wire.Bytes), 2<<3 | byte(wire.Varint)
	n := len(answer)
	if n < 4 || answer[0] != value || int(answer[1]) != n-4 || n-4 >= 0x80 || answer[n-2] != exists || answer[n-1] != 1 {
		return nil, false
	}
	text = answer[2 : n-2]
	return text, abi.ASCII(text)
}

// number performs an operation that is answered by a number: an AddResponse, a
// ListResponse and a SetOperationResponse are encoded alike.
func (s *Store) number(x *abi.Exchange, operation string) (int32, error) {
	defer x.End()
	answer, err := s.call(x, operation)
	if err != nil {
		return 0, err
	}
	var resp pb.AddResponse
	if err := resp.UnmarshalProto(answer); err != nil {
		return 0, malformed(operation, err)
	}
	return resp.Value, nil
}

// texts performs an operation that is answered by texts: a ListRangeResponse and a
// SetQueryResponse are encoded alike.
func (s *Store) texts(x *abi.Exchange, operation string) ([]string, error) {
	defer x.End()
	answer, err := s.call(x, operation)
	if err != nil {
		return nil, err
	}
	var resp pb.ListRangeResponse
	if err := resp.UnmarshalProto(answer); err != nil {
		return nil, malformed(operation, err)
	}
	return resp.Values, nil
}

// done performs an operation whose answer tells nothing new.
func (s *Store) done(x *abi.Exchange, operation string) error {
	defer x.End()
	answer, err := s.call(x, operation)
	for err == nil && len(answer) > 0 {
		var number int
		var t wire.Type
		if number, t, answer, err = wire.ReadTag(answer); err == nil {
			answer, err = wire.Skip(answer, number, t)
		}
		if err != nil {
			err = malformed(operation, err)
		}
	}
	return err
}

// Get returns the value of key, and whether there is one.
func (s *Store) Get(key string) (value string, ok bool, err error) {
	x := abi.Begin()
	x.Request = (&pb.GetRequest{Key: key}).AppendProto(x.Request)
	return s.value(x, op+"Get")
}

// Set gives key a value, whatever it held.
func (s *Store) Set(key, value string) error {
	x := abi.Begin()
	x.Request = (&pb.SetRequest{Key: key, Value: value}).AppendProto(x.Request)
	return s.done(x, op+"Set")
}

// SetFor gives key a value that expires after a number of seconds, at least one.
func (s *Store) SetFor(key, value string, seconds int) error {
	if seconds < 1 || seconds > math.MaxInt32 {
		return &waxo.Error{Code: "invalid", Message: "kv: a value cannot expire after " + strconv.Itoa(seconds) + " seconds: from 1 to 2147483647 can be meant; Set is for ever"}
	}
	x := abi.Begin()
	x.Request = (&pb.SetRequest{Key: key, Value: value, ExpiresS: int32(seconds)}).AppendProto(x.Request)
	return s.done(x, op+"Set")
}

// Delete removes key, whatever it holds. It is no error if there is none.
func (s *Store) Delete(key string) error {
	x := abi.Begin()
	x.Request = (&pb.DelRequest{Key: key}).AppendProto(x.Request)
	return s.done(x, op+"Del")
}

// Exists reports whether key holds anything.
func (s *Store) Exists(key string) (bool, error) {
	x := abi.Begin()
	x.Request = (&pb.KeyExistsQuery{Key: key}).AppendProto(x.Request)
	_, exists, err := s.value(x, op+"KeyExists")
	return exists, err
}

// Add adds n to the number that key holds and returns the sum, in one step that
// no other call comes between. Where there is none, it starts at 0. A sum beyond
// 32 bits is a waxo.ErrOutOfRange and changes nothing.
func (s *Store) Add(key string, n int32) (int32, error) {
	x := abi.Begin()
	x.Request = (&pb.AddRequest{Key: key, Value: n}).AppendProto(x.Request)
	return s.number(x, op+"Add")
}

// ListPush adds an item at the end of a list and returns the list's new length.
func (s *Store) ListPush(key, item string) (int, error) {
	x := abi.Begin()
	x.Request = (&pb.ListPushRequest{Key: key, Value: item}).AppendProto(x.Request)
	n, err := s.number(x, op+"Push")
	return int(n), err
}

// ListRange returns the items from start to stop, both included. A negative
// position counts from the end: 0, -1 is the whole list.
func (s *Store) ListRange(key string, start, stop int32) ([]string, error) {
	x := abi.Begin()
	x.Request = (&pb.ListRangeRequest{Key: key, Start: start, Stop: stop}).AppendProto(x.Request)
	return s.texts(x, op+"Range")
}

// ListRemove removes every occurrence of an item and returns the list's new length.
func (s *Store) ListRemove(key, item string) (int, error) {
	x := abi.Begin()
	x.Request = (&pb.ListDelItemRequest{Key: key, Value: item}).AppendProto(x.Request)
	n, err := s.number(x, op+"ListItemDelete")
	return int(n), err
}

// ListClear removes all items of a list.
func (s *Store) ListClear(key string) error {
	x := abi.Begin()
	x.Request = (&pb.ListClearRequest{Key: key}).AppendProto(x.Request)
	return s.done(x, op+"Clear")
}

// SetAdd adds a member to a set and returns the set's new size.
func (s *Store) SetAdd(key, member string) (int, error) {
	x := abi.Begin()
	x.Request = (&pb.SetAddRequest{Key: key, Value: member}).AppendProto(x.Request)
	n, err := s.number(x, op+"SetAdd")
	return int(n), err
}

// SetRemove removes a member of a set and returns the set's new size.
func (s *Store) SetRemove(key, member string) (int, error) {
	x := abi.Begin()
	x.Request = (&pb.SetRemoveRequest{Key: key, Value: member}).AppendProto(x.Request)
	n, err := s.number(x, op+"SetRemove")
	return int(n), err
}

// SetMembers returns the members of a set, in no particular order.
func (s *Store) SetMembers(key string) ([]string, error) {
	x := abi.Begin()
	x.Request = (&pb.SetQueryRequest{Key: key}).AppendProto(x.Request)
	return s.texts(x, op+"SetQuery")
}

// SetUnion returns what is in any of the sets.
func (s *Store) SetUnion(keys ...string) ([]string, error) {
	x := abi.Begin()
	x.Request = (&pb.SetUnionRequest{Keys: keys}).AppendProto(x.Request)
	return s.texts(x, op+"SetUnion")
}

// SetIntersection returns what is in all of the sets.
func (s *Store) SetIntersection(keys ...string) ([]string, error) {
	x := abi.Begin()
	x.Request = (&pb.SetIntersectionRequest{Keys: keys}).AppendProto(x.Request)
	return s.texts(x, op+"SetIntersection")
}
