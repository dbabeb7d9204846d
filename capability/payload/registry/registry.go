// Package registry knows which message each operation of the standard takes and
// which it answers with, and gives every message a form in JSON, for those who
// write payloads by hand: in scripts, in vectors, on a command line.
//
// It is no part of the way of a call.
package registry

import (
	"fmt"
	"slices"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/payload/blobstorepb"
	"github.com/waxosuit/waxo/capability/payload/clockpb"
	"github.com/waxosuit/waxo/capability/payload/corepb"
	"github.com/waxosuit/waxo/capability/payload/eventstreampb"
	"github.com/waxosuit/waxo/capability/payload/extraspb"
	"github.com/waxosuit/waxo/capability/payload/httppb"
	"github.com/waxosuit/waxo/capability/payload/keyvaluepb"
	"github.com/waxosuit/waxo/capability/payload/loggingpb"
	"github.com/waxosuit/waxo/capability/payload/messagingpb"
)

// Message is a payload.
type Message interface {
	ProtoSize() int
	AppendProto([]byte) []byte
	UnmarshalProto([]byte) error
}

// Operation is an operation of the standard.
type Operation struct {
	Capability string // such as capability.KeyValue
	Name       string // bare, such as capability.OpGet
	ToGuest    bool   // the host calls it, and the guest handles it

	// Request makes an empty message of the kind that the operation takes.
	Request func() Message
	// Response makes one of the kind that it answers with. It is nil where the
	// answer is no message: there is none, or it is bytes that mean something to
	// the two sides alone, as with capability.OpRequest.
	Response func() Message
}

func of[T any, P interface {
	*T
	Message
}]() Message {
	return P(new(T))
}

// Operations lists the operations of the standard by capability.
func Operations() []Operation {
	return slices.Concat(keyvalue(), messaging(), blobstore(), others())
}

func keyvalue() []Operation {
	return []Operation{
		{capability.KeyValue, capability.OpGet, false, of[keyvaluepb.GetRequest], of[keyvaluepb.GetResponse]},
		{capability.KeyValue, capability.OpSet, false, of[keyvaluepb.SetRequest], of[keyvaluepb.SetResponse]},
		{capability.KeyValue, capability.OpDel, false, of[keyvaluepb.DelRequest], of[keyvaluepb.DelResponse]},
		{capability.KeyValue, capability.OpAdd, false, of[keyvaluepb.AddRequest], of[keyvaluepb.AddResponse]},
		{capability.KeyValue, capability.OpPush, false, of[keyvaluepb.ListPushRequest], of[keyvaluepb.ListResponse]},
		{capability.KeyValue, capability.OpRange, false, of[keyvaluepb.ListRangeRequest], of[keyvaluepb.ListRangeResponse]},
		{capability.KeyValue, capability.OpListItemDelete, false, of[keyvaluepb.ListDelItemRequest], of[keyvaluepb.ListResponse]},
		{capability.KeyValue, capability.OpClear, false, of[keyvaluepb.ListClearRequest], of[keyvaluepb.ListResponse]},
		{capability.KeyValue, capability.OpSetAdd, false, of[keyvaluepb.SetAddRequest], of[keyvaluepb.SetOperationResponse]},
		{capability.KeyValue, capability.OpSetRemove, false, of[keyvaluepb.SetRemoveRequest], of[keyvaluepb.SetOperationResponse]},
		{capability.KeyValue, capability.OpSetQuery, false, of[keyvaluepb.SetQueryRequest], of[keyvaluepb.SetQueryResponse]},
		{capability.KeyValue, capability.OpSetUnion, false, of[keyvaluepb.SetUnionRequest], of[keyvaluepb.SetQueryResponse]},
		{capability.KeyValue, capability.OpSetIntersection, false, of[keyvaluepb.SetIntersectionRequest], of[keyvaluepb.SetQueryResponse]},
		{capability.KeyValue, capability.OpKeyExists, false, of[keyvaluepb.KeyExistsQuery], of[keyvaluepb.GetResponse]},
	}
}

