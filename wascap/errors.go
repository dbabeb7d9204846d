package wascap

import (
	"errors"
	"fmt"
)

// ErrUnsigned is what Extract and Verify report, wrapped, for a module that
// carries no claims.
var ErrUnsigned = errors.New("the module is not signed: sign it first")

// Reason is the code of a refusal, for programs and for JSON output. The set
// may grow; a code never changes its meaning.
type Reason string

const (
	// ReasonNotModule: the bytes are no WebAssembly module.
	ReasonNotModule Reason = "not-a-module"
	// ReasonUnsigned: the module has no claims section.
	ReasonUnsigned Reason = "unsigned"
	// ReasonDuplicateSection: the module has more than one claims section.
	ReasonDuplicateSection Reason = "duplicate-section"
	// ReasonMisplacedSection: the claims section is not the last one.
	ReasonMisplacedSection Reason = "misplaced-section"
	// ReasonSectionEncoding: a length in the claims section's head is padded.
	ReasonSectionEncoding Reason = "section-encoding"
	// ReasonTooLarge: the token is longer than MaxTokenSize.
	ReasonTooLarge Reason = "too-large"
	// ReasonMalformed: the token breaks a rule of its format.
	ReasonMalformed Reason = "malformed"
	// ReasonUnsupported: the token asks for an algorithm or a revision of the
	// claims that this package does not know.
	ReasonUnsupported Reason = "unsupported"
	// ReasonKeyKind: a key is of a kind that may not stand where it stands.
	ReasonKeyKind Reason = "key-kind"
	// ReasonSignature: the issuer's key did not make the signature.
	ReasonSignature Reason = "signature"
	// ReasonHash: the module is not the one that was signed.
	ReasonHash Reason = "hash"
	// ReasonNotYetValid: the time lies before the claims' nbf.
	ReasonNotYetValid Reason = "not-yet-valid"
	// ReasonExpired: the time lies at or after the claims' exp.
	ReasonExpired Reason = "expired"
)

// VerifyError tells why a module or a token was refused. Extract, Verify,
// ParseToken and VerifyToken return no other error; match it with errors.As.
type VerifyError struct {
	Reason Reason
	Err    error // what is wrong, and what to do about it; never nil
}

func (e *VerifyError) Error() string { return e.Err.Error() }

// Unwrap gives the cause: ErrUnsigned and wasm.ErrMalformed can be matched.
func (e *VerifyError) Unwrap() error { return e.Err }

func refuse(r Reason, format string, args ...any) error {
	return &VerifyError{Reason: r, Err: fmt.Errorf(format, args...)}
}
