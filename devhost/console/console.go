// Package console shows what a workbench does: one line an event in a
// terminal, plain lines elsewhere, JSON objects for programs.
//
// What the tool says goes to one writer, what the guest prints to another, so
// that each can be piped on its own.
package console

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/waxosuit/waxo/devhost/printable"
	"github.com/waxosuit/waxo/devhost/workbench"
)

// Options configures a Console.
type Options struct {
	Out   io.Writer // gets what the guest prints. Required
	Err   io.Writer // gets what the tool says. Required
	JSON  bool      // write JSON objects, one a line
	Color bool      // use colours in text
	Quiet bool      // only what failed, warnings and errors
}

// Console writes events. Its methods may be called from several goroutines.
type Console struct {
	opts    Options
	mu      sync.Mutex
	repeats repeats
}

// New makes a console.
func New(opts *Options) *Console { return &Console{opts: *opts} }

// Event shows an event.
func (c *Console) Event(e workbench.Event) {
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	if c.opts.Quiet && !important(e) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	text := ""
	if c.opts.JSON {
		line, err := json.Marshal(e)
		if err != nil {
			line = fmt.Appendf(nil, `{"event":"error","message":%q}`, err.Error())
		}
		text = string(line) + "\n"
	} else if show, before := c.repeats.add(e); show {
		text = before + c.text(e)
	}
	io.WriteString(c.opts.Err, text) //nolint:errcheck // there is nobody left to tell
}

func important(e workbench.Event) bool {
	switch e.Kind {
	case workbench.KindFailed, workbench.KindListening:
		return true
	case workbench.KindLog:
		return e.Level == "WARN" || e.Level == "ERROR"
	case workbench.KindRequest:
		return e.Status >= 500
	}
	return false
}

// Line shows a line that the guest printed.
func (c *Console) Line(line string) {
	text := printable.Line(line) + "\n"
	if c.opts.JSON {
		object, err := json.Marshal(map[string]any{"time": time.Now(), "event": "guest", "message": line})
		if err == nil {
			text = string(object) + "\n"
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	io.WriteString(c.opts.Out, text) //nolint:errcheck // there is nobody left to tell
}

// Clear empties the screen.
func (c *Console) Clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	io.WriteString(c.opts.Err, "\x1b[H\x1b[2J\x1b[3J") //nolint:errcheck // there is nobody left to tell
}
