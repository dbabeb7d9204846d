package console

import (
	"fmt"
	"strings"
	"time"

	"github.com/waxosuit/waxo/devhost/printable"
	"github.com/waxosuit/waxo/devhost/workbench"
)

// repeats keeps requests that all fail in the same way from filling the screen: of
// those that follow one within a second, only how many they were is shown.
type repeats struct {
	like   string    // how the last one failed that was shown
	shown  time.Time // when
	hidden int       // how many were not shown since
}

// alike is how long requests that fail are not shown after one that was.
const alike = time.Second

// add tells whether an event is to be shown, and what is to be said before it.
func (r *repeats) add(e workbench.Event) (show bool, before string) {
	failed := e.Kind == workbench.KindRequest && e.Status >= 500
	switch {
	case e.Kind != workbench.KindRequest && e.Kind != workbench.KindStopping:
		return true, ""
	case failed && r.like == failure(e) && e.Time.Sub(r.shown) < alike:
		r.hidden++
		return false, ""
	case failed, e.Kind == workbench.KindStopping, e.Time.Sub(r.shown) >= alike:
		before = r.end()
	}
	if failed {
		r.like, r.shown = failure(e), e.Time
	}
	return true, before
}

// end says what was hidden, "" if nothing was.
func (r *repeats) end() string {
	if r.hidden == 0 {
		return ""
	}
	text := fmt.Sprintf("%s%d more like that: %s\n", indent, r.hidden, printable.Line(r.like))
	r.hidden = 0
	return text
}

// failure is the kind of a failure: the status, and the codes that lead the error.
func failure(e workbench.Event) string {
	_, reason, _ := strings.Cut(e.Message, "  ")
	codes := strings.SplitN(reason, ": ", 3)
	return strings.TrimSpace(fmt.Sprintf("%d %s", e.Status, strings.Join(codes[:min(len(codes), 2)], ": ")))
}
