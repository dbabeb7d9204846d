package wapc

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/waxosuit/waxo/wapc/meter"
)

// failure says why a run ended with the engine's error err.
func (in *instance) failure(err error) error {
	run, odd := &in.run, &in.run.mishaps
	reason, stack := parseTrap(err.Error(), in.pool.module.name)
	switch {
	case odd.hostPanic != nil:
		return odd.hostPanic
	case odd.violation != "":
		return in.trap("the call protocol was broken: "+odd.violation, stack)
	case odd.stopped == errTimeout:
		return &DeadlineError{run.operation, run.clock.timeout, stack, run.log.lines()}
	case odd.stopped != nil:
		return stoppedFor(run.operation, odd.stopped)
	case in.memory.refused > 0:
		return &MemoryError{run.operation, int64(in.memory.limit), int64(in.memory.refused), stack, run.log.lines()}
	}
	return in.trap(reason, stack)
}

func (in *instance) trap(reason string, stack []string) *TrapError {
	return &TrapError{in.run.operation, reason, stack, in.run.log.lines(), in.run.mishaps.lastErr}
}

// The parts of the engine's error text, which is the only place where it tells
// the stack.
const (
	trapPrefix  = "wasm error: "
	trapSuffix  = " (recovered by wazero)"
	stackHeader = "wasm stack trace:"
	goTrace     = "Go runtime stack trace:"
)

// maxFrame is the length in bytes to which a function's name is cut: names are
// the guest's.
const maxFrame = 200

// parseTrap reads the reason and the guest's functions, innermost first, from
// the engine's error text.
func parseTrap(text, module string) (reason string, stack []string) {
	text, frames, _ := strings.Cut(text, "\n"+stackHeader)
	reason, _, _ = strings.Cut(text, "\n")
	if _, after, ok := strings.Cut(reason, trapPrefix); ok { // "start function[3] failed: wasm error: ..."
		reason = after
	}
	reason = strings.TrimSuffix(reason, trapSuffix)
	frames, _, _ = strings.Cut(frames, goTrace)
	for frame := range strings.Lines(frames) {
		frame = strings.TrimSpace(frame)
		if frame == "" {
			continue
		}
		name := functionName(frame)
		if name != frame { // the line that says that there is more has no signature
			name = demangle(strings.TrimPrefix(strings.TrimPrefix(name, module), "."))
		}
		stack = append(stack, validText([]byte(name), maxFrame))
	}
	return reason, unmetered(stack)
}

// meterPrefix is how the names begin of what metering adds to a module.
const meterPrefix = meter.ImportModule + "."

// unmetered takes what metering has added off a stack.
func unmetered(stack []string) []string {
	return slices.DeleteFunc(stack, func(name string) bool { return strings.HasPrefix(name, meterPrefix) })
}

// functionName takes the signature off a frame: "f(i32,i32) i32", "f() (i32,i64)".
func functionName(frame string) string {
	end := strings.LastIndexByte(frame, '(')
	if end > 0 && strings.HasSuffix(frame[:end], ") ") { // several results
		end = strings.LastIndexByte(frame[:end], '(')
	}
	if end <= 0 {
		return frame
	}
	return frame[:end]
}

// demangle reads the names that Rust gives in its older form:
// _ZN4core9panicking5panic17h0123456789abcdefE. Any other name it returns as it
// stands.
func demangle(name string) string {
	rest, ok := strings.CutPrefix(name, "_ZN")
	if !ok {
		return name
	}
	var parts []string
	for rest != "" && rest[0] != 'E' {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		n, err := strconv.Atoi(rest[:digits])
		if err != nil || n > len(rest)-digits {
			return name
		}
		part := rest[digits : digits+n]
		if strings.HasPrefix(part, "_$") { // a name may not begin with an escape
			part = part[1:]
		}
		parts = append(parts, unescape.Replace(part))
		rest = rest[digits+n:]
	}
	if last := len(parts) - 1; last > 0 && len(parts[last]) == 17 && parts[last][0] == 'h' {
		parts = parts[:last]
	}
	if len(parts) == 0 {
		return name
	}
	return strings.Join(parts, "::")
}

var unescape = strings.NewReplacer("..", "::", "$LT$", "<", "$GT$", ">", "$RF$", "&", "$BP$", "*",
	"$LP$", "(", "$RP$", ")", "$C$", ",", "$SP$", "@", "$u20$", " ", "$u7b$", "{", "$u7d$", "}", "$u27$", "'",
	"$u5b$", "[", "$u5d$", "]", "$u3b$", ";", "$u2b$", "+")

// lineLog keeps the first lines and the last. A runtime that gives up says what
// is wrong first, and then dumps more than anybody reads.
type lineLog struct {
	head  []string
	tail  []string // a ring
	next  int      // where in the tail the next line goes
	total int      // lines that were added
}

// headLines is how many of the first lines are kept beside the last, where so
// many are kept at all.
const headLines = 8

func newLineLog(size int) lineLog {
	head := headLines
	if size < 2*headLines {
		head = 0
	}
	return lineLog{head: make([]string, head), tail: make([]string, size-head)}
}

func (l *lineLog) add(line string) {
	switch {
	case l.total < len(l.head):
		l.head[l.total] = line
	case len(l.tail) > 0:
		l.tail[l.next] = line
		l.next = (l.next + 1) % len(l.tail)
	}
	l.total++
}

func (l *lineLog) clear() {
	if l.total > 0 { // do not keep the strings of the run before
		clear(l.head)
		clear(l.tail)
	}
	l.next, l.total = 0, 0
}

// lines returns a copy, oldest first, with a line in the gap that says how many
// are missing.
func (l *lineLog) lines() []string {
	lines := append([]string(nil), l.head[:min(l.total, len(l.head))]...)
	rest := l.total - len(lines)
	if rest <= len(l.tail) {
		return append(lines, l.tail[:rest]...)
	}
	if len(l.head) > 0 {
		lines = append(lines, fmt.Sprintf("(%d lines left out)", rest-len(l.tail)))
	}
	return append(append(lines, l.tail[l.next:]...), l.tail[:l.next]...)
}
