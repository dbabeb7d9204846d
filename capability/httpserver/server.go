package httpserver

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waxosuit/waxo/capability"
)

const (
	// settle is for how long no request may have come before a drain closes
	// kept-alive connections: a client that is about to reuse one gets its
	// answer, with the news that the connection ends, instead of a closed
	// connection.
	settle = 250 * time.Millisecond

	// cutGrace is how long requests may take to notice that they were cut off.
	cutGrace = 5 * time.Second
)

// server is one binding: a listener and the HTTP server on it.
type server struct {
	listener net.Listener
	http     http.Server
	handler  http.Handler // the guest, with Options.Wrap in front
	timeout  time.Duration
	logger   *slog.Logger
	cancel   context.CancelFunc // ends the contexts of all requests
	served   chan struct{}      // closed when the listener is done
	draining atomic.Bool
	load     load
	watch    *watch

	stopping atomic.Bool
	wasCut   atomic.Bool   // requests were cut off
	stopped  chan struct{} // closed when stopErr is set
	stopErr  error
}

func newServer(p *Provider, b capability.Binding, d capability.Dispatcher, listener net.Listener) *server {
	o := &p.options
	ctx, cancel := context.WithCancel(context.Background())
	s := &server{
		watch:   newWatch(o.ReadHeaderTimeout, o.ReadTimeout, o.WriteTimeout, o.IdleTimeout),
		timeout: o.DrainTimeout,
		logger:  o.Logger.With("guest", b.GuestName, "binding", b.Name),
		cancel:  cancel,
		served:  make(chan struct{}),
		stopped: make(chan struct{}),
	}
	s.listener = &watchedListener{Listener: listener, watch: s.watch}
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
	s.http = http.Server{
		Handler:                      s,
		ReadHeaderTimeout:            o.ReadHeaderTimeout,
		IdleTimeout:                  o.IdleTimeout,
		MaxHeaderBytes:               o.MaxHeader,
		DisableGeneralOptionsHandler: true, // OPTIONS * is the guest's too
		ErrorLog:                     slog.NewLogLogger(s.logger.Handler(), slog.LevelWarn),
		BaseContext:                  func(net.Listener) context.Context { return ctx },
		ConnContext:                  connContext,
		ConnState:                    s.load.connState,
		HTTP2:                        &http.HTTP2Config{WriteByteTimeout: o.WriteTimeout},
		Protocols:                    new(http.Protocols),
	}
	s.http.Protocols.SetHTTP1(true)
	s.http.Protocols.SetUnencryptedHTTP2(true)
	return s
}

// connContext lets a connection end the requests on it.
func connContext(ctx context.Context, nc net.Conn) context.Context {
	c := nc.(*conn)
	ctx, c.gone = context.WithCancel(ctx)
	return ctx
}

// serve accepts connections until the listener is closed.
func (s *server) serve() {
	defer close(s.served)
	if err := s.http.Serve(s.listener); !s.draining.Load() {
		s.logger.Error("the HTTP server has stopped", "address", s.listener.Addr().String(), "error", err)
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
	s.watch.closeSilent()
	shutdown := make(chan struct{})
	go func() {
		defer close(shutdown)
		_ = s.http.Shutdown(ctx) // ends idle connections; nothingLeft tells the rest
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
	_ = s.http.Close() // only the listener's error, which drain has seen
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
	if state == http.StateActive {
		c.enter()
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

// watchedListener puts its connections under a watch. It is closed once, though
// both drain and net/http close it.
type watchedListener struct {
	net.Listener
	watch *watch
	once  sync.Once
	err   error
}

func (l *watchedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.watch.add(c), nil
}

func (l *watchedListener) Close() error {
	l.once.Do(func() { l.err = l.Listener.Close() })
	return l.err
}
