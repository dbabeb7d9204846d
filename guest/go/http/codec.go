package http

import (
	"strconv"
	"unicode/utf8"

	waxo "github.com/waxosuit/waxo/guest/go"
	"github.com/waxosuit/waxo/guest/go/internal/wire"
)

// The codec of requests and responses is written by hand: all strings of a request
// are cut from one, so that a request costs the guest the same few allocations
// however many headers it has.

// serve answers an encoded request by h; the response is appended to out.
func serve(h Handler, payload, out []byte) ([]byte, error) {
	r, err := decodeRequest(payload)
	if err != nil {
		return out, &waxo.Error{Code: "invalid", Message: "http: the request: " + err.Error()}
	}
	resp, err := h(r)
	if err != nil {
		return out, err
	}
	if resp == nil {
		return out, &waxo.Error{Code: "internal", Message: "http: the handler returned neither a response nor an error"}
	}
	if err := resp.check(); err != nil {
		return out, err
	}
	return resp.encode(out), nil
}

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

// decodeRequest reads a request. Its strings are copies, its body is not.
func decodeRequest(b []byte) (*Request, error) {
	d, err := newDecoder(b)
	if err != nil {
		return nil, err
	}
	r := &Request{}
	for rest := b; len(rest) > 0; {
		var number int
		var t wire.Type
		number, t, rest, err = wire.ReadTag(rest)
		if err != nil {
			return nil, err
		}
		if t != wire.Bytes || number > requestBody {
			if rest, err = wire.Skip(rest, number, t); err != nil {
				return nil, err
			}
			continue
		}
		value, after, err := wire.ReadBytes(rest)
		if err != nil {
			return nil, err
		}
		rest = after
		switch number {
		case requestMethod:
			r.Method, err = d.text(value, len(b)-len(rest))
		case requestPath:
			r.Path, err = d.text(value, len(b)-len(rest))
		case requestQuery:
			r.RawQuery, err = d.text(value, len(b)-len(rest))
		case requestHeader:
			err = d.entry(value, len(b)-len(rest))
		case requestBody:
			r.Body = value
		}
		if err != nil {
			return nil, err
		}
	}
	r.Header.fields = d.fields
	return r, nil
}

// decoder cuts the strings of a message from one copy of it.
type decoder struct {
	copied string // the message, as far as strings stand in it
	fields []field
}

// newDecoder looks where the strings end: the body, which may be large, comes
// last, as protobuf encoders have it.
func newDecoder(b []byte) (d decoder, err error) {
	end, headers := 0, 0
	for rest := b; len(rest) > 0; {
		number, t, after, err := wire.ReadTag(rest)
		if err != nil {
			return d, err
		}
		if rest, err = wire.Skip(after, number, t); err != nil {
			return d, err
		}
		if number == requestHeader {
			headers++
		}
		if number < requestBody {
			end = len(b) - len(rest)
		}
	}
	return decoder{copied: string(b[:end]), fields: make([]field, 0, headers)}, nil
}

// text returns the string that value holds, which ends at an offset of the message.
func (d *decoder) text(value []byte, end int) (string, error) {
	if !utf8.Valid(value) {
		return "", wire.ErrUTF8
	}
	return d.copied[end-len(value) : end], nil
}

// entry reads an entry of the header, which ends at an offset of the message.
func (d *decoder) entry(entry []byte, end int) error {
	var f field
	for len(entry) > 0 {
		number, t, rest, err := wire.ReadTag(entry)
		if err != nil {
			return err
		}
		if t != wire.Bytes || number > 2 {
			if entry, err = wire.Skip(rest, number, t); err != nil {
				return err
			}
			continue
		}
		value, rest, err := wire.ReadBytes(rest)
		if err != nil {
			return err
		}
		text, err := d.text(value, end-len(rest))
		if err != nil {
			return err
		}
		if entry = rest; number == 1 {
			f.name = text
		} else {
			f.value = text
		}
	}
	d.fields = append(d.fields, f)
	return nil
}

// check reports what cannot be sent to a client.
func (r *Response) check() error {
	if r.Status != 0 && (r.Status < 200 || r.Status > 999) {
		return &waxo.Error{Code: "internal", Message: "http: " + strconv.Itoa(r.Status) + " is no status of a response"}
	}
	for _, f := range r.Header.fields {
		if !validName(f.name) {
			return &waxo.Error{Code: "internal", Message: "http: \"" + f.name + "\" is no name of a header"}
		}
		if !validValue(f.value) || !utf8.ValidString(f.value) {
			return &waxo.Error{Code: "internal", Message: "http: the header " + f.name + " holds a control character or is not UTF-8"}
		}
	}
	return nil
}

// encode appends the response to b.
func (r *Response) encode(b []byte) []byte {
	status := r.Status
	if status == 0 {
		status = 200
	}
	size := 8 + len(r.Body) + 8
	for _, f := range r.Header.fields {
		size += len(f.name) + len(f.value) + 16
	}
	if cap(b) < size {
		b = make([]byte, 0, size)
	}
	b = wire.AppendVarint(append(b, responseStatus<<3|byte(wire.Varint)), uint64(status))
	for name, value := range r.Header.joined() {
		n := 2 + wire.SizeLen(len(name)) + wire.SizeLen(len(value))
		b = wire.AppendVarint(append(b, responseHeader<<3|byte(wire.Bytes)), uint64(n))
		b = wire.AppendString(append(b, 1<<3|byte(wire.Bytes)), name)
		b = wire.AppendString(append(b, 2<<3|byte(wire.Bytes)), value)
	}
	if len(r.Body) == 0 {
		return b
	}
	return wire.AppendBytes(append(b, responseBody<<3|byte(wire.Bytes)), r.Body)
}
