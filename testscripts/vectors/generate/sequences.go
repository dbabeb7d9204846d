package main

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/waxosuit/waxo/testscripts/vectors"
)

type (
	step     = vectors.Step
	steps    = []vectors.Step
	call     = vectors.Call
	outcome  = vectors.Outcome
	sequence = vectors.Sequence
)

func sequenceVectors() ([]vectors.Sequence, error) {
	list := append(operationSequences(), errorSequences()...)
	list = append(list, hostCallSequences()...)
	list = append(list, hostErrorSequences()...)
	list = append(list, staleSequences()...)
	list = append(list, logSequences()...)
	list = append(list, startSequences()...)
	list = append(list, outsideSequences()...)
	list = append(list, crashSequences()...)
	for i := range list {
		s := &list[i]
		if s.Form == 0 {
			s.Form = 8
		}
		module, err := assemble(s)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.Name, err)
		}
		s.Module = hex.EncodeToString(module)
	}
	return list, nil
}

func toHex(text string) string { return hex.EncodeToString([]byte(text)) }

// The steps.
func asks() step               { return step{Request: true} }
func responds(b string) step   { return step{Response: new(toHex(b))} }
func reports(text string) step { return step{Error: new(text)} }
func logs(line string) step    { return step{Log: new(line)} }
func notes(text string) step   { return step{Note: new(text)} }
func finds(text string) step   { return step{Notes: new(text)} }
func responseLen(n int) step   { return step{HostResponseLen: new(n)} }
func reads(b string) step      { return step{HostResponse: new(toHex(b))} }
func errorLen(n int) step      { return step{HostErrorLen: new(n)} }
func readsError(t string) step { return step{HostError: new(t)} }

// raw calls a function with such arguments; what stands first is data.
func raw(function, data string, args ...string) step {
	return step{Raw: &vectors.Raw{Function: function, Data: toHex(data), Args: args}}
}

var (
	// nowhere is a host call whose empty parts lie outside of the memory.
	nowhere = step{Raw: &vectors.Raw{Function: "__host_call", Data: toHex("a"), Args: fields("4294967295 0 data 1 data 1 4294967295 0"),
		Served: vectors.Served{Sees: seen("", "a", "a", ""), Answers: new("")}, Returns: new(1)}}
	overwrites = step{Overwrite: true}
	traps      = step{Trap: true}
)

// The outcomes.
func answer(b string) outcome     { return outcome{Response: new(toHex(b))} }
func failure(text string) outcome { return outcome{Error: new(text)} }

var (
	failed    = outcome{Failed: true}
	broken    = outcome{Broken: true}
	unstarted = outcome{Unstarted: true}
)

// one is a call with what it comes to.
func one(operation, payload string, does steps, returns int, comesTo ...outcome) call {
	return call{Operation: operation, Payload: toHex(payload), Steps: does, Returns: returns, Outcome: comesTo}
}

// seq is a sequence of calls in the form of 8.
func seq(name, rules string, calls ...call) sequence {
	return sequence{Vector: vector(name, rules), Calls: calls}
}

func every() string {
	b := make([]byte, 256)
	for i := range b {
		b[i] = byte(i)
	}
	return string(b)
}

func operationSequences() []sequence {
	long := "wascap:" + strings.Repeat("k", 1000) + "!Do"
	return []sequence{
		seq("an operation and its response", "CALL-10 CALL-11 CALL-24", one("a:b!Do", "hello", steps{asks(), responds("olleh")}, 1, answer("olleh"))),
		seq("an empty payload and an empty response", "CALL-10 CALL-11 CALL-24", one("a:b!Do", "", steps{asks(), responds("")}, 1, answer(""))),
		seq("every byte in payload and response", "CALL-11 CALL-24", one("a:b!Do", every(), steps{asks(), responds(every())}, 1, answer(every()))),
		seq("lengths are in bytes", "CALL-10 CALL-11", one("a:ü!世界🙂", "ä", steps{asks(), responds("ö")}, 1, answer("ö"))),
		seq("a bare operation", "CALL-11", one("Do", "x", steps{asks(), responds("y")}, 1, answer("y"))),
		seq("a long operation", "CALL-10 CALL-11", one(long, "x", steps{asks(), responds("y")}, 1, answer("y"))),
		seq("zeros at the end", "CALL-10 CALL-11 CALL-24", one("a:b!Do", "x\x00\x00", steps{asks(), responds("y\x00\x00")}, 1, answer("y\x00\x00"))),
		seq("the request is asked for twice", "CALL-13", one("a:b!Do", "hello", steps{asks(), asks(), responds("y")}, 1, answer("y"))),
		seq("the request is not asked for", "CALL-24", one("a:b!Do", "hello", steps{responds("y")}, 1, answer("y"))),
		seq("1 without a response", "CALL-18", one("a:b!Do", "hello", steps{asks()}, 1, answer(""))),
		seq("of several responses the last one counts", "CALL-21", one("a:b!Do", "x", steps{responds("first"), responds("second, longer"), responds("last")}, 1, answer("last"))),
		seq("an empty response after another", "CALL-21", one("a:b!Do", "x", steps{responds("first"), responds("")}, 1, answer(""))),
		seq("a response is copied when it is handed over", "CALL-23", one("a:b!Do", "x", steps{responds("mine"), overwrites}, 1, answer("mine"))),
		seq("calls one after another", "CALL-10 CALL-11",
			one("a:b!1", "a longer payload", steps{asks(), responds("a longer response")}, 1, answer("a longer response")),
			one("a:b!22", "short", steps{asks(), responds("s")}, 1, answer("s")),
			one("a:b!333", "", steps{asks()}, 1, answer("")),
			one("a:b!4444", "again", steps{asks(), responds("again")}, 1, answer("again"))),
		seq("a response does not outlast its call", "CALL-18",
			one("a:b!1", "", steps{responds("mine")}, 1, answer("mine")), one("a:b!22", "", steps{asks()}, 1, answer(""))),
		seq("a pointer of nothing points anywhere", "CALL-26 CALL-33", one("a:b!Do", "", steps{nowhere,
			raw("__host_response", "", "4294967295"), raw("__guest_response", "", "4294967295", "0")}, 1, answer(""))),
	}
}

