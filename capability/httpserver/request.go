package httpserver

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/waxosuit/waxo/capability"
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

	// bodyTag is the tag of the field "body" of http.Request.
	bodyTag = 5<<3 | byte(wire.Bytes)
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
	body    []byte // only for bodies of unknown length
	payload []byte
	size    int // of the body, as far as it was read
}

// encode reads the request to its end and returns its payload, which is valid
// until the exchange is used again.
//
// The body is the payload's last field: where its length is known it is read
// right into its place. The format lets a message be the concatenation of two,
// here one with all but the body and one with the body alone.
func (x *exchange) encode(w http.ResponseWriter, r *http.Request, maxBody int64, h *guestHandler) ([]byte, *fault) {
	x.size = 0
	path, f := targetPath(r)
	if f != nil {
		return nil, f
	}
	body := bodyReader{r: http.MaxBytesReader(w, r.Body, maxBody), size: &x.size, held: h.held, maxHeld: h.options.MaxBodies}
	if r.Body != http.NoBody {
		// net/http lifts it at the end of the body. It fails where Wrap has
		// hidden the connection, as documented.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(h.options.ReadTimeout))
	}
	length := r.ContentLength
	switch {
	case length > maxBody:
		return nil, bodyTooLarge(maxBody)
	case length < 0:
		if x.body, f = body.appendTo(x.body[:0], maxBody); f != nil {
			return nil, f
		}
		length = int64(len(x.body))
	}
	x.setHeader(r, length)
	request := httppb.Request{Method: r.Method, Path: path, QueryString: encodeNonASCII(r.URL.RawQuery), Header: x.header}
	x.payload = request.AppendProto(slices.Grow(x.payload[:0], request.ProtoSize()+2*binary.MaxVarintLen64))
	if length > 0 {
		x.payload = wire.AppendVarint(append(x.payload, bodyTag), uint64(length))
	}
	if r.ContentLength < 0 {
		x.payload = append(x.payload, x.body...)
	} else if x.payload, f = body.appendTo(x.payload, length); f != nil {
		return nil, f
	}
	if int64(x.size) != length {
		return nil, refuse(http.StatusBadRequest, capability.CodeInvalid, "the request's body is not as long as announced")
	}
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
		if len(dst) == cap(dst) {
			want := min(announced-int64(*b.size), int64(max(firstRead, 3**b.size)))
			dst = slices.Grow(dst, int(max(want, minRead)))
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

// setHeader puts the request's headers into x.header.
func (x *exchange) setHeader(r *http.Request, length int64) {
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
	if r.ContentLength != 0 || r.Header["Content-Length"] != nil {
		h["Content-Length"] = strconv.FormatInt(length, 10)
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
