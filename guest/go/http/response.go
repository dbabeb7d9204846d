package http

import "github.com/waxosuit/waxo/guest/go/internal/abi"

// Response is the answer to a Request.
type Response struct {
	Status int // 0 is 200
	Header Header
	Body   []byte
}

// Text returns a response of plain text.
func Text(status int, text string) *Response {
	return written(status, "text/plain; charset=utf-8", text)
}

// HTML returns a response with a page. What comes from outside must be escaped in
// it: html.EscapeString does.
func HTML(status int, page string) *Response {
	return written(status, "text/html; charset=utf-8", page)
}

// JSON returns a response with encoded JSON.
func JSON(status int, encoded []byte) *Response {
	return content(status, "application/json", encoded)
}

// Redirect returns a response that sends the client to another URL: 303 after a
// form, 302 or 307 for now, 301 or 308 for good. The URL must be percent-encoded.
func Redirect(status int, url string) *Response {
	r := Text(status, "see "+url+"\n")
	r.Header.Set("Location", url)
	return r
}

// NotFound returns a response of status 404.
func NotFound() *Response { return Text(404, "not found\n") }

// content returns a response with room for a second header. An allocation is what
// a guest spends most on, so this makes one for all of it.
func content(status int, kind string, body []byte) *Response {
	r := &struct {
		Response
		fields [2]field
	}{Response: Response{Status: status, Body: body}}
	r.fields[0] = field{name: "Content-Type", value: kind, valid: true}
	r.Header.fields = r.fields[:1]
	return &r.Response
}

// written is content for a text, which it copies: into the same allocation if it
// is short.
func written(status int, kind, text string) *Response {
	if len(text) > shortText {
		return content(status, kind, []byte(text))
	}
	r := newShort()
	r.Status = status
	n := copy(r.room[:], text)
	r.Body = r.room[:n:n]
	r.fields[0] = field{name: "Content-Type", value: kind, valid: true}
	r.Header.fields = r.fields[:1]
	return &r.Response
}

// shortText is the largest short text, in bytes.
const shortText = 32

// short is a response with a short text and room for a second header.
type short struct {
	Response
	fields [2]field
	room   [shortText]byte
}

// shortsAtOnce are allocated together: all of them take 1 KiB.
const shortsAtOnce = 6

// shorts are for coming responses.
var shorts []short

func newShort() *short {
	if !abi.Reuse { // natively, handlers may run at the same time
		return new(short)
	}
	if len(shorts) == 0 {
		shorts = make([]short, shortsAtOnce)
	}
	r := &shorts[0]
	shorts = shorts[1:]
	return r
}
