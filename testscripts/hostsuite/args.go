package hostsuite

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/waxosuit/waxo/testscripts/script"
)

// arguments are those of a command of a script.
type arguments struct {
	ts      *testscript.TestScript
	command script.Command
	flags   map[string][]string
	rest    []string
}

// take reads a command's arguments: flags, which are named in known, those that
// have a value with a colon behind, then at least min and at most max others.
func take(ts *testscript.TestScript, c script.Command, args []string, known string, min, max int) *arguments {
	a := &arguments{ts: ts, command: c, flags: make(map[string][]string)}
	names := strings.Fields(known)
	for len(args) > 0 && strings.HasPrefix(args[0], "-") && args[0] != "-" {
		name := args[0][1:]
		args = args[1:]
		switch {
		case slices.Contains(names, name):
			a.flags[name] = append(a.flags[name], "")
		case slices.Contains(names, name+":") && len(args) > 0:
			a.flags[name] = append(a.flags[name], args[0])
			args = args[1:]
		default:
			c.Usage(ts)
		}
	}
	if a.rest = args; len(args) < min || len(args) > max {
		c.Usage(ts)
	}
	return a
}

// has tells whether a flag was given.
func (a *arguments) has(name string) bool { return a.flags[name] != nil }

// get is a flag's last value, or "".
func (a *arguments) get(name string) string {
	if v := a.flags[name]; len(v) > 0 {
		return v[len(v)-1]
	}
	return ""
}

// or is a flag's value, or another where it was not given.
func (a *arguments) or(name, otherwise string) string {
	if a.has(name) {
		return a.get(name)
	}
	return otherwise
}

// duration is a flag's value, 0 where it was not given.
func (a *arguments) duration(name string) time.Duration {
	if !a.has(name) {
		return 0
	}
	d, err := time.ParseDuration(a.get(name))
	if err != nil {
		a.ts.Fatalf("-%s: %v", name, err)
	}
	return d
}

// size is a number of bytes, such as 512, 64KiB or 2MiB; 0 where it was not given.
func (a *arguments) size(name string) int {
	if !a.has(name) {
		return 0
	}
	text, unit := a.get(name), 1
	for suffix, n := range map[string]int{"KiB": 1 << 10, "MiB": 1 << 20} {
		if number, ok := strings.CutSuffix(text, suffix); ok {
			text, unit = number, n
		}
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		a.ts.Fatalf("-%s: %q is no size, such as 512, 64KiB or 2MiB", name, a.get(name))
	}
	return n * unit
}

// number is an argument that is a number.
func (a *arguments) number(i int) int {
	n, err := strconv.Atoi(a.rest[i])
	if err != nil {
		a.command.Usage(a.ts)
	}
	return n
}

// unescape reads a text as it stands between the quotes of a Go string.
func unescape(ts *testscript.TestScript, text string) string {
	s, err := strconv.Unquote(`"` + strings.ReplaceAll(text, `"`, `\"`) + `"`)
	if err != nil {
		ts.Fatalf("%q has an escape that Go's strings do not know", text)
	}
	return s
}
