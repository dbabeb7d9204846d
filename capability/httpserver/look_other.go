//go:build !unix

package httpserver

import (
	"net"
	"syscall"
)

// socketOf returns nil: a client that has gone is noticed by reading.
func socketOf(net.Conn) syscall.RawConn { return nil }

func isOpen(syscall.RawConn) bool { return true }
