package guestsuite

import (
	"bytes"
	"errors"
	"slices"

	"github.com/waxosuit/waxo/capability/payload/registry"
	"github.com/waxosuit/waxo/capability/payload/wire"
)

// lookAtMessage decodes what a guest wrote into m, and notes what is wrong with
// it. It reports whether it could be decoded; undecodable is the kind of finding
// where it could not.
func (s *session) lookAtMessage(undecodable, what string, encoded []byte, m registry.Message) bool {
	s.looked[ofMessages]++
	if err := m.UnmarshalProto(encoded); errors.Is(err, wire.ErrUTF8) {
		s.note("garbled-text", "%s: %v: %s", what, err, preview(encoded))
		return false
	} else if err != nil {
		s.note(undecodable, "%s: %v: %s", what, err, preview(encoded))
		return false
	}
	if len(encoded) <= maxCompared {
		s.compare(what, encoded, m.AppendProto(nil))
	}
	return true
}

// maxCompared is up to which size the encoding of a message is looked at. What is
// larger has a large text in it, and is like a smaller one for the rest.
const maxCompared = 1 << 20

// field is a field as it is encoded.
type field struct {
	number int
	kind   wire.Type
	value  uint64 // of a varint
	raw    []byte // the content of a field with a length; of any other, its bytes
}

func (f field) equal(g field) bool {
	return f.number == g.number && f.kind == g.kind && f.value == g.value && bytes.Equal(f.raw, g.raw)
}

// fieldsOf takes a message apart that can be decoded.
func fieldsOf(b []byte) (fields []field, err error) {
	for len(b) > 0 {
		var f field
		var rest []byte
		if f.number, f.kind, rest, err = wire.ReadTag(b); err != nil {
			return nil, err
		}
		switch f.kind {
		case wire.Varint:
			f.value, b, err = wire.ReadVarint(rest)
		case wire.Bytes:
			f.raw, b, err = wire.ReadBytes(rest)
		default:
			b, err = wire.Skip(rest, f.number, f.kind)
			f.raw = rest[:len(rest)-len(b)]
		}
		if err != nil {
			return nil, err
		}
		fields = append(fields, f)
	}
	return fields, nil
}

// compare notes how the encoding of a message differs from that which PAY-3,
// PAY-4 and PAY-5 describe: what was decoded and encoded again.
func (s *session) compare(what string, encoded, canonical []byte) {
	if bytes.Equal(encoded, canonical) {
		return
	}
	written, err := fieldsOf(encoded)
	wanted, err2 := fieldsOf(canonical)
	if err != nil || err2 != nil {
		return // a string that reads like the begin of a message
	}
	places := make([]int, len(written)) // in wanted
	taken := make([]bool, len(wanted))
	pair := func(same func(f, g field) bool) {
		for i, f := range written {
			for j, g := range wanted {
				if places[i] == 0 && !taken[j] && same(f, g) {
					places[i], taken[j] = j+1, true
				}
			}
		}
	}
	pair(field.equal)
	exact := slices.Clone(places)
	pair(func(f, g field) bool { return f.number == g.number && f.kind == g.kind })
	last := 0
	for i, f := range written {
		if places[i] < last && places[i] > 0 {
			s.note("field-order", "%s: field %d stands out of order: %s", what, f.number, preview(encoded))
		}
		last = max(last, places[i])
		switch {
		case exact[i] > 0:
		case places[i] == 0:
			s.surplus(what, f, wanted, encoded)
		case f.kind == wire.Varint:
			s.note("short-negative", "%s: field %d has the value %#x: %s", what, f.number, f.value, preview(encoded))
		default:
			s.compare(what, f.raw, wanted[places[i]-1].raw)
		}
	}
}

// surplus notes a field that was not wanted.
func (s *session) surplus(what string, f field, wanted []field, encoded []byte) {
	switch {
	case slices.ContainsFunc(wanted, func(g field) bool { return g.number == f.number && g.kind == f.kind }):
		s.note("field-order", "%s: field %d is there more than once: %s", what, f.number, preview(encoded))
	case f.value == 0 && len(f.raw) == 0:
		s.note("default-field", "%s: field %d has its default value: %s", what, f.number, preview(encoded))
	default:
		s.note("unknown-field", "%s: there is no field %d of wire type %d: %s", what, f.number, f.kind, preview(encoded))
	}
}
