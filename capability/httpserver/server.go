package httpserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/internal/http1"
)

const (
	// settle is for how long no request may have come before a drain closes
	// kept-alive connections: a client that is about to reuse one gets its
	// answer, with the news that the connection ends, instead of a closed
	// connection.
	settle = 250 * time.Millisecond

	// cutGrace is how long requests may take to notice that they were cut off.
	cutGrace = 5 * time.Second

	// minRetry and maxRetry are for how long no connection is accepted after one
	// could not be.
	minRetry = 5 * time.Millisecond
	maxRetry = time.Second
)

// server is one binding: a listener and the HTTP servers on it. Ours serves
// HTTP/1; net/http's serves HTTP/2, and connections that are no sockets.
type server struct {
	listener    net.Listener
	http1       http1.Server
	netHTTP     http.Server
	others      *handedOver // connections for netHTTP
	serveOthers sync.Once
	handler     http.Handler // the guest, with Options.Wrap in front
	timeout     time.Duration
	logger      *slog.Logger
	ctx         context.Context // ends with all requests
	cancel      context.CancelFunc
	served      chan struct{} // closed when the listener is done
	draining    atomic.Bool
	load        load
	watch       *watch
	closing     atomic.Bool // idle connections end

	stopping atomic.Bool
	wasCut   atomic.Bool   // requests were cut off
	stopped  chan struct{} // closed when stopErr is set
	stopErr  error
}

func newServer(p *Provider, b capability.Binding, d capability.Dispatcher, listener net.Listener) *server {
	o := &p.options
	ctx, cancel := context.WithCancel(context.Background())
	s := &server{
		listener: listener,
		others:   newHandedOver(listener),
		watch:    newWatch(o.ReadHeaderTimeout, o.ReadTimeout, o.WriteTimeout, o.IdleTimeout),
		timeout:  o.DrainTimeout,
		logger:   o.Logger.With("guest", b.GuestName, "binding", b.Name),
		ctx:      ctx,
		cancel:   cancel,
		served:   make(chan struct{}),
		stopped:  make(chan struct{}),
	}
	s.handler = &guestHandler{
		options:     o,
		exchanges:   &p.exchanges,
		bodies:      &p.bodies,
		held:        &p.held,
		dispatcher:  d,
		logger:      s.logger,
		development: b.Development,
		draining:    &s.draining,
	}
	if o.Wrap != nil {
		s.handler = o.Wrap(s.handler)
	}
	s.http1 = http1.Server{
		Handler:           s,
		Logger:            s.logger,
		MaxHeader:         o.MaxHeader,
		ReadHeaderTimeout: o.ReadHeaderTimeout,
		ReadTimeout:       o.ReadTimeout,
		WriteTimeout:      o.WriteTimeout,
		IdleTimeout:       o.IdleTimeout,
	}
	s.netHTTP = http.Server{
		Handler:                      s,
		ReadHeaderTimeout:            o.ReadHeaderTimeout,
		IdleTimeout:                  o.IdleTimeout,
		MaxHeaderBytes:               o.MaxHeader,
		DisableGeneralOptionsHandler: true, // OPTIONS * is the guest's too
		ErrorLog:                     slog.NewLogLogger(s.logger.Handler(), slog.LevelWarn),
		ConnContext:                  func(_ context.Context, c net.Conn) context.Context { return c.(*conn).ctx },
		ConnState:                    s.load.connState,
		HTTP2:                        &http.HTTP2Config{WriteByteTimeout: o.WriteTimeout},
		Protocols:                    new(http.Protocols),
	}
	s.netHTTP.Protocols.SetHTTP1(true)
	s.netHTTP.Protocols.SetUnencryptedHTTP2(true)
	return s
}

// serve accepts connections until the listener is closed.
func (s *server) serve() {
	defer close(s.served)
	delay := minRetry
	for {
		inner, err := s.listener.Accept()
		switch {
		case err == nil:
			c := s.watch.add(s.ctx, inner)
			c.enter = func(state http.ConnState) bool {
				s.load.connState(c, state)
				return state == http.StateActive || !s.closing.Load()
			}
			c.Enter(http.StateNew)
			go s.serveConn(c)
			delay = minRetry
		case s.draining.Load():
			return
		case errors.Is(err, net.ErrClosed):
			s.logger.Error("the HTTP server has stopped", "address", s.listener.Addr().String(), "error", err)
			return
		default: // no more files may be open, for one
			s.logger.Warn("a connection could not be accepted", "address", s.listener.Addr().String(), "error", err, "retry", delay)
			wait(s.ctx.Done(), nil, delay)
			delay = min(2*delay, maxRetry)
		}
	}
}

// serveConn serves a connection to its end, however its handlers end.
func (s *server) serveConn(c *conn) {
	handed := false
	defer func() {
		if !handed {
			_ = c.Close() // nobody is left to hear of it
			c.Enter(http.StateClosed)
		}
	}()
	isSocket := c.socket.raw != nil
	if isSocket {
		c.replay = s.http1.Serve(c.ctx, c)
	}
	if !isSocket || c.replay != nil {
		s.serveOthers.Do(func() { go s.netHTTP.Serve(s.others) }) //nolint:errcheck // ends when the others are closed
		handed = s.others.add(c)
	}
}

