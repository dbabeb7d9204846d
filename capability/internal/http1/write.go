package http1

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"
)

const (
	// maxWaiting bounds the bytes of an answer's body that wait for more, or for
	// the handler's end: what fits has a Content-Length, whatever the handler
	// knew of it.
	maxWaiting = 8 << 10

	// maxUnread bounds the bytes of a request that are read though the handler
	// did not want them, to keep the connection.
	maxUnread = 256 << 10
)

// ResponseWriter is what handlers are given.
type ResponseWriter interface {
	http.ResponseWriter

	// AddField does what Header().Add does, at less cost, before WriteHeader; the
	// two must not be used for the same header. The name must be canonical, and
	// both must be what HTTP allows. Of a header with an empty value nothing is
	// sent, but the server does not add it either.
	AddField(name string, value []byte)
}

// response is a ResponseWriter.
type response struct {
	*requests
	to      *http.Request
	header  http.Header
	request *requestBody // nil where the request has none

	status   int   // 0 until WriteHeader
	length   int64 // the Content-Length that the handler knew; -1: none
	written  int64
	sent     bool // the head is on its way
	bodyless bool // no body is sent
	chunked  bool
	closes   bool  // the connection ends after this
	deadline bool  // the handler has set the one for writing
	err      error // of the connection
	expects  expectation

	known struct{ contentType, encoding, date bool } // headers that the handler has set
}

var _ ResponseWriter = (*response)(nil)

func newResponse(r *requests, to *http.Request) *response {
	r.fields, r.body = r.fields[:0], r.body[:0]
	return &response{requests: r, to: to, header: make(http.Header), length: -1}
}

func (w *response) Header() http.Header { return w.header }

func (w *response) AddField(name string, value []byte) {
	if w.status != 0 {
		return
	}
	note(w, name, value)
	if len(value) > 0 && !ours[name] {
		w.fields = append(append(append(append(w.fields, name...), ": "...), value...), "\r\n"...)
	}
}

// WriteHeader begins the answer. The headers are written down now: what the
// handler does to them later does not count.
func (w *response) WriteHeader(status int) {
	if status < 100 || status > 999 {
		panic(fmt.Sprintf("invalid status code %d", status))
	}
	if w.status != 0 {
		w.server.Logger.Warn("WriteHeader was called again", "client", w.remote, "status", status)
		return
	}
	w.head.Reset()
	if status < 200 && status != http.StatusSwitchingProtocols {
		if w.to.ProtoAtLeast(1, 1) {
			w.sendHints(status)
		}
		return
	}
	w.withdrawConsent()
	w.status = status
	w.bodyless = w.to.Method == http.MethodHead || !allowsBody(status)
	w.writeStatus(status)
	w.head.Write(w.fields)
	if len(w.header) == 0 {
		return
	}
	for name, values := range w.header {
		if len(values) == 0 {
			values = []string{""}
		}
		for _, value := range values {
			note(w, name, value)
		}
	}
	excluded := ours
	if status == http.StatusNotModified {
		excluded = oursAndType // RFC 9110, 15.4.5
	}
	_ = w.header.WriteSubset(&w.head, excluded)
}

// ours are the headers that say how long an answer is and what becomes of the
// connection.
var ours = map[string]bool{"Connection": true, "Content-Length": true, "Trailer": true, "Transfer-Encoding": true}

var oursAndType = map[string]bool{"Connection": true, "Content-Length": true, "Content-Type": true, "Trailer": true, "Transfer-Encoding": true}

// note takes notice of a header of the handler's.
func note[T string | []byte](w *response, name string, value T) {
	switch name {
	case "Connection":
		w.closes = w.closes || listed(string(value), "close")
	case "Content-Encoding":
		w.known.encoding = len(value) > 0
	case "Content-Length":
		if n, err := strconv.ParseInt(string(value), 10, 64); err == nil && n >= 0 {
			w.length = n
		} else if len(value) > 0 {
			w.server.Logger.Warn("a handler set a Content-Length that is none", "client", w.remote, "value", string(value))
		}
	case "Content-Type":
		w.known.contentType = true
	case "Date":
		w.known.date = true
	}
}

func (w *response) writeStatus(status int) {
	version := "HTTP/1.1 "
	if !w.to.ProtoAtLeast(1, 1) {
		version = "HTTP/1.0 "
	}
	w.head.WriteString(version)
	w.head.Write(strconv.AppendInt(w.head.AvailableBuffer(), int64(status), 10))
	w.head.WriteByte(' ')
	if text := http.StatusText(status); text != "" {
		w.head.WriteString(text)
	} else {
		fmt.Fprintf(&w.head, "status code %d", status)
	}
	w.head.WriteString("\r\n")
}

func allowsBody(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}

