// Package http1 serves HTTP/1 on a connection at about half the cost of net/http's
// server: one goroutine for each connection reads a request with
// http.ReadRequest, calls the handler and sends the answer in one piece.
//
// It promises what net/http's server promises of a request and of an answer: what
// is no HTTP, or could be read in two ways, is refused in the same way and does
// not reach the handler, and what a handler sends is well-formed. Its
// ResponseWriter can Flush and set deadlines; hijacking, trailers and reading from
// the request after the answer has begun are left out.
//
// It does not notice a client that goes away while the handler works: that, and
// the deadlines being cheap to set, is up to the connection that it is given.
package http1

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"time"
)

const (
	// preface is how HTTP/2 begins (RFC 9113, 3.4).
	preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

	// maxBlank bounds the bytes of empty lines after a POST (RFC 9112, 2.2): old
	// clients send one too many.
	maxBlank = 4

	// lingerTime and maxLinger bound how long, and for how many bytes, a
	// connection is read that has been answered for the last time: one that is
	// closed before is reset, and the answer may be lost (RFC 9112, 9.6).
	lingerTime = 500 * time.Millisecond
	maxLinger  = 1 << 20
)

// Server has what connections are served with. All fields must be set; of the
// timeouts, those that are negative never end.
type Server struct {
	Handler   http.Handler
	Logger    *slog.Logger // of panics and of misuse of a ResponseWriter
	MaxHeader int          // bytes of a request's headers, plus up to 4096

	ReadHeaderTimeout time.Duration // for a request's headers, once it has begun
	ReadTimeout       time.Duration // for its body, unless the handler says otherwise
	WriteTimeout      time.Duration // for each piece of an answer, likewise
	IdleTimeout       time.Duration // between requests

	readers sync.Pool // of *bufio.Reader
}

// Conn is a connection to a client.
type Conn interface {
	net.Conn

	// CloseWrite closes the sending half, where the connection can.
	CloseWrite() error

	// WriteBuffers writes all the buffers, at once where the connection can.
	WriteBuffers(*net.Buffers) (int64, error)

	// Enter is told the state that the connection enters: http.StateActive when
	// a request has come, http.StateIdle when none is in hand. The connection
	// ends where it is false.
	Enter(http.ConnState) bool
}

// Serve answers the requests on a connection until it is to be closed, which is
// left to the caller. Where the client begins to speak HTTP/2, Serve returns what
// it has said so far.
//
// The contexts of requests end with ctx, and not when their handlers return: one
// of its own for each request would cost a fiftieth of it.
func (s *Server) Serve(ctx context.Context, c Conn) (http2 []byte) {
	r := &requests{server: s, conn: c, in: source{conn: c}}
	if r.buf, _ = s.readers.Get().(*bufio.Reader); r.buf == nil {
		r.buf = bufio.NewReader(&r.in)
	} else {
		r.buf.Reset(&r.in)
	}
	defer r.end()
	if remote := c.RemoteAddr(); remote != nil {
		r.remote = remote.String()
	}
	r.ctx = context.WithValue(ctx, http.LocalAddrContextKey, c.LocalAddr())
	http2 = r.serve()
	r.ended = true
	return http2
}

// requests are those on one connection.
type requests struct {
	server *Server
	conn   Conn
	ctx    context.Context
	remote string // the client's address
	in     source
	buf    *bufio.Reader
	head   bytes.Buffer // of an answer, and then all of it
	body   []byte       // of an answer, as far as it waits
	fields []byte       // headers of an answer that has not begun
	ended  bool         // the last handler has returned
}

// end is deferred.
func (r *requests) end() {
	if v := recover(); v != nil && v != http.ErrAbortHandler { // net/http's way to end a request without an answer
		r.server.Logger.Error("panic serving HTTP", "client", r.remote, "panic", v, "stack", string(debug.Stack()))
	}
	if r.ended { // else who knows who reads from buf
		r.buf.Reset(nil)
		r.server.readers.Put(r.buf)
	}
}

