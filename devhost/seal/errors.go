package seal

import (
	"errors"
	"fmt"

	"github.com/waxosuit/waxo/wapc/wasm"
)

// Reason tells why a module cannot be sealed.
type Reason string

// The reasons.
const (
	// ReasonMalformed: the bytes are no WebAssembly module.
	ReasonMalformed Reason = "malformed"
	// ReasonComponent: the bytes are a component, not a core module.
	ReasonComponent Reason = "component"
	// ReasonUnsupported: an instruction, type or section outside the core
	// specification 2.0 with tail calls and extended constant expressions.
	ReasonUnsupported Reason = "unsupported"
	// ReasonImport: something is imported that a sealed guest cannot have.
	ReasonImport Reason = "import"
	// ReasonImportType: a function of preview 1, or __console_log, is imported
	// under a type that is not its own.
	ReasonImportType Reason = "import type"
	// ReasonMemory: there is not exactly one memory, exported as "memory",
	// unshared and addressed by i32.
	ReasonMemory Reason = "memory"
	// ReasonGuestCall: __guest_call is not exported, or is no function of the
	// right type.
	ReasonGuestCall Reason = "guest call"
	// ReasonSigned: the module carries claims, whose signature would break.
	ReasonSigned Reason = "signed"
	// ReasonDynamic: the module is a dynamic library, to be linked at run time.
	ReasonDynamic Reason = "dynamic library"
)

// Error is what Seal returns for a module that it refuses.
type Error struct {
	Reason Reason
	Detail string // what was found, and what to do about it
	Err    error  // the cause, if there is one below
}

func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("seal: %s: %v", e.Detail, e.Err)
	}
	return "seal: " + e.Detail
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

func refuse(reason Reason, format string, args ...any) error {
	return &Error{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}

// unreadable sorts the errors of package wasm.
func unreadable(err error) error {
	if errors.Is(err, wasm.ErrUnsupported) {
		return &Error{Reason: ReasonUnsupported, Detail: "the module uses what waxo does not know", Err: err}
	}
	return &Error{Reason: ReasonMalformed, Detail: "the module cannot be read", Err: err}
}
