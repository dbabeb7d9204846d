package abi

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unsafe"
)

// reset forgets what was registered, now and when the test ends.
func reset(t *testing.T) {
	clear := func() { handlers, health, served = nil, nil, false }
	clear()
	t.Cleanup(clear)
}

func echo(payload []byte) ([]byte, error) { return payload, nil }

func TestDispatch(t *testing.T) {
	reset(t)
	Register("a:x!Echo", echo)
	Register("a:x!Fail", func([]byte) ([]byte, error) { return nil, errors.New("failed") })
	Register("a:x!Twice", echo)
	Register("b:y!Twice", func([]byte) ([]byte, error) { return []byte("y"), nil })
	for _, test := range []struct {
		operation, want string
		ok              bool
	}{
		{"a:x!Echo", "payload", true},
		{"Echo", "payload", true},
		{"b:y!Twice", "y", true},
		{"Twice", "invalid: Twice may be more than one of this guest's operations: a:x!Echo, a:x!Fail, a:x!Twice, b:y!Twice", false},
		{"b:y!Echo", "unsupported: this guest has no handler for b:y!Echo, but for a:x!Echo, a:x!Fail, a:x!Twice, b:y!Twice", false},
		{"a:x!Fail", "failed", false},
		{"core!HealthRequest", "", true},
		{"HealthRequest", "", true},
	} {
		response, failure, ok := Dispatch(test.operation, []byte("payload"))
		got := string(response) + failure
		if ok != test.ok || got != test.want {
			t.Errorf("%s = %q, %v, want %q, %v", test.operation, got, ok, test.want, test.ok)
		}
	}
}

func TestNoHandler(t *testing.T) {
	reset(t)
	for _, operation := range []string{"wascap:httpserver!HandleRequest", "HealthRequest"} {
		_, failure, ok := Dispatch(operation, nil)
		if ok || !strings.HasPrefix(failure, "unsupported: ") || !strings.Contains(failure, "http.Handle(serve)") {
			t.Errorf("%s = %q, %v", operation, failure, ok)
		}
	}
}

func TestHealth(t *testing.T) {
	reset(t)
	Register("Echo", echo)
	SetHealth(func() error { return errors.New("unwell") })
	if _, failure, ok := Dispatch("HealthRequest", nil); ok || failure != "unwell" {
		t.Errorf("health = %q, %v", failure, ok)
	}
}

type (
	stringer  struct{}
	nilError  struct{ text string }
	plainType struct{ _ float64 }
)

func (stringer) String() string   { return "a stringer" }
func (e *nilError) Error() string { return e.text }

func TestPanics(t *testing.T) {
	reset(t)
	var value any
	Register("Panic", func([]byte) ([]byte, error) { panic(value) })
	for _, test := range []struct {
		value any
		want  string
	}{
		{"text", "text"},
		{errors.New("an error"), "an error"},
		{stringer{}, "a stringer"},
		{true, "true"},
		{int(-1), "-1"}, {int32(-2), "-2"}, {int64(-3), "-3"},
		{uint(1), "1"}, {uint32(2), "2"}, {uint64(3), "3"},
		{plainType{}, "a value of a type that has no text"},
		{(*nilError)(nil), "a value whose own text panics"},
		{nil, "panic called with nil argument"},
	} {
		value = test.value
		if _, failure, ok := Dispatch("Panic", nil); ok || !strings.HasPrefix(failure, "panic: "+test.want) {
			t.Errorf("panic(%#v) = %q, %v, want %q", test.value, failure, ok, test.want)
		}
	}
}

func TestRegisterRefuses(t *testing.T) {
	reset(t)
	Register("a:x!Echo", echo)
	SetHealth(func() error { return nil })
	for want, f := range map[string]func(){
		"needs the name of its operation":            func() { Register("", echo) },
		"a handler needs the name":                   func() { Register("a:x!", echo) },
		"the handler of a:x!Other is nil":            func() { Register("a:x!Other", nil) },
		"use waxo.OnHealth":                          func() { Register("wascap:httpsrv!HealthRequest", echo) },
		"two handlers for a:x!Echo":                  func() { Register("a:x!Echo", echo) },
		"the health check is nil":                    func() { SetHealth(nil) },
		"two health checks":                          func() { SetHealth(func() error { return nil }) },
		"is registered after the first call: regist": func() { Dispatch("Echo", nil); Register("a:x!Late", echo) },
	} {
		mustPanic(t, want, f)
		served = false
	}
	Dispatch("Echo", nil)
	mustPanic(t, "the health check is registered after", func() { SetHealth(func() error { return nil }) })
}

func mustPanic(t *testing.T, want string, f func()) {
	t.Helper()
	defer func() {
		t.Helper()
		if text := fmt.Sprint(recover()); !strings.Contains(text, want) {
			t.Errorf("panicked with %s, want %s", text, want)
		}
	}()
	f()
}

func TestBuffers(t *testing.T) {
	if b := Fit(nil, 0); b == nil || len(b) != 0 {
		t.Error("an empty buffer has no address")
	}
	b := Fit(nil, 600)
	if again := Fit(b, 500); &again[0] != &b[0] || len(again) != 500 {
		t.Error("a buffer that suffices was not used again")
	}
	if Keep(make([]byte, maxKept)) == nil || Keep(make([]byte, maxKept+1)) != nil {
		t.Error("the wrong buffers are kept")
	}
}

func TestNoHost(t *testing.T) {
	x := Begin()
	defer x.End()
	if _, failure, ok := x.Call("default", "a:x", "a:x!Do"); ok || !strings.Contains(failure, "waxotest.New(t)") {
		t.Errorf("without a host: %q, %v", failure, ok)
	}
	Console("goes nowhere")
}

func TestText(t *testing.T) {
	x := Begin()
	b := []byte("a text")
	first := x.Text(b)
	if again := x.Text(b); again != "a text" || unsafe.StringData(again) != unsafe.StringData(first) {
		t.Errorf("the same text is %q, in other memory", again)
	}
	b[0] = 'b'
	if other := x.Text(b); other != "b text" || first != "a text" {
		t.Errorf("another text is %q, and the one before has become %q", other, first)
	}
	long := bytes.Repeat([]byte("x"), 257)
	if x.Text(long) != string(long) || len(x.text) > 256 {
		t.Errorf("a long text is kept: %d bytes", len(x.text))
	}
	if x.Text(nil) != "" || x.Text(b) != "b text" {
		t.Error("no text is not told from one")
	}
}
