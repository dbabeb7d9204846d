package wapc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/waxosuit/waxo/wapc"
)

func TestCallEchoes(t *testing.T) {
	p := pool(t, "echo", nil)
	for _, size := range []int{0, 1, 64, 4096, 1 << 20} {
		in := bytes.Repeat([]byte{0xa5}, size)
		out, err := p.Call(t.Context(), "echo", in)
		if err != nil || !bytes.Equal(in, out) {
			t.Fatalf("%d bytes: got %d bytes, %v", size, len(out), err)
		}
	}
	if s := p.Stats(); s.Instances != 1 || s.Idle != 1 || s.Calls != 5 || s.MemoryBytes != 20<<16 {
		t.Fatalf("stats: %+v", s)
	}
}

func TestHostAnswersInto(t *testing.T) {
	var room []int
	h := &host{call: func(_ context.Context, c wapc.HostCall) ([]byte, error) {
		if len(c.Into) != 0 {
			t.Errorf("there are %d bytes in the room for an answer", len(c.Into))
		}
		room = append(room, cap(c.Into))
		return append(append(c.Into, c.Payload...), '!'), nil
	}}
	p := pool(t, "echo", &wapc.PoolOptions{Host: h, MaxInstances: 1})
	for i, size := range []int{5, 3, 500, 400, 1 << 20, 1 << 20, 2} {
		in := bytes.Repeat([]byte{byte(i + 1)}, size)
		out, err := p.Call(t.Context(), "host", in)
		if err != nil || !bytes.Equal(out, append(in, '!')) {
			t.Fatalf("%d bytes: got %d, %v", size, len(out), err)
		}
	}
	if room[1] < 4 || room[3] < 401 {
		t.Errorf("there was room for %d bytes", room)
	}
	if room[6] >= 1<<20 {
		t.Errorf("a buffer of %d bytes was kept", room[6])
	}
}

func TestHostCallForms(t *testing.T) {
	tests := []struct {
		guest string
		parts []string
		want  wapc.HostCall
	}{
		{"puppet8", []string{"blue", "wascap:keyvalue", "Add", "payload"}, wapc.HostCall{Binding: "blue", Namespace: "wascap:keyvalue", Operation: "Add"}},
		{"puppet8", []string{"", "wascap:keyvalue", "Add", "payload"}, wapc.HostCall{Binding: "default", Namespace: "wascap:keyvalue", Operation: "Add"}},
		{"puppet6", []string{"wascap:keyvalue", "Add", "payload"}, wapc.HostCall{Binding: "default", Namespace: "wascap:keyvalue", Operation: "Add"}},
		{"puppet4", []string{"wascap:keyvalue!Add", "payload"}, wapc.HostCall{Binding: "default", Operation: "wascap:keyvalue!Add"}},
	}
	e := engine(t, nil) // one for all: they must not get in each other's way
	for _, tt := range tests {
		t.Run(tt.guest+strings.Join(tt.parts, ","), func(t *testing.T) {
			var got wapc.HostCall
			var payload string
			h := &host{call: func(_ context.Context, c wapc.HostCall) ([]byte, error) {
				got, payload = c, string(c.Payload)
				return []byte("answer"), nil
			}}
			p, err := compile(t, e, tt.guest).NewPool(&wapc.PoolOptions{Host: h})
			if err != nil {
				t.Fatal(err)
			}
			s := called(tt.parts...).do(hostResponseLen, scratch).do(hostResponse, answerAt).do(responseOf, answerAt, scratch).do(end, 1)
			out, err := p.Call(t.Context(), "op", s.bytes())
			if err != nil || string(out) != "answer" {
				t.Fatalf("got %q, %v", out, err)
			}
			got.Payload = nil
			if fmt.Sprint(got) != fmt.Sprint(tt.want) || payload != "payload" {
				t.Fatalf("the host was called with %+v %q", got, payload)
			}
		})
	}
}

func TestHostCallPayloadIsTheHosts(t *testing.T) {
	var kept []byte
	h := &host{call: func(_ context.Context, c wapc.HostCall) ([]byte, error) {
		kept = c.Payload
		for i := range kept {
			kept[i]++ // the guest must not see that
		}
		kept = bytes.Clone(kept)
		return nil, nil
	}}
	s := called("", "n", "op", "abc")
	out, err := run(t, &wapc.PoolOptions{Host: h}, s.do(response, dataAt+3, 3).do(fill, dataAt, 0, 16).do(end, 1))
	if err != nil || string(out) != "abc" {
		t.Fatalf("the guest's copy became %q, %v", out, err)
	}
	if string(kept) != "bcd" {
		t.Fatalf("the host's copy became %q", kept)
	}
}

