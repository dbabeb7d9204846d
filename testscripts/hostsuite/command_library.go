package hostsuite

import (
	"errors"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/waxosuit/waxo/testscripts/script"
)

// libraryCommands are for hosts whose operations can be called one by one.
func libraryCommands() []script.Command {
	list := []script.Command{
		{
			Name: "call", Args: "OPERATION PAYLOAD ok RESPONSE | error TEXT | crash",
			Short:   "Have the guest of a library handle an operation, and expect what comes of it: a response, an error with this text, or any other error. Texts are as between the quotes of a Go string.",
			Example: "host echo.wat\ncall any 'pay\\x00load' ok 'pay\\x00load'\n\n-- echo.wat --\n(module\n  (import \"wapc\" \"__guest_request\" (func $request (param i32 i32)))\n  (import \"wapc\" \"__guest_response\" (func $response (param i32 i32)))\n  (memory (export \"memory\") 1)\n  (func (export \"__guest_call\") (param i32 i32) (result i32)\n    (call $request (i32.const 0) (i32.const 1024))\n    (call $response (i32.const 1024) (local.get 1))\n    (i32.const 1)))",
		},
		{
			Name: "hostcalls", Args: "ok RESPONSE | error TEXT",
			Short:   "Answer every host call of a library's guest in this way from now on.",
			Example: "hostcalls ok 'sixteen'",
		},
		{
			Name: "called", Args: "BINDING NAMESPACE OPERATION PAYLOAD",
			Short:   "Expect that the last host call of a library's guest was this one.",
			Example: "hostcalls ok ''\nhost -caps wascap:keyvalue get.wat\nhttp GET / 200\ncalled default wascap:keyvalue Get ''\n\n-- get.wat --\n(data (i32.const 0) \"Get\")\n(func $handle (result i32) (call $host (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 0)))",
		},
	}
	for i, run := range []func(*world, *testscript.TestScript, script.Command, []string){runCall, runHostCalls, runCalled} {
		list[i].Run = withoutNot(&list[i], run)
	}
	return list
}

func runCall(w *world, ts *testscript.TestScript, c script.Command, args []string) {
	a := take(ts, c, args, "", 3, 4)
	l, ok := w.serving(ts).(*loaded)
	if !ok {
		ts.Fatalf("call needs a host that is a library")
	}
	got, err := l.guest.Call(w.ctx, unescape(ts, a.rest[0]), []byte(unescape(ts, a.rest[1])))
	reported := (*GuestError)(nil)
	guests := errors.As(err, &reported)
	switch wanted := a.rest[2]; {
	case wanted == "ok" && len(a.rest) == 4:
		w.same(ts, "the response", string(got), unescape(ts, a.rest[3]), err)
	case wanted == "error" && len(a.rest) == 4:
		if !guests {
			w.fail(ts, "the guest reported an error, but what came of the call is %q, %v", clip(got), err)
		}
		w.same(ts, "the error", reported.Text, unescape(ts, a.rest[3]), nil)
	case wanted == "crash" && len(a.rest) == 3:
		if err == nil || guests || w.ctx.Err() != nil {
			w.fail(ts, "the guest crashed, but what came of the call is %q, %v", clip(got), err)
		}
	default:
		c.Usage(ts)
	}
}

func runHostCalls(w *world, ts *testscript.TestScript, c script.Command, args []string) {
	a := take(ts, c, args, "", 2, 2)
	switch text := unescape(ts, a.rest[1]); a.rest[0] {
	case "ok":
		w.calls.script([]byte(text), nil)
	case "error":
		w.calls.script(nil, errors.New(text))
	default:
		c.Usage(ts)
	}
}

func runCalled(w *world, ts *testscript.TestScript, c script.Command, args []string) {
	a := take(ts, c, args, "", 4, 4)
	call, made := w.calls.last()
	if !made {
		w.fail(ts, "the guest made no host call, or it did not arrive")
	}
	got := []string{call.Binding, call.Namespace, call.Operation, string(call.Payload)}
	for i, text := range a.rest {
		if got[i] != unescape(ts, text) {
			w.fail(ts, "the host call was %q", got)
		}
	}
}
