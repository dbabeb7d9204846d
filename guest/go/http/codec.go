package http

import (
	"strconv"
	"unicode/utf8"
	"unsafe"

	waxo "github.com/waxosuit/waxo/guest/go"
	"github.com/waxosuit/waxo/guest/go/internal/abi"
	"github.com/waxosuit/waxo/guest/go/internal/wire"
)

// The codec of requests and responses is written by hand. In a guest a call of a
// function costs ten times what it does natively and an allocation five times, so
// it calls few and makes one: all strings of a request are cut from one copy.

// The fields of a request and of a response.
const (
	requestMethod = 1
	requestPath   = 2
	requestQuery  = 3
	requestHeader = 4
	requestBody   = 5

	responseStatus = 1
	responseHeader = 3
	responseBody   = 4
)

// exchange is a request and what becomes its response, with their memory.
type exchange struct {
	request Request
	fields  []field // of the request's header
	out     []byte
}

// kept returns x for the next request, nil if it grew too large for that.
func (x *exchange) kept() *exchange {
	const maxFields = 256
	if cap(x.fields) > maxFields {
		return nil
	}
	x.out = abi.Keep(x.out)
	return x
}

// serve answers an encoded request by h. The response is in the memory of x, or in
// that of payload.
func (x *exchange) serve(h Handler, payload []byte) ([]byte, error) {
	if err := x.decode(payload); err != nil {
		return nil, &waxo.Error{Code: "invalid", Message: "http: the request: " + err.Error()}
	}
	resp, err := h(&x.request)
	if err != nil {
		return nil, err
	}
	if resp == nil {
		return nil, &waxo.Error{Code: "internal", Message: "http: the handler returned neither a response nor an error"}
	}
	if err := resp.check(); err != nil {
		return nil, err
	}
	x.out = resp.appendHead(x.out[:0])
	if whole := putBefore(x.out, resp.Body, payload); whole != nil {
		return whole, nil
	}
	x.out = append(x.out, resp.Body...)
	return x.out, nil
}

// decode reads a request. Its strings are copies, its body is not.
func (x *exchange) decode(b []byte) error {
	end, err := x.scan(b, false)
	if err == nil && !ascii(b[:end]) {
		_, err = x.scan(b, true)
	}
	if err != nil {
		return err
	}
	r, copied := &x.request, string(b[:end])
	from := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	r.Method = cut(r.Method, from, copied)
	r.Path = cut(r.Path, from, copied)
	r.RawQuery = cut(r.RawQuery, from, copied)
	for i := range x.fields {
		f := &x.fields[i]
		f.name, f.value = cut(f.name, from, copied), cut(f.value, from, copied)
	}
	r.Header.fields = x.fields
	return nil
}

// cut returns what stands in copied where s stands in the memory that was copied,
// which began at from.
func cut(s string, from uintptr, copied string) string {
	if s == "" {
		return ""
	}
	return copied[uintptr(unsafe.Pointer(unsafe.StringData(s)))-from:][:len(s)]
}

// scan finds the fields of a request in b, without a copy, and where the last of
// its strings ends: the body, which may be large, comes last as protobuf encoders
// have it. It looks at the encoding of strings only if checked is true.
func (x *exchange) scan(b []byte, checked bool) (end int, err error) {
	r := &x.request
	*r = Request{}
	x.fields = x.fields[:0]
	for i := 0; i < len(b); {
		tag := b[i]
		if tag&7 != byte(wire.Bytes) || tag>>3 > requestBody || tag>>3 == 0 {
			if tag, i, err = otherField(b, i, requestBody); err != nil {
				return 0, err
			}
			if tag == 0 {
				continue
			}
		}
		value, next, err := bytesAt(b, i+1)
		if err != nil {
			return 0, err
		}
		i = next
		if tag>>3 == requestBody {
			r.Body = value
			continue
		}
		end = i
		if tag>>3 == requestHeader {
			err = x.entry(value, checked)
		} else if err = valid(value, checked); err == nil {
			*r.line(tag >> 3) = view(value)
		}
		if err != nil {
			return 0, err
		}
	}
	return end, nil
}

