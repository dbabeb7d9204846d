package control

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// Handler answers a request. The answer is encoded as JSON. An error reaches the
// client as an *Error with its text.
type Handler func(ctx context.Context, request json.RawMessage) (any, error)

// Mux holds the handlers of a server by the names of their requests. The zero value
// is empty.
type Mux struct {
	mu       sync.RWMutex
	handlers map[string]Handler
}

// Handle has h answer requests of a name, in place of what answered them before. It
// may be called while a server serves.
func (m *Mux) Handle(name string, h Handler) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.handlers == nil {
		m.handlers = make(map[string]Handler)
	}
	m.handlers[name] = h
}

// Typed makes a Handler of a function that takes its request decoded. What is no
// such request, an unknown field included, is an error.
func Typed[T any](handle func(ctx context.Context, request T) (any, error)) Handler {
	return func(ctx context.Context, raw json.RawMessage) (any, error) {
		var request T
		if len(bytes.TrimSpace(raw)) > 0 {
			d := json.NewDecoder(bytes.NewReader(raw))
			d.DisallowUnknownFields()
			if err := d.Decode(&request); err != nil {
				return nil, fmt.Errorf("the request cannot be read: %w; is the waxo that asks another version than the one that runs?", err)
			}
		}
		return handle(ctx, request)
	}
}

func (m *Mux) find(name string) (Handler, bool) {
	if name == pingRequest {
		return func(context.Context, json.RawMessage) (any, error) { return struct{}{}, nil }, true
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	h, ok := m.handlers[name]
	return h, ok
}

// Server serves a Mux until it is closed.
type Server struct {
	mux     *Mux
	dir     string
	address string
	token   string
	http    http.Server
	stop    context.CancelFunc
	serving sync.WaitGroup
	closing func() error
}

// Serve listens, and announces itself in the folder dir. The error is a
// *RunningError where another process serves there.
func Serve(dir string, mux *Mux) (*Server, error) {
	if a, err := readAnnouncement(dir); err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
		defer cancel()
		if newClient(a).ping(ctx) == nil {
			return nil, &RunningError{PID: a.PID}
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Server{mux: mux, dir: dir, address: listener.Addr().String(), token: rand.Text(), stop: stop}
	s.http = http.Server{
		Handler:           s,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    8 << 10,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ErrorLog:          log.New(io.Discard, "", 0), // clients are told
	}
	s.closing = sync.OnceValue(s.close)
	s.serving.Go(func() { s.http.Serve(listener) }) //nolint:errcheck // it ends with Close
	if err := announce(dir, announcement{Address: s.address, Token: s.token, PID: os.Getpid()}); err != nil {
		return nil, errors.Join(fmt.Errorf("control: %w", err), s.Close())
	}
	return s, nil
}

// Close ends the server: the announcement is gone, requests in hand are cancelled.
// It may be called twice.
func (s *Server) Close() error { return s.closing() }

func (s *Server) close() error {
	err := withdraw(s.dir, s.token)
	s.stop()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if s.http.Shutdown(ctx) != nil {
		err = errors.Join(err, s.http.Close())
	}
	s.serving.Wait()
	return err
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	name, named := strings.CutPrefix(r.URL.Path, prefix)
	switch {
	case r.Host != s.address:
		answer(w, http.StatusMisdirectedRequest, errors.New("this is not the host that the request is for"))
		return
	case !bearer || subtle.ConstantTimeCompare([]byte(token), []byte(s.token)) != 1:
		answer(w, http.StatusUnauthorized, errors.New("the token is not that of this host"))
		return
	case r.Method != http.MethodPost || !named:
		answer(w, http.StatusNotFound, errors.New("there is nothing here"))
		return
	}
	h, ok := s.mux.find(name)
	if !ok {
		answer(w, http.StatusNotFound, fmt.Errorf("the waxo that runs cannot do %q: is it another version, or not waxo dev?", name))
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxMessage))
	if large := (*http.MaxBytesError)(nil); errors.As(err, &large) {
		answer(w, http.StatusRequestEntityTooLarge, fmt.Errorf("the request is larger than the %d bytes that a waxo which runs takes from another", large.Limit))
		return
	}
	if err != nil {
		answer(w, http.StatusBadRequest, fmt.Errorf("the request could not be read: %w", err))
		return
	}
	result, err := h(r.Context(), body)
	if err != nil {
		answer(w, http.StatusUnprocessableEntity, err)
		return
	}
	answer(w, http.StatusOK, result)
}

// failure is the form of an error on the wire.
type failure struct {
	Error string `json:"error"`
}

// answer writes a result, or an error.
func answer(w http.ResponseWriter, status int, v any) {
	if err, ok := v.(error); ok {
		v = failure{err.Error()}
	}
	data, err := json.Marshal(v)
	if err != nil {
		status, data = http.StatusInternalServerError, []byte(`{"error":"the answer cannot be encoded"}`)
	}
	if len(data) > maxMessage {
		status, data = http.StatusInternalServerError, fmt.Appendf(nil, `{"error":"the answer has %d bytes, the limit is %d"}`, len(data), maxMessage)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(data) //nolint:errcheck // the client has gone
}
