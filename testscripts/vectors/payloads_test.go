package vectors_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

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
	"github.com/waxosuit/waxo/capability/payload/registry"
	"github.com/waxosuit/waxo/capability/payload/wire"
	"github.com/waxosuit/waxo/testscripts/vectors"
)

// payloads are all messages of our codecs.
var payloads = []registry.Message{
	&blobstorepb.Blob{}, &blobstorepb.BlobList{}, &blobstorepb.Container{}, &blobstorepb.ContainerList{}, &blobstorepb.FileChunk{},
	&blobstorepb.StreamRequest{}, &blobstorepb.Transfer{}, &clockpb.NowRequest{}, &clockpb.NowResponse{},
	&corepb.CapabilityConfiguration{}, &corepb.EmptyMessage{}, &corepb.HealthRequest{}, &corepb.LiveUpdate{},
	&eventstreampb.Event{}, &eventstreampb.StreamQuery{}, &eventstreampb.StreamResults{}, &eventstreampb.TimeRange{}, &eventstreampb.WriteResponse{},
	&extraspb.GeneratorRequest{}, &extraspb.GeneratorResult{}, &httppb.Request{}, &httppb.Response{},
	&keyvaluepb.AddRequest{}, &keyvaluepb.AddResponse{}, &keyvaluepb.DelRequest{}, &keyvaluepb.DelResponse{},
	&keyvaluepb.GetRequest{}, &keyvaluepb.GetResponse{}, &keyvaluepb.KeyExistsQuery{}, &keyvaluepb.ListClearRequest{},
	&keyvaluepb.ListDelItemRequest{}, &keyvaluepb.ListPushRequest{}, &keyvaluepb.ListRangeRequest{}, &keyvaluepb.ListRangeResponse{},
	&keyvaluepb.ListResponse{}, &keyvaluepb.SetAddRequest{}, &keyvaluepb.SetIntersectionRequest{}, &keyvaluepb.SetOperationResponse{},
	&keyvaluepb.SetQueryRequest{}, &keyvaluepb.SetQueryResponse{}, &keyvaluepb.SetRemoveRequest{}, &keyvaluepb.SetRequest{},
	&keyvaluepb.SetResponse{}, &keyvaluepb.SetUnionRequest{}, &loggingpb.WriteLogRequest{},
	&messagingpb.BrokerMessage{}, &messagingpb.DeliverMessage{}, &messagingpb.PublishMessage{}, &messagingpb.RequestMessage{},
}

// codecs makes the messages of our codecs by their names, such as "http.Request".
func codecs() map[string]func() registry.Message {
	all := make(map[string]func() registry.Message)
	for _, p := range payloads {
		of := reflect.TypeOf(p).Elem()
		pkg, _, _ := bytes.Cut([]byte(of.String()), []byte("pb."))
		all[string(pkg)+"."+of.Name()] = func() registry.Message { return reflect.New(of).Interface().(registry.Message) }
	}
	return all
}

