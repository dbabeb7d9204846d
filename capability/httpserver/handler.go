package httpserver

import (
	"log/slog"
	"maps"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waxosuit/waxo/capability"
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
	begin := time.Now()
	access := Access{Method: r.Method, Path: r.URL.EscapedPath()}
	answer, f := h.ask(w, r, &access)
	if h.draining.Load() {
		w.Header().Set("Connection", "close")
	}
	// Fails where Wrap has hidden the connection, as documented.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(h.options.WriteTimeout))
	if access.Build != "" {
		w.Header().Set(BuildHeader, access.Build)
	}
	if f == nil {
		h.write(w, answer, &access)
	} else {
		h.fail(w, r, f, &access)
	}
	if h.options.AccessLog != nil {
		access.Duration = time.Since(begin)
		h.options.AccessLog(access)
	}
	if access.Status == StatusClientGone {
		panic(http.ErrAbortHandler) // net/http's way to end a request without an answer
	}
}

// ask reads the request and gets the guest's answer to it.
func (h *guestHandler) ask(w http.ResponseWriter, r *http.Request, access *Access) (*answer, *fault) {
	x := h.exchanges.Get().(*exchange)
	defer func() {
		h.held.Add(-int64(x.size))
		x.trim()
		h.exchanges.Put(x)
	}()
	limits := h.bodies.Load()
	payload, f := x.encode(w, r, limits.request, h)
	access.BytesIn = int64(x.size)
	if f != nil {
		return nil, f
	}
	reply, err := h.dispatcher.Dispatch(r.Context(), capability.OpHandleRequest, payload, nil)
	access.Build = reply.Build
	if err != nil {
		// A call that was given up may not have ended everywhere yet: its
		// payload is not used again.
		x.payload = nil
		return nil, faultOf(capability.AsError(err), r.Context().Err() != nil)
	}
	return decodeAnswer(reply.Payload, r.Method, limits.response, h.options.MaxHeader)
}

// write sends the guest's answer.
func (h *guestHandler) write(w http.ResponseWriter, a *answer, access *Access) {
	access.Status = a.status
	header := w.Header()
	maps.Copy(header, a.header)
	w.WriteHeader(a.status)
	if len(a.body) == 0 {
		return
	}
	n, err := w.Write(a.body)
	if access.Method != http.MethodHead {
		access.BytesOut = int64(n)
	}
	if err != nil {
		access.Err = &capability.Error{Code: capability.CodeCanceled, Message: "the client did not take the answer: " + err.Error()}
		h.logger.Debug("the client did not take the answer", "method", access.Method, "path", access.Path, "error", err)
	}
}
