package coverage

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/waxosuit/waxo/testscripts/rules"
)

const head = `# What checks the rules

For each rule of [protocol.md](protocol.md), what checks it. ` + "`go generate ./docs`" + ` writes
this page; a test fails where a MUST has no check.

- *guest*: scripts of ` + "`waxo conformance guest`" + `, in testscripts/guestsuite.
- *host*: scripts of ` + "`waxo conformance host`" + `, in testscripts/hostsuite.
- *keyvalue*, *messaging* and so on: conversations of ` + "`waxo conformance provider`" + `, in
  testscripts/parity.
- Files of [vectors](../testscripts/vectors/README.md), with the number of those that
  show the rule.
- *Go*: tests of this repository's own host, for what can be seen from inside alone.

`

// textLimit is how many characters of a rule the table shows.
const textLimit = 140

// shown is how many checks of one suite the table names. The others are counted.
const shown = 4

// Table is docs/coverage.md.
func (c *Coverage) Table() string {
	var b strings.Builder
	b.WriteString(head)
	c.summary(&b)
	section := ""
	for _, r := range c.Rules.All() {
		if r.Section != section {
			section = r.Section
			fmt.Fprintf(&b, "\n## %s\n\n| rule | | binds | what it says | checks |\n|---|---|---|---|---|\n", section)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", r.ID, r.Level, strings.Join(r.Parties, ", "), cell(shorten(r.Text)), list(c.Checks[r.ID]))
	}
	return b.String()
}

// summary counts rules and checks.
func (c *Coverage) summary(b *strings.Builder) {
	count := map[rules.Level]int{}
	checked := map[rules.Level]int{}
	suites := map[string]map[string]bool{}
	for _, r := range c.Rules.All() {
		count[r.Level]++
		if len(c.Checks[r.ID]) > 0 {
			checked[r.Level]++
		}
		for _, check := range c.Checks[r.ID] {
			kind := kindOf(check)
			if suites[kind] == nil {
				suites[kind] = map[string]bool{}
			}
			suites[kind][check.Suite+check.Name] = true
		}
	}
	fmt.Fprintf(b, "| level | rules | checked |\n|---|---|---|\n")
	for _, level := range []rules.Level{rules.Must, rules.Should} {
		fmt.Fprintf(b, "| %s | %d | %d |\n", level, count[level], checked[level])
	}
	fmt.Fprintf(b, "\n| kind of check | how many |\n|---|---|\n")
	for _, kind := range slices.Sorted(maps.Keys(suites)) {
		fmt.Fprintf(b, "| %s | %d |\n", kind, len(suites[kind]))
	}
}

func kindOf(c Check) string {
	switch {
	case path.Ext(c.Suite) == ".json":
		return "vectors"
	case c.Suite == "Go":
		return "tests in Go"
	case path.Ext(c.File) == ".txtar":
		return "scripts for " + c.Suite + "s"
	}
	return "conversations with providers"
}

// list is a cell with the checks of a rule, those of one suite together.
func list(checks []Check) string {
	if len(checks) == 0 {
		return "none"
	}
	bySuite := map[string][]Check{}
	for _, c := range checks {
		bySuite[c.Suite] = append(bySuite[c.Suite], c)
	}
	var parts []string
	for _, suite := range slices.Sorted(maps.Keys(bySuite)) {
		parts = append(parts, suiteCell(suite, bySuite[suite]))
	}
	return strings.Join(parts, "<br>")
}

func suiteCell(suite string, checks []Check) string {
	if path.Ext(suite) == ".json" {
		return fmt.Sprintf("[%s](../%s): %d", strings.TrimSuffix(suite, ".json"), checks[0].File, len(checks))
	}
	slices.SortFunc(checks, func(a, b Check) int { return strings.Compare(a.Name, b.Name) })
	var names []string
	for _, c := range checks[:min(len(checks), shown)] {
		name := cell(c.Name)
		if path.Ext(c.File) != "" {
			name = fmt.Sprintf("[%s](../%s)", name, c.File)
		}
		names = append(names, name)
	}
	if more := len(checks) - shown; more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return suite + ": " + strings.Join(names, ", ")
}

// shorten cuts a rule's text after a word.
func shorten(text string) string {
	runes := []rune(text)
	if len(runes) <= textLimit {
		return text
	}
	cut := string(runes[:textLimit])
	cut = cut[:strings.LastIndexByte(cut, ' ')]
	if strings.Count(cut, "`")%2 == 1 { // do not leave code open
		cut = cut[:strings.LastIndexByte(cut, '`')]
	}
	return strings.TrimRight(cut, " ,;:") + " ..."
}

// cell escapes what would end a cell of a table.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
