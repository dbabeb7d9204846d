package guestsuite

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/payload/registry"
	"github.com/waxosuit/waxo/testscripts/script"
)

// Commands are those of the suite's scripts.
func Commands() []script.Command { return slices.Concat(staticCommands(), runCommands()) }

func runCommands() []script.Command {
	return []script.Command{
		{
			Name: "load", Args: "[-spare BYTES]", Run: load,
			Short: "Starts an instance of the guest, with services as at first, in place of the one before.",
			Long: `What was seen is forgotten. With -spare, its memory may grow by that many bytes beyond what it
starts with; else it may have what a host gives.`,
			Example: "load",
		},
		{
			Name: "start", Run: start,
			Short:   "Is load, but for a start that may fail: look at it with saw.",
			Example: "start\n! saw start-crash",
		},
		{
			Name: "call", Args: "OPERATION [FILE]", Run: call,
			Short: "Has the guest handle an operation, and expects a response.",
			Long: `The operation is spelled as the guest's generation does. FILE holds the payload in the JSON
mapping of proto3; without it, nothing is set. The response goes to stdout, as JSON where it is a message.
After "!", the guest must answer with an error, whose text goes to stderr. A guest that traps does neither.`,
			Example: "call HealthRequest",
		},
		{
			Name: "raw", Args: "[-any] OPERATION [HEX]", Run: raw,
			Short:   "Is call for an operation as it is spelled here, with any bytes for its payload. With -any, any answer will do.",
			Example: "! raw 'nobody:nothing!Nothing'\nstderr Nothing",
		},
		{
			Name: "drive", Args: "[-all] [-only REGEXP] [-as VARIANT [-plain]] [-tail FILE] [-empty] [-size BYTES] [OPERATION...]", Run: drive,
			Short: "Has the guest handle the suite's requests for what it claims, or for some operations; any answer will do.",
			Long: `The requests are those of requests.txtar; -only chooses among them by name. Those that crash the
guest as they are are left out, unless -all says otherwise. What comes of it is for saw and transcript. -empty sends an empty payload instead, -size a message with that many bytes in it. -tail
appends each line of a file, bytes in hex up to the first word that is none, to each message. -as writes the
messages in another way, and leaves out those that cannot be; -plain leaves the same out, and writes the others
as they are:

` + variantList(),
			Example: "load\ndrive\n! saw crash",
		},
		{
			Name: "repeat", Args: "N OPERATION", Run: repeat,
			Short: "Has the guest handle the suite's first request for an operation N times, or as often as 5 s allow.",
			Long: `It ends with a call that traps or hangs. The services answer as if each host call were the first.
HealthRequest stands for the request that any guest handles.`,
			Example: "load\nrepeat 1000 HealthRequest\n! saw worn",
		},
		{
			Name: "answer", Args: "live | fixed | OPERATION|* error TEXT | OPERATION|* bytes HEX", Run: answerCommand,
			Short: "Says how host calls are answered.",
			Long: `"live", as at first, lets the services work: a store keeps what is stored. "fixed" answers each
call as if it were the first. The others are for one operation, or for all that are not said, and stay until
live or fixed is said.`,
			Example: "answer * error 'unavailable: the service is away'\nload\ndrive\n! saw crash",
		},
		{
			Name: "saw", Args: "KIND", Run: saw,
			Short: "Expects that something was seen since load, start or forget; mostly it is not to be.",
			Long: `Where there was nothing that it could have been seen in, such as no host call, the check is skipped.
The guest ...

` + kindList(),
			Example: "load\ndrive\n! saw crash",
		},
		{
			Name: "given", Args: "KIND", Run: given,
			Short:   "Skips the check unless something was seen, or after ! if it was.",
			Example: "load\ndrive DeliverMessage\ngiven answer",
		},
		{
			Name: "forget", Run: func(ts *testscript.TestScript, _ bool, _ []string) { sessionOf(ts).forget() },
			Short:   "Starts anew what saw and transcript speak of; the instance stays.",
			Example: "load\ndrive\nforget\ndrive\n! saw crash",
		},
		{
			Name: "transcript", Args: "FILE", Run: transcript,
			Short:   "Writes what was seen to a file: the requests by name, their host calls, and how they ended.",
			Example: "load\ndrive\ntranscript once\nload\ndrive\ntranscript again\ncmp once again",
		},
		{
			Name: "memory", Args: "keep | steady", Run: memory,
			Short: "Keeps the size of the instance's memory in mind, or expects that it has not grown each time that it was kept.",
			Long: `The memory of a runtime that collects its garbage grows by large steps now and then; that of a guest
which loses some memory with each call grows on and on.`,
			Example: "load\nrepeat 100 HealthRequest\nmemory keep\nrepeat 100 HealthRequest\nmemory keep\nmemory steady",
		},
	}
}

