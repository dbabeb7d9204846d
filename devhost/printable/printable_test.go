package printable_test

import (
	"testing"

	"github.com/waxosuit/waxo/devhost/printable"
)

func TestLine(t *testing.T) {
	for s, want := range map[string]string{
		"":                                 "",
		"hello\twörld €":                   "hello\twörld €",
		"\x1b]0;title\x07 evil\r\u009b31m": `\x1b]0;title\x07 evil\x0d\x9b31m`,
		"two\nlines\x7f":                   `two\x0alines\x7f`,
	} {
		if got := printable.Line(s); got != want {
			t.Errorf("Line(%q) = %q, want %q", s, got, want)
		}
	}
}
