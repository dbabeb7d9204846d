package report

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/waxosuit/waxo/testscripts/rules"
)

var marks = map[Status]string{Pass: "ok  ", Fail: "FAIL", Warn: "warn", Skip: "skip"}

// Text writes a report for people: a line for each check, for those that failed
// the rules and what is known, and a line that sums up.
func (r *Report) Text(w io.Writer) error {
	var b strings.Builder
	for _, c := range r.Checks {
		c.text(&b)
	}
	r.summary(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

// Summary writes the line that sums up, for those who have told of each check.
func (r *Report) Summary(w io.Writer) error {
	var b strings.Builder
	r.summary(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

// Text writes a check as it stands in a report.
func (c Check) Text(w io.Writer) error {
	var b strings.Builder
	c.text(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

func (c Check) text(b *strings.Builder) {
	fmt.Fprintf(b, "%s  %s", marks[c.Status], c.Name)
	if len(c.Rules) > 0 {
		fmt.Fprintf(b, "  [%s]", strings.Join(c.Rules, ", "))
	}
	switch c.Status {
	case Pass:
		fmt.Fprintf(b, "  %s\n", round(c.Took))
		writeLog(b, c.Log)
	case Skip:
		fmt.Fprintf(b, "  %s\n", c.Message)
	default:
		fmt.Fprintf(b, "  %s\n", round(c.Took))
		c.details(b)
	}
}

// details are what somebody needs who has to mend it.
func (c Check) details(b *strings.Builder) {
	if c.Title != "" {
		fmt.Fprintf(b, "      %s\n", c.Title)
	}
	for _, id := range c.Rules {
		if rule, ok := rules.Protocol().Find(id); ok {
			fmt.Fprintf(b, "      %s\n      docs/protocol.md, section %s\n", rule, rule.Section)
		}
	}
	where := c.Path
	if c.Path != "" && c.Line > 0 {
		where = fmt.Sprintf("%s:%d", c.Path, c.Line)
	}
	if where != "" {
		fmt.Fprintf(b, "      %s\n", where)
	}
	writeLog(b, cmp.Or(c.Log, c.Message))
}

func writeLog(b *strings.Builder, text string) {
	for line := range strings.Lines(strings.TrimRight(legal(text), "\n")) {
		fmt.Fprintf(b, "        %s\n", strings.TrimRight(line, "\n"))
	}
}

func (r *Report) summary(b *strings.Builder) {
	parts := []string{}
	for _, s := range []struct {
		status Status
		words  string
	}{{Fail, "failed"}, {Warn, "with a warning"}, {Pass, "passed"}, {Skip, "skipped"}} {
		if n := r.Count(s.status); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, s.words))
		}
	}
	if len(parts) == 0 {
		parts = []string{"nothing was checked"}
	}
	fmt.Fprintf(b, "%s: %s in %s\n", cmp.Or(r.Subject, r.Suite), strings.Join(parts, ", "), round(r.Took))
	if broken := r.Broken(); len(broken) > 0 {
		fmt.Fprintf(b, "rules broken: %s\n", strings.Join(broken, ", "))
	}
}

func round(d time.Duration) time.Duration {
	if d < time.Second {
		return d.Round(time.Millisecond)
	}
	return d.Round(10 * time.Millisecond)
}
