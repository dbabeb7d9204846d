package http

import (
	"strings"
	"unsafe"

	waxo "github.com/waxosuit/waxo/guest/go"
	"github.com/waxosuit/waxo/guest/go/internal/abi"
	"github.com/waxosuit/waxo/guest/go/internal/wire"
)

// ClientCapability is the name under which a manifest asks for requests to other
// servers: Get, Post and Do.
const ClientCapability = "wascap:http_client"

const performRequest = "wascap:httpclient!PerformRequest"

// ClientRequest is a request of the guest to a server.
type ClientRequest struct {
	Method string // "" is GET
	URL    string // absolute, http or https, percent-encoded
	Header Header
	Body   []byte
}

// Client sends requests under one binding.
type Client struct{ binding string }

// OpenClient returns the client that is bound to the guest under the given name. It
// calls nothing: a binding that is missing is the error of the first request.
func OpenClient(binding string) *Client { return &Client{binding} }

var std = OpenClient(waxo.DefaultBinding)

// Do sends a request and returns the server's response, whatever its status: only
// a request that got none is an error. The host follows redirects and undoes
// compression. Where the guest may not go the error is a waxo.ErrDenied, with what to
// add; where the server is not there it is a waxo.ErrUnavailable, and
// whether the server has seen the request is open.
//
// The response is the caller's own, and can be the guest's answer to a request. Each
// cookie is a Set-Cookie of its own in it; other repeated headers come as one,
// joined by commas.
func (c *Client) Do(r *ClientRequest) (*Response, error) {
	if err := r.Header.check("invalid"); err != nil {
		return nil, err
	}
	x := abi.Begin()
	defer x.End()
	x.Request = r.appendTo(x.Request)
	answer, failure, ok := x.Call(c.binding, ClientCapability, performRequest)
	if !ok {
		return nil, waxo.ParseError(failure)
	}
	resp, err := decodeResponse(answer)
	if err != nil {
		return nil, &waxo.Error{Code: "internal", Message: "http: the answer to " + performRequest + ": " + err.Error()}
	}
	return resp, nil
}

// Get fetches a URL.
func (c *Client) Get(url string) (*Response, error) { return c.Do(&ClientRequest{URL: url}) }

// Post sends a body of the given content type to a URL.
func (c *Client) Post(url, contentType string, body []byte) (*Response, error) {
	r := ClientRequest{Method: "POST", URL: url, Body: body}
	r.Header.Set("Content-Type", contentType)
	return c.Do(&r)
}

// Do is Client.Do of the default binding.
func Do(r *ClientRequest) (*Response, error) { return std.Do(r) }

// Get is Client.Get of the default binding.
func Get(url string) (*Response, error) { return std.Get(url) }

// Post is Client.Post of the default binding.
func Post(url, contentType string, body []byte) (*Response, error) {
	return std.Post(url, contentType, body)
}

// appendTo appends the encoded request to b.
func (r *ClientRequest) appendTo(b []byte) []byte {
	method := r.Method
	if method == "" {
		method = "GET"
	}
	b = wire.AppendString(append(b, requestMethod<<3|byte(wire.Bytes)), method)
	path, query, _ := strings.Cut(withoutFragment(r.URL), "?")
	b = wire.AppendString(append(b, requestPath<<3|byte(wire.Bytes)), path)
	if query != "" {
		b = wire.AppendString(append(b, requestQuery<<3|byte(wire.Bytes)), query)
	}
	b = r.Header.appendTo(b, headerTag)
	if len(r.Body) > 0 {
		b = wire.AppendBytes(append(b, bodyTag), r.Body)
	}
	return b
}

// withoutFragment cuts off what no server gets to see.
func withoutFragment(url string) string {
	url, _, _ = strings.Cut(url, "#")
	return url
}

// decodeResponse reads a response. It keeps nothing of b: all strings are cut from
// one copy.
func decodeResponse(b []byte) (*Response, error) {
	r := &struct {
		Response
		room [8]field
	}{}
	fields, end := r.room[:0], 0
	for left := b; len(left) > 0; {
		number, t, rest, err := wire.ReadTag(left)
		if err != nil {
			return nil, err
		}
		switch {
		case number == responseStatus && t == wire.Varint:
			var status uint64
			status, left, err = wire.ReadVarint(rest)
			r.Status = int(uint32(status))
		case number == responseHeader && t == wire.Bytes:
			var name, value []byte
			name, value, left, err = wire.ReadEntry(rest)
			fields = append(fields, field{name: view(name), value: view(value)})
			end = len(b) - len(left)
		case number == responseBody && t == wire.Bytes:
			var body []byte
			body, left, err = wire.ReadBytes(rest)
			r.Body = append([]byte(nil), body...)
		default:
			left, err = wire.Skip(rest, number, t)
		}
		if err != nil {
			return nil, err
		}
	}
	copied, from := string(b[:end]), uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	for i := range fields {
		f := &fields[i]
		f.name, f.value = cut(f.name, from, copied), cut(f.value, from, copied)
	}
	r.Header.fields = splitCookies(fields)
	return &r.Response, nil
}

// splitCookies makes a field of each cookie, which arrive one a line.
func splitCookies(fields []field) []field {
	for i := 0; i < len(fields); i++ {
		f := &fields[i]
		if !equalFold(f.name, "Set-Cookie") {
			continue
		}
		if first, more, several := strings.Cut(f.value, "\n"); several {
			f.value = first
			fields = append(fields, field{name: f.name, value: more})
		}
	}
	return fields
}
