// Package httpserver is the provider of wascap:http_server: it listens on an
// address for each binding and has the guest answer every HTTP request.
//
// It promises that a guest sees a request only when all of it has arrived and
// is within the limits, that what reaches the client is well-formed HTTP
// whatever the guest answers, and that unbinding lets the requests in hand
// finish. HTTP/1.1 and HTTP/2 without TLS (prior knowledge) are served; TLS,
// streaming, trailers and upgrades are left out, because the payloads of the
// standard cannot carry them or somebody in front does it better.
//
// # Requests
//
//   - The path is the client's, percent-encoded: "/" where there is none, "*"
//     for OPTIONS of the server itself. The query is the client's, without the
//     question mark; bytes outside ASCII are percent-encoded.
//   - Header names are canonical ("X-Request-Id"). A repeated header is joined
//     by ", " as RFC 9110, 5.3 says, Cookie by "; " (RFC 9113, 8.2.3). A value
//     that is not UTF-8 is read as Latin-1.
//   - Host is among the headers. Content-Length is there whenever the client
//     announced a body, in whatever form, and is the length of the body.
//   - Headers that concern the connection alone are left out: Connection and
//     what it names, Keep-Alive, Proxy-Connection, Proxy-Authenticate,
//     Proxy-Authorization, TE, Trailer, Transfer-Encoding, Upgrade, and Expect,
//     which has been answered. Trailers are dropped.
//   - Nothing is added about the client's address. X-Forwarded-For and its
//     kind are what the client or a proxy wrote: the guest decides what they
//     are worth.
//   - CONNECT is refused: a guest cannot be a tunnel.
//
// # Responses
//
//   - Status code 0 means 200. Codes from 200 to 999 are sent, anything else is
//     an error. The reason phrase is always the standard's.
//   - Header names and values that HTTP does not allow, a line break above all,
//     are errors, and so is one name spelt in two ways with two values.
//   - Set-Cookie may hold several cookies, one a line: no other separator is
//     safe, as a cookie may contain a comma. Each becomes a header of its own.
//   - What concerns the connection (see above), Date, and BuildHeader are the
//     server's: the guest's are ignored. So is its Content-Length, which is
//     that of the body, except in the answer to HEAD without a body.
//   - The answer to HEAD, and 204, 205 and 304, go out without the body.
//   - Without a Content-Type, one is detected from the body, as net/http does it.
//     An empty Content-Type sends none.
//
// # Errors
//
// What the dispatcher reports becomes 500 (guest, trap, memory, denied, and a
// wrong answer of the guest), 502 (provider), 503 (overloaded, unavailable) or
// 504 (deadline). In a development binding the body tells everything, as text,
// HTML or JSON, whichever the client prefers; otherwise it has a request ID that
// the log has too. What the client does wrong is answered without the guest: 400,
// 408, 413, 417, 431, 501, 505. A client that goes away cancels the call, within half a
// second; one that closes its sending half counts as gone, as the two cannot be
// told apart.
package httpserver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/waxosuit/waxo/capability"
)

// BuildHeader names the build that answered a request, where the dispatcher
// says which.
const BuildHeader = "X-Waxo-Build"

// ConfigAddress is the one key of a binding's configuration: host:port, where
// port 0 picks a free one. The default is DefaultAddress.
const ConfigAddress = "address"

// DefaultAddress is where a binding listens that does not say.
const DefaultAddress = "127.0.0.1:8080"

const version = "0.1.0"

