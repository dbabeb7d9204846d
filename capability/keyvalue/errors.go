package keyvalue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/waxosuit/waxo/capability"
)

// The kinds of what a key holds, in the words of the errors.
const (
	kindValue = "a value"
	kindList  = "a list"
	kindSet   = "a set"
)

// kinds are Redis's own names for them.
var kinds = map[string]string{
	"string": kindValue, "list": kindList, "set": kindSet,
	"hash": "a hash", "zset": "a sorted set", "stream": "a stream",
}

// attempts performs a command that only reads, and once more where the
// connection broke under it.
func attempts[T any](ctx context.Context, read func() (T, error)) (T, error) {
	v, err := read()
	if broken(err) && ctx.Err() == nil {
		v, err = read()
	}
	return v, err
}

// broken tells whether a connection that stood went away.
func broken(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// failed makes of an error of the client what a guest is told. The operation
// needs keys of the kind need; keys are the guest's names.
func (s *store) failed(ctx context.Context, err error, need string, keys ...string) error {
	var answer redis.Error
	switch {
	case redis.HasErrorPrefix(err, "WRONGTYPE"):
		return s.wrongKind(ctx, need, keys)
	case errors.As(err, &answer) && !errors.Is(err, redis.TxFailedErr):
		code := capability.CodeInternal
		if transient(answer) {
			code = capability.CodeUnavailable
		}
		return &capability.Error{Code: code, Message: fmt.Sprintf("%s answers: %s", s.where, answer)}
	case expired(ctx):
		return &capability.Error{Code: capability.CodeDeadline, Message: s.where + " did not answer within the deadline of the call"}
	case ctx.Err() != nil:
		return &capability.Error{Code: capability.CodeCanceled, Message: "the call was given up while it waited for " + s.where}
	}
	return &capability.Error{Code: capability.CodeUnavailable, Message: fmt.Sprintf("%s cannot be reached: %s", s.where, short(err))}
}

// expired tells whether ctx's deadline has passed, also in the moment before
// ctx itself has noticed.
func expired(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return errors.Is(ctx.Err(), context.DeadlineExceeded) || ctx.Err() == nil && ok && !time.Now().Before(deadline)
}

// wrongKind asks which of the keys holds what.
func (s *store) wrongKind(ctx context.Context, need string, keys []string) error {
	for _, key := range keys {
		kind, err := s.client.Type(ctx, s.prefix+key).Result()
		if err != nil {
			break // the answer to the guest's call is known without it
		}
		if has, ok := kinds[kind]; ok && has != need {
			return wrongKind("the key %s holds %s; the operation needs %s", quote(key), has, need)
		}
	}
	return wrongKind("the key %s does not hold %s, which the operation needs", quoteAll(keys), need)
}

func wrongKind(format string, args ...any) error {
	return &capability.Error{Code: capability.CodeWrongKind, Message: fmt.Sprintf(format, args...)}
}

// notText is the error for what others stored in a form that a payload cannot
// carry.
func notText(what string, keys ...string) error {
	return wrongKind("the %s at the key %s is not UTF-8 text, and no other can be handed to a guest", what, quoteAll(keys))
}

// transient tells whether an answer of the server means "not now".
func transient(answer redis.Error) bool {
	word, _, _ := strings.Cut(answer.Error(), " ")
	switch word {
	case "LOADING", "BUSY", "MASTERDOWN", "READONLY", "OOM", "CLUSTERDOWN", "TRYAGAIN", "NOREPLICAS", "MISCONF":
		return true
	}
	return strings.HasPrefix(answer.Error(), "ERR max number of clients")
}

// short is an error of a connection without what the message around it says
// already.
func short(err error) string {
	var op *net.OpError
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case errors.As(err, &op):
		return op.Op + ": " + op.Err.Error()
	case errors.Is(err, io.EOF):
		return "the server closed the connection"
	}
	return err.Error()
}

// quote quotes a name from a guest, which may be long and hold anything.
func quote(name string) string {
	const limit = 100
	if len(name) > limit {
		return strconv.Quote(strings.ToValidUTF8(name[:limit], "")) + "..."
	}
	return strconv.Quote(name)
}

func quoteAll(names []string) string {
	quoted := make([]string, 0, min(len(names), 5))
	for _, name := range names[:min(len(names), 4)] {
		quoted = append(quoted, quote(name))
	}
	if len(names) > 4 {
		quoted = append(quoted, "...")
	}
	return strings.Join(quoted, ", ")
}
