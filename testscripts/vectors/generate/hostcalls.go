package main

import (
	"strings"

	"github.com/waxosuit/waxo/testscripts/vectors"
)

// hc is a host call in the form of 8, which is served with an answer.
func hc(binding, namespace, operation, payload, answer string) step {
	return step{HostCall: &vectors.HostCall{
		Binding: new(binding), Namespace: new(namespace), Operation: operation, Payload: toHex(payload), Returns: 1,
		Served: vectors.Served{Sees: seen(binding, namespace, operation, payload), Answers: new(toHex(answer))},
	}}
}

func seen(binding, namespace, operation, payload string) *vectors.Seen {
	if binding == "" {
		binding = "default"
	}
	return &vectors.Seen{Binding: binding, Namespace: namespace, Operation: operation, Payload: toHex(payload)}
}

// get is a host call that is answered.
func get(answer string) step { return hc("default", "wascap:keyvalue", "Get", "k", answer) }

// fails is a host call that is not.
func fails(text string) step {
	s := get("")
	s.HostCall.Answers, s.HostCall.Fails, s.HostCall.Returns = nil, new(text), 0
	return s
}

// older makes of a host call one in the form of 6, or of 4.
func older(form int, s step) step {
	h := *s.HostCall
	h.Binding = nil
	if form == 4 {
		h.Operation, h.Namespace = *h.Namespace+"!"+h.Operation, nil
	}
	h.Sees = seen("", h.Sees.Namespace, h.Sees.Operation, "")
	h.Sees.Payload = h.Payload
	return step{HostCall: &h}
}

func hostCallSequences() []sequence {
	do := func(does ...step) call { return one("a:b!Do", "x", append(does, responds("y")), 1, answer("y")) }
	form := func(n int, s sequence) sequence { s.Form = n; return s }
	kilo := strings.Repeat("n", 1024)
	unread := func() step { return hc("", "wascap:keyvalue", "Set", "kv", "never read") }
	list := []sequence{
		seq("a host call and its response", "CALL-30 CALL-31 CALL-40 CALL-41 CALL-42", do(asks(), hc("default", "wascap:keyvalue", "Get", "k", "value"), responseLen(5), reads("value"))),
		seq("a binding", "CALL-40", do(hc("blue", "wascap:keyvalue", "Get", "k", "v"), responseLen(1), reads("v"))),
		seq("an empty binding is the default", "CALL-33", do(hc("", "wascap:keyvalue", "Get", "k", "v"), reads("v"))),
		seq("an empty binding after another", "CALL-33", do(hc("blue", "wascap:keyvalue", "Get", "k", "b"), hc("", "wascap:keyvalue", "Get", "k", "d"), reads("d"))),
		form(6, seq("the form of six", "CALL-31 CALL-32 CALL-40 CALL-42", do(older(6, hc("", "wascap:keyvalue", "Get", "k", "value")), responseLen(5), reads("value")))),
		form(4, seq("the form of four", "CALL-31 CALL-32 CALL-34 CALL-40 CALL-42", do(older(4, hc("", "wascap:keyvalue", "Get", "k", "value")), responseLen(5), reads("value")))),
		form(4, seq("the form of four, with two exclamation marks", "CALL-34", do(older(4, hc("", "vendor:queue", "Push!Now", "k", "v")), reads("v")))),
		seq("the operation as the guest spells it", "CALL-40", do(hc("", "wascap:keyvalue", "wascap:keyvalue!Get", "k", "v"), reads("v"))),
		seq("names that are awkward", "CALL-40", do(hc("ein Band 世界", "vendor:\x00x\n", "Tu's 🙂", "k", "v"), reads("v"))),
		seq("names of 1,024 bytes", "CALL-52", do(hc(kilo, kilo, kilo, "", "v"), reads("v"))),
		seq("a payload and a response of every byte", "CALL-40 CALL-42", do(hc("", "a:b", "Do", every(), every()), responseLen(256), reads(every()))),
		seq("a host call with an empty payload and an empty response", "CALL-40 CALL-42", do(hc("", "a:b", "Do", "", ""), responseLen(0), reads(""))),
		seq("a payload of zeros", "CALL-40 CALL-42", do(hc("", "a:b", "Do", "\x00\x00", "\x00\x00\x00"), responseLen(3), reads("\x00\x00\x00"))),
		seq("everything is asked for twice", "CALL-46", do(get("value"), responseLen(5), responseLen(5), reads("value"), reads("value"), responseLen(5))),
		seq("the response is read before its length is", "CALL-42", do(get("value"), reads("value"))),
		seq("a response that is not read", "CALL-41", do(unread())),
		seq("the response is the last call's", "CALL-42", do(get("first, longer"), get("last"), responseLen(4), reads("last"))),
		seq("an empty host response after another", "CALL-42", do(get("first"), get(""), responseLen(0), reads(""))),
		seq("a host call's payload is the host's", "CALL-23", do(get("v"), overwrites, reads("v"))),
		seq("host calls before and after the response", "CALL-53", one("a:b!Do", "x", steps{asks(), get("1"), reads("1"), responds("y"), get("2"), reads("2")}, 1, answer("y"))),
	}
	var many steps
	for i := range 40 {
		answer := strings.Repeat("v", i%7)
		many = append(many, hc("", "wascap:keyvalue", "Get", string(rune('a'+i%26)), answer), responseLen(len(answer)), reads(answer))
	}
	return append(list, seq("forty host calls", "CALL-53", do(many...)))
}