func TestGuestError(t *testing.T) {
	s := &script{}
	_, err := run(t, nil, s.do(guestError, s.text("no such thing")...).do(end, 0))
	if e := as[*wapc.GuestError](t, err); e.Message != "no such thing" || e.Operation != "op" || e.HostErr != nil {
		t.Fatalf("got %+v", e)
	}
}

func TestGuestErrorTextIsMadeValid(t *testing.T) {
	s := &script{}
	_, err := run(t, nil, s.do(guestError, s.text("a\xff\xfeb")...).do(end, 0))
	if e := as[*wapc.GuestError](t, err); e.Message != "a\uFFFDb" {
		t.Fatalf("got %q", e.Message)
	}
}

func TestGuestErrorTextIsBounded(t *testing.T) {
	s := &script{}
	_, err := run(t, nil, s.do(fill, dataAt, 0xff, 100_000).do(guestError, dataAt, 100_000).do(end, 0))
	if e := as[*wapc.GuestError](t, err); len(e.Message) > 64<<10 || !utf8.ValidString(e.Message) || e.Message == "" {
		t.Fatalf("got %d bytes", len(e.Message))
	}
}

func TestZeroWithoutAnError(t *testing.T) {
	_, err := run(t, nil, (&script{}).do(end, 0))
	if e := as[*wapc.GuestError](t, err); e.Message != "" {
		t.Fatalf("got %+v", e)
	}
	contains(t, err.Error(), "without a message")
}

func TestOneWithoutAResponse(t *testing.T) {
	out, err := run(t, nil, (&script{}).do(end, 1))
	if err != nil || len(out) != 0 {
		t.Fatalf("got %q, %v", out, err)
	}
}

// hostErr is an error that keeps its identity.
type hostErr struct{ text string }

func (e *hostErr) Error() string { return e.text }

func failing(text string) *host {
	return &host{call: func(context.Context, wapc.HostCall) ([]byte, error) { return nil, &hostErr{text} }}
}

// passOn is a script whose host call fails and which says so.
func passOn() *script {
	return called("", "n", "Get", "").do(hostErrorLen, scratch).do(hostError, answerAt).do(errorOf, answerAt, scratch).do(end, 0)
}

func TestHostErrorIsPassedOn(t *testing.T) {
	_, err := run(t, &wapc.PoolOptions{Host: failing("denied: not granted")}, passOn())
	e := as[*wapc.GuestError](t, err)
	if e.Message != "denied: not granted" || as[*hostErr](t, e.HostErr).text != e.Message {
		t.Fatalf("got %+v", e)
	}
}

func TestHostErrorIsNotTheReason(t *testing.T) {
	s := called("", "n", "Get", "")
	_, err := run(t, &wapc.PoolOptions{Host: failing("denied")}, s.do(guestError, s.text("something else")...).do(end, 0))
	if e := as[*wapc.GuestError](t, err); e.HostErr != nil {
		t.Fatalf("HostErr is %v", e.HostErr)
	}
}

func TestTrapKnowsFailedHostCall(t *testing.T) {
	h := &host{call: func(_ context.Context, c wapc.HostCall) ([]byte, error) {
		if c.Operation == "Get" {
			return nil, &hostErr{"unavailable"}
		}
		return nil, nil
	}}
	_, err := run(t, &wapc.PoolOptions{Host: h}, called("", "n", "Get", "").do(crash))
	as[*hostErr](t, as[*wapc.TrapError](t, err).HostErr)
	if errors.As(err, new(*hostErr)) {
		t.Fatal("the trap passes for the host's error")
	}
	s := called("", "n", "Get", "")
	args := []uint32{0, 0}
	args = append(append(append(args, s.text("n")...), s.text("Set")...), 0, 0)
	_, err = run(t, &wapc.PoolOptions{Host: h}, s.do(hostCall, args...).do(crash))
	if e := as[*wapc.TrapError](t, err); e.HostErr != nil {
		t.Fatalf("the last host call went well, but HostErr is %v", e.HostErr)
	}
}

func TestNoHost(t *testing.T) {
	_, err := run(t, nil, passOn())
	contains(t, as[*wapc.GuestError](t, err).Message, "no host serves")
}

