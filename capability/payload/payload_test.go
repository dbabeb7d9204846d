// Package payload_test holds the generated codecs to the protobuf library of Go.
package payload_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/waxosuit/waxo/capability/payload/blobstorepb"
	"github.com/waxosuit/waxo/capability/payload/clockpb"
	"github.com/waxosuit/waxo/capability/payload/corepb"
	"github.com/waxosuit/waxo/capability/payload/eventstreampb"
	"github.com/waxosuit/waxo/capability/payload/extraspb"
	"github.com/waxosuit/waxo/capability/payload/httppb"
	"github.com/waxosuit/waxo/capability/payload/keyvaluepb"
	"github.com/waxosuit/waxo/capability/payload/loggingpb"
	"github.com/waxosuit/waxo/capability/payload/messagingpb"
	"github.com/waxosuit/waxo/capability/payload/providerpb"
	"github.com/waxosuit/waxo/capability/payload/wire"
)

// message is what the generator gives every payload.
type message interface {
	ProtoSize() int
	AppendProto([]byte) []byte
	UnmarshalProto([]byte) error
}

// generated makes the payloads by their names.
var generated = map[protoreflect.FullName]func() message{
	"blobstore.Blob":                  func() message { return new(blobstorepb.Blob) },
	"blobstore.BlobList":              func() message { return new(blobstorepb.BlobList) },
	"blobstore.Container":             func() message { return new(blobstorepb.Container) },
	"blobstore.ContainerList":         func() message { return new(blobstorepb.ContainerList) },
	"blobstore.FileChunk":             func() message { return new(blobstorepb.FileChunk) },
	"blobstore.StreamRequest":         func() message { return new(blobstorepb.StreamRequest) },
	"blobstore.Transfer":              func() message { return new(blobstorepb.Transfer) },
	"clock.NowRequest":                func() message { return new(clockpb.NowRequest) },
	"clock.NowResponse":               func() message { return new(clockpb.NowResponse) },
	"core.CapabilityConfiguration":    func() message { return new(corepb.CapabilityConfiguration) },
	"core.EmptyMessage":               func() message { return new(corepb.EmptyMessage) },
	"core.HealthRequest":              func() message { return new(corepb.HealthRequest) },
	"core.LiveUpdate":                 func() message { return new(corepb.LiveUpdate) },
	"eventstream.Event":               func() message { return new(eventstreampb.Event) },
	"eventstream.StreamQuery":         func() message { return new(eventstreampb.StreamQuery) },
	"eventstream.StreamResults":       func() message { return new(eventstreampb.StreamResults) },
	"eventstream.TimeRange":           func() message { return new(eventstreampb.TimeRange) },
	"eventstream.WriteResponse":       func() message { return new(eventstreampb.WriteResponse) },
	"extras.GeneratorRequest":         func() message { return new(extraspb.GeneratorRequest) },
	"extras.GeneratorResult":          func() message { return new(extraspb.GeneratorResult) },
	"http.Request":                    func() message { return new(httppb.Request) },
	"http.Response":                   func() message { return new(httppb.Response) },
	"keyvalue.AddRequest":             func() message { return new(keyvaluepb.AddRequest) },
	"keyvalue.AddResponse":            func() message { return new(keyvaluepb.AddResponse) },
	"keyvalue.DelRequest":             func() message { return new(keyvaluepb.DelRequest) },
	"keyvalue.DelResponse":            func() message { return new(keyvaluepb.DelResponse) },
	"keyvalue.GetRequest":             func() message { return new(keyvaluepb.GetRequest) },
	"keyvalue.GetResponse":            func() message { return new(keyvaluepb.GetResponse) },
	"keyvalue.KeyExistsQuery":         func() message { return new(keyvaluepb.KeyExistsQuery) },
	"keyvalue.ListClearRequest":       func() message { return new(keyvaluepb.ListClearRequest) },
	"keyvalue.ListDelItemRequest":     func() message { return new(keyvaluepb.ListDelItemRequest) },
	"keyvalue.ListPushRequest":        func() message { return new(keyvaluepb.ListPushRequest) },
	"keyvalue.ListRangeRequest":       func() message { return new(keyvaluepb.ListRangeRequest) },
	"keyvalue.ListRangeResponse":      func() message { return new(keyvaluepb.ListRangeResponse) },
	"keyvalue.ListResponse":           func() message { return new(keyvaluepb.ListResponse) },
	"keyvalue.SetAddRequest":          func() message { return new(keyvaluepb.SetAddRequest) },
	"keyvalue.SetIntersectionRequest": func() message { return new(keyvaluepb.SetIntersectionRequest) },
	"keyvalue.SetOperationResponse":   func() message { return new(keyvaluepb.SetOperationResponse) },
	"keyvalue.SetQueryRequest":        func() message { return new(keyvaluepb.SetQueryRequest) },
	"keyvalue.SetQueryResponse":       func() message { return new(keyvaluepb.SetQueryResponse) },
	"keyvalue.SetRemoveRequest":       func() message { return new(keyvaluepb.SetRemoveRequest) },
	"keyvalue.SetRequest":             func() message { return new(keyvaluepb.SetRequest) },
	"keyvalue.SetResponse":            func() message { return new(keyvaluepb.SetResponse) },
	"keyvalue.SetUnionRequest":        func() message { return new(keyvaluepb.SetUnionRequest) },
	"logging.WriteLogRequest":         func() message { return new(loggingpb.WriteLogRequest) },
	"messaging.BrokerMessage":         func() message { return new(messagingpb.BrokerMessage) },
	"messaging.DeliverMessage":        func() message { return new(messagingpb.DeliverMessage) },
	"messaging.PublishMessage":        func() message { return new(messagingpb.PublishMessage) },
	"messaging.RequestMessage":        func() message { return new(messagingpb.RequestMessage) },
	"provider.BindRequest":            func() message { return new(providerpb.BindRequest) },
	"provider.BindResponse":           func() message { return new(providerpb.BindResponse) },
	"provider.BindingID":              func() message { return new(providerpb.BindingID) },
	"provider.CallRequest":            func() message { return new(providerpb.CallRequest) },
	"provider.CallResponse":           func() message { return new(providerpb.CallResponse) },
	"provider.CloseRequest":           func() message { return new(providerpb.CloseRequest) },
	"provider.CloseResponse":          func() message { return new(providerpb.CloseResponse) },
	"provider.DescribeRequest":        func() message { return new(providerpb.DescribeRequest) },
	"provider.DescribeResponse":       func() message { return new(providerpb.DescribeResponse) },
	"provider.DispatchAnswer":         func() message { return new(providerpb.DispatchAnswer) },
	"provider.DispatchRequest":        func() message { return new(providerpb.DispatchRequest) },
	"provider.Failure":                func() message { return new(providerpb.Failure) },
	"provider.UnbindRequest":          func() message { return new(providerpb.UnbindRequest) },
	"provider.UnbindResponse":         func() message { return new(providerpb.UnbindResponse) },
}

