// Package extras gives a guest what it cannot make by itself: unique identifiers,
// numbers in sequence, and randomness, through the capability "wascap:extras".
//
// A guest is sealed off from the world: there, math/rand and crypto/rand give the
// same numbers in every instance. Every error is a *waxo.Error.
package extras

import (
	waxo "github.com/waxosuit/waxo/guest/go"
	"github.com/waxosuit/waxo/guest/go/internal/abi"
	pb "github.com/waxosuit/waxo/guest/go/internal/extraspb"
)

// Capability is the name under which a manifest asks for these.
const Capability = "wascap:extras"

const op = Capability + "!" // leads every operation's name

// GUID returns a random identifier, such as "7c9e6679-7425-40de-944b-e07fc1f90ae7".
func GUID() (string, error) {
	r, err := call(op+"RequestGuid", pb.GeneratorRequest{Gentype: pb.GeneratorTypeGuid}, pb.GeneratorResultValueGuid)
	return r.Guid, err
}

// Sequence returns a number that is greater than the one before.
func Sequence() (uint64, error) {
	r, err := call(op+"RequestSequence", pb.GeneratorRequest{Gentype: pb.GeneratorTypeSequence}, pb.GeneratorResultValueSequenceNo)
	return r.SequenceNo, err
}

// Random returns a random number that is at least min and less than max, which
// must be greater than min.
func Random(min, max uint32) (uint32, error) {
	r, err := call(op+"RequestRandom", pb.GeneratorRequest{Gentype: pb.GeneratorTypeRandom, Min: min, Max: max}, pb.GeneratorResultValueRandomNo)
	return r.RandomNo, err
}

// call performs an operation, whose answer must be of the kind that was asked for.
func call(operation string, req pb.GeneratorRequest, want pb.GeneratorResultValue) (r pb.GeneratorResult, err error) {
	x := abi.Begin()
	defer x.End()
	x.Request = req.AppendProto(x.Request)
	answer, failure, ok := x.Call(waxo.DefaultBinding, Capability, operation)
	if !ok {
		return r, waxo.ParseError(failure)
	}
	if err := r.UnmarshalProto(answer); err != nil {
		return r, &waxo.Error{Code: "internal", Message: "extras: the answer to " + operation + ": " + err.Error()}
	}
	if r.Value != want {
		return pb.GeneratorResult{}, &waxo.Error{Code: "internal", Message: "extras: the answer to " + operation + " is of another kind"}
	}
	return r, nil
}