func TestHostPanics(t *testing.T) {
	h := &host{call: func(context.Context, wapc.HostCall) ([]byte, error) { panic("oh no") }}
	p := pool(t, "puppet8", &wapc.PoolOptions{Host: h})
	_, err := p.Call(t.Context(), "op", called("", "n", "Get", "").do(end, 1).bytes())
	if e := as[*wapc.HostError](t, err); e.Value != "oh no" || !bytes.Contains(e.Stack, []byte("TestHostPanics")) {
		t.Fatalf("got %+v", e)
	}
	if s := p.Stats(); s.Instances != 0 || s.Replaced != 1 {
		t.Fatalf("the instance was kept: %+v", s)
	}
	h.log = func(string) { panic("in the log") }
	s := &script{}
	_, err = p.Call(t.Context(), "op", s.do(consoleLog, s.text("x")...).do(end, 1).bytes())
	if e := as[*wapc.HostError](t, err); e.Value != "in the log" {
		t.Fatalf("got %+v", e)
	}
	if _, err := p.Call(t.Context(), "op", (&script{}).do(end, 1).bytes()); err != nil {
		t.Fatalf("the pool does not serve any more: %v", err)
	}
}

func TestHostPanicsWithAnErrorWhoseTextPanics(t *testing.T) {
	h := &host{call: func(context.Context, wapc.HostCall) ([]byte, error) { return nil, (*hostErr)(nil) }}
	_, err := run(t, &wapc.PoolOptions{Host: h}, called("", "n", "Get", "").do(end, 1))
	as[*wapc.HostError](t, err)
}

func TestHostEndsTheGoroutine(t *testing.T) {
	leave := make(chan struct{})
	h := &host{call: func(context.Context, wapc.HostCall) ([]byte, error) { close(leave); runtimeGoexit(); return nil, nil }}
	p := pool(t, "puppet8", &wapc.PoolOptions{Host: h, MaxInstances: 1})
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = p.Call(t.Context(), "op", called("", "n", "Get", "").do(end, 1).bytes())
		t.Error("the call returned")
	}()
	<-leave
	<-done
	if _, err := p.Call(t.Context(), "op", (&script{}).do(end, 1).bytes()); err != nil {
		t.Fatalf("the only place of the pool was lost: %v", err)
	}
	if s := p.Stats(); s.Replaced != 1 {
		t.Fatalf("an instance serves again that was left in the middle: %+v", s)
	}
}

// TestProtocolViolations: each ends the instance, none anything else.
func TestProtocolViolations(t *testing.T) {
	ok := &host{}
	long := strings.Repeat("x", 2000)
	text := func(s *script, text string) []uint32 { return s.text(text) }
	build := func(f func(s *script)) *script { s := &script{}; f(s); return s }
	tests := map[string]struct {
		script *script
		reason string
	}{
		"returns 2":              {(&script{}).do(end, 2), "__guest_call returned 2"},
		"returns -1":             {(&script{}).do(end, maxUint32), "__guest_call returned -1"},
		"response outside":       {(&script{}).do(response, pageEnd-1, 2).do(end, 1), "outside of its memory"},
		"response huge":          {(&script{}).do(response, 0, maxUint32).do(end, 1), "__guest_response was given 4294967295 bytes"},
		"response far out":       {(&script{}).do(response, maxUint32, 1).do(end, 1), "outside of its memory"},
		"error outside":          {(&script{}).do(guestError, pageEnd, 1).do(end, 0), "__guest_error"},
		"request outside":        {(&script{}).do(request, scratch, pageEnd).do(end, 1), "__guest_request"},
		"operation outside":      {(&script{}).do(request, pageEnd-1, scriptAt).do(end, 1), "__guest_request"},
		"log outside":            {(&script{}).do(consoleLog, 0, pageEnd+1).do(end, 1), "__console_log"},
		"host response too soon": {(&script{}).do(hostResponse, 0).do(end, 1), "before any __host_call"},
		"its length too soon":    {(&script{}).do(hostResponseLen, 0).do(end, 1), "before any __host_call"},
		"host error too soon":    {(&script{}).do(hostError, 0).do(end, 1), "before any __host_call"},
		"error length too soon":  {(&script{}).do(hostErrorLen, 0).do(end, 1), "before any __host_call"},
		"host response outside":  {called("", "n", "o", "").do(hostResponse, pageEnd-1).do(end, 1), "__host_response"},
		"payload outside": {build(func(s *script) {
			s.do(hostCall, 0, 0, 0, 0, 0, 0, pageEnd-1, 2)
		}), "__host_call was given 2 bytes"},
		"operation no UTF-8": {called("", "n", "\xff\xfe", ""), "an operation that is not UTF-8"},
		"namespace no UTF-8": {called("", "\xff", "o", ""), "a namespace that is not UTF-8"},
		"binding no UTF-8":   {called("\xff", "n", "o", ""), "a binding that is not UTF-8"},
		"operation too long": {called("", "n", long, ""), "an operation of 2000 bytes"},
		"binding far outside": {build(func(s *script) {
			s.do(hostCall, append(append([]uint32{maxUint32, 2}, text(s, "n")...), 0, 0, 0, 0)...)
		}), "outside of its memory"},
	}
	ok.call = func(context.Context, wapc.HostCall) ([]byte, error) { return []byte("long answer"), nil }
	e := engine(t, nil)
	m := compile(t, e, "puppet8")
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p, err := m.NewPool(&wapc.PoolOptions{Host: ok})
			if err != nil {
				t.Fatal(err)
			}
			_, err = p.Call(t.Context(), "op", tt.script.bytes())
			trap := as[*wapc.TrapError](t, err)
			contains(t, trap.Reason, "the call protocol was broken: ")
			contains(t, trap.Reason, tt.reason)
			if s := p.Stats(); s.Instances != 0 || s.Traps != 1 || s.Replaced != 1 {
				t.Errorf("stats: %+v", s)
			}
			if _, err := p.Call(t.Context(), "op", (&script{}).do(end, 1).bytes()); err != nil {
				t.Errorf("the pool does not serve any more: %v", err)
			}
		})
	}
}

