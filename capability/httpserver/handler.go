package httpserver

import (
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/internal/http1"
)

// guestHandler has a guest answer requests.
type guestHandler struct {
	options     *Options
	exchanges   *sync.Pool
	bodies      *atomic.Pointer[bodyLimits]
	held        *atomic.Int64
	dispatcher  capability.Dispatcher
	logger      *slog.Logger
	development bool
	draining    *atomic.Bool
}

// ServeHTTP has the guest answer one request.
func (h *guestHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var begin time.Time
	if h.options.AccessLog != nil {
		begin = time.Now()
	}
	x := h.exchanges.Get().(*exchange)
	access := Access{Method: r.Method, Path: r.URL.EscapedPath()}
	f := h.ask(w, r, x, &access)
	if h.draining.Load() {
		w.Header().Set("Connection", "close")
	}
	if _, ok := w.(http1.ResponseWriter); !ok { // which does so itself
		// Fails where Wrap has hidden the connection, as documented.
		_ = http.NewResponseController(w).SetWriteDeadline(in(h.options.WriteTimeout))
	}
	if access.Build != "" {
		w.Header().Set(BuildHeader, access.Build)
	}
	if f == nil {
		h.write(w, x, &access)
	} else {
		h.fail(w, r, f, &access)
	}
	x.trim()
	h.exchanges.Put(x)
	if h.options.AccessLog != nil {
		access.Duration = time.Since(begin)
		h.options.AccessLog(access)
	}
	if access.Status == StatusClientGone {
		panic(http.ErrAbortHandler) // net/http's way to end a request without an answer
	}
}

// in is a deadline that is so far away, or none where limit is negative.
func in(limit time.Duration) time.Time {
	if limit < 0 {
		return time.Time{}
	}
	return time.Now().Add(limit)
}

// ask reads the request and gets the guest's answer to it.
func (h *guestHandler) ask(w http.ResponseWriter, r *http.Request, x *exchange, access *Access) *fault {
	defer func() {
		h.held.Add(-int64(x.size))
		x.trimRequest() // a client may take its time to receive the answer
	}()
	limits := h.bodies.Load()
	payload, f := x.encode(w, r, access.Path, limits.request, h)
	access.BytesIn = int64(x.size)
	if f != nil {
		return f
	}
	reply, err := h.dispatcher.Dispatch(r.Context(), capability.OpHandleRequest, payload, x.room)
	access.Build = reply.Build
	if err != nil {
		// A call that was given up may not have ended everywhere yet: its
		// buffers are not used again.
		x.payload, x.room = nil, nil
		return faultOf(capability.AsError(err), r.Context().Err() != nil)
	}
	if cap(reply.Payload) > cap(x.room) {
		x.room = reply.Payload[:0]
	}
	return x.answer.decode(reply.Payload, r.Method, limits.response, h.options.MaxHeader)
}

// write sends the guest's answer.
func (h *guestHandler) write(w http.ResponseWriter, x *exchange, access *Access) {
	a := &x.answer
	access.Status = a.status
	if direct, ok := w.(http1.ResponseWriter); ok && len(w.Header()) == 0 {
		a.addFields(direct)
	} else {
		a.writeHeader(w.Header())
	}
	w.WriteHeader(a.status)
	if len(a.body) == 0 {
		return
	}
	n, err := w.Write(a.body)
	if access.Method != http.MethodHead {
		access.BytesOut = int64(n)
	}
	if err != nil {
		x.room = nil // in HTTP/2, what could not be written in time may still be under way
		access.Err = &capability.Error{Code: capability.CodeCanceled, Message: "the client did not take the answer: " + err.Error()}
		h.logger.Debug("the client did not take the answer", "method", access.Method, "path", access.Path, "error", err)
	}
}
