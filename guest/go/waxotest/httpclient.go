package waxotest

import (
	"errors"
	"net/url"

	waxo "github.com/waxosuit/waxo/guest/go"
	"github.com/waxosuit/waxo/guest/go/internal/httppb"
)

// Outgoing has answer stand for the servers that the guest sends requests to, until
// it is called again. The Target of such a request is its URL. A response with an
// Err fails the request with it; one of status 0 has status 200. Without Outgoing no
// server can be reached.
//
// Where a guest may go is for the host to decide, by the binding's allow-list: here
// it may go everywhere.
func (h *Host) Outgoing(answer func(Request) *Response) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.outgoing = answer
}

// performRequest answers a request of the guest. h.mu is held, but not while the
// test's own function runs.
func (h *Host) performRequest(operation string, payload []byte) ([]byte, error) {
	if operation != "PerformRequest" {
		return nil, unsupported(operation)
	}
	var req httppb.Request
	if err := decode(payload, &req); err != nil {
		return nil, err
	}
	u, err := url.Parse(req.Path)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, &waxo.Error{Code: "invalid", Message: "the path of a request is an absolute URL, such as https://example.com/, not " + req.Path}
	}
	answer := h.outgoing
	if answer == nil {
		return nil, &waxo.Error{Code: "unavailable", Message: u.Scheme + "://" + u.Host + " cannot be reached: in a test, Host.Outgoing stands for servers"}
	}
	target := req.Path
	if req.QueryString != "" {
		target += "?" + req.QueryString
	}
	h.mu.Unlock()
	defer h.mu.Lock()
	resp := answer(Request{Method: req.Method, Target: target, Header: req.Header, Body: string(req.Body)})
	switch {
	case resp == nil:
		return nil, &waxo.Error{Code: "unavailable", Message: u.Scheme + "://" + u.Host + " cannot be reached: the test's Outgoing has no answer"}
	case resp.Err != nil:
		if e := new(waxo.Error); errors.As(resp.Err, &e) && e.Message == "" { // such as waxo.ErrDeadline
			return nil, &waxo.Error{Code: e.Code, Message: "as the test has it"}
		}
		return nil, resp.Err
	}
	status := resp.Status
	if status == 0 {
		status = 200
	}
	encoded := httppb.Response{StatusCode: uint32(status), Header: resp.Header, Body: []byte(resp.Body)}
	return encoded.AppendProto(nil), nil
}
