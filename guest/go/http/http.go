// Package http has a guest answer HTTP requests, through the capability
// "wascap:http_server", and send them.
//
// A Handler is a plain function from a Request to a Response. One is registered,
// in func init; a Router is such a handler and leads to others; what wraps a
// handler (middleware) is a function that takes one and returns one:
//
//	func init() {
//		var r http.Router
//		r.Handle("GET /hello/{name}", hello)
//		http.Handle(logged(r.Serve))
//	}
//
//	func logged(next http.Handler) http.Handler {
//		return func(r *http.Request) (*http.Response, error) {
//			log.Info(r.Method + " " + r.Path)
//			return next(r)
//		}
//	}
//
// The other way round, a guest sends requests by Get, Post and Do, through the
// capability "wascap:http_client".
//
// The names are those of net/http where the things are the same. It is a package
// of its own because net/http would triple the size of a guest, and brings a
// network stack that a guest has no use for.
package http

import (
	"strings"

	waxo "github.com/waxosuit/waxo/guest/go"
	"github.com/waxosuit/waxo/guest/go/internal/abi"
)

// Capability is the name under which a manifest asks for HTTP requests.
const Capability = "wascap:http_server"

// Handler answers a request. An error is for what the client is not to blame
// for: the client gets status 500 without the text, the operator gets the text.
type Handler func(*Request) (*Response, error)

// Handle has h answer all requests. Call it in func init. It panics where h is
// nil, where it was called before, or where a call has come before.
func Handle(h Handler) {
	if h == nil {
		panic("http: the handler is nil")
	}
	var spare *exchange // of the request before
	waxo.Handle("wascap:httpserver!HandleRequest", func(payload []byte) ([]byte, error) {
		var x *exchange
		if abi.Reuse {
			x, spare = spare, nil
		}
		if x == nil {
			x = new(exchange)
		}
		encoded, err := x.serve(h, payload)
		if abi.Reuse && abi.Alone() {
			spare = x.kept()
		} else if !abi.Reuse {
			x.request = Request{} // in tests it ends too
		}
		return encoded, err
	})
}

// Request is a request of an HTTP client.
//
// It is valid until the handler returns, and then becomes the next one. All strings
// that come from it may be kept; the Request, its Header and its Body may not.
// Goroutines that a handler leaves behind keep what they have but the Body.
type Request struct {
	Method   string // upper case, such as "GET"
	Path     string // as it was sent, percent-encoded, without the query
	RawQuery string // what followed the question mark, as it was sent
	Header   Header

	// Body is the handler's own to change, until it returns.
	Body []byte

	query Values
	path  []pathValue
	some  [4]pathValue // room for path

	matched matched
}

// reset makes r an empty request, but for the room that it has.
func (r *Request) reset() {
	r.Method, r.Path, r.RawQuery, r.Header.fields, r.Body, r.query, r.path = "", "", "", nil, nil, nil, nil
}

// Query returns the parameters of the query. What is malformed is left out.
func (r *Request) Query() Values {
	if r.query == nil {
		r.query, _ = parseValues(r.RawQuery)
	}
	return r.query
}

// Form returns the fields of a form that a browser sent in the body, in the
// encoding application/x-www-form-urlencoded. Another content type, or a
// malformed body, is a waxo.ErrInvalid.
func (r *Request) Form() (Values, error) {
	const want = "application/x-www-form-urlencoded"
	kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	if !equalFold(strings.Trim(kind, " \t"), want) {
		return nil, &waxo.Error{Code: "invalid", Message: "http: the body is not a form: its content type is not " + want}
	}
	values, ok := parseValues(string(r.Body))
	if !ok {
		return nil, &waxo.Error{Code: "invalid", Message: "http: the form is malformed"}
	}
	return values, nil
}

// PathValue returns what stands in the path for {name} of the Router's pattern,
// decoded; "" if the pattern has none of that name.
func (r *Request) PathValue(name string) string {
	for _, v := range r.path {
		if v.name == name {
			return v.value
		}
	}
	return ""
}

type pathValue struct{ name, value string }
