package registry_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"go/ast"
	"go/parser"
	"go/token"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/payload/registry"
)

// TestOperations: every operation that the contract names is known, and once.
func TestOperations(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../../operations.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	names := 0
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && strings.HasPrefix(spec.Names[0].Name, "Op") {
			name, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			if found := registry.Named(name); len(found) != 1 {
				t.Errorf("%s is known %d times", name, len(found))
			}
			names++
		}
		return true
	})
	if all := registry.Operations(); names == 0 || len(all) != names {
		t.Errorf("%d operations are known, the contract names %d", len(all), names)
	}
	if o, ok := registry.Lookup(capability.KeyValue, capability.OpAdd); !ok || o.ToGuest || reflect.TypeOf(o.Request()).String() != "*keyvaluepb.AddRequest" {
		t.Errorf("Add is %+v", o)
	}
	if _, ok := registry.Lookup(capability.KeyValue, capability.OpNow); ok {
		t.Error("wascap:keyvalue has an operation Now")
	}
}

// messages makes each message by its full name.
func messages() map[protoreflect.FullName]func() registry.Message {
	all := make(map[protoreflect.FullName]func() registry.Message)
	for _, o := range registry.Operations() {
		for _, f := range []func() registry.Message{o.Request, o.Response} {
			if f == nil {
				continue
			}
			pkg, name, _ := strings.Cut(strings.TrimPrefix(reflect.TypeOf(f()).String(), "*"), ".")
			all[protoreflect.FullName(strings.TrimSuffix(pkg, "pb")+"."+name)] = f
		}
	}
	return all
}

func descriptors(t testing.TB) map[protoreflect.FullName]protoreflect.MessageDescriptor {
	t.Helper()
	paths, err := filepath.Glob("../../proto/*.proto")
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range paths {
		paths[i] = filepath.Base(p)
	}
	compiler := protocompile.Compiler{Resolver: &protocompile.SourceResolver{ImportPaths: []string{"../../proto"}}}
	files, err := compiler.Compile(context.Background(), paths...)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[protoreflect.FullName]protoreflect.MessageDescriptor)
	for _, f := range files {
		for i := range f.Messages().Len() {
			d := f.Messages().Get(i)
			all[d.FullName()] = d
		}
	}
	return all
}

// TestJSON holds the form in JSON to the protobuf library of Go, both ways.
func TestJSON(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 7))
	all := descriptors(t)
	for name, empty := range messages() {
		d, ok := all[name]
		if !ok {
			t.Fatalf("there is no %s", name)
		}
		for i := range 200 {
			want := dynamicpb.NewMessage(d)
			fill(want, random)
			wire, err := proto.MarshalOptions{Deterministic: true}.Marshal(want)
			if err != nil {
				t.Fatal(err)
			}
			m := empty()
			if err := m.UnmarshalProto(wire); err != nil {
				t.Fatal(err)
			}
			ours, err := registry.MarshalJSON(m)
			if err != nil {
				t.Fatal(err)
			}
			got := dynamicpb.NewMessage(d)
			if err := protojson.Unmarshal(ours, got); err != nil || !proto.Equal(got, want) {
				t.Fatalf("%s: %s is read as %v (%v); want %v", name, ours, got, err, want)
			}
			theirs, err := protojson.MarshalOptions{UseProtoNames: i%2 == 0, UseEnumNumbers: i%3 == 0}.Marshal(want)
			if err != nil {
				t.Fatal(err)
			}
			back := empty()
			if err := registry.UnmarshalJSON(theirs, back); err != nil {
				t.Fatalf("%s: %s: %v", name, theirs, err)
			}
			if !bytes.Equal(back.AppendProto(nil), m.AppendProto(nil)) {
				t.Fatalf("%s: %s is read as %+v; want %+v", name, theirs, back, m)
			}
		}
	}
}

func fill(m protoreflect.Message, random *rand.Rand) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if random.IntN(3) == 0 {
			continue
		}
		switch {
		case f.IsMap():
			for range random.IntN(3) {
				m.Mutable(f).Map().Set(scalar(f.MapKey(), random).MapKey(), scalar(f.MapValue(), random))
			}
		case f.IsList():
			for range random.IntN(3) {
				list := m.Mutable(f).List()
				if f.Message() == nil {
					list.Append(scalar(f, random))
					continue
				}
				e := list.NewElement()
				fill(e.Message(), random)
				list.Append(e)
			}
		case f.Message() != nil:
			fill(m.Mutable(f).Message(), random)
		default:
			m.Set(f, scalar(f, random))
		}
	}
}

func scalar(f protoreflect.FieldDescriptor, random *rand.Rand) protoreflect.Value {
	texts := []string{"", "a", "häß \"<&>\" \u2028", "line\nfeed\x00", strings.Repeat("x", 300)}
	switch f.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(random.IntN(2) == 0)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(random.IntN(5)))
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(int32(random.Uint32()))
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(int64(random.Uint64()))
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(random.Uint32())
	case protoreflect.Uint64Kind:
		return protoreflect.ValueOfUint64(random.Uint64())
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte(texts[random.IntN(len(texts))] + "\xff\xfe"))
	}
	return protoreflect.ValueOfString(texts[random.IntN(len(texts))])
}

