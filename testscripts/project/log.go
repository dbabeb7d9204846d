package project

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// log keeps what the host and the guest of a script say.
type log struct {
	mu    sync.Mutex
	lines []string
	shown int // of lines, in the script's own log
}

// maxLines is how many lines are kept; of a guest that says more, the last ones.
const maxLines = 10_000

func (l *log) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.lines) >= 2*maxLines {
		dropped := len(l.lines) - maxLines
		l.lines = append(l.lines[:0], l.lines[dropped:]...)
		l.shown = max(0, l.shown-dropped)
	}
	l.lines = append(l.lines, line)
}

// console takes a line that the guest printed.
func (l *log) console(line string) { l.add("print: " + line) }

func (l *log) logger() *slog.Logger { return slog.New(&handler{log: l}) }

// find tells whether a line matches.
func (l *log) find(pattern *regexp.Regexp) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.lines, pattern.MatchString)
}

// clear forgets all lines.
func (l *log) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines, l.shown = nil, 0
}

// fresh are the lines that came since the last time.
func (l *log) fresh() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := append([]string(nil), l.lines[l.shown:]...)
	l.shown = len(l.lines)
	return lines
}

// last are the last n lines.
func (l *log) last(n int) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.lines[max(0, len(l.lines)-n):]...)
}

// handler writes records as lines such as "info: GET / 200 guest=hello".
type handler struct {
	log    *log
	attrs  string
	prefix string
}

func (h *handler) Enabled(context.Context, slog.Level) bool { return true }

func (h *handler) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	level := strings.ToLower(r.Level.String())
	if r.Level < slog.LevelDebug {
		level = "trace"
	}
	b.WriteString(level + ": " + r.Message + h.attrs)
	r.Attrs(func(a slog.Attr) bool {
		b.WriteString(h.attr(a))
		return true
	})
	h.log.add(b.String())
	return nil
}

func (h *handler) attr(a slog.Attr) string {
	value := a.Value.Resolve().String()
	if value == "" || strings.ContainsAny(value, " \n\"") {
		value = fmt.Sprintf("%q", value)
	}
	return " " + h.prefix + a.Key + "=" + value
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	n := *h
	for _, a := range attrs {
		n.attrs += h.attr(a)
	}
	return &n
}

func (h *handler) WithGroup(name string) slog.Handler {
	n := *h
	n.prefix += name + "."
	return &n
}
