// Package wire has what the generated payload codecs share: the protobuf wire
// format, as far as the payloads of the standard use it.
//
// The codecs do without reflection and without a dependency, because the same
// code runs inside guests. The format is that of
// https://protobuf.dev/programming-guides/encoding/.
package wire

import (
	"errors"
	"slices"
	"unicode/utf8"
)

// Type is the wire type of a field.
type Type uint8

// The wire types.
const (
	Varint  Type = 0
	Fixed64 Type = 1
	Bytes   Type = 2
	Group   Type = 3
	End     Type = 4
	Fixed32 Type = 5
)

// What a decoder may report.
var (
	ErrTruncated = errors.New("protobuf: the message ends in the middle of a field")
	ErrMalformed = errors.New("protobuf: malformed message")
	ErrUTF8      = errors.New("protobuf: a string is not valid UTF-8")
)

// maxDepth bounds groups within groups in fields that nobody knows.
const maxDepth = 100

// AppendVarint appends v.
func AppendVarint(b []byte, v uint64) []byte {
	for v >= 0x80 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}

// AppendString appends a length and the bytes of s.
func AppendString(b []byte, s string) []byte {
	return append(AppendVarint(b, uint64(len(s))), s...)
}

// AppendBytes appends a length and p.
func AppendBytes(b, p []byte) []byte {
	return append(AppendVarint(b, uint64(len(p))), p...)
}

// SizeVarint is the number of bytes that AppendVarint appends.
func SizeVarint(v uint64) int {
	n := 1
	for ; v >= 0x80; v >>= 7 {
		n++
	}
	return n
}

// SizeLen is the number of bytes that a length and n bytes after it take.
func SizeLen(n int) int { return SizeVarint(uint64(n)) + n }

// ReadVarint takes a varint off the front of b.
func ReadVarint(b []byte) (v uint64, rest []byte, err error) {
	if len(b) > 0 && b[0] < 0x80 {
		return uint64(b[0]), b[1:], nil
	}
	for i := range 10 {
		if i >= len(b) {
			return 0, nil, ErrTruncated
		}
		c := b[i]
		if i == 9 && c > 1 {
			return 0, nil, ErrMalformed
		}
		v |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			return v, b[i+1:], nil
		}
	}
	return 0, nil, ErrMalformed
}

// ReadBytes takes a length and as many bytes off the front of b. The bytes
// alias b.
func ReadBytes(b []byte) (p, rest []byte, err error) {
	n, b, err := ReadVarint(b)
	if err != nil {
		return nil, nil, err
	}
	if n > uint64(len(b)) {
		return nil, nil, ErrTruncated
	}
	return b[:n:n], b[n:], nil
}

// ReadString takes a string off the front of b.
func ReadString(b []byte) (s string, rest []byte, err error) {
	p, rest, err := ReadText(b)
	return string(p), rest, err
}

// ReadText is ReadString without the copy: the bytes alias b.
func ReadText(b []byte) (p, rest []byte, err error) {
	p, rest, err = ReadBytes(b)
	if err == nil && !utf8.Valid(p) {
		return nil, nil, ErrUTF8
	}
	return p, rest, err
}

// ReadTag takes a field's number and wire type off the front of b.
func ReadTag(b []byte) (number int, t Type, rest []byte, err error) {
	v, rest, err := ReadVarint(b)
	if err != nil {
		return 0, 0, nil, err
	}
	if v>>3 == 0 || v>>3 > 1<<29-1 || v&7 > 5 {
		return 0, 0, nil, ErrMalformed
	}
	return int(v >> 3), Type(v & 7), rest, nil
}

// Skip passes over the value of a field that the reader does not know.
func Skip(b []byte, number int, t Type) (rest []byte, err error) {
	return skip(b, number, t, maxDepth)
}

func skip(b []byte, number int, t Type, depth int) (rest []byte, err error) {
	switch t {
	case Varint:
		_, rest, err = ReadVarint(b)
	case Bytes:
		_, rest, err = ReadBytes(b)
	case Fixed64:
		rest, err = skipFixed(b, 8)
	case Fixed32:
		rest, err = skipFixed(b, 4)
	case Group:
		rest, err = skipGroup(b, number, depth)
	default:
		err = ErrMalformed
	}
	return rest, err
}

func skipFixed(b []byte, n int) ([]byte, error) {
	if len(b) < n {
		return nil, ErrTruncated
	}
	return b[n:], nil
}

func skipGroup(b []byte, number, depth int) ([]byte, error) {
	if depth == 0 {
		return nil, ErrMalformed
	}
	for {
		inner, t, rest, err := ReadTag(b)
		if err != nil {
			return nil, err
		}
		if t == End {
			if inner != number {
				return nil, ErrMalformed
			}
			return rest, nil
		}
		if b, err = skip(rest, inner, t, depth-1); err != nil {
			return nil, err
		}
	}
}

// SizeStringMap is the size of a map<string, string> whose field has a tag of
// one byte.
func SizeStringMap(m map[string]string) int {
	n := 0
	for k, v := range m {
		n += 1 + SizeLen(sizeEntry(k, v))
	}
	return n
}

func sizeEntry(k, v string) int { return 1 + SizeLen(len(k)) + 1 + SizeLen(len(v)) }

// AppendStringMap appends a map<string, string> whose field has the given tag,
// sorted by key: the same map gives the same bytes.
func AppendStringMap(b []byte, tag byte, m map[string]string) []byte {
	if len(m) == 0 {
		return b
	}
	keys := make([]string, 0, 16)
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		b = AppendStringEntry(b, tag, k, m[k])
	}
	return b
}

// AppendStringEntry appends one entry of a map<string, string> whose field has
// the given tag.
func AppendStringEntry(b []byte, tag byte, k, v string) []byte {
	b = AppendVarint(append(b, tag), uint64(sizeEntry(k, v)))
	b = AppendString(append(b, 1<<3|byte(Bytes)), k)
	return AppendString(append(b, 2<<3|byte(Bytes)), v)
}

// ReadEntry takes one entry of a map<string, string> off the front of b. Key and
// value are valid UTF-8 and alias b.
func ReadEntry(b []byte) (k, v, rest []byte, err error) {
	entry, rest, err := ReadBytes(b)
	for err == nil && len(entry) > 0 {
		var number int
		var t Type
		if number, t, entry, err = ReadTag(entry); err != nil {
			break
		}
		switch {
		case number == 1 && t == Bytes:
			k, entry, err = ReadText(entry)
		case number == 2 && t == Bytes:
			v, entry, err = ReadText(entry)
		default:
			entry, err = Skip(entry, number, t)
		}
	}
	if err != nil {
		return nil, nil, nil, err
	}
	return k, v, rest, nil
}

// ReadStringEntry takes one entry of a map<string, string> off the front of b
// and puts it into m, which it makes if it is nil.
func ReadStringEntry(b []byte, m map[string]string) (map[string]string, []byte, error) {
	k, v, rest, err := ReadEntry(b)
	if err != nil {
		return nil, nil, err
	}
	if m == nil {
		m = make(map[string]string)
	}
	m[string(k)] = string(v)
	return m, rest, nil
}
