package httpserver

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/payload/httppb"
)

const (
	// maxPooled bounds the buffers that are kept for the next request.
	maxPooled = 1 << 20

	// firstRead bounds what is allocated for a body that was only announced.
	firstRead = 64 << 10
)

// connectionHeaders concern one connection, or are the server's own affair.
var connectionHeaders = map[string]bool{
	"Connection":          true,
	"Keep-Alive":          true,
	"Proxy-Authenticate":  true,
	"Proxy-Authorization": true,
	"Proxy-Connection":    true,
	"Te":                  true,
	"Trailer":             true,
	"Transfer-Encoding":   true,
	"Upgrade":             true,
}

// exchange has the buffers of one request, for the next one to use again.
type exchange struct {
	header  map[string]string
	body    []byte
	payload []byte
}

// encode reads the request to its end and returns its payload, which is valid
// until the exchange is used again.
func (x *exchange) encode(w http.ResponseWriter, r *http.Request, o *Options) ([]byte, *fault) {
	path, f := targetPath(r)
	if f != nil {
		return nil, f
	}
	if f := x.readBody(w, r, o); f != nil {
		return nil, f
	}
	x.setHeader(r)
	request := httppb.Request{
		Method:      r.Method,
		Path:        path,
		QueryString: encodeNonASCII(r.URL.RawQuery),
		Header:      x.header,
		Body:        x.body,
	}
	x.payload = request.AppendProto(slices.Grow(x.payload[:0], request.ProtoSize()))
	return x.payload, nil
}

// trim lets go of buffers that are too large to keep.
func (x *exchange) trim() {
	if cap(x.body) > maxPooled {
		x.body = nil
	}
	if cap(x.payload) > maxPooled {
		x.payload = nil
	}
}

// targetPath checks what the request is for.
func targetPath(r *http.Request) (string, *fault) {
	if r.Method == http.MethodConnect {
		return "", refuse(http.StatusNotImplemented, capability.CodeUnsupported, "this server opens no tunnels")
	}
	path := r.URL.EscapedPath()
	switch {
	case r.URL.Opaque != "":
	case path == "" && r.Method == http.MethodOptions: // RFC 9112, 3.2.4
		return "*", nil
	case path == "":
		return "/", nil
	case path[0] == '/', path == "*" && r.Method == http.MethodOptions:
		return path, nil
	}
	return "", refuse(http.StatusBadRequest, capability.CodeInvalid, "the request target is no path")
}

// readBody reads the body into x.body.
func (x *exchange) readBody(w http.ResponseWriter, r *http.Request, o *Options) *fault {
	x.body = x.body[:0]
	if r.Body == http.NoBody {
		return nil
	}
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(o.ReadTimeout)) // fails where Wrap has hidden it: documented
	if r.ContentLength > o.MaxBody {
		return bodyTooLarge(o.MaxBody)
	}
	x.body = slices.Grow(x.body, int(min(max(r.ContentLength, 512), firstRead)))
	body := http.MaxBytesReader(w, r.Body, o.MaxBody)
	for {
		n, err := body.Read(x.body[len(x.body):cap(x.body)])
		x.body = x.body[:len(x.body)+n]
		if err == io.EOF {
			break
		}
		if err != nil {
			return bodyFault(err)
		}
		if len(x.body) == cap(x.body) {
			x.body = slices.Grow(x.body, len(x.body))
		}
	}
	// Where reading failed the deadline stays: net/http may read on.
	_ = control.SetReadDeadline(time.Time{})
	return nil
}

func bodyTooLarge(limit int64) *fault {
	return refuse(http.StatusRequestEntityTooLarge, capability.CodeTooLarge, fmt.Sprintf("the request's body is larger than %d bytes", limit))
}

func bodyFault(err error) *fault {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return bodyTooLarge(tooLarge.Limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return refuse(http.StatusRequestTimeout, capability.CodeDeadline, "the request's body took too long to arrive")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return refuse(http.StatusBadRequest, capability.CodeInvalid, "the request's body ended early")
	}
	return refuse(http.StatusBadRequest, capability.CodeInvalid, "the request's body could not be read")
}

// setHeader puts the request's headers into x.header.
func (x *exchange) setHeader(r *http.Request) {
	h := x.header
	clear(h)
	for name, values := range r.Header {
		switch {
		case connectionHeaders[name], name == "Expect":
		case name == "Cookie":
			h[name] = toUTF8(strings.Join(values, "; "))
		default:
			h[name] = toUTF8(strings.Join(values, ", "))
		}
	}
	for _, value := range r.Header["Connection"] {
		for option := range strings.SplitSeq(value, ",") {
			delete(h, http.CanonicalHeaderKey(strings.TrimSpace(option)))
		}
	}
	delete(h, "Content-Length")
	if r.ContentLength != 0 || r.Header["Content-Length"] != nil {
		h["Content-Length"] = strconv.Itoa(len(x.body))
	}
	if r.Host != "" {
		h["Host"] = toUTF8(r.Host)
	}
}

// toUTF8 reads s as Latin-1 where it is not UTF-8: a payload's strings must be.
func toUTF8(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	runes := make([]rune, len(s))
	for i := range len(s) {
		runes[i] = rune(s[i])
	}
	return string(runes)
}

// encodeNonASCII percent-encodes the bytes that no URI may contain. net/http
// has refused control characters already.
func encodeNonASCII(s string) string {
	isHigh := func(r rune) bool { return r >= utf8.RuneSelf }
	if strings.IndexFunc(s, isHigh) < 0 {
		return s
	}
	var b strings.Builder
	for i := range len(s) {
		if s[i] < utf8.RuneSelf {
			b.WriteByte(s[i])
		} else {
			fmt.Fprintf(&b, "%%%02X", s[i])
		}
	}
	return b.String()
}
