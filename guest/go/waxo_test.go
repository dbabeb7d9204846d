package waxo_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/waxosuit/waxo/capability"
	waxo "github.com/waxosuit/waxo/guest/go"
	"github.com/waxosuit/waxo/guest/go/waxotest"
)

func init() {
	waxo.Handle("vendor:echo!Echo", func(payload []byte) ([]byte, error) { return payload, nil })
	waxo.OnHealth(func() error { return nil })
}

func ExampleParseError() {
	err := fmt.Errorf("count: %w", waxo.ParseError("denied: the guest has no such claim"))
	fmt.Println(errors.Is(err, waxo.ErrDenied), err)
	// Output: true count: denied: the guest has no such claim
}

var kinds = map[capability.Code]error{
	capability.CodeInvalid: waxo.ErrInvalid, capability.CodeNotFound: waxo.ErrNotFound, capability.CodeConflict: waxo.ErrConflict,
	capability.CodeWrongKind: waxo.ErrWrongKind, capability.CodeOutOfRange: waxo.ErrOutOfRange, capability.CodeTooLarge: waxo.ErrTooLarge,
	capability.CodeUnsupported: waxo.ErrUnsupported, capability.CodeDenied: waxo.ErrDenied, capability.CodeUnavailable: waxo.ErrUnavailable,
	capability.CodeOverloaded: waxo.ErrOverloaded, capability.CodeDeadline: waxo.ErrDeadline, capability.CodeCanceled: waxo.ErrCanceled,
	capability.CodeInternal: waxo.ErrInternal, capability.CodeGuest: waxo.ErrGuest, capability.CodeTrap: waxo.ErrTrap,
	capability.CodeMemory: waxo.ErrMemory, capability.CodeProvider: waxo.ErrProvider,
}

// TestErrors holds the SDK's errors to those of the host.
func TestErrors(t *testing.T) {
	for code, kind := range kinds {
		host := &capability.Error{Code: code, Message: "why: because"}
		err := fmt.Errorf("wrapped: %w", waxo.ParseError(host.Error()))
		if !errors.Is(err, kind) || err.Error() != "wrapped: "+host.Error() {
			t.Errorf("%s = %v", code, err)
		}
		if kind.Error() != string(code) {
			t.Errorf("the kind of %s is %v", code, kind)
		}
		for other, otherKind := range kinds {
			if other != code && errors.Is(err, otherKind) {
				t.Errorf("%s counts as %s", code, other)
			}
		}
	}
	for _, text := range []string{"", "no code", "Denied: x", "denied:x", "strange: x"} {
		got, want := waxo.ParseError(text), capability.ParseError(text)
		if got.Code != string(want.Code) || got.Message != want.Message {
			t.Errorf("%q = %v, the host says %v", text, got, want)
		}
	}
	if (&waxo.Error{Code: "denied"}).Is(&waxo.Error{Code: "denied", Message: "another"}) {
		t.Error("an error with a message was taken for a kind")
	}
}

func TestCall(t *testing.T) {
	h := waxotest.New(t)
	h.Grant("vendor:thing")
	if _, err := waxo.Call(waxo.DefaultBinding, "vendor:thing", "vendor:thing!Do", nil); !errors.Is(err, waxo.ErrUnsupported) {
		t.Errorf("an unknown capability = %v", err)
	}
	if got, err := h.Call("Echo", []byte("x")); err != nil || string(got) != "x" {
		t.Errorf("Echo = %q, %v", got, err)
	}
	if err := h.Health(); err != nil {
		t.Error(err)
	}
}
