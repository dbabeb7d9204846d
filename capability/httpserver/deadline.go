package httpserver

import (
	"context"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waxosuit/waxo/capability/internal/sock"
)

// The deadlines of a connection move several times for each request, and as a rule
// the runtime's timers move with them. Here a deadline is a number, until a watch
// that looks at all connections now and then finds that one is over.
//
// That a client has gone while its request is in hand is noticed by the watch, too:
// a request that is answered before the watch comes around costs no system call
// for it.

const (
	// looksPerTimeout is how often the watch looks within the shortest timeout: a
	// deadline may be late by that part of it.
	looksPerTimeout = 20

	// The bounds of the time between two looks.
	minLook = 5 * time.Millisecond
	maxLook = 250 * time.Millisecond
)

// epoch is where the time of deadlines begins.
var epoch = time.Now()

// longAgo is a deadline that is over.
var longAgo = time.Unix(1, 0)

// watch looks after the deadlines of a server's connections. It runs while there
// are any.
type watch struct {
	every time.Duration

	mu      sync.Mutex
	conns   map[*conn]struct{}
	timer   *time.Timer
	running bool
	stopped bool
}

// newWatch makes a watch over deadlines that are set with these timeouts.
func newWatch(timeouts ...time.Duration) *watch {
	every := maxLook
	for _, t := range timeouts {
		if t >= 0 {
			every = min(every, max(minLook, t/looksPerTimeout))
		}
	}
	return &watch{every: every, conns: make(map[*conn]struct{})}
}

// add puts a connection under the watch, until it is closed. The contexts of its
// requests end with ctx.
func (w *watch) add(ctx context.Context, inner net.Conn) *conn {
	c := &conn{Conn: inner, watch: w, enter: func(http.ConnState) bool { return true }}
	c.setSocket()
	c.ctx, c.gone = context.WithCancel(ctx)
	c.read.set, c.write.set = inner.SetReadDeadline, inner.SetWriteDeadline
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conns[c] = struct{}{}
	w.run()
	return c
}

func (w *watch) remove(c *conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.conns, c)
}

// run sees to it that the watch looks again. The caller holds the lock.
func (w *watch) run() {
	if w.running || w.stopped || len(w.conns) == 0 {
		return
	}
	w.running = true
	if w.timer == nil {
		w.timer = time.AfterFunc(w.every, w.look)
	} else {
		w.timer.Reset(w.every)
	}
}

func (w *watch) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.running = false; w.stopped {
		return
	}
	now := int64(time.Since(epoch))
	for c := range w.conns {
		c.read.look(now)
		c.write.look(now)
		c.lookForClient()
	}
	w.run()
}

// stop ends the watch. When it returns, nothing looks any more.
func (w *watch) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopped = true
	if w.timer != nil {
		w.timer.Stop()
	}
}

// busy tells whether a connection has a request in hand.
func (w *watch) busy() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.conns {
		if http.ConnState(c.state.Load()) == http.StateActive {
			return true
		}
	}
	return false
}

// closeWaiting closes the connections that wait for a request. Browsers open some
// in advance, for which net/http would wait 5 s; but those of its connections that
// had a request are its own to end.
func (w *watch) closeWaiting() {
	w.closeThose(func(c *conn) bool {
		state := http.ConnState(c.state.Load())
		return state == http.StateNew || state == http.StateIdle && !c.handed.Load()
	})
}

func (w *watch) closeAll() { w.closeThose(func(*conn) bool { return true }) }

func (w *watch) closeThose(which func(*conn) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.conns {
		if which(c) {
			_ = c.Conn.Close() // its goroutine sees the end
		}
	}
}

// conn is a connection under a watch.
type conn struct {
	net.Conn
	watch       *watch
	read, write deadline
	state       atomic.Int32 // an http.ConnState; http.StateNew is 0
	handed      atomic.Bool  // net/http serves it
	replay      []byte       // what was read of it before it was handed over
	ctx         context.Context
	gone        context.CancelFunc // ends ctx

	enter    func(http.ConnState) bool // tells the server of a state
	socket   socket
	request  atomic.Uint32 // counts the requests
	lookedIn uint32        // the request in hand when the watch last looked
}

// Enter is told that the connection enters a state. The connection ends where it
// is false.
func (c *conn) Enter(state http.ConnState) bool { return c.enter(state) }

