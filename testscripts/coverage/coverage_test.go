package coverage

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"
)

// TestProtocolIsChecked: every MUST has a check, and no check names what there is
// not.
func TestProtocolIsChecked(t *testing.T) {
	c, err := Gather(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range c.Problems {
		t.Error(problem)
	}
}

func TestTableIsCurrent(t *testing.T) {
	c, err := Gather(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile("../../docs/coverage.md")
	if err != nil || string(file) != c.Table() {
		t.Errorf("docs/coverage.md is not what is gathered: go generate ./docs (%v)", err)
	}
}

// TestProblems: what is wrong with checks is told.
func TestProblems(t *testing.T) {
	const good = "# Good.\n# Rule: MOD-3, MOD-13\n# Section: 2.1 Format\n"
	root := fstest.MapFS{
		"testscripts/hostsuite/scripts/good.txtar":  {Data: []byte(good)},
		"testscripts/hostsuite/scripts/none.txtar":  {Data: []byte("# Names none.\n")},
		"testscripts/hostsuite/scripts/typo.txtar":  {Data: []byte("# Misspelt.\n# Rule: MOD-999\n")},
		"testscripts/hostsuite/scripts/party.txtar": {Data: []byte("# For another.\n# Rule: MOD-1\n# Section: 2.1 Format\n")},
		"testscripts/hostsuite/scripts/place.txtar": {Data: []byte("# Elsewhere.\n# Rule: MOD-3\n# Section: 2.2 Imports\n")},
	}
	c, err := Gather(root)
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(c.Problems, "\n")
	for _, want := range []string{
		"guest: there are no scripts",
		"host: none names no rule",
		"host: typo names the rule MOD-999, which there is not",
		"host: party names the rule MOD-1, which binds no host and no provider",
		`host: place says section "2.2 Imports", but MOD-3 stands in "2.1 Format"`,
		"MOD-1 is checked by nothing",
		"Go: there is no test",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("nothing says %q", want)
		}
	}
	if strings.Contains(all, "host: good") {
		t.Errorf("a good script is a problem:\n%s", all)
	}
	if !strings.Contains(c.Table(), "[good](../testscripts/hostsuite/scripts/good.txtar)") {
		t.Error("the table does not show a check")
	}
}
