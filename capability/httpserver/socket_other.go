//go:build !unix

package httpserver

import "syscall"

// socket is the system's end of a connection, which on this system is left to
// net/http: raw is nil, and nothing else is called.
type socket struct{ raw syscall.RawConn }

func (c *conn) setSocket() {}

func (c *conn) readSocket([]byte) (int, error) { return 0, syscall.EINVAL }

func (c *conn) writeSocket([]byte) (int, error) { return 0, syscall.EINVAL }

func (s *socket) isOpen() bool { return true }