// descriptors reads the .proto files, sorted by the name of the message.
func descriptors(t testing.TB) []protoreflect.MessageDescriptor {
	t.Helper()
	paths, err := filepath.Glob("../proto/*.proto")
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range paths {
		paths[i] = filepath.Base(p)
	}
	compiler := protocompile.Compiler{Resolver: &protocompile.SourceResolver{ImportPaths: []string{"../proto"}}}
	files, err := compiler.Compile(context.Background(), paths...)
	if err != nil {
		t.Fatal(err)
	}
	var all []protoreflect.MessageDescriptor
	for _, f := range files {
		for i := range f.Messages().Len() {
			all = append(all, f.Messages().Get(i))
		}
	}
	if len(all) != len(generated) {
		t.Fatalf("the .proto files have %d messages, this test knows %d", len(all), len(generated))
	}
	slices.SortFunc(all, func(a, b protoreflect.MessageDescriptor) int {
		return bytes.Compare([]byte(a.FullName()), []byte(b.FullName()))
	})
	return all
}

func TestRoundTrips(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	for _, d := range descriptors(t) {
		for range 300 {
			want := randomMessage(d, random)
			encoded, err := proto.MarshalOptions{Deterministic: true}.Marshal(want)
			if err != nil {
				t.Fatal(err)
			}
			shuffled, err := proto.Marshal(want)
			if err != nil {
				t.Fatal(err)
			}
			m := generated[d.FullName()]()
			if err := m.UnmarshalProto(shuffled); err != nil {
				t.Fatalf("%s: %v: %v", d.FullName(), want, err)
			}
			got := m.AppendProto([]byte("prefix"))
			if string(got[:6]) != "prefix" || m.ProtoSize() != len(got)-6 {
				t.Fatalf("%s: ProtoSize is %d, %d bytes were appended", d.FullName(), m.ProtoSize(), len(got)-6)
			}
			if !bytes.Equal(got[6:], encoded) {
				t.Fatalf("%s: %v:\n%x, want\n%x", d.FullName(), want, got[6:], encoded)
			}
			back := dynamicpb.NewMessage(d)
			if err := proto.Unmarshal(got[6:], back); err != nil || !proto.Equal(back, want) {
				t.Fatalf("%s: %v, %v, want %v", d.FullName(), back, err, want)
			}
		}
	}
}