func hostErrorSequences() []sequence {
	do := func(does ...step) call { return one("a:b!Do", "x", append(does, responds("y")), 1, answer("y")) }
	missing := `not_found: there is no key "k"`
	return []sequence{
		seq("a host call that fails", "CALL-41 CALL-43 CALL-44 CALL-54", do(fails(missing), errorLen(len(missing)), readsError(missing), responseLen(0))),
		seq("a host error's text is UTF-8", "CALL-43", do(fails("internal: kein Käse 🧀"), errorLen(25), readsError("internal: kein Käse 🧀"))),
		seq("the error is asked for twice", "CALL-46", do(fails(missing), errorLen(len(missing)), readsError(missing), errorLen(len(missing)), readsError(missing))),
		seq("no error after success", "CALL-45", do(get("v"), errorLen(0))),
		seq("no error after a failure and success", "CALL-42 CALL-45", do(fails(missing), get("v"), errorLen(0), responseLen(1), reads("v"))),
		seq("no response after success and a failure", "CALL-43 CALL-44", do(get("value"), fails(missing), responseLen(0), errorLen(len(missing)), readsError(missing))),
		seq("the error is the last call's", "CALL-43", do(fails("internal: the first, which is longer"), fails(missing), errorLen(len(missing)), readsError(missing))),
		seq("nothing is written where there is no response", "CALL-44", do(get("value"), fails(missing), reads(""))),
		seq("nothing is written where there is no error", "CALL-45", do(fails(missing), get("v"), readsError(""))),
		seq("a guest passes an error on", "CALL-60", one("a:b!Do", "x", steps{fails(missing), errorLen(len(missing)), readsError(missing), reports("get: " + missing)}, 0, failure("get: "+missing))),
		seq("a call after a host call that failed", "CALL-61",
			one("a:b!1", "", steps{fails(missing), reports(missing)}, 0, failure(missing)), one("a:b!22", "", steps{get("v"), reads("v"), responds("y")}, 1, answer("y"))),
	}
}

// staleSequences ask for what was another call's.
func staleSequences() []sequence {
	zero := func(function string) step {
		s := raw(function, "")
		s.Raw.Returns = new(0)
		return s
	}
	before := one("a:b!1", "", steps{get("secret"), responseLen(6), responds("y")}, 1, answer("y"))
	failure1 := one("a:b!1", "", steps{fails("internal: secret"), errorLen(16), responds("y")}, 1, answer("y"))
	ask := func(s step) call {
		return one("a:b!22", "", steps{s, responds("nothing")}, 1, answer("nothing"), broken)
	}
	return []sequence{
		seq("a response's length before any host call", "CALL-47", ask(zero("__host_response_len"))),
		seq("an error's length before any host call", "CALL-47", ask(zero("__host_error_len"))),
		seq("a response before any host call", "CALL-47", ask(reads(""))),
		seq("an error before any host call", "CALL-47", ask(readsError(""))),
		seq("the response's length of the call before", "CALL-47", before, ask(zero("__host_response_len"))),
		seq("the response of the call before", "CALL-47", before, ask(reads(""))),
		seq("the error's length of the call before", "CALL-47", failure1, ask(zero("__host_error_len"))),
		seq("the error of the call before", "CALL-47", failure1, ask(readsError(""))),
	}
}