func errorSequences() []sequence {
	return []sequence{
		seq("an error with its text", "CALL-60 CALL-62", one("a:b!Do", "", steps{asks(), reports("out of cheese")}, 0, failure("out of cheese"))),
		seq("an error's text is UTF-8", "CALL-60", one("a:b!Do", "", steps{reports("kein Käse 🧀")}, 0, failure("kein Käse 🧀"))),
		seq("an error of several lines", "CALL-60", one("a:b!Do", "", steps{reports("one\ntwo")}, 0, failure("one\ntwo"))),
		seq("0 without an error", "CALL-19", one("a:b!Do", "", steps{asks()}, 0, failed)),
		seq("0 with an empty error", "CALL-19 CALL-26", one("a:b!Do", "", steps{raw("__guest_error", "", "4294967295", "0")}, 0, failed)),
		seq("a response, then an error, and 1", "CALL-20", one("a:b!Do", "", steps{responds("fine"), reports("no")}, 1, answer("fine"))),
		seq("an error, then a response, and 1", "CALL-20", one("a:b!Do", "", steps{reports("no"), responds("fine")}, 1, answer("fine"))),
		seq("a response, then an error, and 0", "CALL-20", one("a:b!Do", "", steps{responds("fine"), reports("no")}, 0, failure("no"))),
		seq("an error, then a response, and 0", "CALL-20", one("a:b!Do", "", steps{reports("no"), responds("fine")}, 0, failure("no"))),
		seq("an error, and 1 without a response", "CALL-18 CALL-20", one("a:b!Do", "", steps{reports("no")}, 1, answer(""))),
		seq("a response, and 0 without an error", "CALL-19 CALL-20", one("a:b!Do", "", steps{responds("fine")}, 0, failed)),
		seq("of several errors the last one counts", "CALL-21", one("a:b!Do", "", steps{reports("a first one"), reports("last")}, 0, failure("last"))),
		seq("an error is copied when it is handed over", "CALL-23", one("a:b!Do", "", steps{reports("mine"), overwrites}, 0, failure("mine"))),
		seq("2 is not success", "CALL-17", one("a:b!Do", "", steps{responds("fine")}, 2, broken, failed)),
		seq("-1 is not success", "CALL-17", one("a:b!Do", "", steps{responds("fine")}, -1, broken, failed)),
		seq("257 is not success", "CALL-17", one("a:b!Do", "", steps{responds("fine")}, 257, broken, failed)),
		seq("a call after an error", "CALL-61",
			one("a:b!1", "", steps{reports("no")}, 0, failure("no")), one("a:b!22", "x", steps{asks(), responds("y")}, 1, answer("y"))),
		seq("an error does not outlast its call", "CALL-19 CALL-61",
			one("a:b!1", "", steps{reports("no")}, 0, failure("no")), one("a:b!22", "", steps{asks()}, 0, failed)),
	}
}

func logSequences() []sequence {
	logged := func(c call, lines ...string) call { c.Log = lines; return c }
	return []sequence{
		seq("lines in their order", "CALL-35", logged(one("a:b!Do", "", steps{logs("one"), asks(), logs("two"), responds("y"), logs("drei 🙂")}, 1, answer("y")), "one", "two", "drei 🙂")),
		seq("lines of a call that fails", "CALL-35", logged(one("a:b!Do", "", steps{logs("before"), reports("no"), logs("after")}, 0, failure("no")), "before", "after")),
		seq("lines of a call that traps", "CALL-35", logged(one("a:b!Do", "", steps{logs("last words"), traps}, 1, broken), "last words")),
		seq("a line is copied when it is handed over", "CALL-23", logged(one("a:b!Do", "", steps{logs("mine"), overwrites, responds("y")}, 1, answer("y")), "mine")),
		seq("a line of 16 KiB", "CALL-36", logged(one("a:b!Do", "", steps{logs(strings.Repeat("x", 16<<10)), responds("y")}, 1, answer("y")), strings.Repeat("x", 16<<10))),
		seq("a line that is not UTF-8", "CALL-37", logged(one("a:b!Do", "", steps{raw("__console_log", "a\xffb", "data", "3"), responds("y")}, 1, answer("y")), "a\ufffdb")),
		seq("an error that is not UTF-8", "CALL-37", one("a:b!Do", "", steps{raw("__guest_error", "a\xffb", "data", "3")}, 0, failure("a\ufffdb"))),
	}
}