// TestMarshalText: bytes that are text can be read, and are read again as they were.
func TestMarshalText(t *testing.T) {
	o, _ := registry.Lookup(capability.HTTPServer, capability.OpHandleRequest)
	for body, want := range map[string]string{
		"h\u00e4\n<\x00": `{"status_code":200,"body":{"text":"hä\n<\u0000"}}`,
		"\xff\xef":       `{"status_code":200,"body":"/+8="}`,
		"":               `{"status_code":200}`,
	} {
		wire, err := (&registry.Operation{Request: o.Response}).EncodeRequest([]byte(`{"status_code": 200, "body": "` + base64.StdEncoding.EncodeToString([]byte(body)) + `"}`))
		if err != nil {
			t.Fatal(err)
		}
		m, err := o.DecodeResponse(wire)
		if err != nil {
			t.Fatal(err)
		}
		text, err := registry.MarshalText(m)
		if err != nil || string(text) != want {
			t.Errorf("%q is %s (%v); want %s", body, text, err, want)
		}
		if err := registry.UnmarshalJSON(text, m); err != nil || string(m.AppendProto(nil)) != string(wire) {
			t.Errorf("%s is read as something else: %v", text, err)
		}
	}
	if _, err := o.DecodeResponse([]byte{0xff}); err == nil || !strings.Contains(err.Error(), "the answer of HandleRequest cannot be decoded") {
		t.Errorf("what is no message: %v", err)
	}
}

func TestUnmarshalJSON(t *testing.T) {
	for _, c := range []struct{ capability, operation, json, want string }{
		{capability.HTTPServer, capability.OpHandleRequest, `{"method": "GET", "queryString": null, "body": {"text": "hi"}}`, "\n\x03GET*\x02hi"},
		{capability.HTTPServer, capability.OpHandleRequest, "\ufeff{\"method\": \"GET\"} \n", "\n\x03GET"},
		{capability.HTTPServer, capability.OpHandleRequest, `{"body": "_-8"}`, "*\x02\xff\xef"},
		{capability.KeyValue, capability.OpAdd, `{"key": "n", "value": -0.2e1}`, "\n\x01n\x10\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"},
		{capability.Extras, capability.OpRequestRandom, `{"gentype": "RANDOM", "max": "6"}`, "\x08\x03\x18\x06"},
		{capability.Messaging, capability.OpPublish, `{"message": {"subject": "s", "reply_to": "r"}}`, "\x12\x06\n\x01s\x12\x01r"},
	} {
		o, _ := registry.Lookup(c.capability, c.operation)
		m := o.Request()
		if err := registry.UnmarshalJSON([]byte(c.json), m); err != nil {
			t.Errorf("%s: %v", c.json, err)
		} else if got := string(m.AppendProto(nil)); got != c.want {
			t.Errorf("%s is %q; want %q", c.json, got, c.want)
		}
	}
}

func TestUnmarshalJSONRefuses(t *testing.T) {
	for _, c := range []struct{ capability, operation, json, want string }{
		{capability.KeyValue, capability.OpSet, `{"key": "a", "valu": "b"}`, `there is no field "valu"; there are: key, value, expires_s`},
		{capability.KeyValue, capability.OpSet, `{"expires_s": 1, "expiresS": 2}`, "is given twice"},
		{capability.KeyValue, capability.OpSet, `{"key": "a", "key": "b"}`, "is given twice"},
		{capability.KeyValue, capability.OpSet, `{"expires_s": 2147483648}`, "2147483648 is no int32"},
		{capability.KeyValue, capability.OpSet, `{"expires_s": 1.5}`, "1.5 is no int32"},
		{capability.KeyValue, capability.OpSet, `{"key": 1}`, "1 is no string"},
		{capability.KeyValue, capability.OpSet, `{"key": "a"} {}`, "there is more after"},
		{capability.KeyValue, capability.OpSet, `[]`, "is no JSON object"},
		{capability.KeyValue, capability.OpSet, `{`, "the JSON ends before the object does"},
		{capability.KeyValue, capability.OpSet, `{"key": "a"`, "the JSON ends before the object does"},
		{capability.KeyValue, capability.OpSet, `{"key": `, "the JSON ends before the object does"},
		{capability.KeyValue, capability.OpSet, `{"key": "a"}]]`, "there is more after"},
		{capability.KeyValue, capability.OpSet, "{\"key\": \"\xff\"}", "it is not UTF-8"},
		{capability.KeyValue, capability.OpSetUnion, `{"keys": "a"}`, "is no list"},
		{capability.KeyValue, capability.OpSetUnion, `{"keys": [null]}`, "null is no element"},
		{capability.HTTPServer, capability.OpHandleRequest, `{"body": "*"}`, "is no base64"},
		{capability.HTTPServer, capability.OpHandleRequest, `{"body": {"txt": "a"}}`, "is no bytes"},
		{capability.HTTPServer, capability.OpHandleRequest, `{"header": {"a": 1}}`, `"a": 1 is no string`},
		{capability.Extras, capability.OpRequestRandom, `{"gentype": "DICE"}`, "is none of NONE, GUID"},
		{capability.Extras, capability.OpRequestRandom, `{"min": -1.0}`, "is no uint32"},
	} {
		o, _ := registry.Lookup(c.capability, c.operation)
		if err := registry.UnmarshalJSON([]byte(c.json), o.Request()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %s", c.json, err, c.want)
		}
	}
	result, _ := registry.Lookup(capability.Extras, capability.OpRequestGuid)
	if err := registry.UnmarshalJSON([]byte(`{"guid": "a", "random_no": 1}`), result.Response()); err == nil {
		t.Error("two fields of a oneof are taken")
	}
}