// randomMessage fills about half of the fields, often with values at a limit.
func randomMessage(d protoreflect.MessageDescriptor, random *rand.Rand) *dynamicpb.Message {
	m := dynamicpb.NewMessage(d)
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		if random.IntN(2) == 0 {
			continue
		}
		switch {
		case f.IsMap():
			for range random.IntN(4) {
				m.Mutable(f).Map().Set(randomValue(f.MapKey(), random).MapKey(), randomValue(f.MapValue(), random))
			}
		case f.IsList():
			for range random.IntN(4) {
				m.Mutable(f).List().Append(randomValue(f, random))
			}
		default:
			m.Set(f, randomValue(f, random))
		}
	}
	return m
}

func randomValue(f protoreflect.FieldDescriptor, random *rand.Rand) protoreflect.Value {
	number := random.Uint64() >> random.IntN(64)
	if random.IntN(4) == 0 {
		number = []uint64{0, 1, 127, 128, 1<<31 - 1, 1 << 31, 1<<63 - 1, 1 << 63, 1<<64 - 1}[random.IntN(9)]
	}
	text := []string{"", "a", "ä", "日本語", "\x00", "key", string(make([]byte, 127)), string(make([]byte, 128)), string(make([]byte, 20000))}[random.IntN(9)]
	switch f.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(text)
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes(append([]byte(text), 0xff))
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(number&1 == 1)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(int32(number)))
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(int32(number))
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(int64(number))
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(uint32(number))
	case protoreflect.Uint64Kind:
		return protoreflect.ValueOfUint64(number)
	}
	return protoreflect.ValueOfMessage(randomMessage(f.Message(), random))
}

// agree fails unless both codecs refuse b, or read the same out of it.
func agree(t *testing.T, d protoreflect.MessageDescriptor, b []byte) {
	t.Helper()
	want := dynamicpb.NewMessage(d)
	wantErr := proto.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(b, want)
	m := generated[d.FullName()]()
	before := bytes.Clone(b)
	err := m.UnmarshalProto(b)
	if !bytes.Equal(b, before) {
		t.Fatalf("%s: %x was changed", d.FullName(), before)
	}
	if (err != nil) != (wantErr != nil) {
		t.Fatalf("%s: %x: error %v, want %v", d.FullName(), b, err, wantErr)
	}
	if err != nil {
		return
	}
	got := m.AppendProto(nil)
	encoded, err := proto.MarshalOptions{Deterministic: true}.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, encoded) {
		t.Fatalf("%s: %x: read as\n%x, want\n%x", d.FullName(), b, got, encoded)
	}
}

// TestMerging concatenates messages: the last scalar wins, messages merge,
// lists grow, and a oneof is what came last.
func TestMerging(t *testing.T) {
	random := rand.New(rand.NewPCG(2, 2))
	for _, d := range descriptors(t) {
		for range 100 {
			var b []byte
			for range 2 + random.IntN(2) {
				part, err := proto.Marshal(randomMessage(d, random))
				if err != nil {
					t.Fatal(err)
				}
				b = append(b, part...)
			}
			agree(t, d, b)
		}
	}
}

// TestUnknownFields puts fields of every wire type between those that are known,
// with numbers that nobody knows and with known numbers of the wrong type.
func TestUnknownFields(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 3))
	for _, d := range descriptors(t) {
		for number := protowire.Number(1); number <= 20; number += 1 + protowire.Number(random.IntN(3)) {
			for _, kind := range []protowire.Type{protowire.VarintType, protowire.Fixed64Type, protowire.BytesType, protowire.StartGroupType, protowire.Fixed32Type, protowire.EndGroupType, 6, 7} {
				known, err := proto.Marshal(randomMessage(d, random))
				if err != nil {
					t.Fatal(err)
				}
				b := protowire.AppendTag(bytes.Clone(known), number, kind)
				switch kind {
				case protowire.VarintType:
					b = protowire.AppendVarint(b, random.Uint64())
				case protowire.Fixed64Type:
					b = protowire.AppendFixed64(b, random.Uint64())
				case protowire.Fixed32Type:
					b = protowire.AppendFixed32(b, random.Uint32())
				case protowire.BytesType:
					b = protowire.AppendBytes(b, nil)
				case protowire.StartGroupType:
					b = protowire.AppendTag(b, number+1, protowire.StartGroupType)
					b = protowire.AppendTag(b, number+1, protowire.EndGroupType)
					b = protowire.AppendTag(append(b, known...), number, protowire.EndGroupType)
				}
				agree(t, d, append(b, known...))
			}
		}
	}
}

// TestTruncated cuts messages at every byte.
func TestTruncated(t *testing.T) {
	random := rand.New(rand.NewPCG(4, 4))
	for _, d := range descriptors(t) {
		for range 10 {
			b, err := proto.Marshal(randomMessage(d, random))
			if err != nil {
				t.Fatal(err)
			}
			for i := range min(len(b), 600) {
				agree(t, d, b[:i:i])
			}
		}
	}
}

