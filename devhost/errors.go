package devhost

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/wapc"
)

// explain turns an error of the call engine into what a Dispatcher answers:
// the four kinds of failure stay apart in its code.
func explain(err error) *capability.Error {
	var (
		guest    *wapc.GuestError
		trap     *wapc.TrapError
		deadline *wapc.DeadlineError
		memory   *wapc.MemoryError
		size     *wapc.SizeError
	)
	switch {
	case errors.As(err, &guest):
		return explainGuest(guest)
	case errors.As(err, &trap):
		return &capability.Error{
			Code:    capability.CodeTrap,
			Message: "the guest trapped: " + trap.Reason,
			Detail:  detail(trap.Stack, trap.Log),
		}
	case errors.As(err, &deadline):
		return &capability.Error{
			Code:    capability.CodeDeadline,
			Message: fmt.Sprintf("the guest was stopped after %v; raise call_timeout in [limits] of waxo.toml if it may take longer", deadline.Timeout),
			Detail:  detail(deadline.Stack, deadline.Log),
		}
	case errors.As(err, &memory):
		return &capability.Error{
			Code:    capability.CodeMemory,
			Message: fmt.Sprintf("the guest ran out of its memory of %d MiB; raise memory in [limits] of waxo.toml if it needs more", memory.Limit>>20),
			Detail:  detail(memory.Stack, memory.Log),
		}
	case errors.As(err, &size):
		return &capability.Error{Code: capability.CodeTooLarge, Message: fmt.Sprintf("the %s has %d bytes, the limit is %d; raise request_body or response_body in [limits] of waxo.toml if that is too little", size.What, size.Size, size.Limit)}
	case errors.Is(err, wapc.ErrQueueFull), errors.Is(err, wapc.ErrQueueTimeout):
		return &capability.Error{Code: capability.CodeOverloaded, Message: "all instances of the guest are busy; try again later"}
	case errors.Is(err, wapc.ErrClosed):
		return &capability.Error{Code: capability.CodeUnavailable, Message: "the guest is ending"}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return capability.AsError(err)
	}
	return &capability.Error{Code: capability.CodeInternal, Message: err.Error()}
}

// explainGuest looks at what the guest passed on: a denial stays a denial, and
// the failure of a provider stays that.
func explainGuest(err *wapc.GuestError) *capability.Error {
	e := &capability.Error{Code: capability.CodeGuest, Message: err.Message}
	if e.Message == "" {
		e.Message = "the guest failed without saying why"
	}
	if err.HostErr == nil {
		return e
	}
	if errors.As(err.HostErr, new(*wapc.SizeError)) {
		return e // what the guest sent or asked for is too large
	}
	switch cause := capability.AsError(err.HostErr); cause.Code {
	case capability.CodeDenied:
		e.Code = capability.CodeDenied
		// The guest passed the error on with its code, which is not to be said twice.
		e.Message = strings.TrimPrefix(e.Message, string(capability.CodeDenied)+": ")
	case capability.CodeUnavailable, capability.CodeOverloaded, capability.CodeDeadline, capability.CodeCanceled, capability.CodeInternal:
		e.Code = capability.CodeProvider
		e.Detail = cause.Detail
	}
	// The other codes are the guest's own doing: it asked for something wrong.
	return e
}

// detail is what a developer wants to see of a crash.
func detail(stack, log []string) string {
	var b strings.Builder
	if len(stack) > 0 {
		b.WriteString("guest stack, innermost first:\n")
		for _, f := range stack {
			b.WriteString("  " + f + "\n")
		}
	}
	if len(log) > 0 {
		b.WriteString("its last lines:\n")
		for _, l := range log {
			b.WriteString("  " + l + "\n")
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}
