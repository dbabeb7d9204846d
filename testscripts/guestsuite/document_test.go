package guestsuite_test

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/waxosuit/waxo/testscripts/guestsuite"
	"github.com/waxosuit/waxo/testscripts/script"
)

var update = flag.Bool("update", false, "write the reference of the commands into docs/conformance.md")

// TestDocument holds docs/conformance.md to the commands that there are.
func TestDocument(t *testing.T) {
	const file = "../../docs/conformance.md"
	const begin = "<!-- commands of guests: go test ./testscripts/guestsuite -run Document -update -->\n"
	const end = "<!-- end of commands of guests -->"
	text := readFile(t, file)
	before, rest, found := strings.Cut(text, begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s has no place for the commands", file)
	}
	want := before + begin + "\n" + script.Reference("####", guestsuite.Commands()) + end + after
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if text != want {
		t.Errorf("%s is not up to date: run this test with -update", file)
	}
}
