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

// consent tells a client that waits to send its body.
func (w *response) consent() error {
	if !w.expected.Load() {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.expected.Load() {
		return nil
	}
	w.expected.Store(false)
	setDeadline(w.conn.SetWriteDeadline, w.server.WriteTimeout)
	_, err := io.WriteString(w.conn, "HTTP/1.1 100 Continue\r\n\r\n")
	return err
}

// withdrawConsent keeps consent from being given once the answer has begun. A
// client that still waits for it may send its body or not: its connection ends.
func (w *response) withdrawConsent() {
	if !w.expected.Load() {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.expected.Load() {
		w.expected.Store(false)
		w.closes = true
	}
}