// TestEmptyBuffers: empty vectors of Rust have pointers that point nowhere.
func TestEmptyBuffers(t *testing.T) {
	s := (&script{}).do(hostCall, maxUint32, 0, maxUint32, 0, maxUint32, 0, maxUint32, 0).
		do(hostResponse, maxUint32).do(consoleLog, maxUint32, 0).do(response, maxUint32, 0).do(end, 1)
	if out, err := run(t, &wapc.PoolOptions{Host: &host{}}, s); err != nil || len(out) != 0 {
		t.Fatalf("got %q, %v", out, err)
	}
}

func TestHostAnswersAreOfTheLastCall(t *testing.T) {
	h := &host{call: func(_ context.Context, c wapc.HostCall) ([]byte, error) {
		if c.Operation == "bad" {
			return []byte("ignored"), &hostErr{"failed"}
		}
		return []byte("good"), nil
	}}
	s := called("", "n", "good", "")
	args := append(append([]uint32{0, 0}, s.text("n")...), s.text("bad")...)
	s.do(hostCall, append(args, 0, 0)...).do(hostResponseLen, scratch).do(hostErrorLen, scratch+4).do(response, scratch, 8).do(end, 1)
	out, err := run(t, &wapc.PoolOptions{Host: h}, s)
	if err != nil || !slices.Equal(out, []byte{0, 0, 0, 0, 6, 0, 0, 0}) {
		t.Fatalf("after a failed call the lengths are %v, %v", out, err)
	}
}

func TestNothingOutlivesACall(t *testing.T) {
	h := failing("denied")
	p := pool(t, "puppet8", &wapc.PoolOptions{Host: h, MaxInstances: 1})
	s := called("", "n", "Get", "")
	s.do(consoleLog, s.text("first call")...).do(response, 0, 4).do(guestError, s.text("denied")...)
	if _, err := p.Call(t.Context(), "op", s.do(end, 0).bytes()); err == nil {
		t.Fatal("no error")
	}
	if out, err := p.Call(t.Context(), "op", (&script{}).do(end, 1).bytes()); err != nil || len(out) != 0 {
		t.Fatalf("a response came over from the call before: %q, %v", out, err)
	}
	s = &script{}
	_, err := p.Call(t.Context(), "op", s.do(guestError, s.text("denied")...).do(end, 0).bytes())
	if e := as[*wapc.GuestError](t, err); e.HostErr != nil {
		t.Fatalf("an error came over from an earlier call: %v", e.HostErr)
	}
	_, err = p.Call(t.Context(), "op", (&script{}).do(hostErrorLen, 0).do(end, 1).bytes())
	if e := as[*wapc.TrapError](t, err); len(e.Log) != 0 || e.HostErr != nil {
		t.Fatalf("the trap tells of an earlier call: %+v", e)
	}
}

