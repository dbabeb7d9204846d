package http

// Response is the answer to a Request.
type Response struct {
	Status int // 0 is 200
	Header Header
	Body   []byte
}

// Text returns a response of plain text.
func Text(status int, text string) *Response {
	return content(status, "text/plain; charset=utf-8", []byte(text))
}

// HTML returns a response with a page. What comes from outside must be escaped in
// it: html.EscapeString does.
func HTML(status int, page string) *Response {
	return content(status, "text/html; charset=utf-8", []byte(page))
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

func content(status int, kind string, body []byte) *Response {
	r := &struct {
		Response
		fields [2]field
	}{Response: Response{Status: status, Body: body}}
	r.fields[0] = field{name: "Content-Type", value: kind, valid: true}
	r.Header.fields = r.fields[:1]
	return &r.Response
}
