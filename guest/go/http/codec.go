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

	// The encoding of the request before, as the strings that were cut from it: that
	// of the request line, and that of the header, which mostly stays the same from
	// one request of a client to the next. What is the same is not read again.
	line, header        string
	method, path, query string
}

// kept returns x for the next request, nil if it holds too much for that, or the
// copy of a message of which it does not know how much it is.
func (x *exchange) kept() *exchange {
	const maxFields, maxHead = 256, 64 << 10
	if cap(x.fields) > maxFields || x.line == "" || len(x.line)+len(x.header) > maxHead {
		return nil
	}
	x.request.Body, x.request.query = nil, nil
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
	x.request.reset()
	if !x.again(b) {
		if err := x.read(b); err != nil {
			x.line, x.header = "", "" // what was known of it may be lost
			return err
		}
	}
	r := &x.request
	r.Method, r.Path, r.RawQuery = x.method, x.path, x.query
	r.Header.fields = x.fields[:len(x.fields):len(x.fields)]
	return nil
}

// again reports whether a request is that before it, but for the body.
func (x *exchange) again(b []byte) bool {
	line, end := len(x.line), len(x.line)+len(x.header)
	if line == 0 || end > len(b) || !abi.Equal(b[:line], x.line) || !abi.Equal(b[line:end], x.header) {
		return false
	}
	if end == len(b) {
		return true
	}
	body, rest, err := wire.ReadBytes(b[end+1:])
	if b[end] != bodyTag || err != nil || len(rest) > 0 {
		return false
	}
	x.request.Body = body
	return true
}

// read is decode for a request that is not that before it.
func (x *exchange) read(b []byte) error {
	at, err := x.scan(b)
	careful := err == nil && (at.odd || !abi.ASCII(b[:at.end]))
	if careful {
		at, err = x.scanWithCare(b)
	}
	if err != nil {
		return err
	}
	if from := uintptr(unsafe.Pointer(unsafe.SliceData(b))); at.known {
		x.line = string(b[:at.line])
		x.cutLine(from)
	} else {
		copied := string(b[:at.end])
		x.line, x.header = copied[:at.line], copied[at.line:]
		x.cutLine(from)
		for i := range x.fields {
			f := &x.fields[i]
			f.name, f.value = cut(f.name, from, copied), cut(f.value, from, copied)
		}
	}
	if careful {
		x.line, x.header = "", "" // again and scan know the usual order alone
	}
	return nil
}

func (x *exchange) cutLine(from uintptr) {
	x.method, x.path, x.query = cut(x.method, from, x.line), cut(x.path, from, x.line), cut(x.query, from, x.line)
}

// cut returns what stands in copied where s stands in the memory that was copied,
// which began at from.
func cut(s string, from uintptr, copied string) string {
	if s == "" {
		return ""
	}
	return copied[uintptr(unsafe.Pointer(unsafe.StringData(s)))-from:][:len(s)]
}

// extent is where the strings of a request stand in its encoding.
type extent struct {
	line, end int  // where the request line ends, and where the last string does
	known     bool // the header is that of the request before
	odd       bool // this is for scanWithCare
}

const (
	headerTag = requestHeader<<3 | byte(wire.Bytes)
	bodyTag   = requestBody<<3 | byte(wire.Bytes)
)

// scan finds the fields of a request in b, without a copy and without a look at the
// encoding of strings. It expects them in the usual order: request line, header, and
// then the body, which may be large.
func (x *exchange) scan(b []byte) (at extent, err error) {
	x.method, x.path, x.query = "", "", ""
	header := false // it has begun
	for i := 0; i < len(b); {
		tag := b[i]
		if tag == headerTag && !header {
			header, at.line = true, i
			if n := len(x.header); n > 0 && n <= len(b)-i && abi.Equal(b[i:i+n], x.header) {
				i += n
				at.known, at.end = true, i
				continue
			}
			x.fields = x.fields[:0]
		}
		var value []byte
		if n := lengthAt(b, i+1); tag&7 == byte(wire.Bytes) && 8 <= tag && tag < 6<<3 && i+2+n <= len(b) {
			value, i = b[i+2:i+2+n:i+2+n], i+2+n
		} else if tag, value, i, err = next(b, i, requestBody); err != nil {
			return at, err
		}
		switch {
		case tag == 0:
		case tag == bodyTag:
			x.request.Body = value
		case header != (tag == headerTag), at.known, x.request.Body != nil:
			return extent{odd: true}, nil
		default:
			at.end = i
			if err := x.keep(tag, value, false); err != nil {
				return at, err
			}
		}
	}
	if !header {
		at.line, x.fields = at.end, x.fields[:0]
	}
	return at, nil
}

