package script

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// Command is a command of the scripts.
type Command struct {
	Name    string
	Args    string // its arguments, as its usage line has them
	Short   string // what it does, a sentence
	Long    string // more, in Markdown; may be empty
	Example string // lines of a script that work
	// Run performs it. Not is true where the script expects it to fail: "! call ...".
	// It ends the script by ts.Fatalf, with a message that says what was expected
	// and what was seen.
	Run func(ts *testscript.TestScript, not bool, args []string)
}

// Usage ends a script whose arguments the command does not understand.
func (c Command) Usage(ts *testscript.TestScript) {
	ts.Fatalf("usage: %s", strings.TrimSpace(c.Name+" "+c.Args))
}

func commands(list []Command) map[string]func(ts *testscript.TestScript, neg bool, args []string) {
	all := make(map[string]func(*testscript.TestScript, bool, []string))
	for _, c := range list {
		if _, twice := all[c.Name]; twice {
			panic(fmt.Sprintf("script: two commands are called %s", c.Name))
		}
		all[c.Name] = c.Run
	}
	return all
}

// Reference documents commands in Markdown, in the order of their names, below
// headings of the level of prefix, such as "###".
func Reference(prefix string, list []Command) string {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b Command) int { return cmp.Compare(a.Name, b.Name) })
	var b strings.Builder
	for _, c := range list {
		fmt.Fprintf(&b, "%s `%s`\n\n", prefix, strings.TrimSpace(c.Name+" "+c.Args))
		fmt.Fprintf(&b, "%s\n\n", c.Short)
		if c.Long != "" {
			fmt.Fprintf(&b, "%s\n\n", strings.TrimSpace(c.Long))
		}
		fmt.Fprintf(&b, "```\n%s\n```\n\n", strings.TrimSpace(c.Example))
	}
	return b.String()
}
