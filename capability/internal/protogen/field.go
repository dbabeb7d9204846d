package main

import (
	"fmt"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// field writes the pieces of code that belong to one field.
type field struct {
	desc protoreflect.FieldDescriptor
	name string
	kind kind
}

// kind is how a field is held and coded.
type kind int

const (
	varint kind = iota // any integer, bool or enum
	text
	blob
	message
	texts
	messages
	textMap
)

func newField(d protoreflect.FieldDescriptor) (field, error) {
	f := field{desc: d, name: camel(string(d.Name()))}
	if d.Number() > 15 {
		return f, fmt.Errorf("%s: field numbers end at 15 here", d.FullName())
	}
	if d.HasOptionalKeyword() {
		return f, fmt.Errorf("%s: optional is not known here", d.FullName())
	}
	k, err := scalarKind(d)
	switch {
	case err == nil && d.IsMap():
		if d.MapKey().Kind() != protoreflect.StringKind || d.MapValue().Kind() != protoreflect.StringKind {
			err = fmt.Errorf("%s: only map<string, string> is known here", d.FullName())
		}
		k = textMap
	case err == nil && d.IsList() && k == text:
		k = texts
	case err == nil && d.IsList() && k == message:
		k = messages
	case err == nil && d.IsList():
		err = fmt.Errorf("%s: only strings and messages may repeat here", d.FullName())
	case err == nil && d.ContainingOneof() != nil && (k == message || d.Kind() == protoreflect.BoolKind):
		err = fmt.Errorf("%s: a oneof holds strings, bytes and integers only here", d.FullName())
	}
	f.kind = k
	return f, err
}

func scalarKind(d protoreflect.FieldDescriptor) (kind, error) {
	switch d.Kind() {
	case protoreflect.BoolKind, protoreflect.EnumKind, protoreflect.Int32Kind, protoreflect.Int64Kind,
		protoreflect.Uint32Kind, protoreflect.Uint64Kind:
		return varint, nil
	case protoreflect.StringKind:
		return text, nil
	case protoreflect.BytesKind:
		return blob, nil
	case protoreflect.MessageKind:
		return message, nil
	}
	return 0, fmt.Errorf("%s: the type %v is not known here", d.FullName(), d.Kind())
}

func (f field) goType() string {
	switch f.kind {
	case text:
		return "string"
	case blob:
		return "[]byte"
	case message:
		return "*" + string(f.desc.Message().Name())
	case texts:
		return "[]string"
	case messages:
		return "[]*" + string(f.desc.Message().Name())
	case textMap:
		return "map[string]string"
	}
	if f.desc.Kind() == protoreflect.EnumKind {
		return string(f.desc.Enum().Name())
	}
	return f.desc.Kind().String()
}

func (f field) wireType() string {
	if f.kind == varint {
		return "Varint"
	}
	return "Bytes"
}

// tag is the field's number and wire type, one byte.
func (f field) tag() int {
	if f.kind == varint {
		return int(f.desc.Number()) << 3
	}
	return int(f.desc.Number())<<3 | 2
}

// present is the condition under which the field is written.
func (f field) present() string {
	if o := f.desc.ContainingOneof(); o != nil {
		return fmt.Sprintf("m.%s == %s%s", camel(string(o.Name())), caseType(o), f.name)
	}
	switch f.kind {
	case text, blob:
		return fmt.Sprintf("len(m.%s) > 0", f.name)
	case message:
		return fmt.Sprintf("m.%s != nil", f.name)
	}
	if f.desc.Kind() == protoreflect.BoolKind {
		return "m." + f.name
	}
	return fmt.Sprintf("m.%s != 0", f.name)
}

// number is the field's value as the uint64 of the wire: signed integers are
// extended to 64 bits.
func (f field) number() string {
	switch f.desc.Kind() {
	case protoreflect.Int32Kind, protoreflect.EnumKind:
		return fmt.Sprintf("uint64(int64(m.%s))", f.name)
	}
	return fmt.Sprintf("uint64(m.%s)", f.name)
}

func (f field) sizeCode() string {
	one := ""
	switch f.kind {
	case text, blob:
		one = fmt.Sprintf("wire.SizeLen(len(m.%s))", f.name)
	case message:
		one = fmt.Sprintf("wire.SizeLen(m.%s.ProtoSize())", f.name)
	case texts:
		return fmt.Sprintf("for _, v := range m.%s { n += 1 + wire.SizeLen(len(v)) }", f.name)
	case messages:
		return fmt.Sprintf("for _, v := range m.%s { n += 1 + wire.SizeLen(v.ProtoSize()) }", f.name)
	case textMap:
		return fmt.Sprintf("n += wire.SizeStringMap(m.%s)", f.name)
	case varint:
		one = fmt.Sprintf("wire.SizeVarint(%s)", f.number())
		if f.desc.Kind() == protoreflect.BoolKind {
			one = "1"
		}
	}
	return fmt.Sprintf("if %s { n += 1 + %s }", f.present(), one)
}

func (f field) appendCode() string {
	one := ""
	switch f.kind {
	case text:
		one = fmt.Sprintf("wire.AppendString(append(b, %d), m.%s)", f.tag(), f.name)
	case blob:
		one = fmt.Sprintf("wire.AppendBytes(append(b, %d), m.%s)", f.tag(), f.name)
	case message:
		one = fmt.Sprintf("m.%s.AppendProto(wire.AppendVarint(append(b, %d), uint64(m.%s.ProtoSize())))", f.name, f.tag(), f.name)
	case texts:
		return fmt.Sprintf("for _, v := range m.%s { b = wire.AppendString(append(b, %d), v) }", f.name, f.tag())
	case messages:
		return fmt.Sprintf("for _, v := range m.%s { b = v.AppendProto(wire.AppendVarint(append(b, %d), uint64(v.ProtoSize()))) }", f.name, f.tag())
	case textMap:
		return fmt.Sprintf("b = wire.AppendStringMap(b, %d, m.%s)", f.tag(), f.name)
	case varint:
		one = fmt.Sprintf("wire.AppendVarint(append(b, %d), %s)", f.tag(), f.number())
		if f.desc.Kind() == protoreflect.BoolKind {
			one = fmt.Sprintf("append(b, %d, 1)", f.tag())
		}
	}
	return fmt.Sprintf("if %s { b = %s }", f.present(), one)
}

func (f field) readCode() string {
	code := ""
	switch f.kind {
	case text:
		code = fmt.Sprintf("m.%s, b, err = wire.ReadString(rest)", f.name)
	case blob:
		code = fmt.Sprintf("m.%s, b, err = wire.ReadBytes(rest)", f.name)
	case message:
		code = fmt.Sprintf("var v []byte\nv, b, err = wire.ReadBytes(rest)\nif err == nil {\nif m.%[1]s == nil { m.%[1]s = new(%[2]s) }\nerr = m.%[1]s.merge(v)}", f.name, f.desc.Message().Name())
	case texts:
		code = fmt.Sprintf("var v string\nv, b, err = wire.ReadString(rest)\nm.%[1]s = append(m.%[1]s, v)", f.name)
	case messages:
		code = fmt.Sprintf("var v []byte\nv, b, err = wire.ReadBytes(rest)\nif err == nil {\none := new(%[2]s)\nerr = one.merge(v)\nm.%[1]s = append(m.%[1]s, one)}", f.name, f.desc.Message().Name())
	case textMap:
		code = fmt.Sprintf("m.%[1]s, b, err = wire.ReadStringEntry(rest, m.%[1]s)", f.name)
	case varint:
		value := f.goType() + "(v)"
		if f.desc.Kind() == protoreflect.BoolKind {
			value = "v != 0"
		}
		code = fmt.Sprintf("var v uint64\nv, b, err = wire.ReadVarint(rest)\nm.%s = %s", f.name, value)
	}
	if o := f.desc.ContainingOneof(); o != nil {
		code += fmt.Sprintf("\nm.%s = %s%s", camel(string(o.Name())), caseType(o), f.name)
	}
	return code
}
