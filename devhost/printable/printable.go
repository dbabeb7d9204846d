// Package printable keeps what others wrote, a guest or the author of a module,
// from steering the terminal that it is shown in.
package printable

import (
	"fmt"
	"strings"
)

// Line shows control characters other than the tab, instead of sending them. So
// the result is one line.
func Line(s string) string {
	clean := func(r rune) bool { return (r >= ' ' || r == '\t') && r != 0x7f && (r < 0x80 || r > 0x9f) }
	if strings.IndexFunc(s, func(r rune) bool { return !clean(r) }) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if clean(r) {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, "\\x%02x", r)
		}
	}
	return b.String()
}
