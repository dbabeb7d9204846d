package waxotest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/waxosuit/waxo/guest/go/internal/httppb"
)

// Request is a request for the guest.
type Request struct {
	Method string
	Target string // path and query, percent-encoded, such as "/items?sort=name"
	Header map[string]string
	Body   string
}

// Response is what a client would see.
type Response struct {
	Status int
	Header map[string]string // as the guest spelled the names
	Body   string

	// Err is the error of a guest that failed to answer. The client sees status
	// 500 and no body.
	Err error
}

// String shows the response, for the messages of tests.
func (r *Response) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "status %d", r.Status)
	if r.Err != nil {
		fmt.Fprintf(&b, ", error: %v", r.Err)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		fmt.Fprintf(&b, "\n%s: %s", name, r.Header[name])
	}
	return b.String() + "\n\n" + r.Body
}

// Do sends the guest a request without a header, and Send one with.
func (h *Host) Do(method, target, body string) *Response {
	h.t.Helper()
	return h.Send(Request{Method: method, Target: target, Body: body})
}

// Send sends the guest a request.
func (h *Host) Send(r Request) *Response {
	h.t.Helper()
	if !strings.HasPrefix(r.Target, "/") {
		h.t.Fatalf("waxotest: the target %q does not start with a slash", r.Target)
	}
	path, query, _ := strings.Cut(r.Target, "?")
	req := httppb.Request{Method: r.Method, Path: path, QueryString: query, Header: r.Header, Body: []byte(r.Body)}
	payload, err := h.Call("wascap:httpserver!HandleRequest", req.AppendProto(nil))
	if err != nil {
		h.t.Log("the guest failed: ", err)
		return &Response{Status: 500, Err: err}
	}
	var answer httppb.Response
	if err := answer.UnmarshalProto(payload); err != nil {
		h.t.Fatal("waxotest: the guest's response: ", err)
	}
	resp := &Response{Status: int(answer.StatusCode), Header: answer.Header, Body: string(answer.Body)}
	if r.Method == "HEAD" {
		resp.Body = ""
	}
	return resp
}