// descriptors are the messages of the .proto files, for protobuf-go.
func descriptors(t *testing.T) map[string]protoreflect.MessageDescriptor {
	t.Helper()
	names := []string{"blobstore.proto", "clock.proto", "core.proto", "eventstream.proto", "extras.proto", "http.proto", "keyvalue.proto", "logging.proto", "messaging.proto"}
	compiler := protocompile.Compiler{Resolver: &protocompile.SourceResolver{ImportPaths: []string{"../../capability/proto"}}}
	files, err := compiler.Compile(context.Background(), names...)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]protoreflect.MessageDescriptor)
	for _, f := range files {
		for i := range f.Messages().Len() {
			all[string(f.Messages().Get(i).FullName())] = f.Messages().Get(i)
		}
	}
	return all
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// plainJSON makes texts of JSON comparable.
func plainJSON(t *testing.T, text []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

func TestMessagesWithOurCodecs(t *testing.T) {
	ours := codecs()
	for _, v := range load[vectors.Message](t, vectors.MessagesFile) {
		encoded := unhex(t, v.Wire)
		written, read := ours[v.Message](), ours[v.Message]()
		if err := registry.UnmarshalJSON(v.JSON, written); err != nil {
			t.Errorf("%s: %v", v.Name, err)
		} else if got := written.AppendProto(nil); !bytes.Equal(got, encoded) || written.ProtoSize() != len(encoded) {
			t.Errorf("%s: encoded as %x, want %x", v.Name, got, encoded)
		}
		err := read.UnmarshalProto(encoded)
		if !reflect.DeepEqual(plainJSON(t, v.JSON), plainJSON(t, asJSON(t, read))) || err != nil {
			t.Errorf("%s: decoded as %s, %v; want %s", v.Name, asJSON(t, read), err, v.JSON)
		}
	}
	for _, o := range registry.Operations() { // every operation's messages are among them
		for _, make := range []func() registry.Message{o.Request, o.Response} {
			if make != nil && !slices.ContainsFunc(payloads, func(m registry.Message) bool { return reflect.TypeOf(m) == reflect.TypeOf(make()) }) {
				t.Errorf("%s of %s has a message that no vector shows", o.Name, o.Capability)
			}
		}
	}
}

func asJSON(t *testing.T, m registry.Message) []byte {
	t.Helper()
	text, err := registry.MarshalJSON(m)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestMessagesWithProtobufGo(t *testing.T) {
	known := descriptors(t)
	for _, v := range load[vectors.Message](t, vectors.MessagesFile) {
		m := dynamicpb.NewMessage(known[v.Message])
		if err := proto.Unmarshal(unhex(t, v.Wire), m); err != nil {
			t.Errorf("%s: %v", v.Name, err)
			continue
		}
		text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
		if err != nil || !reflect.DeepEqual(plainJSON(t, text), plainJSON(t, v.JSON)) {
			t.Errorf("%s: decoded as %s, %v; want %s", v.Name, text, err, v.JSON)
		}
	}
}

// reasons are the errors of our codecs for the results of payloads/decode.json.
var reasons = map[string]error{
	vectors.Truncated: wire.ErrTruncated, vectors.UTF8: wire.ErrUTF8,
	vectors.Overflow: wire.ErrMalformed, vectors.FieldNumber: wire.ErrMalformed, vectors.WireType: wire.ErrMalformed,
	vectors.Group: wire.ErrMalformed, vectors.Depth: wire.ErrMalformed,
}

func TestDecodeWithOurCodecs(t *testing.T) {
	ours := codecs()
	for _, v := range load[vectors.Decode](t, vectors.DecodeFile) {
		m := ours[v.Message]()
		err := m.UnmarshalProto(unhex(t, v.Wire))
		switch {
		case !slices.Contains(vectors.DecodeResults, v.Result):
			t.Errorf("%s: there is no result %q", v.Name, v.Result)
		case v.Result != vectors.ResultOK:
			if !errors.Is(err, reasons[v.Result]) {
				t.Errorf("%s: %v, want %s", v.Name, err, v.Result)
			}
		case err != nil || !reflect.DeepEqual(plainJSON(t, asJSON(t, m)), plainJSON(t, v.JSON)):
			t.Errorf("%s: decoded as %s, %v; want %s", v.Name, asJSON(t, m), err, v.JSON)
		}
	}
}

func TestDecodeWithProtobufGo(t *testing.T) {
	known := descriptors(t)
	for _, v := range load[vectors.Decode](t, vectors.DecodeFile) {
		m := dynamicpb.NewMessage(known[v.Message])
		err := proto.Unmarshal(unhex(t, v.Wire), m)
		switch {
		case v.Result == vectors.Depth: // it bounds groups, but much deeper
		case v.Result != vectors.ResultOK:
			if err == nil {
				t.Errorf("%s: decoded as %v, want %s", v.Name, m, v.Result)
			}
		default:
			m.SetUnknown(nil)
			text, err2 := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
			if err != nil || err2 != nil || !reflect.DeepEqual(plainJSON(t, text), plainJSON(t, v.JSON)) {
				t.Errorf("%s: decoded as %s, %v; want %s", v.Name, text, errors.Join(err, err2), v.JSON)
			}
		}
	}
}

func TestSpellings(t *testing.T) {
	for _, v := range load[vectors.Spell](t, vectors.SpellFile) {
		if got := capability.GenerationOf(v.Claims).Spell(v.Capability, v.Operation); got != v.Spelling {
			t.Errorf("%s: spelled %q, want %q", v.Name, got, v.Spelling)
		}
	}
}

func TestResolving(t *testing.T) {
	for _, v := range load[vectors.Resolve](t, vectors.ResolveFile) {
		id, operation, err := capability.Resolve(v.Namespace, v.Called)
		if (err == nil) != (v.Result == vectors.ResultOK) || id != v.Capability || operation != v.Operation {
			t.Errorf("%s: %q, %q, %v; want %s, %q, %q", v.Name, id, operation, err, v.Result, v.Capability, v.Operation)
		}
	}
}
