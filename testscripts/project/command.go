package project

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/waxosuit/waxo/testscripts/script"
)

// command is a command of scripts.
type command struct {
	script.Command
	// run performs it. Its error is one that a script may expect, by "!", unless it
	// is a usage error or the script's time is over.
	run func(ctx context.Context, c *call) error
	// looks says that the command only looks at what is there, so that stdout and
	// stderr stay what they are.
	looks bool
}

// call is one call of a command.
type call struct {
	*session
	args []string
	not  bool   // the script expects it to fail
	in   string // stdout of the command before
	out  strings.Builder
}

// usage is a command that makes no sense, whatever the guest does.
type usage struct{ error }

// fatal is an error that no script can expect.
type fatal struct{ error }

func usagef(format string, args ...any) error { return usage{fmt.Errorf(format, args...)} }

// Commands are the commands of a project's scripts, beside testscript's own.
func Commands() []script.Command {
	all := append(verbs(), eventuallyCommand())
	list := make([]script.Command, len(all))
	for i, c := range all {
		list[i] = c.Command
		list[i].Run = c.perform
	}
	return list
}

// verbs are the commands that eventually can repeat: all but itself.
func verbs() []command {
	return slices.Concat(hostCommands(), httpCommands(), moduleCommands(), storeCommands(), messageCommands(), troubleCommands())
}

// perform runs a command of a script.
func (c command) perform(ts *testscript.TestScript, not bool, args []string) {
	s := ts.Value(sessionKey{}).(*session)
	s.ts = ts
	call := &call{session: s, args: args, not: not, in: ts.ReadFile("stdout")}
	err := c.attempt(script.Context(ts), call)
	for _, line := range s.log.fresh() {
		ts.Logf("[log] %s", line)
	}
	wrong := c.judge(err, not)
	if !c.looks {
		fmt.Fprint(ts.Stdout(), call.out.String())
		if err != nil && wrong == nil {
			fmt.Fprintln(ts.Stderr(), err)
		}
	}
	if wrong != nil {
		ts.Fatalf("%v", wrong)
	}
}

// attempt runs a command once.
func (c command) attempt(ctx context.Context, call *call) error {
	err := c.run(ctx, call)
	if u := (usage{}); errors.As(err, &u) {
		return fatal{fmt.Errorf("%w; usage: %s", u.error, strings.TrimSpace(c.Name+" "+c.Args))}
	}
	if err != nil && script.Context(call.ts).Err() != nil {
		return fatal{fmt.Errorf("%w: the script's time is over", err)}
	}
	return err
}

// judge is the error of a command whose end is not the one that was expected.
func (c command) judge(err error, not bool) error {
	if !not || errors.As(err, new(fatal)) {
		return err
	}
	if err == nil {
		if c.looks {
			return errors.New("it is so, and was not to be")
		}
		return errors.New("it succeeded, and was to fail")
	}
	return nil
}

// takes checks the number of arguments; most below 0 is any number.
func (c *call) takes(least, most int) error {
	if len(c.args) < least || most >= 0 && len(c.args) > most {
		return usagef("there are %d arguments", len(c.args))
	}
	return nil
}

// text reads an argument that is a text, or the contents of a file for @FILE.
func (c *call) text(arg string) (string, error) {
	name, isFile := strings.CutPrefix(arg, "@")
	if !isFile {
		return arg, nil
	}
	data, err := os.ReadFile(c.ts.MkAbs(name))
	if err != nil {
		return "", usage{err}
	}
	return string(data), nil
}

// print writes to stdout. A last line that has no end gets one, as files in scripts
// have it.
func (c *call) print(text string) {
	c.out.WriteString(text)
	if text != "" && !strings.HasSuffix(text, "\n") {
		c.out.WriteString("\n")
	}
}

