package capability

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Code is the kind of an Error. Its text is part of the interface: it leads
// the error's text wherever that crosses a boundary, and ParseError reads it
// back.
type Code string

// The codes of what a provider or the host answers to a guest.
const (
	CodeInvalid     Code = "invalid"      // the request makes no sense; it will not do so later either
	CodeNotFound    Code = "not_found"    // what the request names does not exist
	CodeConflict    Code = "conflict"     // it exists already
	CodeWrongKind   Code = "wrong_kind"   // the key holds another kind of value
	CodeOutOfRange  Code = "out_of_range" // the result does not fit
	CodeTooLarge    Code = "too_large"    // a payload is beyond its limit
	CodeUnsupported Code = "unsupported"  // the provider has no such operation
	CodeDenied      Code = "denied"       // the guest's claims do not grant it
	CodeUnavailable Code = "unavailable"  // not now: the service, the binding or the guest is not there
	CodeOverloaded  Code = "overloaded"   // not now: too many wait already
	CodeDeadline    Code = "deadline"     // it took too long
	CodeCanceled    Code = "canceled"     // the caller went away
	CodeInternal    Code = "internal"     // anything else
)

// The further codes of what a Dispatcher answers.
const (
	CodeGuest    Code = "guest"    // the guest reported an error
	CodeTrap     Code = "trap"     // the guest crashed
	CodeMemory   Code = "memory"   // the guest ran out of its memory
	CodeProvider Code = "provider" // the guest failed because a provider did
)

var codes = map[Code]bool{
	CodeInvalid: true, CodeNotFound: true, CodeConflict: true, CodeWrongKind: true, CodeOutOfRange: true,
	CodeTooLarge: true, CodeUnsupported: true, CodeDenied: true, CodeUnavailable: true, CodeOverloaded: true,
	CodeDeadline: true, CodeCanceled: true, CodeInternal: true,
	CodeGuest: true, CodeTrap: true, CodeMemory: true, CodeProvider: true,
}

// Error is an error with a kind that survives every boundary.
type Error struct {
	Code    Code
	Message string // for people; says what to do where something can be done
	Detail  string // more for a developer (stack, log lines); never leaves the host outside development

	unbound bool // see Unbound
}

// Unbound tells whether err says that the binding which a call named is not bound,
// or not any more, so that nothing came of the call. It does not survive the way to
// another process.
func Unbound(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.unbound
}

// Error returns the form that crosses boundaries: the code, a colon, the
// message.
func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }

// Is makes errors.Is(err, &Error{Code: c}) compare codes alone.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code && t.Message == ""
}

// Denied is the error for an operation of a capability that a guest's claims do not
// grant.
func Denied(guestName, capability, operation string) *Error {
	return &Error{
		Code: CodeDenied,
		Message: fmt.Sprintf("%s has no claim to %s, so %s is refused; add %q to capabilities in waxo.toml, then build and sign again",
			guestName, capability, operation, capability),
	}
}

// ParseError reads the text of an Error back. A text that does not start with
// a known code is the message of a CodeInternal error.
func ParseError(text string) *Error {
	if code, message, ok := strings.Cut(text, ": "); ok && codes[Code(code)] {
		return &Error{Code: Code(code), Message: message}
	}
	return &Error{Code: CodeInternal, Message: text}
}

// AsError returns err's own *Error; an error of a context becomes CodeDeadline or
// CodeCanceled, any other CodeInternal. AsError(nil) is nil.
func AsError(err error) *Error {
	var e *Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &e):
		return e
	case errors.Is(err, context.DeadlineExceeded):
		return &Error{Code: CodeDeadline, Message: err.Error()}
	case errors.Is(err, context.Canceled):
		return &Error{Code: CodeCanceled, Message: err.Error()}
	}
	return &Error{Code: CodeInternal, Message: err.Error()}
}
