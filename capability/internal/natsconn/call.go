package natsconn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/waxosuit/waxo/capability"
)

// Do performs a call that sends to a subject. The context that perform is given has
// a deadline, and ends where the connection is lost or the server forbids the
// subject. The error is perform's own where that is an *capability.Error.
func (c *Conn) Do(ctx context.Context, subject string, perform func(context.Context) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, patience)
		defer cancel()
	}
	this := &call{subject: subject, cancel: stop}
	c.mu.Lock()
	up := c.up
	if up {
		c.calls[this] = struct{}{}
	}
	c.mu.Unlock()
	if !up {
		return unavailable("there is no connection to %s; it is tried again and again", c.Where)
	}
	said, lived := c.NATS.LastError(), c.NATS.Stats().Reconnects
	err := perform(ctx)
	c.mu.Lock()
	delete(c.calls, this)
	c.mu.Unlock()
	if says := c.NATS.LastError(); says != said && errors.Is(says, nats.ErrPermissionViolation) && names(says, subject) {
		return c.forbidden(subject)
	}
	if err == nil && c.NATS.Stats().Reconnects != lived {
		err = errLost // who answered did not hear of the call
	}
	return c.failure(ctx, subject, err)
}

// Flush waits until the server has taken what was sent.
func (c *Conn) Flush(ctx context.Context) error { return c.NATS.FlushWithContext(ctx) }

// failure makes of an error what a guest is told.
func (c *Conn) failure(ctx context.Context, subject string, err error) error {
	var ours *capability.Error
	cause := context.Cause(ctx)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &ours):
		return err
	case errors.Is(cause, nats.ErrPermissionViolation):
		return c.forbidden(subject)
	case errors.Is(err, nats.ErrReconnectBufExceeded), errors.Is(err, nats.ErrConnectionReconnecting):
		return unavailable("there is no connection to %s; it is tried again and again", c.Where)
	case errors.Is(cause, errLost), errors.Is(err, errLost), errors.Is(err, nats.ErrDisconnected),
		errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrConnectionDraining):
		return unavailable("the connection to %s was lost during the call; whether it took effect is open", c.Where)
	case errors.Is(err, nats.ErrMaxPayload):
		return &capability.Error{Code: capability.CodeTooLarge, Message: fmt.Sprintf("the message for %s is larger than the %d bytes that the server takes", Quote(subject), c.NATS.MaxPayload())}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout), errors.Is(err, os.ErrDeadlineExceeded):
		return &capability.Error{Code: capability.CodeDeadline, Message: c.Where + " did not answer within the deadline of the call"}
	case errors.Is(err, context.Canceled):
		return &capability.Error{Code: capability.CodeCanceled, Message: "the call was given up while it waited for " + c.Where}
	}
	return &capability.Error{Code: capability.CodeInternal, Message: fmt.Sprintf("%s: %s", c.Where, short(err))}
}

func unavailable(format string, args ...any) error {
	return &capability.Error{Code: capability.CodeUnavailable, Message: fmt.Sprintf(format, args...)}
}

func (c *Conn) forbidden(subject string) error {
	return &capability.Error{Code: capability.CodeDenied, Message: fmt.Sprintf("%s does not let the user of this binding send to %s", c.Where, Quote(subject))}
}

// short is an error without what the message around it says already.
func short(err error) string {
	var op *net.OpError
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout):
		return "no answer in time"
	case errors.As(err, &op):
		return op.Op + ": " + op.Err.Error()
	case errors.Is(err, io.EOF):
		return "the server closed the connection"
	}
	return strings.TrimPrefix(err.Error(), "nats: ")
}

// Sparing keeps a log from saying the same thing over and over.
type Sparing struct {
	next    time.Time
	skipped int
}

// sparingly is how long a Sparing keeps quiet.
const sparingly = 10 * time.Second

// Say tells whether something is to be said now, and how often it was not since
// the last time. Calls must not run side by side.
func (s *Sparing) Say() (skipped int, ok bool) {
	if now := time.Now(); now.After(s.next) {
		skipped, s.skipped, s.next = s.skipped, 0, now.Add(sparingly)
		return skipped, true
	}
	s.skipped++
	return 0, false
}