// otherField looks at a field whose tag is not one byte that is known. Where it is
// one of the known fields all the same, up to number last, it returns its tag in
// one byte and where that would stand; else it skips the field and returns no tag.
func otherField(b []byte, i, last int) (tag byte, next int, err error) {
	number, t, rest, err := wire.ReadTag(b[i:])
	if err != nil {
		return 0, 0, err
	}
	if t == wire.Bytes && number <= last {
		return byte(number)<<3 | byte(t), len(b) - len(rest) - 1, nil
	}
	rest, err = wire.Skip(rest, number, t)
	return 0, len(b) - len(rest), err
}

// line returns the field of the request line with that number.
func (r *Request) line(number byte) *string {
	switch number {
	case requestMethod:
		return &r.Method
	case requestPath:
		return &r.Path
	}
	return &r.RawQuery
}

// bytesAt is wire.ReadBytes from an offset of b.
func bytesAt(b []byte, i int) (value []byte, next int, err error) {
	if i < len(b) && b[i] < 0x80 {
		if next = i + 1 + int(b[i]); next <= len(b) {
			return b[i+1 : next : next], next, nil
		}
		return nil, 0, wire.ErrTruncated
	}
	value, rest, err := wire.ReadBytes(b[i:])
	return value, len(b) - len(rest), err
}

// entry reads an entry of the header, without a copy.
func (x *exchange) entry(b []byte, checked bool) error {
	var f field
	for i := 0; i < len(b); {
		tag := b[i]
		if tag != 1<<3|byte(wire.Bytes) && tag != 2<<3|byte(wire.Bytes) {
			var err error
			if tag, i, err = otherField(b, i, 2); err != nil {
				return err
			}
			if tag == 0 {
				continue
			}
		}
		value, next, err := bytesAt(b, i+1)
		if err == nil {
			err = valid(value, checked)
		}
		if err != nil {
			return err
		}
		if i = next; tag == 1<<3|byte(wire.Bytes) {
			f.name = view(value)
		} else {
			f.value = view(value)
		}
	}
	x.fields = append(x.fields, f)
	return nil
}

// view returns b as a string, which shares its memory.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

func valid(b []byte, checked bool) error {
	if checked && !utf8.Valid(b) {
		return wire.ErrUTF8
	}
	return nil
}

// ascii reports whether b holds nothing but ASCII, of which every part is UTF-8.
func ascii(b []byte) bool {
	var all byte
	for _, c := range b {
		all |= c
	}
	return all < 0x80
}

// check reports what cannot be sent to a client.
func (r *Response) check() error {
	if r.Status != 0 && (r.Status < 200 || r.Status > 999) {
		return &waxo.Error{Code: "internal", Message: "http: " + strconv.Itoa(r.Status) + " is no status of a response"}
	}
	for i := range r.Header.fields {
		f := &r.Header.fields[i]
		if f.valid {
			continue
		}
		if !validName(f.name) {
			return &waxo.Error{Code: "internal", Message: "http: \"" + f.name + "\" is no name of a header"}
		}
		if !validValue(f.value) {
			return &waxo.Error{Code: "internal", Message: "http: the header " + f.name + " holds a control character or is not UTF-8"}
		}
	}
	return nil
}

// appendHead appends the encoded response to b, but for the bytes of the body,
// which come next.
func (r *Response) appendHead(b []byte) []byte {
	status := r.Status
	if status == 0 {
		status = 200
	}
	b = append(b, responseStatus<<3|byte(wire.Varint), byte(status)|0x80, byte(status>>7)) // 200 to 999 take two bytes
	b = r.Header.appendTo(b)
	if len(r.Body) == 0 {
		return b
	}
	return wire.AppendVarint(append(b, responseBody<<3|byte(wire.Bytes)), uint64(len(r.Body)))
}

// putBefore copies head to the bytes before body, where body is a part of payload
// and there is room before it, and returns the two as one. Otherwise it returns
// nil. What stood there has been read: a body that is sent back is not copied.
func putBefore(head, body, payload []byte) []byte {
	at := uintptr(unsafe.Pointer(unsafe.SliceData(body))) - uintptr(unsafe.Pointer(unsafe.SliceData(payload)))
	if len(body) == 0 || at >= uintptr(len(payload)) || int(at)+len(body) > len(payload) || int(at) < len(head) {
		return nil
	}
	whole := payload[int(at)-len(head) : int(at)+len(body)]
	copy(whole, head)
	return whole
}