// ServeHTTP is in front of every request.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.draining.Load() {
		w.Header().Set("Connection", "close")
	}
	if r.ProtoMajor == 2 { // runs beside its connection, not as a part of it
		if !s.load.enter() {
			panic(http.ErrAbortHandler) // net/http's way to end a request without an answer
		}
		defer s.load.leave()
	}
	s.handler.ServeHTTP(w, r)
}

// stop drains the server, once. Who comes second waits for the first.
func (s *server) stop(ctx context.Context) error {
	if s.stopping.CompareAndSwap(false, true) {
		s.stopErr = s.drain(ctx)
		close(s.stopped)
		return s.stopErr
	}
	select {
	case <-s.stopped:
	case <-ctx.Done():
		s.cut()
		<-s.stopped // within cutGrace
	}
	return s.stopErr
}

func (s *server) drain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	s.draining.Store(true)
	closeErr := s.listener.Close()
	<-s.served
	nothingLeft := s.load.watch()

	for last := int64(-1); last != s.load.requests.Load() && ctx.Err() == nil; {
		last = s.load.requests.Load()
		if wait(nothingLeft, ctx.Done(), settle) {
			break
		}
	}
	s.closing.Store(true)
	s.watch.closeWaiting()
	shutdown := make(chan struct{})
	go func() {
		defer close(shutdown)
		_ = s.netHTTP.Shutdown(ctx) // ends its idle connections; nothingLeft tells the rest
		_ = s.others.Close()        // where it has not served any
	}()
	finished := wait(nothingLeft, ctx.Done(), s.timeout)
	cancel()
	<-shutdown
	if !finished {
		s.cut()
		finished = wait(nothingLeft, nil, cutGrace)
	}
	s.cancel()
	s.watch.stop()
	if s.wasCut.Load() {
		return cutError(s.listener.Addr(), finished)
	}
	if closeErr != nil {
		return &capability.Error{Code: capability.CodeInternal, Message: fmt.Sprintf("close the listener: %v", closeErr)}
	}
	return nil
}

// cut ends all requests in hand and all connections.
func (s *server) cut() {
	if s.watch.busy() || s.load.busy() {
		s.wasCut.Store(true)
	}
	s.cancel()
	s.watch.closeAll()
	_ = s.netHTTP.Close() // what is left of it
}

func cutError(address net.Addr, finished bool) error {
	message := fmt.Sprintf("requests on %s had not finished in time and were cut off", address)
	if !finished {
		message += "; some do not end even so"
	}
	return &capability.Error{Code: capability.CodeDeadline, Message: message}
}

// wait waits for the first of the three, and reports whether it was done.
func wait(done, end <-chan struct{}, limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-end:
	case <-timer.C:
	}
	return false
}

// load counts what must end before a server has stopped: connections, and
// those requests that may outlive theirs. A request takes no lock that another
// connection takes.
type load struct {
	watched  atomic.Bool  // over is set
	requests atomic.Int64 // that have come since then; of HTTP/2 at least some

	mu     sync.Mutex
	open   int // connections
	inHand int
	over   chan struct{} // closed when all has ended; nil until watched
	done   bool
}

// connState is told the states of connections, which are those of our listener.
func (l *load) connState(nc net.Conn, state http.ConnState) {
	c := nc.(*conn)
	switch {
	case state == http.StateActive:
		c.request.Add(1)
	case state == http.StateNew && c.handed.Load():
		return // it was counted before
	}
	before := http.ConnState(c.state.Swap(int32(state)))
	switch {
	case state == http.StateNew:
		l.count(1)
	case state == http.StateClosed || state == http.StateHijacked:
		if before != http.StateClosed && before != http.StateHijacked {
			l.count(-1)
		}
	case state == http.StateActive && l.watched.Load():
		l.requests.Add(1)
	}
}

func (l *load) count(conns int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open += conns
	l.checkLocked()
}

// busy tells whether requests are in hand that may outlive their connections.
func (l *load) busy() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.inHand > 0
}

// enter counts a request; it is false where all is over.
func (l *load) enter() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.done {
		return false
	}
	l.inHand++
	return true
}

func (l *load) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inHand--
	l.checkLocked()
}

// watch tells when nothing is left. No connection may come in any more.
func (l *load) watch() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = make(chan struct{})
	l.watched.Store(true)
	l.checkLocked()
	return l.over
}

func (l *load) checkLocked() {
	if l.over != nil && !l.done && l.inHand == 0 && l.open == 0 {
		l.done = true
		close(l.over)
	}
}

// handedOver is a listener of connections that were accepted by another one.
type handedOver struct {
	net.Listener
	conns  chan *conn
	closed chan struct{}
	once   sync.Once
}

func newHandedOver(from net.Listener) *handedOver {
	return &handedOver{Listener: from, conns: make(chan *conn), closed: make(chan struct{})}
}

// add has Accept return a connection. It is false where the listener is closed.
func (h *handedOver) add(c *conn) bool {
	c.handed.Store(true)
	select {
	case h.conns <- c:
		return true
	case <-h.closed:
		return false
	}
}

func (h *handedOver) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

func (h *handedOver) Close() error {
	h.once.Do(func() { close(h.closed) })
	return nil
}