// Options configure a Provider. A field that is zero has its default. The four
// timeouts for clients may come late, by a twentieth of the shortest, at most by
// 250 ms; those that are negative never come.
type Options struct {
	// Logger gets one line for each request that failed: errors of ours and
	// of the guest at level error, the client's at warn. Default: discarded.
	Logger *slog.Logger

	// MaxBody bounds the body of a request and of a response, in bytes, until
	// SetMaxBody says otherwise. Default: 32 MiB.
	MaxBody int64

	// MaxBodies bounds the request bodies of all requests in hand together, in
	// bytes: those that wait for the guest are held in memory. What goes beyond
	// is answered 503. Default: 1 GiB.
	MaxBodies int64

	// MaxHeader bounds the headers of a request and of a response, in bytes.
	// Default: http.DefaultMaxHeaderBytes, 1 MiB.
	MaxHeader int

	// ReadHeaderTimeout bounds how long a client may take to send the headers
	// of a request. Default: 10 s.
	ReadHeaderTimeout time.Duration

	// ReadTimeout bounds how long a client may take to send a body.
	// Default: 60 s.
	ReadTimeout time.Duration

	// WriteTimeout bounds how long a client may take to receive a response.
	// Default: 60 s.
	WriteTimeout time.Duration

	// IdleTimeout ends a connection that has been idle for so long.
	// Default: 2 min.
	IdleTimeout time.Duration

	// DrainTimeout bounds how long Unbind and Close wait for the requests in
	// hand, where their context does not end sooner. Default: 30 s.
	DrainTimeout time.Duration

	// Listen opens the listener of a binding. Default: (*net.ListenConfig).Listen.
	Listen func(ctx context.Context, network, address string) (net.Listener, error)

	// Wrap puts a handler in front of the guest, once for each binding: for
	// endpoints of the host's own. A ResponseWriter that it hands on must have
	// an Unwrap method, or ReadTimeout and WriteTimeout are lost for HTTP/2.
	// Connections cannot be hijacked, and a request's context may end only when
	// its client goes or the binding ends. Default: nothing in front.
	Wrap func(guest http.Handler) http.Handler

	// AccessLog is called at the end of each request to a guest.
	// Default: not called.
	AccessLog func(Access)
}

// Access describes a finished request.
type Access struct {
	Method   string
	Path     string // percent-encoded, without the query
	Status   int    // what the client got; StatusClientGone where it got nothing
	Duration time.Duration
	BytesIn  int64             // the request's body
	BytesOut int64             // the response's body
	Build    string            // which build answered; empty outside development
	Err      *capability.Error // why the request failed, or nil
}

// StatusClientGone stands in an Access for a request whose client went away, or
// was cut off by the end of the binding, before there was an answer.
const StatusClientGone = 499

// Provider serves HTTP to guests.
type Provider struct {
	options   Options
	exchanges sync.Pool // of *exchange
	bodies    atomic.Pointer[bodyLimits]
	held      atomic.Int64 // bytes of the request bodies in hand

	mu      sync.Mutex
	servers map[capability.BindingID]*server // nil: being bound
	closed  bool
}

var _ capability.Provider = (*Provider)(nil)

// New makes a provider that listens nowhere yet. Options may be nil.
func New(o *Options) *Provider {
	if o == nil {
		o = &Options{}
	}
	p := &Provider{options: *o, servers: make(map[capability.BindingID]*server)}
	p.options.setDefaults()
	p.SetMaxBody(p.options.MaxBody, p.options.MaxBody)
	p.exchanges.New = func() any { return new(exchange) }
	return p
}

// bodyLimits bounds bodies, in bytes.
type bodyLimits struct{ request, response int64 }

// SetMaxBody bounds the bodies of requests and of responses, in bytes, for the
// requests that begin from now on. No connection ends because of it.
func (p *Provider) SetMaxBody(request, response int64) {
	p.bodies.Store(&bodyLimits{request, response})
}

func (o *Options) setDefaults() {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Listen == nil {
		o.Listen = new(net.ListenConfig).Listen
	}
	o.MaxBody = cmp.Or(o.MaxBody, 32<<20)
	o.MaxBodies = cmp.Or(o.MaxBodies, 1<<30)
	o.MaxHeader = cmp.Or(o.MaxHeader, http.DefaultMaxHeaderBytes)
	o.ReadHeaderTimeout = cmp.Or(o.ReadHeaderTimeout, 10*time.Second)
	o.ReadTimeout = cmp.Or(o.ReadTimeout, time.Minute)
	o.WriteTimeout = cmp.Or(o.WriteTimeout, time.Minute)
	o.IdleTimeout = cmp.Or(o.IdleTimeout, 2*time.Minute)
	o.DrainTimeout = cmp.Or(o.DrainTimeout, 30*time.Second)
}

// Describe says what the provider offers: a guest is called, it calls nothing.
func (p *Provider) Describe() capability.Descriptor {
	return capability.Descriptor{
		Capability: capability.HTTPServer,
		Name:       "HTTP server",
		Version:    version,
		Operations: []string{},
	}
}

// Bind listens and serves requests from then on, also before it returns. An
// address that is taken gives an *AddressInUseError, which is an *Error of
// CodeConflict too.
func (p *Provider) Bind(ctx context.Context, b capability.Binding, d capability.Dispatcher) error {
	address, err := addressOf(b.Config)
	if err != nil {
		return err
	}
	if err := p.reserve(b.BindingID); err != nil {
		return err
	}
	listener, err := p.options.Listen(ctx, "tcp", address)
	if err != nil {
		p.release(b.BindingID)
		return listenError(ctx, address, err)
	}
	s := newServer(p, b, d, listener)

	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		delete(p.servers, b.BindingID)
		_ = listener.Close() // nobody has heard of it yet
		return errClosed()
	}
	p.servers[b.BindingID] = s
	go s.serve()
	return nil
}

