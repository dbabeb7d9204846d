//go:build unix

package httpserver

import (
	"net"
	"syscall"
)

// socketOf returns what isOpen looks through, or nil where the connection has no
// socket.
func socketOf(c net.Conn) syscall.RawConn {
	s, ok := c.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}

// isOpen tells whether more may come from the other side. It takes nothing from
// the socket and does not wait, whoever else reads from it.
func isOpen(socket syscall.RawConn) bool {
	open := true
	err := socket.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		open = n > 0 || err == syscall.EAGAIN || err == syscall.EINTR
	})
	return open && err == nil
}