func (r *requests) serve() (http2 []byte) {
	setDeadline(r.conn.SetReadDeadline, r.server.ReadHeaderTimeout)
	if http2 = r.http2(); http2 != nil {
		return http2
	}
	for {
		request, refused, err := r.read()
		if err != nil {
			return nil // the client has gone, or was too slow
		}
		r.conn.Enter(http.StateActive)
		if refused != nil {
			r.refuse(refused)
			return nil
		}
		if !r.answer(request) || !r.next() {
			return nil
		}
		if request.Method == http.MethodPost {
			r.skipBlank()
		}
	}
}

// next ends a request that the connection outlives, and waits for another one.
func (r *requests) next() bool {
	setDeadline(r.conn.SetReadDeadline, r.server.IdleTimeout)
	if !r.conn.Enter(http.StateIdle) {
		return false
	}
	r.trim()
	if _, err := r.buf.Peek(4); err != nil { // no request is shorter, and no rest of a blank line is one
		return false
	}
	setDeadline(r.conn.SetReadDeadline, r.server.ReadHeaderTimeout)
	return true
}

func (r *requests) skipBlank() {
	for range maxBlank {
		if b, err := r.buf.Peek(1); err != nil || b[0] != '\r' && b[0] != '\n' {
			return
		}
		_, _ = r.buf.Discard(1) // it is there
	}
}

// setDeadline sets one that is so far away; a limit that is negative is none. Where
// it fails, so do the reads and writes after it.
func setDeadline(set func(time.Time) error, limit time.Duration) {
	var at time.Time
	if limit >= 0 {
		at = time.Now().Add(limit)
	}
	_ = set(at)
}

// http2 returns what the client has sent, where that begins as HTTP/2 does.
func (r *requests) http2() []byte {
	for _, n := range []int{len("PRI "), len(preface)} {
		if b, _ := r.buf.Peek(n); string(b) != preface[:n] {
			return nil
		}
	}
	b, _ := r.buf.Peek(r.buf.Buffered()) // they are there
	return bytes.Clone(b)
}

// answer has the handler answer a request, and reports whether the connection can
// take another one.
func (r *requests) answer(request *http.Request) (more bool) {
	request = request.WithContext(r.ctx)
	request.RemoteAddr = r.remote
	w := newResponse(r, request)
	if request.Body != http.NoBody {
		setDeadline(r.conn.SetReadDeadline, r.server.ReadTimeout)
		w.request = &requestBody{of: request.Body, response: w}
		request.Body = w.request
	}
	switch expectation := request.Header.Get("Expect"); {
	case expectation != "" && !listed(expectation, "100-continue"):
		w.closes = true
		w.WriteHeader(http.StatusExpectationFailed)
	default:
		w.expects.is = expectation != "" && w.request != nil && request.ProtoAtLeast(1, 1)
		r.server.Handler.ServeHTTP(w, request)
	}
	w.finish()
	if w.closes && w.request.isUnread() {
		r.linger()
	}
	return !w.closes
}

// refuse answers what is no request.
func (r *requests) refuse(f *refusal) {
	w := newResponse(r, &http.Request{ProtoMajor: 1, ProtoMinor: 1, Close: true})
	w.AddField("Content-Type", []byte("text/plain; charset=utf-8"))
	w.WriteHeader(f.status)
	_, _ = io.WriteString(w, f.Error()+"\n")
	w.finish()
	r.linger()
}

// linger lets the client read an answer to what it has not sent to its end. The
// connection is not idle until then: to close it would cut the answer short.
func (r *requests) linger() {
	if err := r.conn.CloseWrite(); err != nil {
		return
	}
	over, cancel := context.WithTimeout(r.ctx, lingerTime)
	defer cancel()
	setDeadline(r.conn.SetReadDeadline, lingerTime)
	if _, err := io.CopyN(io.Discard, r.conn, maxLinger); err == nil {
		<-over.Done() // it goes on sending, and is not read any more
	}
}

// trim lets go of what is too large to keep for the next request.
func (r *requests) trim() {
	const most = 16 << 10
	if r.head.Cap() > most {
		r.head = bytes.Buffer{}
	}
	if cap(r.in.head) > most {
		r.in.head = nil
	}
	if cap(r.fields) > most {
		r.fields = nil
	}
}
