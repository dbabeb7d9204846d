package guestsuite

import (
	"fmt"
	"strings"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/payload/clockpb"
	"github.com/waxosuit/waxo/capability/payload/extraspb"
	"github.com/waxosuit/waxo/capability/payload/httppb"
	"github.com/waxosuit/waxo/capability/payload/registry"
)

// world is what a guest finds behind its capabilities: small services that answer
// as the protocol has it, the same in each world. What they do not check is for
// the suite of providers.
type world struct {
	store      store
	blobs      blobs
	streams    streams
	sequence   uint64
	random     uint32
	clock      int64 // nanoseconds since the epoch
	deliveries []delivery
}

// delivery is an operation that the guest is to handle because it asked for it.
type delivery struct {
	op      registry.Operation
	payload []byte
}

// firstInstant is 2020-01-01T00:00:00Z.
const firstInstant = 1577836800 * int64(1e9)

func newWorld() *world {
	return &world{clock: firstInstant}
}

// perform serves an operation of a capability, named as waxosuit's generation
// does.
func (w *world) perform(id, operation string, payload []byte) ([]byte, error) {
	o, known := standardOperations()[[2]string{id, operation}]
	if !known {
		if strings.HasPrefix(id, "wascap:") || strings.HasPrefix(id, "waxo:") || id == capability.Core {
			return nil, fail(capability.CodeUnsupported, "%s has no operation %s", id, operation)
		}
		return nil, nil // a vendor's: nobody here knows better
	}
	request := o.Request()
	if err := request.UnmarshalProto(payload); err != nil {
		return nil, fail(capability.CodeInvalid, "%s: %v", operation, err)
	}
	var response registry.Message
	var err error
	switch id {
	case capability.KeyValue:
		response, err = w.store.perform(operation, request)
	case capability.Blobstore:
		response, err = w.performBlob(operation, request)
	case capability.EventStreams:
		response, err = w.streams.perform(request)
	case capability.Messaging:
		return w.message(operation)
	case capability.HTTPClient:
		response, err = fetch(request.(*httppb.Request))
	case capability.Extras:
		response, err = w.generate(operation, request.(*extraspb.GeneratorRequest))
	case capability.Clock:
		w.clock += 1e6
		response = &clockpb.NowResponse{UnixNanos: w.clock}
	case capability.Logging:
	default:
		return nil, fail(capability.CodeUnsupported, "a guest cannot call %s", operation)
	}
	if err != nil || response == nil {
		return nil, err
	}
	return response.AppendProto(nil), nil
}

func fail(code capability.Code, format string, args ...any) error {
	return &capability.Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// message answers Request with bytes that any guest may make of what it likes.
func (*world) message(operation string) ([]byte, error) {
	if operation == capability.OpRequest {
		return []byte("reply"), nil
	}
	return nil, nil
}

func fetch(r *httppb.Request) (registry.Message, error) {
	if !strings.HasPrefix(r.Path, "http://") && !strings.HasPrefix(r.Path, "https://") {
		return nil, fail(capability.CodeInvalid, "the URL %q is not an absolute one of http or https", r.Path)
	}
	return &httppb.Response{
		StatusCode: 200, Status: "OK", Header: map[string]string{"Content-Type": "application/json"}, Body: []byte("{}\n"),
	}, nil
}

func (w *world) generate(operation string, r *extraspb.GeneratorRequest) (registry.Message, error) {
	switch operation {
	case capability.OpRequestGuid:
		w.sequence++
		guid := fmt.Sprintf("00000000-0000-4000-8000-%012d", w.sequence)
		return &extraspb.GeneratorResult{Value: extraspb.GeneratorResultValueGuid, Guid: guid}, nil
	case capability.OpRequestSequence:
		w.sequence++
		return &extraspb.GeneratorResult{Value: extraspb.GeneratorResultValueSequenceNo, SequenceNo: w.sequence - 1}, nil
	}
	if r.Max <= r.Min {
		return nil, fail(capability.CodeInvalid, "max %d is not above min %d", r.Max, r.Min)
	}
	w.random += 7
	number := r.Min + w.random%(r.Max-r.Min)
	return &extraspb.GeneratorResult{Value: extraspb.GeneratorResultValueRandomNo, RandomNo: number}, nil
}
