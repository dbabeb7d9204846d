package guestsuite

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/waxosuit/waxo/capability/payload/registry"
	"github.com/waxosuit/waxo/wapc"
)

// domain is where a kind of finding can be found. Where there was nothing to look
// at, a check has found out nothing.
type domain string

const (
	ofStarts   domain = "starts"
	ofCalls    domain = "calls"
	ofAnswers  domain = "calls that were answered"
	ofErrors   domain = "errors of the guest"
	ofHostCall domain = "host calls"
	ofFailures domain = "errors of the guest after a failed host call"
	ofMessages domain = "messages of the guest"
	ofHTTP     domain = "HTTP responses"
)

// kind is a kind of thing that a guest can be found doing. Each is what the rule
// of a check speaks of.
type kind struct {
	name string
	in   domain
	what string // the guest ...
}

var kinds = []kind{
	{"start-crash", ofStarts, "crashed while it started, or did not come to an end"},
	{"start-exchange", ofStarts, "asked for a request or gave an answer while it started"},
	{"start-hostcall", ofStarts, "made a host call while it started"},

	{"answer", ofCalls, "answered with a response"},
	{"error", ofCalls, "answered with an error"},
	{"crash", ofCalls, "trapped"},
	{"worn", ofCalls, "trapped in a call like others that went well before"},
	{"hang", ofCalls, "did not come to an end in time"},
	{"memory", ofCalls, "ran out of memory"},
	{"room", ofCalls, "gave __guest_request a place without room"},
	{"outside", ofCalls, "named memory outside of its own to another host function"},
	{"result", ofCalls, "returned something else than 0 and 1"},
	{"several", ofCalls, "handed over more than one response or error in a call"},
	{"unset-answer", ofAnswers, "returned 1 and had handed over no response"},
	{"unset-error", ofErrors, "returned 0 and had handed over no error text"},
	{"garbled-error", ofErrors, "gave an error text that is not UTF-8, or longer than 64 KiB"},
	{"lost-error", ofFailures, "did not pass on the text of the host call that failed"},

	{"unasked", ofHostCall, "had a response or an error text written without asking for its length"},
	{"early", ofCalls, "asked for a response or an error text before it had made a host call"},
	{"garbled-name", ofCalls, "used a binding, a namespace or an operation that is not UTF-8"},
	{"long-name", ofCalls, "used a binding, a namespace or an operation of more than 1,024 bytes"},
	{"ungranted", ofHostCall, "called a capability that its claims do not name"},
	{"unknown-operation", ofHostCall, "called an operation that the capability does not have"},
	{"misspelt", ofHostCall, "called an operation with a prefix that contradicts the namespace, or named no capability or no operation"},
	{"other-namespace", ofHostCall, "spelled the namespace otherwise than its claims do"},
	{"undecodable-call", ofHostCall, "sent a payload that is not the operation's message"},
	{"undecodable-answer", ofAnswers, "answered with something that is not the operation's message"},

	{"garbled-text", ofMessages, "wrote a string that is not UTF-8"},
	{"unknown-field", ofMessages, "wrote a field that the message does not have, or with another type"},
	{"default-field", ofMessages, "wrote a field that has its default value"},
	{"field-order", ofMessages, "wrote fields out of order, or one that is not repeated twice"},
	{"short-negative", ofMessages, "wrote a negative int32 in less than ten bytes"},

	{"http-status", ofHTTP, "answered with a status outside of 200 to 599"},
	{"http-header", ofHTTP, "answered with a header's name or value that HTTP does not allow"},
}

func kindOf(name string) (kind, bool) {
	i := slices.IndexFunc(kinds, func(k kind) bool { return k.name == name })
	if i < 0 {
		return kind{}, false
	}
	return kinds[i], true
}

func (s *session) note(kind, format string, args ...any) {
	s.found[kind] = append(s.found[kind], fmt.Sprintf(format, args...))
}

// find returns what was found of a kind.
func (s *session) find(kind string) []string { return s.found[kind] }

// look notes what there is to be found in a call.
func (s *session) look(o *outcome, known []registry.Operation) {
	s.looked[ofCalls]++
	defer s.lookAtTrace(o)
	switch {
	case o.answered:
		s.looked[ofAnswers]++
		s.note("answer", "%s", o.operation)
		s.lookAtAnswer(o, known)
	case o.failed:
		s.looked[ofErrors]++
		s.note("error", "%s: %q", o.operation, o.text)
		s.lookAtError(o)
	default:
		s.lookAtCrash(o.operation, o.err)
	}
}

