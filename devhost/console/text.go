package console

import (
	"fmt"
	"strings"
	"time"

	"github.com/waxosuit/waxo/devhost/printable"
	"github.com/waxosuit/waxo/devhost/workbench"
)

// The colours of a terminal.
const (
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
	dim    = "2"
	bold   = "1"
)

func (c *Console) paint(color, s string) string {
	if !c.opts.Color || s == "" {
		return s
	}
	return "\x1b[" + color + "m" + s + "\x1b[0m"
}

// indent leads the lines that belong to the one above.
const indent = "    "

// text is the event as a line, and its detail as indented lines below.
func (c *Console) text(e workbench.Event) string {
	if e.Kind == workbench.KindFailed && strings.Contains(e.Message, "\n") { // several mistakes
		e.Message, e.Detail = "", e.Message+"\n"+e.Detail
	}
	var b strings.Builder
	b.WriteString(c.paint(dim, e.Time.Format("15:04:05")) + " " + c.headline(e) + "\n")
	for line := range strings.Lines(e.Detail) {
		b.WriteString(indent + printable.Line(strings.TrimRight(line, "\r\n")) + "\n")
	}
	return b.String()
}

func (c *Console) headline(e workbench.Event) string {
	switch e.Kind {
	case workbench.KindListening:
		return c.paint(bold, "listening on "+e.Message)
	case workbench.KindBuilding:
		return fmt.Sprintf("build %d begins%s", e.Build, c.paint(dim, because(e.Paths)))
	case workbench.KindServing:
		return fmt.Sprintf("%s after %s, %s  %s", c.paint(green, fmt.Sprintf("build %d serves (%s)", e.Build, e.Module)),
			short(e.Took), e.Tier, c.paint(dim, phases(e.Phases)))
	case workbench.KindCompiled:
		return c.paint(dim, fmt.Sprintf("build %d runs compiled after %s", e.Build, short(e.Took)))
	case workbench.KindFailed:
		what := fmt.Sprintf("build %d failed at %s", e.Build, e.Stage)
		if e.Message != "" {
			what += ": " + printable.Line(e.Message)
		}
		return c.paint(red, what) + c.paint(dim, instead(e.Serving))
	case workbench.KindUnchanged:
		return fmt.Sprintf("build %d gave the same module: %s goes on serving", e.Build, e.Serving)
	case workbench.KindCapabilities:
		return c.paint(cyan, "capabilities: "+difference(e.Added, e.Removed))
	case workbench.KindRequest:
		return c.paint(statusColor(e.Status), fmt.Sprintf("%d %s", e.Status, printable.Line(e.Message))) + c.paint(dim, " "+short(e.Took))
	case workbench.KindLog:
		return c.paint(levelColor(e.Level), strings.ToLower(e.Level)+": "+printable.Line(e.Message))
	case workbench.KindStopping:
		return "stopping; once more to stop at once"
	}
	return lines(e.Message)
}

// lines makes a text of several lines printable, so that no line but the first
// looks like an event.
func lines(s string) string {
	var all []string
	for line := range strings.Lines(s) {
		all = append(all, printable.Line(strings.TrimRight(line, "\r\n")))
	}
	return strings.Join(all, "\n"+indent)
}

func because(paths []string) string {
	switch len(paths) {
	case 0:
		return ""
	case 1:
		return "  " + printable.Line(paths[0])
	}
	return fmt.Sprintf("  %s and %d more", printable.Line(paths[0]), len(paths)-1)
}

func instead(serving string) string {
	if serving == "" {
		return "; nothing serves yet"
	}
	return "; " + serving + " goes on serving"
}

func difference(added, removed []string) string {
	var parts []string
	for _, a := range added {
		parts = append(parts, "+"+a)
	}
	for _, r := range removed {
		parts = append(parts, "-"+r)
	}
	return strings.Join(parts, " ")
}

func phases(all []workbench.Phase) string {
	var parts []string
	for _, p := range all {
		if p.Took >= time.Millisecond { // the others only fill the line; JSON has them
			parts = append(parts, p.Name+" "+short(p.Took))
		}
	}
	return strings.Join(parts, ", ")
}

func statusColor(status int) string {
	switch {
	case status >= 500:
		return red
	case status >= 400:
		return yellow
	}
	return green
}

func levelColor(level string) string {
	switch level {
	case "ERROR":
		return red
	case "WARN":
		return yellow
	}
	return dim
}

// short writes a duration in three digits or so.
func short(d time.Duration) string {
	switch {
	case d >= time.Second:
		return fmt.Sprintf("%.2f s", d.Seconds())
	case d >= 10*time.Millisecond:
		return fmt.Sprintf("%.0f ms", float64(d)/1e6)
	case d >= 100*time.Microsecond:
		return fmt.Sprintf("%.1f ms", float64(d)/1e6)
	}
	return fmt.Sprintf("%.0f us", float64(d)/1e3)
}