// pairs takes KEY=VALUE arguments apart.
func pairs(args []string, keys ...string) (map[string]string, error) {
	values := make(map[string]string)
	for _, arg := range args {
		key, value, ok := strings.Cut(arg, "=")
		switch _, twice := values[key]; {
		case keys != nil && !slices.Contains(keys, key):
			return nil, usagef("%q is none of %s", key, strings.Join(keys, ", "))
		case !ok:
			return nil, usagef("%q has no value: write %s=VALUE", arg, key)
		case twice:
			return nil, usagef("%s is given twice", key)
		}
		values[key] = value
	}
	return values, nil
}

// How long eventually waits between two tries.
const (
	firstPause = 10 * time.Millisecond
	lastPause  = 200 * time.Millisecond
)

func eventuallyCommand() command {
	return command{Command: script.Command{
		Name: "eventually", Args: "DURATION COMMAND [ARG...] [-- COMMAND [ARG...]]...",
		Short: "Repeats commands until all of them do as expected, for DURATION at most.",
		Long: "The commands are those of this page, each with a `!` before it where it is to fail; " +
			"all are run again at each try. `stdout REGEXP` may be among them. What the last try wrote is then on stdout.",
		Example: "publish jobs.new one\neventually 10s kv get done -- stdout '^one$'",
	}, run: eventually}
}

func eventually(ctx context.Context, c *call) error {
	if err := c.takes(2, -1); err != nil {
		return err
	}
	limit, err := time.ParseDuration(c.args[0])
	if err != nil || limit <= 0 {
		return usagef("%q is no duration such as 5s", c.args[0])
	}
	chain, err := parseChain(c.args[1:])
	if err != nil {
		return err
	}
	within, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for try, pause := 1, firstPause; ; try, pause = try+1, min(2*pause, lastPause) {
		out, err := c.once(within, chain)
		if err == nil || errors.As(err, new(fatal)) {
			c.print(out)
			return err
		}
		select {
		case <-time.After(pause):
		case <-within.Done():
			return fmt.Errorf("not within %v; try %d: %w", limit, try, err)
		}
	}
}

// link is one command of a chain.
type link struct {
	command command
	args    []string
	not     bool
}

func (l link) String() string {
	text := l.command.Name + " " + strings.Join(l.args, " ")
	if l.not {
		text = "! " + text
	}
	return strings.TrimSpace(text)
}

func parseChain(words []string) ([]link, error) {
	known := append(verbs(), stdoutCommand())
	var chain []link
	for len(words) > 0 {
		end := slices.Index(words, "--")
		if end < 0 {
			end = len(words)
		}
		one := words[:end]
		words = words[min(end+1, len(words)):]
		var l link
		if len(one) > 0 && one[0] == "!" {
			l.not, one = true, one[1:]
		}
		if len(one) == 0 {
			return nil, usagef("a command is missing")
		}
		i := slices.IndexFunc(known, func(c command) bool { return c.Name == one[0] })
		if i < 0 {
			return nil, usagef("%q is no command that can be repeated", one[0])
		}
		l.command, l.args = known[i], one[1:]
		chain = append(chain, l)
	}
	return chain, nil
}

// once runs a chain once. It returns what its last command that writes has written.
func (c *call) once(ctx context.Context, chain []link) (out string, err error) {
	out = c.in
	for _, l := range chain {
		one := &call{session: c.session, args: l.args, not: l.not, in: out}
		err := l.command.attempt(ctx, one)
		if !l.command.looks {
			out = one.out.String()
		}
		if err := l.command.judge(err, l.not); err != nil {
			return out, fmt.Errorf("%s: %w", l, err)
		}
	}
	return out, nil
}

// stdoutCommand is testscript's stdout, where eventually is to repeat it.
func stdoutCommand() command {
	return command{Command: script.Command{Name: "stdout", Args: "REGEXP"}, looks: true, run: func(_ context.Context, c *call) error {
		if err := c.takes(1, 1); err != nil {
			return err
		}
		pattern, err := compile(c.args[0])
		if err != nil {
			return err
		}
		if !pattern.MatchString(c.in) {
			return fmt.Errorf("no match for %q in stdout: %s", c.args[0], excerpt(c.in))
		}
		return nil
	}}
}
