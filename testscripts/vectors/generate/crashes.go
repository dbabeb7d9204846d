package main

import (
	"strings"

	"github.com/waxosuit/waxo/testscripts/vectors"
)

func startSequences() []sequence {
	starts := func(s sequence, list ...vectors.Start) sequence { s.Start = list; return s }
	on := func(function string, does ...step) vectors.Start {
		return vectors.Start{Function: function, Steps: does}
	}
	found := func(text string) call {
		return one("a:b!Do", "x", steps{asks(), finds(text), responds("y")}, 1, answer("y"))
	}
	first := hc("default", "wascap:keyvalue", "Get", "k", "")
	first.HostCall.Sees, first.HostCall.Answers, first.HostCall.Returns = nil, nil, 0
	logged := found("")
	logged.Log = []string{"starting", "wapc starts"}
	var list []sequence
	for _, f := range []string{"_start", "_initialize", "wapc_init", "start"} {
		list = append(list, starts(seq(f+" alone", "CALL-1", found("s")), on(f, notes("s"))),
			starts(seq(f+" traps", "CALL-2", one("a:b!Do", "", steps{responds("y")}, 1, unstarted)), on(f, traps)))
	}
	return append(list,
		starts(seq("everything in its order", "CALL-1", found("abcd")),
			on("wapc_init", notes("d")), on("_initialize", notes("c")), on("_start", notes("b")), on("start", notes("a"))),
		starts(seq("two of them", "CALL-1", found("ab")), on("wapc_init", notes("b")), on("_start", notes("a"))),
		starts(seq("once for each instance", "CALL-1", found("i"), one("a:b!2", "", steps{finds("i"), responds("z")}, 1, answer("z"))), on("_initialize", notes("i"))),
		starts(seq("the last one traps", "CALL-2", one("a:b!Do", "", steps{responds("y")}, 1, unstarted)), on("_start", notes("a")), on("wapc_init", traps)),
		starts(seq("a host call at the start", "CALL-4", found("")), on("_initialize", first)),
		starts(seq("lines at the start", "CALL-6", logged), on("_initialize", logs("starting")), on("wapc_init", logs("wapc starts"))),
	)
}

// outsideSequences name memory that is not there.
func outsideSequences() []sequence {
	outside := func(name, rules string, does ...step) sequence {
		return seq(name, rules, one("a:b!Do", "payload", append(does, responds("y")), 1, broken))
	}
	const rules = "CALL-81 CALL-82"
	list := []sequence{
		seq("a response up to the end", "CALL-24", one("a:b!Do", "", steps{raw("__guest_response", "", "end-3", "3")}, 1, answer("\x00\x00\x00"))),
		seq("a host response up to the end", "CALL-42", one("a:b!Do", "", steps{get("abc"), raw("__host_response", "", "end-3"), raw("__guest_response", "", "end-4", "4")}, 1, answer("\x00abc"))),
		seq("a request up to the end", "CALL-11", one("a:b!Do", "abc", steps{raw("__guest_request", "", "end-20", "end-3"), raw("__guest_response", "", "end-21", "21")}, 1,
			answer("\x00a:b!Do"+strings.Repeat("\x00", 11)+"abc"))),
		outside("a response that ends outside", rules, raw("__guest_response", "", "end-1", "2")),
		outside("a response that begins outside", rules, raw("__guest_response", "", "end", "1")),
		outside("a response whose end overflows", rules, raw("__guest_response", "", "4294967295", "2")),
		outside("a response of 4 GiB", rules, raw("__guest_response", "", "0", "4294967295")),
		outside("an error that ends outside", rules, raw("__guest_error", "", "end-1", "2")),
		outside("an error whose end overflows", rules, raw("__guest_error", "", "4294967295", "4294967295")),
		outside("a line that ends outside", rules, raw("__console_log", "", "end-1", "2")),
		outside("an operation that would be written outside", rules, raw("__guest_request", "0123456789", "end-3", "data")),
		outside("a payload that would be written outside", rules, raw("__guest_request", "0123456789", "data", "end-6")),
		outside("a host response that would be written outside", rules, get("abc"), raw("__host_response", "", "end-2")),
		outside("a host response that would be written far outside", rules, get("abc"), raw("__host_response", "", "4294967294")),
		outside("a host error that would be written outside", rules, fails("internal: no"), raw("__host_error", "", "end-2")),
	}
	for i, what := range []string{"binding", "namespace", "operation", "payload"} {
		args := []string{"data", "1", "data", "1", "data", "1", "data", "1"}
		args[2*i], args[2*i+1] = "end-1", "2"
		list = append(list, outside("a "+what+" of a host call that ends outside", rules, raw("__host_call", "x", args...)))
	}
	for i, what := range []string{"binding", "namespace", "operation"} {
		args := []string{"data", "1", "data", "1", "data", "1", "data", "1"}
		args[2*i+1] = "2"
		list = append(list, outside("a "+what+" that is not UTF-8", "CALL-86", raw("__host_call", "x\xff", args...)))
	}
	return list
}

func crashSequences() []sequence {
	after := one("a:b!22", "", steps{finds(""), responds("y")}, 1, answer("y"))
	return []sequence{
		seq("a trap", "CALL-62 CALL-83", one("a:b!Do", "", steps{asks(), traps}, 1, broken)),
		seq("a trap after the response", "CALL-83", one("a:b!Do", "", steps{responds("fine"), traps}, 1, broken)),
		seq("a trap after an error", "CALL-62 CALL-83", one("a:b!Do", "", steps{reports("no"), traps}, 0, broken)),
		seq("a call after a trap is another instance's", "CALL-83 CALL-84", one("a:b!1", "", steps{notes("here"), traps}, 1, broken), after),
		seq("a call after a broken protocol is another instance's", "CALL-84", one("a:b!1", "", steps{notes("here"), raw("__guest_response", "", "end", "1")}, 1, broken), after),
		seq("calls after several traps", "CALL-84",
			one("a:b!1", "", steps{notes("a"), traps}, 1, broken), one("a:b!333", "", steps{notes("b"), traps}, 1, broken),
			one("a:b!4444", "", steps{notes("c"), traps}, 1, broken), after),
		seq("a trap after a host call", "CALL-83 CALL-84", one("a:b!1", "", steps{get("v"), reads("v"), traps}, 1, broken), after),
	}
}
