package guestsuite

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/payload/registry"
	"github.com/waxosuit/waxo/testscripts/script"
)

// loaded is the session of a script that has an instance.
func loaded(ts *testscript.TestScript) *session {
	s := sessionOf(ts)
	if s.pool == nil {
		ts.Fatalf("there is no instance: load one first")
	}
	return s
}

func load(ts *testscript.TestScript, not bool, args []string) {
	s := sessionOf(ts)
	if not || len(args) != 0 && (len(args) != 2 || args[0] != "-spare") {
		usage(ts, "load")
	}
	ts.Check(s.start(script.Context(ts), 0))
	if len(args) == 2 {
		ts.Check(s.start(script.Context(ts), s.pool.Stats().MemoryBytes+int64(number(ts, args[1]))))
	}
}

func start(ts *testscript.TestScript, not bool, args []string) {
	if not || len(args) > 0 {
		usage(ts, "start")
	}
	err := sessionOf(ts).start(script.Context(ts), 0)
	fatal(ts)
	if err != nil {
		ts.Logf("%v", err)
	}
}

// number reads a number of bytes or calls.
func number(ts *testscript.TestScript, text string) int {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		ts.Fatalf("%q is no number", text)
	}
	return n
}

func call(ts *testscript.TestScript, not bool, args []string) {
	if len(args) < 1 || len(args) > 2 {
		usage(ts, "call")
	}
	op, err := operation(args[0])
	ts.Check(err)
	m := op.Request()
	if len(args) == 2 {
		ts.Check(registry.UnmarshalJSON([]byte(ts.ReadFile(args[1])), m))
	}
	o := loaded(ts).call(script.Context(ts), op.Name, op, m.AppendProto(nil))
	expect(ts, o, not)
	if o.answered && op.Response != nil {
		response := op.Response()
		ts.Check(response.UnmarshalProto(o.response))
		text, err := registry.MarshalJSON(response)
		ts.Check(err)
		fmt.Fprintf(ts.Stdout(), "%s\n", text)
	}
}

func raw(ts *testscript.TestScript, not bool, args []string) {
	tolerant := len(args) > 0 && args[0] == "-any"
	if tolerant {
		args = args[1:]
	}
	if len(args) < 1 || len(args) > 2 {
		usage(ts, "raw")
	}
	var payload []byte
	if len(args) == 2 {
		payload = unhex(ts, args[1])
	}
	o := loaded(ts).perform(script.Context(ts), args[0], payload)
	if tolerant {
		fatal(ts)
		fmt.Fprintln(ts.Stderr(), o.text)
		return
	}
	expect(ts, o, not)
	if o.answered {
		fmt.Fprintf(ts.Stdout(), "%x\n", o.response)
	}
}

// expect ends a script unless a call ended with a response, or, where not is
// true, with an error.
func expect(ts *testscript.TestScript, o *outcome, not bool) {
	fatal(ts)
	wanted := "a response"
	if not {
		wanted = "an error"
		fmt.Fprintln(ts.Stderr(), o.text)
	}
	if o.answered && not || o.failed && !not || o.err != nil {
		ts.Fatalf("%s was not answered with %s: %v%s", o.name, wanted, o, logOf(o.err))
	}
}

func unhex(ts *testscript.TestScript, text string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		ts.Fatalf("%q is no hex: %v", text, err)
	}
	return b
}

func answerCommand(ts *testscript.TestScript, not bool, args []string) {
	s := sessionOf(ts)
	if s.services == nil {
		s.services = newServices(s, nil)
	}
	switch v := s.services; {
	case !not && len(args) == 1 && (args[0] == "live" || args[0] == "fixed"):
		v.fixed = args[0] == "fixed"
		clear(v.answers)
	case !not && len(args) == 3 && args[1] == "error":
		v.answers[args[0]] = answer{err: capability.ParseError(args[2])}
	case !not && len(args) == 3 && args[1] == "bytes":
		v.answers[args[0]] = answer{payload: unhex(ts, args[2])}
	default:
		usage(ts, "answer")
	}
}

func given(ts *testscript.TestScript, not bool, args []string) {
	s := sessionOf(ts)
	if len(args) != 1 {
		usage(ts, "given")
	}
	k, known := kindOf(args[0])
	if !known {
		ts.Fatalf("there is no kind %q; there are:\n%s", args[0], kindList())
	}
	switch found := s.find(k.name); {
	case not && found != nil:
		s.skip(fmt.Sprintf("the guest %s: %s", k.what, found[0]))
	case !not && found == nil:
		s.skip(fmt.Sprintf("in none of %d %s it was seen that the guest %s", s.looked[k.in], k.in, k.what))
	}
}

func saw(ts *testscript.TestScript, not bool, args []string) {
	s := sessionOf(ts)
	if len(args) != 1 {
		usage(ts, "saw")
	}
	k, known := kindOf(args[0])
	if !known {
		ts.Fatalf("there is no kind %q; there are:\n%s", args[0], kindList())
	}
	found := s.find(k.name)
	switch {
	case found == nil && s.looked[k.in] == 0:
		s.skip(fmt.Sprintf("there were no %s to look at", k.in))
	case not && found != nil:
		ts.Fatalf("the guest %s: %s", k.what, shorten(found))
	case !not && found == nil:
		ts.Fatalf("in none of %d %s it was seen that the guest %s", s.looked[k.in], k.in, k.what)
	}
}

// shorten lists the first findings.
func shorten(found []string) string {
	const most = 5
	text := strings.Join(found[:min(len(found), most)], "\n")
	if len(found) > most {
		text += fmt.Sprintf("\nand %d more", len(found)-most)
	}
	return text
}

func transcript(ts *testscript.TestScript, not bool, args []string) {
	if not || len(args) != 1 {
		usage(ts, "transcript")
	}
	s := sessionOf(ts)
	if len(s.seen) == 0 {
		s.skip("there were no calls to write down")
	}
	var b bytes.Buffer
	for _, o := range s.seen {
		o.write(&b)
	}
	ts.Check(writeFile(ts.MkAbs(args[0]), b.Bytes()))
}

func memory(ts *testscript.TestScript, not bool, args []string) {
	s := loaded(ts)
	size := s.pool.Stats().MemoryBytes
	switch {
	case not:
		usage(ts, "memory")
	case s.find("crash") != nil || s.find("hang") != nil || s.find("memory") != nil:
		s.skip("the instance did not last: " + shorten(slices.Concat(s.find("crash"), s.find("hang"), s.find("memory"))))
	case len(args) == 1 && args[0] == "keep":
		s.kept = append(s.kept, size)
	case len(args) == 1 && args[0] == "steady" && len(s.kept) > 1:
		for i, kept := range s.kept[1:] {
			if kept <= s.kept[i] {
				ts.Logf("the memory had %v bytes", s.kept)
				return
			}
		}
		ts.Fatalf("the memory has grown each time: it had %v bytes", s.kept)
	default:
		usage(ts, "memory")
	}
}
