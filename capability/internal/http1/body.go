package http1

import (
	"io"
	"net/http"
	"sync"
)

// requestBody is a request's body, as its handler sees it.
type requestBody struct {
	of       io.ReadCloser
	response *response

	mu     sync.Mutex
	ended  bool
	closed bool
}

func (b *requestBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return 0, http.ErrBodyReadAfterClose
	}
	if err := b.response.consent(); err != nil {
		return 0, err
	}
	n, err := b.of.Read(p)
	b.ended = b.ended || err == io.EOF
	return n, err
}

// Close keeps the handler from reading more, and waits for a Read. What is left
// of the body is not the handler's affair.
func (b *requestBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	return nil
}

func (b *requestBody) isUnread() bool {
	if b == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.ended
}

// discard reads what is left of the body, where it is not much.
func (b *requestBody) discard() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	n, err := io.CopyN(io.Discard, b.of, maxUnread+1)
	b.ended = err == io.EOF && n <= maxUnread
	return b.ended
}

// expectation is that of a client which waits for consent before it sends its body.
type expectation struct {
	is bool // there is one

	mu      sync.Mutex // held while something is sent that may come before the answer
	settled bool       // consent was given, or there will be none
}

// consent tells a client that waits to send its body.
func (w *response) consent() error {
	e := &w.expects
	if !e.is {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.settled {
		return nil
	}
	e.settled = true
	setDeadline(w.conn.SetWriteDeadline, w.server.WriteTimeout)
	_, err := io.WriteString(w.conn, "HTTP/1.1 100 Continue\r\n\r\n")
	return err
}

// withdrawConsent keeps consent from being given once the answer has begun. A
// client that still waits for it may send its body or not: its connection ends.
func (w *response) withdrawConsent() {
	e := &w.expects
	if !e.is {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	w.closes = w.closes || !e.settled
	e.settled = true
}

// sendHints sends a response that comes before the answer (RFC 9110, 15.2).
func (w *response) sendHints(status int) {
	e := &w.expects
	e.mu.Lock()
	defer e.mu.Unlock()
	if status == http.StatusContinue {
		if e.settled {
			return
		}
		e.settled = true
	}
	w.writeStatus(status)
	_ = w.header.WriteSubset(&w.head, ours) // a buffer takes everything
	_, _ = w.send(nil, "\r\n")
}
