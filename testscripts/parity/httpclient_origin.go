package parity

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
)

// origin is a server on the loopback interface that requests of guests go to.
type origin struct {
	url      string // http://127.0.0.1:port
	seen     chan seen
	requests atomic.Int32
	handler  atomic.Pointer[http.HandlerFunc]
}

// seen is a request as it came.
type seen struct {
	method, uri string
	header      http.Header
	body        []byte
}

// startOrigin starts a server that ends with the case.
func startOrigin(s *Session) *origin {
	listener, err := new(net.ListenConfig).Listen(s.Context, "tcp", "127.0.0.1:0")
	if err != nil {
		s.Fatalf("the suite's own server: %v", err)
	}
	o := &origin{url: "http://" + listener.Addr().String(), seen: make(chan seen, 1000)}
	o.handle(answerRequest)
	server := &http.Server{Handler: o}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		_ = server.Serve(listener) // until it is closed
	}()
	s.undo(func(context.Context) error {
		err := server.Close()
		<-stopped
		return err
	})
	return o
}

func (o *origin) handle(f http.HandlerFunc) { o.handler.Store(&f) }

// ServeHTTP implements http.Handler.
func (o *origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	o.requests.Add(1)
	select {
	case o.seen <- seen{r.Method, r.RequestURI, r.Header, body}:
	default: // the case counts them, and looks no closer
	}
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	(*o.handler.Load())(w, r)
}

// answerRequest answers /status/N with that status, /echo with the body, and anything
// else with what was asked for, always in the same bytes.
func answerRequest(w http.ResponseWriter, r *http.Request) {
	w.Header()["Date"] = nil
	w.Header().Set("Content-Type", "text/plain")
	if n, ok := strings.CutPrefix(r.URL.Path, "/status/"); ok {
		status, _ := strconv.Atoi(n)
		w.WriteHeader(status)
		return
	}
	if r.URL.Path == "/echo" {
		_, _ = io.Copy(w, r.Body) // who has gone sees nothing of it
		return
	}
	fmt.Fprintf(w, "%s %s", r.Method, r.RequestURI)
}

func (o *origin) address() string { return strings.TrimPrefix(o.url, "http://") }

// serveOrigin lets the guest reach the suite's server.
func serveOrigin(s *Session) map[string]string {
	if s.origin == nil {
		s.origin = startOrigin(s)
	}
	return map[string]string{"allow": s.origin.address()}
}

// limitedOrigin lets responses have 1,000 bytes.
func limitedOrigin(s *Session) map[string]string {
	config := serveOrigin(s)
	config["max_response"] = "1000"
	return config
}

// forbiddenOrigin does not say where the guest may go.
func forbiddenOrigin(s *Session) map[string]string {
	serveOrigin(s)
	return nil
}

// closedOrigin is where nobody listens any more.
func closedOrigin(s *Session) map[string]string {
	s.origin = &origin{url: "http://" + freeAddress(s)}
	return map[string]string{"allow": s.origin.address()}
}

// freeAddress is one on the loopback interface where nobody listens.
func freeAddress(s *Session) string {
	listener, err := new(net.ListenConfig).Listen(s.Context, "tcp", "127.0.0.1:0")
	if err == nil {
		err = listener.Close()
	}
	if err != nil {
		s.Fatalf("a free port: %v", err)
	}
	return listener.Addr().String()
}

// hangUp closes the connection of a request without an answer to it.
func hangUp(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		conn.Close()
	}
}
