package wapc

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Errors of a pool that did not get to run a call.
var (
	// ErrClosed: the pool, its module or its engine was closed before the call,
	// or had to stop the call because the closing took too long.
	ErrClosed = errors.New("wapc: closed")
	// ErrQueueFull: as many calls wait already as PoolOptions.MaxWaiting allows.
	ErrQueueFull = errors.New("wapc: too many calls wait for an instance")
	// ErrQueueTimeout: no instance came free within PoolOptions.QueueTimeout.
	ErrQueueTimeout = errors.New("wapc: no instance came free in time")
)

// NestingError says that a guest's host call led to a call of a guest, whose
// host call led to another, and so on, deeper than a pool goes along with. Most
// likely a guest calls itself without end.
type NestingError struct {
	Operation string
	Depth     int // of the call that was refused; one that no guest made has 1
}

func (e *NestingError) Error() string {
	return fmt.Sprintf("wapc: %s: guests call guests to a depth of %d, the limit is %d", e.Operation, e.Depth, maxDepth)
}

// FormatError says that bytes are no WebAssembly module that the engine
// accepts.
type FormatError struct{ Err error }

func (e *FormatError) Error() string { return "wapc: not a valid module: " + e.Err.Error() }

// Unwrap returns the reason.
func (e *FormatError) Unwrap() error { return e.Err }

// ImportError says that a module asks for more than the call protocol offers.
type ImportError struct{ Imports []BadImport }

// BadImport is an import that no host of the call protocol serves.
type BadImport struct {
	Module, Name string
	Kind         string // "function", "table", "memory", "global" or "tag"
	Problem      string // what is wrong with it
}

func (e *ImportError) Error() string {
	var b strings.Builder
	b.WriteString("wapc: refused imports: ")
	for i, imp := range e.Imports {
		if i > 0 {
			b.WriteString("; ")
		}
		fmt.Fprintf(&b, "%s %q.%q: %s", imp.Kind, imp.Module, imp.Name, imp.Problem)
	}
	return b.String()
}

// ExportError says that a module lacks an export that the call protocol needs,
// or has it with another type.
type ExportError struct{ Problems []string }

func (e *ExportError) Error() string { return "wapc: exports: " + strings.Join(e.Problems, "; ") }

// StartError says that an instance could not be started. Err is a *TrapError,
// a *DeadlineError, a *MemoryError or a *HostError.
type StartError struct{ Err error }

func (e *StartError) Error() string { return e.Err.Error() + " (while an instance was started)" }

// Unwrap returns the reason.
func (e *StartError) Unwrap() error { return e.Err }

// GuestError is an error that the guest reported in the way of the protocol.
// The instance goes on serving.
//
// It does not unwrap to HostErr: that may be of any kind, a *DeadlineError of
// another guest too, and must not be taken for the kind of this error.
type GuestError struct {
	Operation string
	Message   string // the guest's text, made valid UTF-8; empty if it gave none
	// HostErr is the error of the last failed host call of the invocation, if
	// the guest's message contains its text: the guest passed it on. It is the
	// very error that the Host returned.
	HostErr error
}

func (e *GuestError) Error() string {
	if e.Message == "" {
		return fmt.Sprintf("wapc: %s: the guest failed without a message", e.Operation)
	}
	return fmt.Sprintf("wapc: %s: the guest failed: %s", e.Operation, e.Message)
}

// TrapError says that the guest crashed or broke the call protocol. The
// instance is gone.
type TrapError struct {
	Operation string   // or the start function's name
	Reason    string   // "unreachable", "out of bounds memory access", ...
	Stack     []string // the guest's functions, innermost first; may be empty
	Log       []string // its first and last lines in this invocation, oldest first
	// HostErr is the error of the invocation's last host call, if that failed. As
	// with GuestError, the error does not unwrap to it.
	HostErr error
}

func (e *TrapError) Error() string {
	at := ""
	if len(e.Stack) > 0 {
		at = " in " + e.Stack[0]
	}
	return fmt.Sprintf("wapc: %s: the guest trapped: %s%s", e.Operation, e.Reason, at)
}

// DeadlineError says that the guest did not end within PoolOptions.CallTimeout
// or StartTimeout. It matches context.DeadlineExceeded. The instance is gone.
type DeadlineError struct {
	Operation string // or the start function's name
	Timeout   time.Duration
	Stack     []string // where it was, as in TrapError
	Log       []string // as in TrapError
}

func (e *DeadlineError) Error() string {
	return fmt.Sprintf("wapc: %s: the guest was stopped after %v", e.Operation, e.Timeout)
}

// Unwrap returns context.DeadlineExceeded.
func (e *DeadlineError) Unwrap() error { return context.DeadlineExceeded }

// MemoryError says that the guest trapped after it was refused memory beyond
// its limit, or that it cannot be instantiated within that limit. The instance
// is gone.
type MemoryError struct {
	Operation string   // or the start function's name; empty where nothing ran
	Limit     int64    // bytes
	Wanted    int64    // bytes that the memory would have grown to
	Stack     []string // as in TrapError
	Log       []string // as in TrapError
}

func (e *MemoryError) Error() string {
	if e.Operation == "" {
		return fmt.Sprintf("wapc: the module needs %d bytes of memory, the limit is %d", e.Wanted, e.Limit)
	}
	return fmt.Sprintf("wapc: %s: the guest ran out of memory: it wanted %d bytes, the limit is %d",
		e.Operation, e.Wanted, e.Limit)
}

// SizeError says that a payload is larger than its limit. The instance goes on
// serving.
type SizeError struct {
	Operation string
	What      string // "request", "response", "host call payload" or "host call response"
	Size      int64  // bytes
	Limit     int64  // bytes
}

func (e *SizeError) Error() string {
	return fmt.Sprintf("wapc: %s: the %s has %d bytes, the limit is %d", e.Operation, e.What, e.Size, e.Limit)
}

// HostError says that the Host panicked. The instance is gone.
type HostError struct {
	Operation string
	Value     any    // what it panicked with
	Stack     []byte // as debug.Stack gives it
}

func (e *HostError) Error() string {
	return fmt.Sprintf("wapc: %s: the host panicked: %v", e.Operation, e.Value)
}
