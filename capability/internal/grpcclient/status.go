package grpcclient

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Code is a status as https://grpc.io/docs/guides/status-codes/ lists them.
type Code int

// The codes that this package gives, or that a host distinguishes.
const (
	OK                Code = 0
	Canceled          Code = 1
	Unknown           Code = 2
	DeadlineExceeded  Code = 4
	ResourceExhausted Code = 8
	Unimplemented     Code = 12
	Internal          Code = 13
	Unavailable       Code = 14
)

// Error is how a call or a stream failed: with the server's status, or with what
// went wrong on the way. Then the code is ResourceExhausted for a message beyond
// the limit, Internal for what is no gRPC, Unavailable where the connection broke,
// and DeadlineExceeded or Canceled where the context ended.
type Error struct {
	Code    Code
	Message string
}

func (e *Error) Error() string { return e.Message }

// CodeOf is the code of an error of this package: OK for none, Unknown for
// another's.
func CodeOf(err error) Code {
	if err == nil {
		return OK
	}
	if e := (*Error)(nil); errors.As(err, &e) {
		return e.Code
	}
	return Unknown
}

// broken is the error of what ended before there was a status.
func broken(ctx context.Context, err error) error {
	if e := (streamError{}); errors.As(err, &e) && e.Code == resetByCancel {
		// The server ends a call whose time is over in this way, and may have done
		// so a moment before us.
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < closeToDeadline {
			<-ctx.Done()
		}
	}
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &Error{DeadlineExceeded, "the time for the call is over"}
	case ctx.Err() != nil:
		return &Error{Canceled, "the call was given up"}
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return &Error{Unavailable, "the connection ended"}
	}
	return &Error{Unavailable, "the connection broke: " + err.Error()}
}

// streamError is what errors.As makes of net/http's error for a stream that the
// server has reset, of a type that has no name outside.
type streamError struct {
	StreamID uint32
	Code     uint32
	Cause    error
}

func (e streamError) Error() string { return fmt.Sprintf("the stream was reset (code %d)", e.Code) }

const (
	resetByCancel   = 8 // RFC 9113, section 7
	closeToDeadline = 100 * time.Millisecond
)

// check tells what is wrong with the headers of an answer. A status among them is
// the server's, and all of the answer.
func check(res *http.Response) error {
	content := res.Header.Get("Content-Type")
	rest, isGRPC := strings.CutPrefix(content, "application/grpc")
	switch {
	case res.StatusCode != http.StatusOK:
		return &Error{httpCode(res.StatusCode), fmt.Sprintf("the server answers with the status %d of HTTP: it serves no gRPC there", res.StatusCode)}
	case !isGRPC || rest != "" && rest[0] != '+' && rest[0] != ';':
		return &Error{Internal, fmt.Sprintf("the server answers with %s instead of application/grpc", quote(content))}
	}
	if e := res.Header.Get("Grpc-Encoding"); e != "" && e != "identity" {
		return &Error{Internal, fmt.Sprintf("the server compresses its answer by %s, which was not agreed on", quote(e))}
	}
	return status(res.Header, true)
}

// httpCode is the code for a status of HTTP, as
// https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md has it.
func httpCode(status int) Code {
	switch status {
	case http.StatusNotFound:
		return Unimplemented
	case http.StatusBadRequest:
		return Internal
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return Unavailable
	}
	return Unknown
}

// failure is the error of an answer whose body ended with err; nil where it ended
// well.
func failure(ctx context.Context, res *http.Response, err error) error {
	if e := (*Error)(nil); errors.As(err, &e) {
		return e
	}
	if err == io.EOF {
		return status(res.Trailer, false)
	}
	if err == io.ErrUnexpectedEOF && len(res.Trailer) > 0 { // it ended well, but in a message
		return cmp.Or(status(res.Trailer, true), error(&Error{Internal, "the server's message is cut short"}))
	}
	return broken(ctx, err)
}

// status reads the server's status; it is optional in headers, and must be in
// trailers.
func status(h http.Header, optional bool) error {
	values := h["Grpc-Status"]
	if len(values) == 0 {
		if optional {
			return nil
		}
		return &Error{Internal, "the server ends its answer without a status (the trailer grpc-status)"}
	}
	code, err := strconv.ParseUint(values[0], 10, 16)
	switch {
	case err != nil:
		return &Error{Internal, "the server's status is " + quote(values[0]) + " instead of a number"}
	case code == uint64(OK):
		return nil
	}
	return &Error{Code(code), message(h.Get("Grpc-Message"), Code(code))}
}

// maxMessage is the length of a server's message that is kept, in bytes.
const maxMessage = 4 << 10

// message decodes a message, which is escaped as in URLs, and may be anything.
func message(text string, code Code) string {
	if plain, err := url.PathUnescape(text); err == nil {
		text = plain
	}
	if text == "" {
		return fmt.Sprintf("it answers with the status %d and no message", code)
	}
	return strings.ToValidUTF8(text[:min(len(text), maxMessage)], "\ufffd")
}

// quote quotes what may be long and hold anything.
func quote(s string) string {
	const limit = 100
	return strconv.QuoteToASCII(s[:min(len(s), limit)])
}
