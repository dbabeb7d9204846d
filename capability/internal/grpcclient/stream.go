package grpcclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync"
)

// Stream is a method that takes and gives messages for as long as it lasts. One
// Send and one Recv may be under way at once.
type Stream struct {
	ctx    context.Context
	cancel context.CancelFunc

	requests *io.PipeWriter
	out      buffer

	opened   chan struct{} // closed when the headers of the answer have come, or will not
	response *http.Response
	failed   error
}

// TooLargeError is what Recv gives in place of a message that it passes over.
type TooLargeError struct {
	Size int    // of the message, in bytes
	Head []byte // its first kilobyte
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("the server's message has %d bytes, more than is allowed", e.Size)
}

// Stream begins a method, and returns when the server has been told, so that what
// is called afterwards comes later. The stream lasts until its end, until ctx
// ends, or until Close, which must be called.
func (c *Conn) Stream(ctx context.Context, method string) (*Stream, error) {
	ctx, cancel := context.WithCancel(ctx)
	body, requests := io.Pipe()
	s := &Stream{ctx: ctx, cancel: cancel, requests: requests, opened: make(chan struct{})}
	begun := make(chan struct{})
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: sync.OnceFunc(func() { close(begun) })})
	go func() {
		s.response, s.failed = c.open(traced, method, body)
		close(s.opened)
	}()
	select {
	case <-begun:
		c.cork.flush()
	case <-s.opened:
		if s.failed != nil {
			s.Close()
			return nil, s.failed
		}
	}
	return s, nil
}

// Send sends a message. It waits for room at the server. An error says no more
// than that the stream has ended: Recv knows why.
func (s *Stream) Send(m Message) error {
	s.out.encode(m)
	_, err := s.requests.Write(s.out.bytes)
	if cap(s.out.bytes) > trusted {
		s.out.bytes = nil
	}
	if err != nil {
		return &Error{Unavailable, "the stream has ended"}
	}
	return nil
}

// CloseSend tells the server that no more messages will come.
func (s *Stream) CloseSend() { s.requests.Close() }

// Recv waits for the next message, which may keep the bytes that it is decoded
// from. It returns io.EOF when the server has ended the stream well, a
// *TooLargeError for a message of more than limit bytes, after which there may be
// others, and an *Error when the stream failed.
func (s *Stream) Recv(m Message, limit int) error {
	<-s.opened
	if s.failed != nil {
		return s.failed
	}
	var b buffer
	err := s.receive(&b, limit)
	if tooLarge := (*TooLargeError)(nil); errors.As(err, &tooLarge) {
		return tooLarge
	}
	if err == io.EOF {
		if err := failure(s.ctx, s.response, err); err != nil {
			return err
		}
		return io.EOF
	}
	if err != nil {
		return failure(s.ctx, s.response, err)
	}
	return decode(m, b.bytes)
}

// receive reads a message, or passes over it.
func (s *Stream) receive(b *buffer, limit int) error {
	const head = 1 << 10
	size, err := readPrefix(s.response.Body, b)
	if err != nil {
		return err
	}
	if size <= limit {
		return b.read(s.response.Body, size)
	}
	if err := b.read(s.response.Body, min(size, head)); err != nil {
		return err
	}
	switch _, err := io.CopyN(io.Discard, s.response.Body, int64(size-len(b.bytes))); err {
	case nil:
	case io.EOF:
		return io.ErrUnexpectedEOF
	default:
		return err
	}
	return &TooLargeError{Size: size, Head: b.bytes}
}

// Close ends the stream, whatever is under way, and waits for that. It may be
// called twice.
func (s *Stream) Close() {
	s.cancel()
	s.requests.Close()
	<-s.opened
	if s.response != nil {
		s.response.Body.Close()
	}
}
