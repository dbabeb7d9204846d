package keyvalue

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"
	"time"
)

// trusted is for how long after an answer a connection is taken to stand,
// without a look at it. A server that goes away does not come back sooner.
const trusted = 10 * time.Millisecond

// epoch is where the time of deadlines begins.
var epoch = time.Now()

func now() time.Duration { return time.Since(epoch) }

// plainly makes a dialer whose connections cost less than the system's, where
// nothing stands between go-redis and the system. Dialing does not fail: where no
// connection comes about, using it does. Otherwise go-redis, after as many failures
// as its pool has room for, would not dial but once a second, and calls would fail
// for that long after the server is back.
func plainly(dial func(ctx context.Context, network, address string) (net.Conn, error)) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		inner, err := dial(ctx, network, address)
		if err != nil {
			return refused{err}, nil
		}
		system, ok := inner.(syscall.Conn)
		if !ok {
			return inner, nil
		}
		raw, err := system.SyscallConn()
		if err != nil {
			return inner, nil
		}
		c := &conn{Conn: inner, raw: raw}
		c.read.set, c.write.set = inner.SetReadDeadline, inner.SetWriteDeadline
		return c, nil
	}
}

// refused is a connection that did not come about. go-redis drops it when its first
// use fails or, where it lay idle, when it is looked at.
type refused struct{ err error }

func (r refused) Read([]byte) (int, error)              { return 0, r.err }
func (r refused) Write([]byte) (int, error)             { return 0, r.err }
func (r refused) SyscallConn() (syscall.RawConn, error) { return nil, r.err }
func (r refused) Close() error                          { return nil }
func (r refused) LocalAddr() net.Addr                   { return nowhere{} }
func (r refused) RemoteAddr() net.Addr                  { return nowhere{} }
func (r refused) SetDeadline(time.Time) error           { return nil }
func (r refused) SetReadDeadline(time.Time) error       { return nil }
func (r refused) SetWriteDeadline(time.Time) error      { return nil }

// nowhere is where it leads.
type nowhere struct{}

func (nowhere) Network() string { return "tcp" }
func (nowhere) String() string  { return "nowhere" }

// conn is a connection of go-redis, which sets four deadlines for each command
// and looks whether the connection stands. One goroutine at a time uses it, but
// for Close.
type conn struct {
	net.Conn
	raw         syscall.RawConn
	read, write deadline
	answered    time.Duration // when it was read from last
	exchange    exchange
}

func (c *conn) SetReadDeadline(t time.Time) error  { return c.read.move(t) }
func (c *conn) SetWriteDeadline(t time.Time) error { return c.write.move(t) }

func (c *conn) SetDeadline(t time.Time) error {
	return errors.Join(c.read.move(t), c.write.move(t))
}

func (c *conn) Read(p []byte) (n int, err error) {
	for {
		if len(c.exchange.out) > 0 {
			n, err = c.readAnswer(p)
		} else {
			n, err = c.Conn.Read(p)
		}
		if err == nil {
			c.answered = now()
			return n, nil
		}
		if n > 0 || !c.read.early(err) {
			return n, err
		}
	}
}

// Write has small commands sent when their answer is read, which is what comes
// next. What goes wrong with that is told then.
func (c *conn) Write(p []byte) (int, error) {
	if c.exchange.hold(p) {
		return len(p), nil
	}
	if err := c.flush(); err != nil {
		return 0, err
	}
	return c.send(p)
}

func (c *conn) send(p []byte) (written int, err error) {
	for {
		n, err := c.Conn.Write(p[written:])
		if written += n; err == nil || !c.write.early(err) {
			return written, err
		}
	}
}

// SyscallConn is what go-redis looks at a connection through.
func (c *conn) SyscallConn() (syscall.RawConn, error) { return (*look)(c), nil }

// look is a connection as go-redis looks whether it stands.
type look conn

func (l *look) Control(f func(fd uintptr)) error    { return l.raw.Control(f) }
func (l *look) Write(f func(fd uintptr) bool) error { return l.raw.Write(f) }

func (l *look) Read(f func(fd uintptr) bool) error {
	if l.answered != 0 && now()-l.answered < trusted {
		return nil
	}
	if err := l.read.clear(); err != nil {
		return err
	}
	return l.raw.Read(f)
}

// deadline is one of a connection's two. The system's own is moved only where it
// would be too late: where it comes too early, it is moved then.
type deadline struct {
	set  func(time.Time) error // sets the system's own
	want time.Time             // zero: none
	own  time.Time             // the system's; zero: none
}

func (d *deadline) move(t time.Time) error {
	d.want = t
	if t.IsZero() || !d.own.IsZero() && !t.Before(d.own) {
		return nil
	}
	d.own = t
	return d.set(t)
}

// early tells whether an error is only that the system's deadline has passed,
// while the one that is wanted has not, and sets it.
func (d *deadline) early(err error) bool {
	if !errors.Is(err, os.ErrDeadlineExceeded) || !d.want.IsZero() && !time.Now().Before(d.want) {
		return false
	}
	d.own = d.want
	return d.set(d.want) == nil
}

// clear takes the system's deadline away, where none is wanted.
func (d *deadline) clear() error {
	if !d.want.IsZero() || d.own.IsZero() {
		return nil
	}
	d.own = time.Time{}
	return d.set(time.Time{})
}
