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
	"sync/atomic"
	"unicode/utf8"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/internal/http1"
	"github.com/waxosuit/waxo/capability/internal/httpfield"
	"github.com/waxosuit/waxo/capability/payload/httppb"
	"github.com/waxosuit/waxo/capability/payload/wire"
)

const (
	// maxPooled bounds the buffers that are kept for the next request.
	maxPooled = 2 << 20

	// firstRead bounds what is allocated for a body that was only announced,
	// minRead is the least room to read into.
	firstRead = 64 << 10
	minRead   = 512

	// maxPooledFields is the same for lists of headers.
	maxPooledFields = 256

	// headerTag and bodyTag are the tags of the fields "header" and "body" of
	// http.Request.
	headerTag = 4<<3 | byte(wire.Bytes)
	bodyTag   = 5<<3 | byte(wire.Bytes)
)

// exchange has the buffers of one request, for the next one to use again.
type exchange struct {
	names   []string // of the request's headers
	body    []byte   // only for bodies of unknown length
	payload []byte
	size    int    // of the body, as far as it was read
	room    []byte // for the guest's answer
	answer  answer
}

// encode reads the request to its end and returns its payload, which is valid
// until the exchange is used again.
//
// The body is the payload's last field: where its length is known it is read
// right into its place.
func (x *exchange) encode(w http.ResponseWriter, r *http.Request, path string, maxBody int64, h *guestHandler) ([]byte, *fault) {
	x.size = 0
	path, f := targetPath(r, path)
	if f != nil {
		return nil, f
	}
	body := bodyReader{r: r.Body, size: &x.size, held: h.held, maxHeld: h.options.MaxBodies}
	if _, ok := w.(http1.ResponseWriter); !ok && r.Body != http.NoBody { // which does so itself
		// net/http lifts it at the end of the body. It fails where Wrap has
		// hidden the connection, as documented.
		_ = http.NewResponseController(w).SetReadDeadline(in(h.options.ReadTimeout))
	}
	length := r.ContentLength
	switch {
	case length > maxBody:
		return nil, bodyTooLarge(maxBody)
	case length < 0:
		body.r = http.MaxBytesReader(w, r.Body, maxBody)
		if x.body, f = body.appendTo(x.body[:0], maxBody); f != nil {
			return nil, f
		}
		length = int64(len(x.body))
	}
	request := httppb.Request{Method: r.Method, Path: path, QueryString: encodeNonASCII(r.URL.RawQuery)}
	x.payload = x.appendHeader(request.AppendProto(x.payload[:0]), r, length)
	if length > 0 {
		x.payload = wire.AppendVarint(append(x.payload, bodyTag), uint64(length))
	}
	switch {
	case r.ContentLength < 0:
		x.payload = append(x.payload, x.body...)
	case r.Body != http.NoBody:
		if x.payload, f = body.appendTo(x.payload, length); f != nil {
			return nil, f
		}
	}
	if int64(x.size) != length {
		return nil, refuse(http.StatusBadRequest, capability.CodeInvalid, "the request's body is not as long as announced")
	}
	return x.payload, nil
}

// trimRequest lets go of what is too large to keep of a request.
func (x *exchange) trimRequest() {
	if cap(x.body) > maxPooled {
		x.body = nil
	}
	if cap(x.payload) > maxPooled {
		x.payload = nil
	}
	clear(x.names)
	if cap(x.names) > maxPooledFields {
		x.names = nil
	}
}

// trim does the same for what is left of the answer.
func (x *exchange) trim() {
	if cap(x.room) > maxPooled {
		x.room = nil
	}
	x.answer.trim()
}

// targetPath checks what the request is for. path is its percent-encoded path.
func targetPath(r *http.Request, path string) (string, *fault) {
	if r.Method == http.MethodConnect {
		return "", refuse(http.StatusNotImplemented, capability.CodeUnsupported, "this server opens no tunnels")
	}
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

// bodyReader reads a request's body and counts its bytes: those of the request,
// and those of all requests in hand.
type bodyReader struct {
	r       io.Reader
	size    *int
	held    *atomic.Int64
	maxHeld int64
}

// appendTo reads to the end. Memory is taken for what has arrived and a few
// times as much, not for what was announced.
func (b bodyReader) appendTo(dst []byte, announced int64) ([]byte, *fault) {
	for {
		left := announced - int64(*b.size)
		if int64(cap(dst)-len(dst)) < min(max(left, 1), firstRead) {
			dst = slices.Grow(dst, int(max(minRead, min(left, int64(max(firstRead, 3**b.size))))))
		}
		n, err := b.r.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		*b.size += n
		if b.held.Add(int64(n)) > b.maxHeld {
			return dst, refuse(http.StatusServiceUnavailable, capability.CodeOverloaded, "too many large requests are in hand; try again later")
		}
		if err == io.EOF {
			return dst, nil
		}
		if err != nil {
			return dst, bodyFault(err)
		}
	}
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

// appendHeader appends the request's headers to its payload, sorted by name.
func (x *exchange) appendHeader(payload []byte, r *http.Request, length int64) []byte {
	names, connection := x.names[:0], r.Header["Connection"]
	for name := range r.Header {
		switch {
		case httpfield.Connection[name], name == "Expect", name == "Content-Length", name == "Host":
		case connection != nil && httpfield.Lists(connection, name):
		default:
			names = append(names, name)
		}
	}
	if r.ContentLength != 0 || r.Header["Content-Length"] != nil {
		names = append(names, "Content-Length")
	}
	if r.Host != "" {
		names = append(names, "Host")
	}
	slices.Sort(names)
	for _, name := range names {
		var value string
		switch name {
		case "Content-Length":
			var digits [20]byte
			value = string(strconv.AppendInt(digits[:0], length, 10))
		case "Host":
			value = r.Host
		case "Cookie":
			value = strings.Join(r.Header[name], "; ")
		default:
			value = strings.Join(r.Header[name], ", ")
		}
		payload = wire.AppendStringEntry(payload, headerTag, name, httpfield.ToUTF8(value))
	}
	x.names = names
	return payload
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
