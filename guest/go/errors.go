package waxo

import "strings"

// Error is an error of the host or of a capability. Its kind is matched with
// errors.Is:
//
//	if errors.Is(err, waxo.ErrUnavailable) {
type Error struct {
	Code    string // the kind, such as "denied"
	Message string // for people
}

// Error returns the form that crosses the boundary between guest and host: the
// code, a colon, the message.
func (e *Error) Error() string {
	if e.Message == "" {
		return e.Code
	}
	return e.Code + ": " + e.Message
}

// Is reports whether target is the kind of e, one of the errors below.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code && t.Message == ""
}

// The kinds of what a host call may answer.
var (
	ErrInvalid     error = &Error{Code: "invalid"}      // the request makes no sense; it will not do so later either
	ErrNotFound    error = &Error{Code: "not_found"}    // what the request names does not exist
	ErrConflict    error = &Error{Code: "conflict"}     // it exists already
	ErrWrongKind   error = &Error{Code: "wrong_kind"}   // the key holds another kind of value
	ErrOutOfRange  error = &Error{Code: "out_of_range"} // the result does not fit
	ErrTooLarge    error = &Error{Code: "too_large"}    // a payload is beyond its limit
	ErrUnsupported error = &Error{Code: "unsupported"}  // there is no such operation
	ErrDenied      error = &Error{Code: "denied"}       // the guest's claims do not grant it
	ErrUnavailable error = &Error{Code: "unavailable"}  // not now: the service is not there
	ErrOverloaded  error = &Error{Code: "overloaded"}   // not now: too many wait already
	ErrDeadline    error = &Error{Code: "deadline"}     // it took too long
	ErrCanceled    error = &Error{Code: "canceled"}     // the caller went away
	ErrInternal    error = &Error{Code: "internal"}     // anything else
)

// The further kinds, of a call that reached another guest.
var (
	ErrGuest    error = &Error{Code: "guest"}    // the guest reported an error
	ErrTrap     error = &Error{Code: "trap"}     // the guest crashed
	ErrMemory   error = &Error{Code: "memory"}   // the guest ran out of its memory
	ErrProvider error = &Error{Code: "provider"} // the guest failed because a provider did
)

// ParseError reads the text of an Error back. A text that does not start with a
// known code is the message of an ErrInternal.
func ParseError(text string) *Error {
	if code, message, ok := strings.Cut(text, ": "); ok && known(code) {
		return &Error{Code: code, Message: message}
	}
	return &Error{Code: "internal", Message: text}
}

func known(code string) bool {
	switch code {
	case "invalid", "not_found", "conflict", "wrong_kind", "out_of_range", "too_large", "unsupported", "denied",
		"unavailable", "overloaded", "deadline", "canceled", "internal", "guest", "trap", "memory", "provider":
		return true
	}
	return false
}
