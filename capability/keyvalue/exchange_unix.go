//go:build unix

package keyvalue

import (
	"io"
	"net"
	"os"
	"syscall"

	"github.com/waxosuit/waxo/capability/internal/sock"
)

// exchange is a command on its way to the server, and its answer on its way
// back. A read of the system's tries first, in vain where an answer cannot be
// there yet, and waits then; here the command is sent where that would try.
type exchange struct {
	out  []byte // what was written and is not sent
	sent int    // bytes of it that are
	full bool   // the system does not take more for now

	in   []byte // to read into
	n    int
	err  error
	step func(fd uintptr) bool // advance, which would be allocated each time
}

// maxHeld bounds what is not sent at once, in bytes: as much as the system takes.
const maxHeld = bufferSize

// hold takes what is written, to be sent with the next read. False: it takes no
// more.
func (x *exchange) hold(p []byte) bool {
	if len(x.out)+len(p) > maxHeld {
		return false
	}
	x.out = append(x.out, p...)
	return true
}

// advance sends and then reads. It is called when the system's poller has been
// told to notice what arrives from now on, and again when something has.
func (x *exchange) advance(fd uintptr) (done bool) {
	for x.sent < len(x.out) {
		n, err := sock.Write(fd, x.out[x.sent:])
		if x.sent += max(n, 0); x.sent == len(x.out) {
			return false
		}
		switch err {
		case nil, syscall.EINTR:
		case syscall.EAGAIN:
			x.full = true
			return true
		default:
			x.err = os.NewSyscallError("write", err)
			return true
		}
	}
	for {
		n, err := sock.Read(fd, x.in)
		switch {
		case err == syscall.EINTR:
		case err == syscall.EAGAIN:
			return false
		case err != nil:
			x.err = os.NewSyscallError("read", err)
			return true
		default:
			if x.n = n; n == 0 {
				x.err = io.EOF
			}
			return true
		}
	}
}

// readAnswer sends what is held, and reads.
func (c *conn) readAnswer(p []byte) (n int, err error) {
	x := &c.exchange
	if x.step == nil {
		x.step = x.advance
	}
	x.in, x.n, x.err, x.full = p, 0, nil, false
	err = c.raw.Read(x.step)
	x.in = nil
	rest := x.out[x.sent:]
	if len(rest) == 0 || x.full || x.err != nil {
		x.out, x.sent = x.out[:0], 0
	}
	switch {
	case err != nil:
		return 0, err
	case x.full:
		if _, err := c.send(rest); err != nil {
			return 0, err
		}
		return c.Conn.Read(p)
	case x.err != nil && x.err != io.EOF:
		return 0, &net.OpError{Op: "read", Net: c.LocalAddr().Network(), Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: x.err}
	}
	return x.n, x.err
}

// flush sends what is held.
func (c *conn) flush() error {
	rest := c.exchange.out[c.exchange.sent:]
	c.exchange.out, c.exchange.sent = c.exchange.out[:0], 0
	if len(rest) == 0 {
		return nil
	}
	_, err := c.send(rest)
	return err
}