func (w *response) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	switch {
	case len(b) == 0:
		return 0, nil
	case !allowsBody(w.status):
		return 0, http.ErrBodyNotAllowed
	}
	w.written += int64(len(b))
	switch {
	case w.length >= 0 && w.written > w.length:
		return 0, http.ErrContentLength
	case w.err != nil:
		return 0, w.err
	case !w.sent && len(w.body)+len(b) <= maxWaiting:
		w.body = append(w.body, b...)
		return len(b), nil
	case !w.sent && len(w.body) == 0:
		return w.begin(b)
	case !w.sent:
		if _, err := w.begin(w.body); err != nil {
			return 0, err
		}
	}
	if w.bodyless {
		return len(b), nil
	}
	return w.sendPiece(b)
}

// FlushError sends what waits.
func (w *response) FlushError() error {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if !w.sent {
		_, _ = w.begin(w.body)
	}
	return w.err
}

// Flush is FlushError for those who do not ask.
func (w *response) Flush() { _ = w.FlushError() }

// SetReadDeadline moves the deadline for the request's body.
func (w *response) SetReadDeadline(t time.Time) error { return w.conn.SetReadDeadline(t) }

// SetWriteDeadline moves the deadline for the answer.
func (w *response) SetWriteDeadline(t time.Time) error {
	w.deadline = true
	return w.conn.SetWriteDeadline(t)
}

// finish ends an answer.
func (w *response) finish() {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if !w.sent && w.length < 0 && allowsBody(w.status) && (w.to.Method != http.MethodHead || len(w.body) > 0) {
		w.length = int64(len(w.body))
	}
	if !w.bodyless && w.length >= 0 && w.length != w.written {
		w.closes = true // what comes next would be taken for the rest
	}
	switch {
	case !w.sent:
		_, _ = w.begin(w.body)
	case w.chunked:
		_, _ = w.send(nil, "0\r\n\r\n")
	}
	w.closes = w.closes || w.err != nil
	w.err = errEnded
	if w.request != nil {
		_ = w.request.Close() // never fails
	}
}

var errEnded = errors.New("the handler has returned")

// begin sends the head, and the body as far as it is there.
func (w *response) begin(body []byte) (int, error) {
	w.sent = true
	w.settleRequest()
	w.frame()
	if !w.known.contentType && !w.known.encoding && allowsBody(w.status) && len(body) > 0 {
		w.writeField("Content-Type", contentTypeOf(body))
	}
	if !w.known.date {
		w.writeField("Date", dateAt(time.Now()))
	}
	w.head.WriteString("\r\n")
	if w.bodyless || len(body) == 0 {
		_, _ = w.send(nil, "")
		return len(body), w.err
	}
	return w.sendPiece(body)
}

func (w *response) writeField(name, value string) {
	w.head.WriteString(name)
	w.head.WriteString(": ")
	w.head.WriteString(value)
	w.head.WriteString("\r\n")
}

// settleRequest decides whether the connection can be kept, and for that reads
// what is left of the request.
func (w *response) settleRequest() {
	w.closes = w.closes || w.to.Close
	if !w.closes && w.request.isUnread() {
		w.closes = !w.request.discard()
	}
}

// frame writes the headers that say where the answer ends, and what becomes of
// the connection.
func (w *response) frame() {
	modern := w.to.ProtoAtLeast(1, 1)
	switch {
	case w.length >= 0:
		if allowsBody(w.status) {
			w.head.WriteString("Content-Length: ")
			w.head.Write(strconv.AppendInt(w.head.AvailableBuffer(), w.length, 10))
			w.head.WriteString("\r\n")
		}
	case w.bodyless:
	case modern:
		w.chunked = true
		w.writeField("Transfer-Encoding", "chunked")
	default:
		w.closes = true // which is where it ends
	}
	switch {
	case w.closes && modern:
		w.writeField("Connection", "close")
	case w.closes:
	case !modern:
		w.writeField("Connection", "keep-alive")
	}
}

// sendPiece sends a piece of the body, behind what is in head.
func (w *response) sendPiece(b []byte) (int, error) {
	if !w.chunked {
		return w.send(b, "")
	}
	fmt.Fprintf(&w.head, "%x\r\n", len(b))
	return w.send(b, "\r\n")
}

// send sends what is in head, then b and tail, and reports how much of b was sent.
func (w *response) send(b []byte, tail string) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	if !w.deadline {
		setDeadline(w.conn.SetWriteDeadline, w.server.WriteTimeout)
	}
	head := w.head.Len()
	if len(b) > maxWaiting {
		var n int64
		n, w.err = w.conn.WriteBuffers(&net.Buffers{w.head.Bytes(), b, []byte(tail)})
		w.head.Reset()
		return min(max(0, int(n)-head), len(b)), w.err
	}
	w.head.Write(b)
	w.head.WriteString(tail)
	_, w.err = w.conn.Write(w.head.Bytes())
	w.head.Reset()
	if w.err != nil {
		return 0, w.err
	}
	return len(b), nil
}
