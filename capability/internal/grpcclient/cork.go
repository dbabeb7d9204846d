package grpcclient

import (
	"encoding/binary"
	"net"
	"sync"
)

// cork is a connection that keeps the headers of a request until what follows them
// is written, which net/http writes apart. So a call is one record of TLS and one
// write to the system instead of two.
//
// Headers that are kept do not wait for anything that they could bring about: the
// body that follows is there already, and everything else that is written takes
// them along. A stream, whose first message may be long in coming, flushes.
type cork struct {
	net.Conn

	mu      sync.Mutex
	kept    []byte
	skip    int    // bytes until the next frame begins
	partial []byte // of a frame's header that has not come whole
	open    bool   // the last frame was of headers, and more of the request follows
}

// RFC 9113: the preface, section 3.4; frames, section 4.1.
const (
	preface     = len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	frameHeader = 9

	typeHeaders    = 0x1
	flagEndStream  = 0x1
	flagEndHeaders = 0x4
)

func newCork(c net.Conn) *cork { return &cork{Conn: c, skip: preface} }

// Write implements net.Conn.
func (c *cork) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.follow(b); c.open && c.skip == 0 && len(c.partial) == 0 {
		c.kept = append(c.kept, b...)
		return len(b), nil
	}
	if len(c.kept) == 0 {
		return c.Conn.Write(b)
	}
	c.kept = append(c.kept, b...)
	if err := c.write(); err != nil {
		return 0, err
	}
	return len(b), nil
}

// flush writes what is kept. An error is the next reader's or writer's, too.
func (c *cork) flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.kept) > 0 {
		_ = c.write()
	}
}

func (c *cork) write() error {
	_, err := c.Conn.Write(c.kept)
	c.kept = c.kept[:0]
	return err
}

// follow looks where frames begin, and what the last one is.
func (c *cork) follow(b []byte) {
	for {
		n := min(c.skip, len(b))
		c.skip -= n
		if b = b[n:]; len(b) == 0 {
			return
		}
		n = min(frameHeader-len(c.partial), len(b))
		c.partial = append(c.partial, b[:n]...)
		b = b[n:]
		if len(c.partial) < frameHeader {
			return
		}
		c.skip = int(binary.BigEndian.Uint32(c.partial) >> 8)
		c.open = c.partial[3] == typeHeaders && c.partial[4]&flagEndHeaders != 0 && c.partial[4]&flagEndStream == 0
		c.partial = c.partial[:0]
	}
}
