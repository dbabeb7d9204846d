package project

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/waxosuit/waxo/devhost/fault"
	"github.com/waxosuit/waxo/testscripts/script"
)

func troubleCommands() []command {
	return []command{
		{Command: script.Command{
			Name: "fault", Args: "CAPABILITY[/BINDING] deny | cut | KEY=VALUE... , or clear [CAPABILITY[/BINDING]]",
			Short: "Has calls of a capability go wrong from now on, or no longer.",
			Long: "`deny` denies calls, as if the claims did not grant them; `cut` cuts the service off. Keys are those of `waxo fault`: `latency` and `jitter` (durations), " +
				"`error` (a code such as `unavailable`), `rate` (of the calls that `error` or `deny` is for), `times` (calls, until it is over) and `for` (how long).",
			Example: "fault wascap:keyvalue error=unavailable times=1\n! http GET /\nstatus 502\nhttp GET /\nstatus 200",
		}, run: runFault},
		{Command: script.Command{
			Name: "clock", Args: "+DURATION | -DURATION | TIME | now",
			Short: "Moves the clock that claims are held against, and that `waxo:clock` tells guests: on, back, to a time, or to what it is.",
			Long:  "The clock goes on from there. Servers, embedded or in containers, have clocks of their own: keys that expire do so by the real time.",
			Example: "claims expires=1h\nrestart\nclock +59m\nrestart\nclock +2m\n! restart\nstderr expired\n" +
				"claims expires=never not_before=2030-06-01\n! start\nclock 2030-06-02\nstart\nhttp GET /time\njson .year 2030",
		}, run: runClock},
		{Command: script.Command{
			Name: "log", Args: "REGEXP | clear",
			Short: "Checks that a line matches that the guest or the host has logged since the script began, or since `log clear`.",
			Long: "A line is a level, the text, and what goes with it: `info: counted guest=hello`; what a guest prints is `print: text`. " +
				"Where a script fails, its report has the lines.",
			Example: "log clear\nhttp POST /\nlog 'counted to 1'\n! log '^error'",
		}, run: runLog, looks: true},
	}
}

func runFault(ctx context.Context, c *call) error {
	if err := c.takes(1, -1); err != nil {
		return err
	}
	if c.args[0] == "clear" {
		return c.clearFault(ctx)
	}
	f, err := readFault(c.args)
	if err != nil {
		return err
	}
	if err := c.serve(); err != nil {
		return err
	}
	if err := c.stand.faults.Set(ctx, f); err != nil {
		return usage{err}
	}
	return nil
}

func (c *call) clearFault(ctx context.Context) error {
	if err := c.takes(1, 2); err != nil {
		return err
	}
	id, name := "", ""
	if len(c.args) == 2 {
		id, name, _ = strings.Cut(c.args[1], "/")
	}
	n, err := c.stand.faults.Clear(ctx, id, name)
	if err == nil && n == 0 {
		return usagef("nothing goes wrong there")
	}
	return err
}

func readFault(args []string) (f fault.Fault, err error) {
	f.Capability, f.Binding, _ = strings.Cut(args[0], "/")
	rest := slices.DeleteFunc(slices.Clone(args[1:]), func(arg string) bool {
		f.Deny = f.Deny || arg == "deny"
		f.Cut = f.Cut || arg == "cut"
		return arg == "deny" || arg == "cut"
	})
	values, err := pairs(rest, "latency", "jitter", "error", "rate", "times", "for")
	if err != nil {
		return f, err
	}
	for key, value := range values {
		switch key {
		case "latency":
			f.Latency, err = time.ParseDuration(value)
		case "jitter":
			f.Jitter, err = time.ParseDuration(value)
		case "for":
			f.For, err = time.ParseDuration(value)
		case "error":
			f.Error = value
		case "rate":
			f.Rate, err = strconv.ParseFloat(value, 64)
		case "times":
			f.Times, err = strconv.Atoi(value)
		}
		if err != nil {
			return f, usagef("%s: %w", key, err)
		}
	}
	if err := f.Check(); err != nil {
		return f, usage{err}
	}
	return f, nil
}

func runClock(_ context.Context, c *call) error {
	if err := c.takes(1, 1); err != nil {
		return err
	}
	if err := c.clock.set(c.args[0]); err != nil {
		return usage{err}
	}
	return nil
}

func runLog(_ context.Context, c *call) error {
	if err := c.takes(1, 1); err != nil {
		return err
	}
	if c.args[0] == "clear" {
		c.log.clear()
		return nil
	}
	pattern, err := compile(c.args[0])
	if err != nil {
		return err
	}
	if c.log.find(pattern) {
		return nil
	}
	last := c.log.last(5)
	if len(last) == 0 {
		return fmt.Errorf("no line matches %q: nothing was logged", c.args[0])
	}
	return fmt.Errorf("no line matches %q; the last ones are\n%s", c.args[0], strings.Join(last, "\n"))
}
