package guestsuite

import (
	"slices"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/payload/registry"
	"github.com/waxosuit/waxo/capability/payload/wire"
)

// variant writes a message in another way that means the same. It returns false
// where a message has nothing that could be written so.
type variant func(op registry.Operation, payload []byte) ([]byte, bool)

// shape is what a field of a message holds.
type shape int

const (
	aText shape = iota + 1
	someBytes
	aNumber
	anEntry // of a map<string, string>
	aMessage
)

// shapes are those of the fields of a message that guests handle, by their numbers
// less one.
func shapes(operation string) []shape {
	switch operation {
	case capability.OpHandleRequest:
		return []shape{aText, aText, aText, anEntry, someBytes}
	case capability.OpDeliverMessage:
		return []shape{aMessage}
	case capability.OpDeliverEvent:
		return []shape{aText, aText, anEntry}
	case capability.OpReceiveChunk:
		return []shape{aNumber, aText, aText, aNumber, aNumber, someBytes}
	}
	return nil
}

// shapeOf is that of a field; 0 if there is no such field.
func shapeOf(operation string, number int) shape {
	if all := shapes(operation); number >= 1 && number <= len(all) {
		return all[number-1]
	}
	return 0
}

// variants are what "drive -as" knows. They rewrite each field, or a message.
var variants = []struct {
	name, what string
	field      func(f field, is shape) []field
	message    variant
}{
	{"bare-entries", "entries of maps without keys and values that are empty", bareEntries, nil},
	{"explicit-defaults", "fields that are not there, with their default value", nil, explicitDefaults},
	{"long-varints", "varints longer than need be", nil, longVarints},
	{"other-types", "each field also with another wire type than its own", otherTypes, nil},
	{"repeated-entries", "each entry of a map twice, first with another value", repeatedEntries, nil},
	{"repeated-fields", "each field that is no map and no message twice, first with another value", repeatedFields, nil},
	{"reversed", "the fields in reversed order", nil, reversed},
	{"split-message", "a message within it once for each of its fields", splitMessage, nil},
	{"unknown-fields", "with fields that the message does not have, of every wire type but groups", unknownFields, nil},
	{"unknown-groups", "with groups that the message does not have", unknownGroups, nil},
}

// variantOf finds a variant by its name; nil: there is none.
func variantOf(name string) variant {
	for _, v := range variants {
		if v.name == name && v.message != nil {
			return v.message
		} else if v.name == name {
			return eachField(v.field)
		}
	}
	return nil
}

func explicitDefaults(op registry.Operation, payload []byte) ([]byte, bool) {
	fields, err := fieldsOf(payload)
	before := len(fields)
	for i, is := range shapes(op.Name) {
		number := i + 1
		if is == anEntry || is == aMessage || slices.ContainsFunc(fields, func(f field) bool { return f.number == number }) {
			continue // an entry is one of a map, and a message that is empty is one
		}
		f := field{number: number, kind: wire.Bytes}
		if is == aNumber {
			f.kind = wire.Varint
		}
		fields = append(fields, f)
	}
	return encode(fields), err == nil && len(fields) > before
}

func reversed(_ registry.Operation, payload []byte) ([]byte, bool) {
	fields, err := fieldsOf(payload)
	slices.Reverse(fields)
	return encode(fields), err == nil && len(fields) > 1
}

// eachField puts other fields in the place of each one. A rewriting that returns
// nil leaves a field alone.
func eachField(rewrite func(f field, is shape) []field) variant {
	return func(op registry.Operation, payload []byte) ([]byte, bool) {
		fields, err := fieldsOf(payload)
		if err != nil {
			return nil, false
		}
		var out []field
		changed := false
		for _, f := range fields {
			if other := rewrite(f, shapeOf(op.Name, f.number)); other != nil {
				out, changed = append(out, other...), true
			} else {
				out = append(out, f)
			}
		}
		return encode(out), changed
	}
}

func unknownFields(f field, _ shape) []field {
	return []field{
		{number: 100, kind: wire.Varint, value: 1 << 63},
		{number: 101, kind: wire.Bytes, raw: []byte("unknown \xff")},
		f,
		{number: 102, kind: wire.Fixed32, raw: []byte{1, 2, 3, 4}},
		{number: 103, kind: wire.Fixed64, raw: []byte{1, 2, 3, 4, 5, 6, 7, 8}},
	}
}

func unknownGroups(f field, _ shape) []field {
	// A group with a number, and a group, in it.
	return []field{{number: 104, kind: wire.Group, raw: []byte{0x08, 0x01, 0x13, 0x14, 0xc4, 0x06}}, f}
}

func repeatedFields(f field, is shape) []field {
	other := f
	switch is {
	case aText, someBytes:
		other.raw = []byte("overridden")
	case aNumber:
		other.value = f.value + 1
	default:
		return nil
	}
	return []field{other, f}
}

func repeatedEntries(f field, is shape) []field {
	entry, err := fieldsOf(f.raw)
	if is != anEntry || err != nil {
		return nil
	}
	other := f
	entry = slices.DeleteFunc(entry, func(e field) bool { return e.number == 2 })
	other.raw = encode(append(entry, field{number: 2, kind: wire.Bytes, raw: []byte("overridden")}))
	return []field{other, f}
}

func bareEntries(f field, is shape) []field {
	entry, err := fieldsOf(f.raw)
	bare := slices.DeleteFunc(slices.Clone(entry), func(e field) bool { return len(e.raw) == 0 })
	if is != anEntry || err != nil || len(bare) == len(entry) {
		return nil
	}
	f.raw = encode(bare)
	return []field{f}
}

func splitMessage(f field, is shape) []field {
	inner, err := fieldsOf(f.raw)
	if is != aMessage || err != nil || len(inner) < 2 {
		return nil
	}
	var parts []field
	for i := range inner {
		f.raw = encode(inner[i : i+1])
		parts = append(parts, f)
	}
	return parts
}

func otherTypes(f field, is shape) []field {
	if is == aNumber {
		return []field{f, {number: f.number, kind: wire.Bytes, raw: []byte("other")}}
	}
	return []field{f, {number: f.number, kind: wire.Varint, value: 1}}
}

func encode(fields []field) []byte {
	var b []byte
	for _, f := range fields {
		b = wire.AppendVarint(b, uint64(f.number)<<3|uint64(f.kind))
		switch f.kind {
		case wire.Varint:
			b = wire.AppendVarint(b, f.value)
		case wire.Bytes:
			b = wire.AppendBytes(b, f.raw)
		default:
			b = append(b, f.raw...)
		}
	}
	return b
}

// longVarints pads tags, lengths and numbers with zeros.
func longVarints(_ registry.Operation, payload []byte) ([]byte, bool) {
	fields, err := fieldsOf(payload)
	var b []byte
	for _, f := range fields {
		b = appendPadded(b, uint64(f.number)<<3|uint64(f.kind))
		switch f.kind {
		case wire.Varint:
			b = appendPadded(b, f.value)
		case wire.Bytes:
			b = append(appendPadded(b, uint64(len(f.raw))), f.raw...)
		default:
			b = append(b, f.raw...)
		}
	}
	return b, err == nil && len(fields) > 0
}

// appendPadded writes a varint with one byte more than it needs.
func appendPadded(b []byte, v uint64) []byte {
	b = wire.AppendVarint(b, v)
	b[len(b)-1] |= 0x80
	return append(b, 0)
}
