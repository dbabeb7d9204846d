package guestsuite

import (
	"encoding/hex"
	"regexp"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/waxosuit/waxo/testscripts/script"
)

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
	s := loaded(ts)
	n := s.drive(script.Context(ts), d)
	fatal(ts)
	if n == 0 && s.find("hang") == nil {
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
		if d.variant = variantOf(value); d.variant == nil {
			ts.Fatalf("there is no variant %q; there are:\n%s", value, variantList())
		}
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
	for word := range strings.FieldsSeq(line) {
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
	s := loaded(ts)
	op, err := operation(args[1])
	ts.Check(err)
	payload := op.Request().AppendProto(nil)
	for _, r := range s.requests {
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
