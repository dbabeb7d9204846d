//go:build !race

package sock

import "net"

// WriteBuffers writes several buffers, to a socket with one system call.
func WriteBuffers(c net.Conn, b *net.Buffers) (int64, error) { return b.WriteTo(c) }