func TestMalformed(t *testing.T) {
	for name, test := range map[string]struct {
		b    []byte
		want error
	}{
		"no UTF-8":                  {[]byte{0x0a, 2, 0xc3, 0x28}, wire.ErrUTF8},
		"no UTF-8 in a map's key":   {[]byte{0x22, 3, 0x0a, 1, 0xff}, wire.ErrUTF8},
		"no UTF-8 in a map's value": {[]byte{0x22, 3, 0x12, 1, 0xff}, wire.ErrUTF8},
		"a length beyond the end":   {[]byte{0x0a, 5, 'a'}, wire.ErrTruncated},
		"a huge length":             {[]byte{0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, wire.ErrTruncated},
		"a varint of 11 bytes":      {[]byte{0x0a, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0}, wire.ErrMalformed},
		"a varint beyond 64 bits":   {[]byte{0x0a, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 2}, wire.ErrMalformed},
		"field 0":                   {[]byte{0x02, 0}, wire.ErrMalformed},
		"a field beyond the limit":  {[]byte{0x80, 0x80, 0x80, 0x80, 0x10, 0}, wire.ErrMalformed},
		"an end without a group":    {[]byte{0x0c}, wire.ErrMalformed},
		"a group without an end":    {[]byte{0x0b, 0x08, 1}, wire.ErrTruncated},
		"another group's end":       {[]byte{0x0b, 0x14}, wire.ErrMalformed},
		"groups without end":        {bytes.Repeat([]byte{0x0b}, 1<<20), wire.ErrMalformed},
	} {
		var m httppb.Request
		if err := m.UnmarshalProto(test.b); !errors.Is(err, test.want) {
			t.Errorf("%s = %v, want %v", name, err, test.want)
		}
	}
}

// TestReplaces has UnmarshalProto forget what the message held.
func TestReplaces(t *testing.T) {
	m := httppb.Request{Method: "GET", Header: map[string]string{"A": "1"}, Body: []byte("x")}
	if err := m.UnmarshalProto([]byte{0x12, 1, '/'}); err != nil {
		t.Fatal(err)
	}
	if m.Path != "/" || m.Method != "" || m.Header != nil || m.Body != nil {
		t.Errorf("the message holds %+v", m)
	}
}

func FuzzUnmarshal(f *testing.F) {
	all := descriptors(f)
	random := rand.New(rand.NewPCG(5, 5))
	for i, d := range all {
		for range 3 {
			b, err := proto.Marshal(randomMessage(d, random))
			if err != nil {
				f.Fatal(err)
			}
			if len(b) < 1000 {
				f.Add(uint8(i), b)
			}
		}
	}
	f.Add(uint8(0), []byte{0x0b, 0x13, 0x14, 0x0c})
	f.Fuzz(func(t *testing.T, which uint8, b []byte) {
		agree(t, all[int(which)%len(all)], b)
	})
}

// request is one as a browser sends it.
func request() *httppb.Request {
	return &httppb.Request{Method: "POST", Path: "/items/1", QueryString: "a=b", Body: make([]byte, 4096), Header: map[string]string{
		"Accept": "text/html,application/xhtml+xml", "Accept-Encoding": "gzip, deflate, br", "Accept-Language": "en", "Content-Length": "4096",
		"Content-Type": "application/json", "Host": "localhost:8080", "User-Agent": "Mozilla/5.0 (X11; Linux x86_64)", "X-Request-Id": "7c9e6679",
	}}
}

// BenchmarkRequest sets the generated codec beside the protobuf library, which
// works by reflection here.
func BenchmarkRequest(b *testing.B) {
	encoded := request().AppendProto(nil)
	var d protoreflect.MessageDescriptor
	for _, each := range descriptors(b) {
		if each.FullName() == "http.Request" {
			d = each
		}
	}
	library := dynamicpb.NewMessage(d)
	if err := proto.Unmarshal(encoded, library); err != nil {
		b.Fatal(err)
	}
	b.Run("append/generated", func(b *testing.B) {
		b.ReportAllocs()
		m, out := request(), []byte(nil)
		for b.Loop() {
			out = m.AppendProto(out[:0])
		}
	})
	b.Run("append/library", func(b *testing.B) {
		b.ReportAllocs()
		var out []byte
		for b.Loop() {
			out, _ = proto.MarshalOptions{Deterministic: true}.MarshalAppend(out[:0], library)
		}
	})
	b.Run("unmarshal/generated", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var m httppb.Request
			if err := m.UnmarshalProto(encoded); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("unmarshal/library", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := proto.Unmarshal(encoded, dynamicpb.NewMessage(d)); err != nil {
				b.Fatal(err)
			}
		}
	})
}
