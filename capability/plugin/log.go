package plugin

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"
)

const (
	maxLine   = 4 << 10 // bytes of a line that are logged
	lineBurst = 200     // lines that are logged at once
	lineRate  = 50      // lines a second after that
)

// lineLog writes what a plugin writes to the host's log, a line at a time and
// never more than is bearable.
type lineLog struct {
	log *slog.Logger

	mu      sync.Mutex
	tail    string // the last line, for the message about how it ended
	tokens  float64
	filled  time.Time
	left    int // lines that were left out since the last one that was not
	streams []*lineStream
}

func newLineLog(log *slog.Logger) *lineLog {
	return &lineLog{log: log, tokens: lineBurst, filled: time.Now()}
}

// stream returns a writer for one of the plugin's streams.
func (l *lineLog) stream(name string) io.Writer {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := &lineStream{log: l, name: name}
	l.streams = append(l.streams, s)
	return s
}

// last is the last line that the plugin wrote.
func (l *lineLog) last() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tail
}

// flush logs lines that have no end, and how many were left out.
func (l *lineLog) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.streams {
		s.end()
	}
	l.tokens = max(l.tokens, 1)
	l.report()
}

// report says how many lines were left out. l.mu is held.
func (l *lineLog) report() {
	if l.left > 0 {
		l.log.Warn("the plugin writes too much; lines were left out", "lines", l.left)
		l.left = 0
	}
}

// line logs a line. l.mu is held.
func (l *lineLog) line(stream, text string, cut bool) {
	text = strings.TrimRight(strings.ToValidUTF8(text, "\ufffd"), "\r")
	if text == "" {
		return
	}
	l.tail = text
	now := time.Now()
	l.tokens = min(lineBurst, l.tokens+now.Sub(l.filled).Seconds()*lineRate)
	l.filled = now
	if l.tokens < 1 {
		l.left++
		return
	}
	l.tokens--
	l.report()
	attrs := []slog.Attr{slog.String("stream", stream)}
	if cut {
		attrs = append(attrs, slog.Bool("cut", true))
	}
	l.log.LogAttrs(context.Background(), slog.LevelInfo, text, attrs...)
}

// lineStream splits one stream into lines.
type lineStream struct {
	log     *lineLog
	name    string
	partial []byte // of the line that has not ended yet; at most maxLine
	cut     bool   // it was longer
}

// Write implements io.Writer.
func (s *lineStream) Write(b []byte) (int, error) {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	n := len(b)
	for len(b) > 0 {
		line, rest, whole := bytes.Cut(b, []byte{'\n'})
		room := min(len(line), maxLine-len(s.partial))
		s.partial = append(s.partial, line[:room]...)
		s.cut = s.cut || room < len(line)
		if whole {
			s.end()
		}
		b = rest
	}
	return n, nil
}

// end logs the line that has come to its end.
func (s *lineStream) end() {
	s.log.line(s.name, string(s.partial), s.cut)
	s.partial, s.cut = s.partial[:0], false
}
