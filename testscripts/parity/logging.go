package parity

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"unicode"

	"github.com/waxosuit/waxo/capability"
	pb "github.com/waxosuit/waxo/capability/payload/loggingpb"
)

// Logging is the suite of "wascap:logging". What it writes is in the host's log, and
// stays there. Without a Logbook nobody looks at it.
func Logging() Suite {
	suite := Suite{Capability: capability.Logging}
	all := []string{writeLog}
	for _, c := range []struct {
		name  string
		rules []string
		run   func(s *Session)
	}{
		{"levels", rules("LOG-1"), levels},
		{"the level 0", rules("LOG-2"), levelOff},
		{"levels that are none", rules("LOG-3"), badLevels},
		{"control characters", rules("LOG-4"), controlCharacters},
		{"who says it", rules("LOG-5"), whoSays},
		{"a long line", rules("LOG-6"), longLine},
		{"lines at once", rules("LOG-1", "CAP-48"), linesAtOnce},
	} {
		suite.Cases = append(suite.Cases, Case{Name: c.name, Rules: c.rules, Operations: all, Run: c.run})
	}
	c := contract{
		sample: func(s *Session) (string, Message) {
			return writeLog, &pb.WriteLogRequest{Actor: "parity", Level: 5, Body: s.Name("sample")}
		},
		decoy:      func(s *Session) Message { return &pb.WriteLogRequest{Actor: "decoy", Level: 9, Body: s.Name("decoy")} },
		text:       1,
		empty:      writeLog,
		steady:     true,
		operations: all,
	}
	c.addTo(&suite)
	c.addPayloads(&suite)
	return suite
}

const writeLog = capability.OpWriteLog

// Logbook is a slog.Handler that keeps what is written with it.
type Logbook struct {
	*pages
	with []slog.Attr
}

type pages struct {
	mu    sync.Mutex
	lines []line
}

// line is one that was written.
type line struct {
	level slog.Level
	text  string
	attrs []slog.Attr
}

// NewLogbook makes an empty one.
func NewLogbook() *Logbook { return &Logbook{pages: new(pages)} }

// Enabled implements slog.Handler: everything is kept.
func (b *Logbook) Enabled(context.Context, slog.Level) bool { return true }

// WithGroup implements slog.Handler. Groups are not kept apart.
func (b *Logbook) WithGroup(string) slog.Handler { return b }

// WithAttrs implements slog.Handler.
func (b *Logbook) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &Logbook{pages: b.pages, with: slices.Concat(b.with, attrs)}
}

// Handle implements slog.Handler.
func (b *Logbook) Handle(_ context.Context, r slog.Record) error {
	attrs := slices.Clone(b.with)
	r.Attrs(func(a slog.Attr) bool { attrs = append(attrs, a); return true })
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lines = append(b.lines, line{r.Level, r.Message, attrs})
	return nil
}

// find returns the lines that have a text in them, in their order.
func (b *Logbook) find(text string) []line {
	b.mu.Lock()
	defer b.mu.Unlock()
	var found []line
	for _, l := range b.lines {
		if strings.Contains(l.text, text) {
			found = append(found, l)
		}
	}
	return found
}

// book is where the lines are. Where nobody sees them, the case ends here.
func (s *Session) book() *Logbook {
	if s.target.Logged == nil {
		s.Skip("where this provider writes to cannot be seen; it took what it was given")
	}
	return s.target.Logged
}

// wrote returns the one line that has the text.
func (s *Session) wrote(text string) line {
	found := s.book().find(text)
	if len(found) != 1 {
		s.Fatalf("%d lines have %q in them; want one", len(found), text)
	}
	return found[0]
}

func (s *Session) log(level uint32, body string) {
	s.Want(writeLog, &pb.WriteLogRequest{Actor: "actor", Level: level, Body: body}, nil)
}

func levels(s *Session) {
	names := []string{"", "error", "warn", "info", "debug", "trace"}
	for level := uint32(1); level <= 5; level++ {
		s.log(level, s.Name(names[level]))
	}
	s.book()
	for level, want := range map[int]slog.Level{1: slog.LevelError, 2: slog.LevelWarn, 3: slog.LevelInfo, 4: slog.LevelDebug} {
		if got := s.wrote(s.Name(names[level])); got.level != want || got.text != s.Name(names[level]) {
			s.Errorf("a line of the level %d is written as %q at %v", level, got.text, got.level)
		}
	}
	if got := s.wrote(s.Name("trace")); got.level >= slog.LevelDebug {
		s.Errorf("a line of the level 5 is written at %v", got.level)
	}
}

func levelOff(s *Session) {
	s.log(0, s.Name("off"))
	if found := s.book().find(s.Name("off")); len(found) > 0 {
		s.Errorf("it is written %d times", len(found))
	}
}

func badLevels(s *Session) {
	for _, level := range []uint32{6, 7, 1 << 31, 1<<32 - 1} {
		s.WantError(writeLog, &pb.WriteLogRequest{Level: level, Body: s.Name("bad")}, "invalid: there is no log level...")
	}
	if s.target.Logged != nil && len(s.book().find(s.Name("bad"))) > 0 {
		s.Errorf("what has no level is written")
	}
}

func controlCharacters(s *Session) {
	for i, body := range []string{"two\nlines", "\r\nlevel=ERROR msg=forged", "\x1b[2J\x1b[31m", "bell\a null\x00 delete\x7f", "next\u0085 line\u2028 paragraph\u2029"} {
		text := s.Name(string(rune('a' + i)))
		s.log(3, text+" "+body+" end")
		if s.target.Logged == nil {
			continue
		}
		got := s.wrote(text)
		if strings.ContainsFunc(got.text, func(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }) || !strings.HasSuffix(got.text, " end") {
			s.Errorf("%q is written as %q", body, got.text)
		}
	}
	s.log(3, s.Name("é 世界 🙂"))
	if got := s.wrote(s.Name("é")); got.text != s.Name("é 世界 🙂") {
		s.Errorf("plain text is written as %q", got.text)
	}
}

func whoSays(s *Session) {
	s.log(3, s.Name("said"))
	attrs := make(map[string]string)
	for _, a := range s.wrote(s.Name("said")).attrs {
		attrs[a.Key] = a.Value.String()
	}
	if attrs["guest"] != guestName || attrs["actor"] != "actor" {
		s.Errorf("with the line are %v; want the guest %q, and the actor", attrs, guestName)
	}
}

func longLine(s *Session) {
	body := s.Name("long") + strings.Repeat(" x", 1<<20)
	s.perform(writeLog, &pb.WriteLogRequest{Level: 3, Body: body}, nil)
	got := s.wrote(s.Name("long")).text
	if len(got) >= len(body) || strings.HasPrefix(body, got) {
		s.Errorf("of %d bytes, %d were written, which end in %q", len(body), len(got), got[max(0, len(got)-40):])
	}
}

func linesAtOnce(s *Session) {
	s.atOnce(func(int) { s.perform(writeLog, &pb.WriteLogRequest{Level: 5, Body: s.Name("at once")}, nil) })
	if found := s.book().find(s.Name("at once")); len(found) != callers {
		s.Errorf("of %d lines at once, %d were written", callers, len(found))
	}
}