func variantList() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(variants)) {
		fmt.Fprintf(&b, "- `%s`: %s\n", name, variants[name].what)
	}
	return b.String()
}

func kindList() string {
	var b strings.Builder
	for _, k := range kinds {
		fmt.Fprintf(&b, "- `%s`: ... %s\n", k.name, k.what)
	}
	return b.String()
}

// usage ends a script whose line the command does not understand.
func usage(ts *testscript.TestScript, name string) {
	all := Commands()
	all[slices.IndexFunc(all, func(c script.Command) bool { return c.Name == name })].Usage(ts)
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
	o := sessionOf(ts).call(script.Context(ts), op.Name, op, m.AppendProto(nil))
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
	o := sessionOf(ts).perform(script.Context(ts), args[0], payload)
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

func drive(ts *testscript.TestScript, not bool, args []string) {
	d := &driving{}
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		flag := args[0]
		args = args[1:]
		if on := d.toggle(flag); on != nil {
			*on = true
			continue
		}
		if len(args) == 0 {
			usage(ts, "drive")
		}
		value := args[0]
		args = args[1:]
		d.flag(ts, flag, value)
	}
	if not {
		usage(ts, "drive")
	}
	for _, name := range args {
		_, err := operation(name)
		ts.Check(err)
	}
	d.operations = args
	s := sessionOf(ts)
	n := s.drive(script.Context(ts), d)
	fatal(ts)
	if n == 0 {
		s.skip("the module claims nothing that this could be sent to")
	}
	ts.Logf("%d calls", n)
}

// toggle returns what a flag without a value switches on, nil for any other.
func (d *driving) toggle(flag string) *bool {
	return map[string]*bool{"-all": &d.all, "-empty": &d.empty, "-plain": &d.plain}[flag]
}

func (d *driving) flag(ts *testscript.TestScript, flag, value string) {
	switch flag {
	case "-only":
		var err error
		d.only, err = regexp.Compile(value)
		ts.Check(err)
	case "-as":
		v, known := variants[value]
		if !known {
			ts.Fatalf("there is no variant %q; there are:\n%s", value, variantList())
		}
		d.variant = v.make
	case "-tail":
		for line := range strings.Lines(ts.ReadFile(value)) {
			if tail := leadingHex(line); tail != nil {
				d.tails = append(d.tails, tail)
			}
		}
	case "-size":
		d.size = number(ts, value)
	default:
		usage(ts, "drive")
	}
}

// leadingHex reads the bytes at the begin of a line, before words.
func leadingHex(line string) (b []byte) {
	for _, word := range strings.Fields(line) {
		one, err := hex.DecodeString(word)
		if err != nil || len(one) != 1 {
			break
		}
		b = append(b, one...)
	}
	return b
}

// repeatFor is how long repeat goes on.
const repeatFor = 5 * time.Second

func repeat(ts *testscript.TestScript, not bool, args []string) {
	if not || len(args) != 2 {
		usage(ts, "repeat")
	}
	s := sessionOf(ts)
	op, err := operation(args[1])
	ts.Check(err)
	payload := op.Request().AppendProto(nil)
	for _, r := range requests() {
		if r.op.Name == op.Name {
			payload = r.message.AppendProto(nil)
			break
		}
	}
	fixed := s.services.fixed
	s.services.quiet, s.services.fixed = true, true
	defer func() { s.services.quiet, s.services.fixed = false, fixed }()
	ts.Logf("%d calls", s.repeat(ts, number(ts, args[0]), s.spell(op.Capability, op.Name), payload))
	fatal(ts)
}

// repeat makes up to n calls and tells how many it made.
func (s *session) repeat(ts *testscript.TestScript, n int, operation string, payload []byte) int {
	ctx, begun := script.Context(ts), time.Now()
	var response []byte
	for i := range n {
		if i%1024 == 0 && time.Since(begun) > repeatFor {
			return i
		}
		s.trace = s.trace[:0]
		var err error
		response, err = s.pool.CallAppend(ctx, response[:0], operation, payload)
		s.looked[ofCalls]++
		if err == nil || isGuestError(err) {
			continue
		}
		s.lookAtCrash(operation, err)
		if i > 0 && s.find("hang") == nil {
			s.note("worn", "%s: call %d: %v%s", operation, i+1, err, logOf(err))
		}
		return i
	}
	return n
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
	s := sessionOf(ts)
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