// reserve keeps a second Bind of the same binding out.
func (p *Provider) reserve(id capability.BindingID) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return errClosed()
	}
	if _, ok := p.servers[id]; ok {
		return &capability.Error{Code: capability.CodeConflict, Message: fmt.Sprintf("the HTTP server is already bound to %s as %q", id.Guest, id.Name)}
	}
	p.servers[id] = nil
	return nil
}

func (p *Provider) release(id capability.BindingID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.servers, id)
}

func errClosed() error {
	return &capability.Error{Code: capability.CodeUnavailable, Message: "the HTTP server is closed"}
}

// addressOf checks a binding's configuration.
func addressOf(config map[string]string) (string, error) {
	for key := range config {
		if key != ConfigAddress {
			return "", &capability.Error{Code: capability.CodeInvalid, Message: fmt.Sprintf("the HTTP server has no setting %q: its only one is %q", key, ConfigAddress)}
		}
	}
	address := cmp.Or(config[ConfigAddress], DefaultAddress)
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return "", &capability.Error{Code: capability.CodeInvalid, Message: fmt.Sprintf("%q is no address to listen on: write host:port, such as %s", address, DefaultAddress)}
	}
	return address, nil
}

// TryAddress tells why nobody could listen on an address, such as an
// *AddressInUseError; nil where it is free.
func TryAddress(ctx context.Context, address string) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return listenError(ctx, address, err)
	}
	return listener.Close()
}

// listenError says why nothing listens on address.
func listenError(ctx context.Context, address string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return &AddressInUseError{Address: address, Holders: holders(ctx, address), Err: err}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return capability.AsError(err)
	case errors.Is(err, syscall.EACCES):
		return &capability.Error{Code: capability.CodeUnavailable, Message: fmt.Sprintf("%v (ports below 1024 may need privileges: choose a higher one)", err)}
	}
	return &capability.Error{Code: capability.CodeUnavailable, Message: err.Error()}
}

// Call answers CodeUnsupported: there is nothing for a guest to call.
func (p *Provider) Call(_ context.Context, c capability.Call) ([]byte, error) {
	return nil, &capability.Error{
		Code:    capability.CodeUnsupported,
		Message: fmt.Sprintf("%s has no operation %q: it calls guests, guests do not call it", capability.HTTPServer, c.Operation),
	}
}

// Addr is where a binding listens, or nil.
func (p *Provider) Addr(id capability.BindingID) net.Addr {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.servers[id]; s != nil {
		return s.listener.Addr()
	}
	return nil
}

// Unbind stops listening at once and lets the requests in hand finish. Idle
// connections end when no request has come for a quarter of a second, as one
// may be about to bring another; an answer from now on says that its connection
// ends. When ctx
// or Options.DrainTimeout ends first, they are cut off and the error has
// CodeDeadline. A second Unbind of the same binding waits for the first, and
// cuts it short when its own ctx ends.
func (p *Provider) Unbind(ctx context.Context, id capability.BindingID) error {
	p.mu.Lock()
	s := p.servers[id]
	p.mu.Unlock()
	if s == nil {
		return nil
	}
	err := s.stop(ctx)

	p.mu.Lock()
	defer p.mu.Unlock()
	if p.servers[id] == s {
		delete(p.servers, id)
	}
	return err
}

// Close unbinds everything, all at the same time.
func (p *Provider) Close(ctx context.Context) error {
	p.mu.Lock()
	p.closed = true
	var ids []capability.BindingID
	for id := range p.servers {
		ids = append(ids, id)
	}
	p.mu.Unlock()

	errs := make([]error, len(ids))
	var wg sync.WaitGroup
	for i, id := range ids {
		wg.Go(func() { errs[i] = p.Unbind(ctx, id) })
	}
	wg.Wait()
	return joinErrors(errs)
}

// joinErrors makes one *Error of several, with the code of the first.
func joinErrors(errs []error) error {
	var first *capability.Error
	var messages []string
	for _, err := range errs {
		if e := capability.AsError(err); e != nil {
			first = cmp.Or(first, e)
			messages = append(messages, e.Message)
		}
	}
	if first == nil {
		return nil
	}
	return &capability.Error{Code: first.Code, Message: strings.Join(messages, "; ")}
}