func messaging() []Operation {
	return []Operation{
		{capability.Messaging, capability.OpPublish, false, of[messagingpb.PublishMessage], nil},
		{capability.Messaging, capability.OpRequest, false, of[messagingpb.RequestMessage], nil},
		{capability.Messaging, capability.OpDeliverMessage, true, of[messagingpb.DeliverMessage], nil},
		{capability.EventStreams, capability.OpWriteEvent, false, of[eventstreampb.Event], of[eventstreampb.WriteResponse]},
		{capability.EventStreams, capability.OpQueryStream, false, of[eventstreampb.StreamQuery], of[eventstreampb.StreamResults]},
		{capability.EventStreams, capability.OpDeliverEvent, true, of[eventstreampb.Event], nil},
	}
}

func blobstore() []Operation {
	return []Operation{
		{capability.Blobstore, capability.OpCreateContainer, false, of[blobstorepb.Container], of[blobstorepb.Container]},
		{capability.Blobstore, capability.OpRemoveContainer, false, of[blobstorepb.Container], nil},
		{capability.Blobstore, capability.OpListObjects, false, of[blobstorepb.Container], of[blobstorepb.BlobList]},
		{capability.Blobstore, capability.OpRemoveObject, false, of[blobstorepb.Blob], nil},
		{capability.Blobstore, capability.OpGetObjectInfo, false, of[blobstorepb.Blob], of[blobstorepb.Blob]},
		{capability.Blobstore, capability.OpStartUpload, false, of[blobstorepb.FileChunk], of[blobstorepb.Transfer]},
		{capability.Blobstore, capability.OpUploadChunk, false, of[blobstorepb.FileChunk], nil},
		{capability.Blobstore, capability.OpStartDownload, false, of[blobstorepb.StreamRequest], of[blobstorepb.Transfer]},
		{capability.Blobstore, capability.OpReceiveChunk, true, of[blobstorepb.FileChunk], nil},
	}
}

func others() []Operation {
	return []Operation{
		{capability.HTTPServer, capability.OpHandleRequest, true, of[httppb.Request], of[httppb.Response]},
		{capability.HTTPClient, capability.OpPerformRequest, false, of[httppb.Request], of[httppb.Response]},
		{capability.Logging, capability.OpWriteLog, false, of[loggingpb.WriteLogRequest], nil},
		{capability.Extras, capability.OpRequestGuid, false, of[extraspb.GeneratorRequest], of[extraspb.GeneratorResult]},
		{capability.Extras, capability.OpRequestSequence, false, of[extraspb.GeneratorRequest], of[extraspb.GeneratorResult]},
		{capability.Extras, capability.OpRequestRandom, false, of[extraspb.GeneratorRequest], of[extraspb.GeneratorResult]},
		{capability.Clock, capability.OpNow, false, of[clockpb.NowRequest], of[clockpb.NowResponse]},
		{capability.Core, capability.OpHealthRequest, true, of[corepb.HealthRequest], nil},
		{capability.Core, capability.OpPerformLiveUpdate, false, of[corepb.LiveUpdate], nil},
	}
}

// Lookup finds an operation by its capability and its bare name.
func Lookup(id, name string) (Operation, bool) {
	all := Operations()
	i := slices.IndexFunc(all, func(o Operation) bool { return o.Capability == id && o.Name == name })
	if i < 0 {
		return Operation{}, false
	}
	return all[i], true
}

// Named finds the operations with a bare name. Most names are of one capability.
func Named(name string) []Operation {
	return slices.DeleteFunc(Operations(), func(o Operation) bool { return o.Name != name })
}

// Names lists the bare names of the operations of a capability, or for "" of all, in
// one direction.
func Names(id string, toGuest bool) []string {
	var names []string
	for _, o := range Operations() {
		if o.ToGuest == toGuest && (id == "" || o.Capability == id) {
			names = append(names, o.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// EncodeRequest makes the payload of a request of what UnmarshalJSON reads.
func (o Operation) EncodeRequest(json []byte) ([]byte, error) {
	m := o.Request()
	if err := UnmarshalJSON(json, m); err != nil {
		return nil, err
	}
	return m.AppendProto(nil), nil
}

// DecodeResponse reads the payload of an answer; Response may not be nil.
func (o Operation) DecodeResponse(payload []byte) (Message, error) {
	m := o.Response()
	if err := m.UnmarshalProto(payload); err != nil {
		return nil, fmt.Errorf("the answer of %s cannot be decoded: %w", o.Name, err)
	}
	return m, nil
}