// Read reads.
func (c *conn) Read(b []byte) (int, error) {
	if len(c.replay) > 0 {
		n := copy(b, c.replay)
		c.replay = c.replay[n:]
		return n, nil
	}
	if !c.read.enter() {
		return 0, os.ErrDeadlineExceeded
	}
	defer c.read.leave()
	if c.socket.raw == nil || c.handed.Load() {
		return c.Conn.Read(b)
	}
	return c.readSocket(b)
}

// Write writes.
func (c *conn) Write(b []byte) (int, error) {
	if !c.write.enter() {
		return 0, os.ErrDeadlineExceeded
	}
	defer c.write.leave()
	if c.socket.raw == nil || c.handed.Load() {
		return c.Conn.Write(b)
	}
	return c.writeSocket(b)
}

// WriteBuffers writes several buffers, to a socket with one call of the system.
func (c *conn) WriteBuffers(b *net.Buffers) (int64, error) {
	if !c.write.enter() {
		return 0, os.ErrDeadlineExceeded
	}
	n, err := sock.WriteBuffers(c.Conn, b)
	c.write.leave()
	return n, err
}

// lookForClient ends the request in hand where the client has gone away, if the
// request was in hand at the look before. The watch calls it. net/http looks for
// its clients by reading.
func (c *conn) lookForClient() {
	request := c.request.Load()
	if c.handed.Load() || http.ConnState(c.state.Load()) != http.StateActive {
		return
	}
	if c.lookedIn == request && !c.socket.isOpen() {
		c.gone()
	}
	c.lookedIn = request
}

func (c *conn) SetReadDeadline(t time.Time) error  { return c.read.move(t) }
func (c *conn) SetWriteDeadline(t time.Time) error { return c.write.move(t) }

func (c *conn) SetDeadline(t time.Time) error {
	if err := c.read.move(t); err != nil {
		return err
	}
	return c.write.move(t)
}

func (c *conn) Close() error {
	c.watch.remove(c)
	c.gone()
	return c.Conn.Close()
}

// CloseWrite closes the sending half, where the connection can. net/http asks
// for it, to have the client read the last answer before all is over.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// deadline is one of a connection's two.
type deadline struct {
	set   func(time.Time) error // sets the connection's own
	at    atomic.Int64          // since epoch; 0: none
	ended atomic.Bool           // it is over
	inUse atomic.Int32          // how many wait for the connection, or are about to

	mu    sync.Mutex // for ended, isSet and set
	isSet bool       // the connection's own is longAgo
}

// enter is called before the connection's own operation, and leave after it.
// Where enter is false the deadline is over.
//
// Here inUse is written before ended is read, in end it is the other way around:
// so an operation either knows that its time is over, or is ended.
func (d *deadline) enter() bool {
	d.inUse.Add(1)
	if d.ended.Load() && d.isOver() {
		d.inUse.Add(-1)
		return false
	}
	return true
}

// isOver tells whether the deadline is over, and look is not just about to find
// that it was another one.
func (d *deadline) isOver() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ended.Load()
}

func (d *deadline) leave() { d.inUse.Add(-1) }

// move sets the deadline to a time: one that is over before the first connection
// came in ends what waits for the connection at once.
//
// Here at is written before ended is read, in look it is the other way around. So
// a deadline that is moved away in time is never met: one of the two sees what
// the other one does.
func (d *deadline) move(t time.Time) error {
	var at int64
	if !t.IsZero() {
		if at = int64(t.Sub(epoch)); at <= 0 {
			return d.end()
		}
	}
	d.at.Store(at)
	if !d.ended.Load() {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ended.Store(false)
	if !d.isSet {
		return nil
	}
	d.isSet = false
	return d.set(time.Time{})
}

func (d *deadline) end() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.at.Store(0)
	d.ended.Store(true)
	return d.stopLocked()
}

// stopLocked ends what waits for the connection.
func (d *deadline) stopLocked() error {
	if d.inUse.Load() == 0 || d.isSet {
		return nil
	}
	d.isSet = true
	return d.set(longAgo)
}

// look ends what waits for the connection where the deadline is over.
func (d *deadline) look(now int64) {
	at := d.at.Load()
	if at == 0 || at > now {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ended.Load() {
		return
	}
	d.ended.Store(true)
	if d.at.Load() != at {
		d.ended.Store(false)
		return
	}
	_ = d.stopLocked() // fails where the connection is closed, which ends it too
}