// TestLengthsDoNotOutliveACall: a guest must not learn how long the response to
// a host call of another caller was.
func TestLengthsDoNotOutliveACall(t *testing.T) {
	h := &host{call: func(context.Context, wapc.HostCall) ([]byte, error) { return make([]byte, 5), nil }}
	p := pool(t, "puppet8", &wapc.PoolOptions{Host: h, MaxInstances: 1})
	s := called("", "n", "Get", "").do(hostResponseLen, scratch).do(response, scratch, 4).do(end, 1)
	if out, err := p.Call(t.Context(), "op", s.bytes()); err != nil || !slices.Equal(out, []byte{5, 0, 0, 0}) {
		t.Fatalf("the length is %v, %v", out, err)
	}
	_, err := p.Call(t.Context(), "op", (&script{}).do(hostResponseLen, scratch).do(end, 1).bytes())
	if e := as[*wapc.TrapError](t, err); !strings.Contains(e.Reason, "before any __host_call") || slices.ContainsFunc(e.Stack, func(f string) bool { return strings.HasPrefix(f, "waxo.") }) {
		t.Fatalf("a length came over from the call before, or the stack shows what is none of the guest's: %+v", e)
	}
}

func TestConsoleLog(t *testing.T) {
	h := &host{}
	s := &script{}
	s.do(consoleLog, s.text("plain")...).do(consoleLog, s.text("a\xffb")...)
	s.do(fill, answerAt, 'x', 20000).do(consoleLog, answerAt, 20000).do(crash)
	_, err := run(t, &wapc.PoolOptions{Host: h, LogLines: 2}, s)
	cut := strings.Repeat("x", wapc.MaxLogLine)
	if h.logged() != "plain\na\uFFFDb\n"+cut {
		t.Errorf("the host got %.60q", h.logged())
	}
	if log := as[*wapc.TrapError](t, err).Log; !slices.Equal(log, []string{"a\uFFFDb", cut}) {
		t.Errorf("the trap has %.60q", log)
	}
}

func TestLogLinesWrapAround(t *testing.T) {
	s := &script{}
	for i := range 20 {
		s.do(consoleLog, s.text(fmt.Sprintf("%c", 'a'+i))...)
	}
	s.do(crash)
	for lines, want := range map[int]string{
		-1: "", 1: "t", 3: "rst", 15: "fghijklmnopqrst", 16: "abcdefgh(4 lines left out)mnopqrst", 20: "abcdefghijklmnopqrst", 0: "abcdefghijklmnopqrst",
	} {
		_, err := run(t, &wapc.PoolOptions{LogLines: lines}, s)
		if got := strings.Join(as[*wapc.TrapError](t, err).Log, ""); got != want {
			t.Errorf("%d lines: got %q, want %q", lines, got, want)
		}
	}
}

func TestSizes(t *testing.T) {
	big := make([]byte, 5000)
	h := &host{call: func(_ context.Context, c wapc.HostCall) ([]byte, error) {
		if c.Operation == "big" {
			return big, nil
		}
		t.Errorf("a payload of %d bytes came through", len(c.Payload))
		return nil, nil
	}}
	opts := &wapc.PoolOptions{Host: h, MaxRequest: 4000, MaxResponse: 3000, MaxHostPayload: 2000, MaxHostResponse: 1000}
	p := pool(t, "puppet8", opts)
	check := func(err error, what string, size, limit int64) {
		t.Helper()
		if e := as[*wapc.SizeError](t, err); e.What != what || e.Size != size || e.Limit != limit {
			t.Errorf("got %+v", e)
		}
	}
	_, err := p.Call(t.Context(), "op", big)
	check(err, "request", 5000, 4000)
	_, err = p.Call(t.Context(), "op", (&script{}).do(response, 0, 3001).do(end, 1).bytes())
	check(err, "response", 3001, 3000)
	if out, err := p.Call(t.Context(), "op", (&script{}).do(response, 0, 3000).do(end, 1).bytes()); err != nil || len(out) != 3000 {
		t.Errorf("a response at the limit: %d bytes, %v", len(out), err)
	}
	pass := func(s *script) error {
		s.do(hostErrorLen, scratch).do(hostError, answerAt).do(errorOf, answerAt, scratch).do(end, 0)
		_, err := p.Call(t.Context(), "op", s.bytes())
		return as[*wapc.GuestError](t, err).HostErr
	}
	check(pass((&script{}).do(hostCall, 0, 0, 0, 0, 0, 0, 0, 2001)), "host call payload", 2001, 2000)
	check(pass(called("", "n", "big", "")), "host call response", 5000, 1000)
	if s := p.Stats(); s.Instances != 1 || s.Replaced != 0 {
		t.Errorf("sizes cost an instance: %+v", s)
	}
}

func TestOperationOfTheCaller(t *testing.T) {
	p := pool(t, "echo", nil)
	for _, op := range []string{"\xff", strings.Repeat("x", 2000)} {
		if _, err := p.Call(t.Context(), op, nil); err == nil {
			t.Errorf("%.10q was accepted", op)
		}
	}
}
