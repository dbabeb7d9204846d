package hostsuite

import (
	"errors"
	"regexp"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/waxosuit/waxo/testscripts/script"
)

// hostCommands start, watch and end hosts.
func hostCommands() []script.Command {
	list := []script.Command{
		{
			Name: "host", Args: "[-maybe] [-call-timeout DURATION] [-memory SIZE] [-body SIZE] [-env NAME=VALUE]... [flags of sign] MODULE",
			Short:   "Start the host with a module, and wait until it serves. `! host` expects that it refuses the module; what it says is what stderr looks at.",
			Long:    "A module's text (.wat) is assembled and signed first. The limits are for a call, for the memory of an instance and for bodies. With -maybe, the host may refuse; requests are answered by `refused` then.",
			Example: "host -call-timeout 300ms spin.wat\nhttp GET / 5xx\n\n-- spin.wat --\n(func $handle (result i32) (loop $again (br $again)) (unreachable))",
		},
		{
			Name: "logged", Args: "[-count N] REGEXP",
			Short:   "Wait until a line of what the host and its guest have printed matches; with -count, so many. `! logged` expects that none does by now.",
			Example: "host guest.wat\nhttp GET / 200\nlogged 'so it goes'\n\n-- guest.wat --\n(data (i32.const 0) \"so it goes\")\n(func $handle (result i32) (call $console_log (i32.const 0) (i32.const 10)) (call $ok))",
		},
		{
			Name: "reason", Args: "REGEXP",
			Short:   "Expect that what the host said when it refused the last module matches. Where it did not refuse it, the check has nothing to look at and is skipped.",
			Example: "wat guest.wat\nhost -maybe guest.wasm\nreason sign\n\n-- guest.wat --\n(func $handle (result i32) (call $ok))",
		},
		{
			Name:    "stop",
			Short:   "Tell the host to end, as a system does (SIGTERM), and wait until it has. `! stop` expects an exit status other than 0.",
			Example: "host guest.wat\nstop\n\n-- guest.wat --\n(func $handle (result i32) (call $ok))",
		},
		{
			Name: "terminate", Short: "Tell the host to end, and do not wait.",
			Example: "host guest.wat\nterminate\nlogged .\n\n-- guest.wat --\n(func $handle (result i32) (call $ok))",
		},
	}
	list[0].Run = func(ts *testscript.TestScript, not bool, args []string) { runHost(ts, list[0], not, args) }
	list[1].Run = func(ts *testscript.TestScript, not bool, args []string) { runLogged(ts, list[1], not, args) }
	list[2].Run = withoutNot(&list[2], runReason)
	list[3].Run = func(ts *testscript.TestScript, not bool, _ []string) { runStop(ts, not) }
	list[4].Run = withoutNot(&list[4], func(w *world, ts *testscript.TestScript, _ script.Command, _ []string) {
		ts.Check(w.serving(ts).terminate())
	})
	return list
}

func runHost(ts *testscript.TestScript, c script.Command, not bool, args []string) {
	w := worldOf(ts)
	a := take(ts, c, args, signFlags+"maybe call-timeout: memory: body: env:", 1, 1)
	s := &settings{
		callTimeout: a.duration("call-timeout"), memory: int64(a.size("memory")), body: a.size("body"),
		env: append(w.env[:len(w.env):len(w.env)], a.flags["env"]...), hostCall: w.calls.serve,
	}
	h, err := w.suite.subject.start(w.ctx, moduleFile(w, ts, a.rest[0], signingOf(a)), s)
	w.host, w.refused = nil, nil
	switch refused := (*refusal)(nil); {
	case errors.As(err, &refused):
		w.refused = refused
		_, err = ts.Stderr().Write([]byte(refused.text))
		ts.Check(err)
		if !not && !a.has("maybe") {
			ts.Fatalf("%v", refused)
		}
	case err != nil:
		ts.Fatalf("%v", err)
	default:
		w.host = h
		w.hosts = append(w.hosts, h)
		if not {
			w.fail(ts, "the host serves with %s, which it must refuse", a.rest[0])
		}
	}
}

func runLogged(ts *testscript.TestScript, c script.Command, not bool, args []string) {
	w := worldOf(ts)
	a := take(ts, c, args, "count:", 1, 1)
	pattern, count := a.rest[0], 1
	if a.has("count") {
		n, err := strconv.Atoi(a.get("count"))
		ts.Check(err)
		count = n
	}
	enough := matchLines(ts, pattern, count)
	var out *output
	if w.refused != nil {
		out = newOutput()
		_, err := out.Write([]byte(w.refused.text))
		ts.Check(err)
		out.end()
	} else {
		out = w.serving(ts).output()
	}
	if not {
		if enough(out.String()) {
			w.fail(ts, "a line that matches %q was printed", pattern)
		}
		return
	}
	if !out.await(w.ctx, enough) {
		w.fail(ts, "no line that matches %q was printed", pattern)
	}
}

func runReason(w *world, ts *testscript.TestScript, c script.Command, args []string) {
	a := take(ts, c, args, "", 1, 1)
	if w.refused == nil {
		w.skip("the host does not refuse the module, as another check reports")
	}
	if !matchLines(ts, a.rest[0], 1)(w.refused.text) {
		ts.Fatalf("the host does not say why it refuses the module: no line matches %q\n%s", a.rest[0], w.refused.text)
	}
}

// matchLines makes a function that tells whether so many lines of a text match.
func matchLines(ts *testscript.TestScript, pattern string, count int) func(text string) bool {
	re, err := regexp.Compile(pattern)
	ts.Check(err)
	return func(text string) bool {
		n := 0
		for line := range strings.Lines(text) {
			if re.MatchString(strings.TrimRight(line, "\r\n")) {
				n++
			}
		}
		return n >= count
	}
}

func runStop(ts *testscript.TestScript, not bool) {
	w := worldOf(ts)
	err := w.serving(ts).stop(w.ctx)
	if not == (err == nil) {
		w.fail(ts, "the host ended: %v", err)
	}
}