// scanWithCare does what scan does, in any order, and reports strings that are not
// UTF-8. All strings count as the request line's.
func (x *exchange) scanWithCare(b []byte) (at extent, err error) {
	x.method, x.path, x.query, x.fields = "", "", "", x.fields[:0]
	for i := 0; i < len(b); {
		var tag byte
		var value []byte
		if tag, value, i, err = next(b, i, requestBody); err != nil {
			return at, err
		}
		if tag == bodyTag {
			x.request.Body = value
		} else if tag != 0 {
			at.line, at.end = i, i
			err = x.keep(tag, value, true)
		}
		if err != nil {
			return at, err
		}
	}
	return at, nil
}

// lengthAt returns the length that stands in b at i, beyond any message where it
// does not fit into one byte.
func lengthAt(b []byte, i int) int {
	if i < len(b) && b[i] < 0x80 {
		return int(b[i])
	}
	return 1 << 30
}

// next returns the field that stands in b at i and where the one after it does. The
// tag is 0 if the field is none of those up to number last, or of another type.
func next(b []byte, i int, last int) (tag byte, value []byte, after int, err error) {
	number, t, rest, err := wire.ReadTag(b[i:])
	switch {
	case err != nil:
	case t == wire.Bytes && number <= last:
		tag = byte(number)<<3 | byte(t)
		value, rest, err = wire.ReadBytes(rest)
	default:
		rest, err = wire.Skip(rest, number, t)
	}
	return tag, value, len(b) - len(rest), err
}

// keep takes note of a string of the request line, or of an entry of the header,
// without a copy.
func (x *exchange) keep(tag byte, value []byte, checked bool) error {
	line := &x.query
	switch tag >> 3 {
	case requestHeader:
		return x.entry(value, checked)
	case requestMethod:
		line = &x.method
	case requestPath:
		line = &x.path
	}
	if checked && !utf8.Valid(value) {
		return wire.ErrUTF8
	}
	*line = view(value)
	return nil
}

// entry reads an entry of the header, without a copy.
func (x *exchange) entry(b []byte, checked bool) error {
	// Nearly all look like this: a name, a value, and their lengths in a byte each.
	if n := lengthAt(b, 1); !checked && len(b) >= 4 && b[0] == 1<<3|byte(wire.Bytes) && n+4 <= len(b) {
		if m := lengthAt(b, n+3); b[n+2] == 2<<3|byte(wire.Bytes) && n+4+m == len(b) {
			x.fields = append(x.fields, field{name: view(b[2 : 2+n]), value: view(b[n+4:])})
			return nil
		}
	}
	var f field
	for i := 0; i < len(b); {
		tag, value, after, err := next(b, i, 2)
		if err != nil {
			return err
		}
		if tag != 0 && checked && !utf8.Valid(value) {
			return wire.ErrUTF8
		}
		switch i = after; tag {
		case 1<<3 | byte(wire.Bytes):
			f.name = view(value)
		case 2<<3 | byte(wire.Bytes):
			f.value = view(value)
		}
	}
	x.fields = append(x.fields, f)
	return nil
}

// view returns b as a string, which shares its memory.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// check reports what cannot be sent to a client.
func (r *Response) check() error {
	if r.Status != 0 && (r.Status < 200 || r.Status > 999) {
		return &waxo.Error{Code: "internal", Message: "http: " + strconv.Itoa(r.Status) + " is no status of a response"}
	}
	return r.Header.check("internal")
}

// appendHead appends the encoded response to b, but for the bytes of the body,
// which come next.
func (r *Response) appendHead(b []byte) []byte {
	status := r.Status
	if status == 0 {
		status = 200
	}
	b = append(b, responseStatus<<3|byte(wire.Varint), byte(status)|0x80, byte(status>>7)) // 200 to 999 take two bytes
	b = r.Header.appendTo(b, responseHeader<<3|byte(wire.Bytes))
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
