package blobstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"syscall"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"github.com/waxosuit/waxo/capability"
)

func fail(code capability.Code, format string, args ...any) error {
	return &capability.Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

func invalid(format string, args ...any) error {
	return fail(capability.CodeInvalid, format, args...)
}

func noContainer(id string) error {
	return fail(capability.CodeNotFound, "there is no container %s: create it first", quote(id))
}

func noBlob(n blobName) error {
	return fail(capability.CodeNotFound, "there is no blob %s in the container %s", quote(n.id), quote(n.container))
}

// attempts performs what may be done twice, and once more where the connection
// broke under it.
func attempts[T any](ctx context.Context, do func() (T, error)) (T, error) {
	v, err := do()
	if broken(err) && ctx.Err() == nil {
		v, err = do()
	}
	return v, err
}

// broken tells whether a connection that stood went away.
func broken(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// answered returns the code of an error that the server answered, "" for any
// other. An answer without a body has its status as its code.
func answered(err error) string {
	var answer smithy.APIError
	if !errors.As(err, &answer) {
		return ""
	}
	return answer.ErrorCode()
}

// status is that of the server's answer, 0 where there was none.
func status(err error) int {
	var answer *awshttp.ResponseError
	if errors.As(err, &answer) {
		return answer.HTTPStatusCode()
	}
	return 0
}

// failed makes of an error of the client what a guest is told.
func (s *store) failed(ctx context.Context, err error, n blobName) error {
	var own *capability.Error
	if errors.As(err, &own) {
		return own
	}
	switch answered(err) {
	case "NoSuchBucket":
		return noContainer(n.container)
	case "NoSuchKey":
		return noBlob(n)
	case "BucketNotEmpty":
		return fail(capability.CodeConflict, "the container %s is not empty: remove its blobs first", quote(n.container))
	case "BucketAlreadyExists":
		return fail(capability.CodeConflict, "the container %s belongs to another user of %s: choose another id, or give the binding a prefix", quote(n.container), s.where)
	case "EntityTooLarge":
		return fail(capability.CodeTooLarge, "%s is too large for %s", n, s.where)
	}
	if code := status(err); code != 0 {
		kind := capability.CodeInternal
		if code == http.StatusTooManyRequests || code >= http.StatusInternalServerError && code != http.StatusNotImplemented || answered(err) == "RequestTimeout" {
			kind = capability.CodeUnavailable
		}
		return fail(kind, "%s answers %d: %s", s.where, code, answerText(err))
	}
	switch {
	case expired(ctx):
		return fail(capability.CodeDeadline, "%s did not answer within the deadline of the call", s.where)
	case ctx.Err() != nil:
		return fail(capability.CodeCanceled, "the call was given up while it waited for %s", s.where)
	}
	return fail(capability.CodeUnavailable, "%s cannot be reached: %s", s.where, short(err))
}

func answerText(err error) string {
	var answer smithy.APIError
	if errors.As(err, &answer) {
		if answer.ErrorMessage() == "" {
			return answer.ErrorCode()
		}
		return answer.ErrorCode() + ": " + answer.ErrorMessage()
	}
	return "what cannot be read"
}

// expired tells whether ctx's deadline has passed, also in the moment before
// ctx itself has noticed.
func expired(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return errors.Is(ctx.Err(), context.DeadlineExceeded) || ctx.Err() == nil && ok && !time.Now().Before(deadline)
}

// short is an error of a connection without what the message around it says
// already.
func short(err error) string {
	var op *net.OpError
	var request *url.Error
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case errors.As(err, &op):
		return op.Op + ": " + op.Err.Error()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the server closed the connection"
	case errors.As(err, &request):
		return request.Err.Error()
	}
	return err.Error()
}