// brokenProtocol is how the engine begins the reason of a trap that it made
// itself.
const brokenProtocol = "the call protocol was broken: "

// violations are the ways of breaking the protocol, by what the engine says.
var violations = []struct{ text, kind string }{
	{"__guest_call returned", "result"},
	{"was called before any", ""}, // see lookAtTrace
	{"was called while the guest starts", "start-exchange"},
	{"that is not UTF-8", "garbled-name"},
	{"bytes, the limit is", "long-name"},
	{"__guest_request was given", "room"},
	{"outside of its memory", "outside"},
}

func (s *session) lookAtCrash(operation string, err error) {
	trap, late, memory := new(wapc.TrapError), new(wapc.DeadlineError), new(wapc.MemoryError)
	kind := "crash"
	switch {
	case errors.As(err, &late):
		kind = "hang"
	case errors.As(err, &memory):
		kind = "memory"
	case errors.As(err, &trap) && strings.HasPrefix(trap.Reason, brokenProtocol):
		for _, v := range violations {
			if strings.Contains(trap.Reason, v.text) {
				if v.kind == "" {
					return
				}
				s.note(v.kind, "%s: %s", operation, strings.TrimPrefix(trap.Reason, brokenProtocol))
				return
			}
		}
	}
	s.note(kind, "%s: %v%s", operation, err, logOf(err))
}

// logOf gives the lines that a guest left behind: most runtimes say why they give
// up.
func logOf(err error) string {
	var lines []string
	trap, late, memory := new(wapc.TrapError), new(wapc.DeadlineError), new(wapc.MemoryError)
	switch {
	case errors.As(err, &trap):
		lines = trap.Log
	case errors.As(err, &late):
		lines = late.Log
	case errors.As(err, &memory):
		lines = memory.Log
	}
	var b strings.Builder
	for _, line := range lines[:min(len(lines), 8)] {
		fmt.Fprintf(&b, "\n    %s", line)
	}
	return b.String()
}

// started notes what there is to be found in the start of an instance.
func (s *session) started(err error) {
	s.looked[ofStarts]++
	if slices.Contains(s.trace, "__host_call") {
		s.note("start-hostcall", "start: __host_call was called")
	}
	if err == nil {
		return
	}
	s.lookAtCrash("start", err)
	for _, kind := range []string{"crash", "hang", "memory"} {
		if found := s.find(kind); found != nil {
			s.found["start-crash"] = found
		}
	}
}

// lookAtTrace notes what the order of the host functions shows.
func (s *session) lookAtTrace(o *outcome) {
	answers, errs, called := 0, 0, false
	asked := map[string]bool{}
	for _, function := range s.trace {
		switch function {
		case "__guest_response":
			answers++
		case "__guest_error":
			errs++
		case "__host_call":
			called = true
			clear(asked)
		case "__host_response_len", "__host_error_len":
			asked[strings.TrimSuffix(function, "_len")] = true
		case "__host_response", "__host_error":
			if called && !asked[function] {
				s.note("unasked", "%s: %s was called before %s_len", o.operation, function, function)
			}
		}
		if strings.HasPrefix(function, "__host_") && !called {
			s.note("early", "%s: %s was called before any __host_call", o.operation, function)
		}
	}
	switch {
	case answers+errs > 1:
		s.note("several", "%s: %d responses and %d errors were handed over", o.operation, answers, errs)
	case o.answered && answers == 0:
		s.note("unset-answer", "%s: 1 was returned, and __guest_response not called", o.operation)
	case o.failed && errs == 0:
		s.note("unset-error", "%s: 0 was returned, and __guest_error not called", o.operation)
	}
}

const maxErrorText = 64 << 10

func (s *session) lookAtError(o *outcome) {
	// The engine replaces what is not UTF-8, and cuts what is longer.
	if strings.ContainsRune(o.text, utf8.RuneError) || len(o.text) > maxErrorText-utf8.UTFMax {
		s.note("garbled-error", "%s: %.100q (%d bytes)", o.operation, o.text, len(o.text))
	}
	if len(o.hostCalls) == 0 {
		return
	}
	last := o.hostCalls[len(o.hostCalls)-1]
	if last.err == nil {
		return
	}
	s.looked[ofFailures]++
	if !strings.Contains(o.text, last.err.Error()) {
		s.note("lost-error", "%s: a host call failed with %q, and the guest then with %.200q", o.operation, last.err, o.text)
	}
}
