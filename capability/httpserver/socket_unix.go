//go:build unix

package httpserver

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"

	"github.com/waxosuit/waxo/capability/internal/sock"
)

// socket is the system's end of a connection.
type socket struct {
	raw syscall.RawConn // nil where the connection is no socket

	// A read and a write that are under way.
	reading, writing sync.Mutex
	in               []byte
	inN              int
	inErr            error
	out              []byte
	outErr           error
	steps            struct{ read, write func(fd uintptr) bool } // which would be allocated each time
}

func (c *conn) setSocket() {
	var s syscall.Conn
	switch inner := c.Conn.(type) { // and no other: one that embeds them may read and write in its own way
	case *net.TCPConn:
		s = inner
	case *net.UnixConn:
		s = inner
	default:
		return
	}
	if raw, err := s.SyscallConn(); err == nil {
		c.socket.raw = raw
		c.socket.steps.read, c.socket.steps.write = c.readStep, c.writeStep
	}
}

// readSocket reads. The caller has entered the deadline.
func (c *conn) readSocket(b []byte) (int, error) {
	s := &c.socket
	s.reading.Lock()
	defer s.reading.Unlock()
	s.in = b
	err := s.raw.Read(s.steps.read)
	s.in = nil
	switch {
	case err != nil:
		return 0, err
	case s.inErr != nil:
		return 0, &net.OpError{Op: "read", Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: os.NewSyscallError("read", s.inErr)}
	case s.inN == 0 && len(b) > 0:
		return 0, io.EOF
	}
	return s.inN, nil
}

func (c *conn) readStep(fd uintptr) (done bool) {
	s := &c.socket
	for {
		switch s.inN, s.inErr = sock.Read(fd, s.in); s.inErr {
		case syscall.EINTR:
		case syscall.EAGAIN:
			return false
		default:
			return true
		}
	}
}

// writeSocket writes. The caller has entered the deadline.
func (c *conn) writeSocket(b []byte) (int, error) {
	s := &c.socket
	s.writing.Lock()
	defer s.writing.Unlock()
	s.out = b
	err := s.raw.Write(s.steps.write)
	n := len(b) - len(s.out)
	s.out = nil
	switch {
	case err != nil:
		return n, err
	case n < len(b):
		return n, &net.OpError{Op: "write", Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: os.NewSyscallError("write", s.outErr)}
	}
	return n, nil
}

func (c *conn) writeStep(fd uintptr) (done bool) {
	s := &c.socket
	for len(s.out) > 0 {
		n, err := sock.Write(fd, s.out)
		switch err {
		case nil:
			s.out = s.out[n:]
		case syscall.EINTR:
		case syscall.EAGAIN:
			return false
		default:
			s.outErr = err
			return true
		}
	}
	return true
}

// isOpen tells whether more may come from the other side. It takes nothing from
// the socket and does not wait, whoever else reads from it.
func (s *socket) isOpen() bool {
	open := true
	err := s.raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		open = n > 0 || err == syscall.EAGAIN || err == syscall.EINTR
	})
	return open && err == nil
}
