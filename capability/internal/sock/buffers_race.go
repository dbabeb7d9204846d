//go:build race

package sock

import "net"

// WriteBuffers writes several buffers, one after the other: package net does not
// tell the race detector of writev(2).
func WriteBuffers(c net.Conn, b *net.Buffers) (written int64, err error) {
	for _, p := range *b {
		n, err := c.Write(p)
		written += int64(n)
		if err != nil {
			return written, err
		}
	}
	return written, nil
}
