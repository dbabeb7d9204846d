package httpserver

import (
	"context"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// net/http moves the deadlines of a connection half a dozen times for each
// request, and each time the runtime's timers move with them. Here a deadline is
// a number, until a watch that looks at all connections now and then finds that
// one is over.
//
// While a request is in hand, net/http reads from its connection all the time, to
// notice that the client has gone. Here that is the watch's work, too: a request
// that is answered before the watch comes around costs no system call for it.

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
		every = min(every, max(minLook, t/looksPerTimeout))
	}
	return &watch{every: every, conns: make(map[*conn]struct{})}
}

// add puts a connection under the watch, until it is closed.
func (w *watch) add(inner net.Conn) *conn {
	c := &conn{Conn: inner, watch: w, socket: socketOf(inner), gone: func() {}}
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

// closeSilent closes the connections that have not sent anything: browsers
// open some in advance, and net/http would wait 5 s for them.
func (w *watch) closeSilent() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.conns {
		if http.ConnState(c.state.Load()) == http.StateNew {
			_ = c.Conn.Close() // its goroutine sees the end
		}
	}
}

// conn is a connection under a watch.
type conn struct {
	net.Conn
	watch       *watch
	read, write deadline
	state       atomic.Int32       // an http.ConnState; http.StateNew is 0
	gone        context.CancelFunc // ends the contexts of the connection's requests

	socket   syscall.RawConn // nil where the client is looked for by reading
	request  atomic.Uint32   // counts the requests
	unread   atomic.Uint32   // the request in which the watch looks for the client
	lookedIn uint32          // the value of unread when the watch last looked
}

// enter tells that a request has come in.
func (c *conn) enter() { c.request.Add(1) }

// Read reads. The byte that net/http asks for while a request is in hand is not
// waited for: the read says, once for each request, that there is nothing yet,
// and the watch looks for the client from then on.
func (c *conn) Read(b []byte) (int, error) {
	if len(b) == 1 && c.socket != nil && http.ConnState(c.state.Load()) == http.StateActive {
		if request := c.request.Load(); c.unread.Load() != request {
			c.unread.Store(request)
			return 0, nil
		}
	}
	if !c.read.enter() {
		return 0, os.ErrDeadlineExceeded
	}
	n, err := c.Conn.Read(b)
	c.read.leave()
	return n, err
}

// Write writes.
func (c *conn) Write(b []byte) (int, error) {
	if !c.write.enter() {
		return 0, os.ErrDeadlineExceeded
	}
	n, err := c.Conn.Write(b)
	c.write.leave()
	return n, err
}

// lookForClient ends the request in hand where the client has gone away, if the
// request was in hand at the look before. The watch calls it.
func (c *conn) lookForClient() {
	unread := c.unread.Load()
	if unread != c.request.Load() || http.ConnState(c.state.Load()) != http.StateActive {
		return
	}
	if c.lookedIn == unread && !isOpen(c.socket) {
		c.gone()
	}
	c.lookedIn = unread
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
	if d.ended.Load() {
		d.inUse.Add(-1)
		return false
	}
	return true
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
