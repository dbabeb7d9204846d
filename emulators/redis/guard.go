package redis

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
)

// The limits of Redis for what a client sends.
const (
	maxBulk   = 512 << 20 // bytes of one argument
	maxArgs   = 1 << 20   // arguments of one command
	maxInline = 64 << 10  // bytes of a command without framing, or of a header
)

// guard checks the framing of what a client sends before miniredis reads it,
// which takes lengths at their word. It passes commands on as they are, leaves
// empty ones out, and frames those that come as a plain line.
type guard struct {
	net.Conn
	r       *bufio.Reader
	pending []byte // to be handed out before anything else
	bulk    int64  // bytes of the current argument to be handed out, with its end of line
	args    int64  // arguments of the current command still to come
	err     error
}

func newGuard(conn net.Conn) *guard {
	return &guard{Conn: conn, r: bufio.NewReaderSize(conn, maxInline)}
}

// Read implements net.Conn for the one goroutine that reads.
func (g *guard) Read(p []byte) (int, error) {
	for len(g.pending) == 0 && g.bulk == 0 {
		if g.err == nil {
			g.err = g.header()
		}
		if g.err != nil {
			return 0, g.err
		}
	}
	if len(g.pending) > 0 {
		n := copy(p, g.pending)
		g.pending = g.pending[n:]
		return n, nil
	}
	n, err := g.r.Read(p[:min(int64(len(p)), g.bulk)])
	g.bulk -= int64(n)
	return n, err
}

// header reads the line that comes before an argument or a command.
func (g *guard) header() error {
	line, err := g.r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return g.refuse("too big inline request")
	}
	if err != nil {
		return err
	}
	text := bytes.TrimRight(line, "\r\n")
	switch {
	case g.args > 0:
		n, ok := length(text, '$', maxBulk)
		if !ok {
			return g.refuse("invalid bulk length")
		}
		g.args--
		g.bulk = n + 2
		g.pending = fmt.Appendf(nil, "$%d\r\n", n)
	case len(text) > 0 && text[0] == '*':
		n, ok := length(text, '*', maxArgs)
		if !ok {
			return g.refuse("invalid multibulk length")
		}
		g.args = n
		if n > 0 {
			g.pending = fmt.Appendf(nil, "*%d\r\n", n)
		}
	default:
		g.pending = frame(bytes.Fields(text))
	}
	return nil
}

// length reads a header; below 0 counts as 0 for a command, and not at all for
// an argument.
func length(text []byte, kind byte, limit int64) (int64, bool) {
	if len(text) == 0 || text[0] != kind {
		return 0, false
	}
	n, err := strconv.ParseInt(string(text[1:]), 10, 64)
	if err != nil || n > limit || n < 0 && kind == '$' {
		return 0, false
	}
	return max(n, 0), true
}

func frame(fields [][]byte) []byte {
	if len(fields) == 0 {
		return nil
	}
	b := fmt.Appendf(nil, "*%d\r\n", len(fields))
	for _, f := range fields {
		b = fmt.Appendf(b, "$%d\r\n%s\r\n", len(f), f)
	}
	return b
}

// refuse tells the client why, and ends its connection.
func (g *guard) refuse(why string) error {
	// The client may be gone already; there is nobody else to tell.
	_, _ = io.WriteString(g.Conn, "-ERR Protocol error: "+why+"\r\n")
	return io.EOF
}
