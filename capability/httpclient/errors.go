package httpclient

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/waxosuit/waxo/capability"
)

// failed makes of an error what a guest is told.
func (c *client) failed(ctx context.Context, req *http.Request, err error) error {
	if known := new(capability.Error); errors.As(err, &known) {
		return known
	}
	where := origin(req.URL)
	var at *url.Error
	if errors.As(err, &at) {
		if u, parseErr := url.Parse(at.URL); parseErr == nil && u.Host != "" {
			where = origin(u) // that of the last redirect
		}
		err = at.Err
	}
	switch {
	case expired(ctx):
		return &capability.Error{Code: capability.CodeDeadline, Message: where + " did not answer in time, which is " + c.timeout.String() + " (timeout in the config of the binding), or what the call has left"}
	case ctx.Err() != nil:
		return &capability.Error{Code: capability.CodeCanceled, Message: "the call was given up while it waited for " + where}
	}
	return &capability.Error{Code: capability.CodeUnavailable, Message: where + " cannot be reached: " + short(err)}
}

// origin is a URL without what may be secret.
func origin(u *url.URL) string { return u.Scheme + "://" + quotable(u.Host) }

// expired tells whether ctx's deadline has passed, also in the moment before ctx
// itself has noticed.
func expired(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return errors.Is(ctx.Err(), context.DeadlineExceeded) || ctx.Err() == nil && ok && !time.Now().Before(deadline)
}

// short is an error of a connection without what the message around it says
// already.
func short(err error) string {
	var (
		op     *net.OpError
		lookup *net.DNSError
	)
	switch {
	case errors.As(err, &lookup):
		return lookup.Err + " (looking up " + quotable(lookup.Name) + ")"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case errors.As(err, &op):
		return op.Op + ": " + op.Err.Error()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the server closed the connection"
	}
	return quotable(err.Error())
}
