package grpcclient

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"sync"
)

const (
	// prefixSize is what stands before each message: whether it is compressed,
	// and its length.
	prefixSize = 5

	// trusted is how many bytes of a message are made room for before they have
	// come. It takes the server's word for no more.
	trusted = 1 << 20
)

// buffer is room for a message that is used again.
type buffer struct{ bytes []byte }

var buffers = sync.Pool{New: func() any { return new(buffer) }}

func takeBuffer() *buffer { return buffers.Get().(*buffer) }

// release gives the room back, unless it is more than is reasonable to keep.
func (b *buffer) release() {
	if cap(b.bytes) <= trusted+prefixSize {
		buffers.Put(b)
	}
}

// encode replaces what is in the buffer by a message and its prefix.
func (b *buffer) encode(m Message) {
	size := m.ProtoSize()
	b.bytes = append(slices.Grow(b.bytes[:0], prefixSize+size), 0, 0, 0, 0, 0)
	binary.BigEndian.PutUint32(b.bytes[1:], uint32(size))
	b.bytes = m.AppendProto(b.bytes)
}

// body is one message on its way to the server. net/http may read it until it has
// closed it, which may be after the answer has come.
type body struct {
	mu     sync.Mutex
	buffer *buffer // nil when it is closed
	sent   int
}

func newBody(m Message) *body {
	b := &body{buffer: takeBuffer()}
	b.buffer.encode(m)
	return b
}

// Read implements io.Reader. The end comes with the last byte, so that it needs no
// frame of its own.
func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.buffer == nil {
		return 0, io.EOF
	}
	n := copy(p, b.buffer.bytes[b.sent:])
	b.sent += n
	if b.sent == len(b.buffer.bytes) {
		return n, io.EOF
	}
	return n, nil
}

// Close implements io.Closer.
func (b *body) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.buffer != nil {
		b.buffer.release()
		b.buffer = nil
	}
	return nil
}

// readMessage puts the next message into a buffer. It returns io.EOF where there
// is none.
func readMessage(r io.Reader, b *buffer, limit int) error {
	size, err := readPrefix(r, b)
	if err != nil {
		return err
	}
	if size > limit {
		return &Error{ResourceExhausted, fmt.Sprintf("the server's message has %d bytes, more than the %d allowed", size, limit)}
	}
	return b.read(r, size)
}

func readPrefix(r io.Reader, b *buffer) (size int, err error) {
	if err := b.read(r, prefixSize); err != nil {
		return 0, err
	}
	if flag := b.bytes[0]; flag != 0 {
		return 0, &Error{Internal, fmt.Sprintf("the server's message is compressed (flag %d), which was not agreed on", flag)}
	}
	return int(binary.BigEndian.Uint32(b.bytes[1:])), nil
}

// read replaces what is in the buffer by as many bytes, and makes room as they
// come. It returns io.EOF where there is none, io.ErrUnexpectedEOF where there are
// fewer.
func (b *buffer) read(r io.Reader, size int) error {
	b.bytes = b.bytes[:0]
	for len(b.bytes) < size {
		had := len(b.bytes)
		next := min(size, max(cap(b.bytes), trusted, 2*had))
		b.bytes = slices.Grow(b.bytes, next-had)[:next]
		n, err := io.ReadFull(r, b.bytes[had:])
		b.bytes = b.bytes[:had+n]
		if err == io.EOF && had > 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
	}
	return nil
}
