package guestsuite

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/waxosuit/waxo/wapc"
)

// maxPreview is how many bytes are shown of a payload.
const maxPreview = 200

// preview shows a payload, and names all of it where it is too long for that.
func preview(b []byte) string {
	if len(b) <= maxPreview {
		return strconv.Quote(string(b))
	}
	return fmt.Sprintf("%q... (%d bytes, SHA-256 %x)", b[:maxPreview], len(b), sha256.Sum256(b))
}

// write writes a call down: all that another one of the same must do again.
func (o *outcome) write(w io.Writer) {
	fmt.Fprintf(w, "%s\n", o.name)
	for _, h := range o.hostCalls {
		fmt.Fprintf(w, "  host call %q %q %q %s\n", h.binding, h.namespace, h.operation, preview(h.payload))
		if h.err != nil {
			fmt.Fprintf(w, "    failed: %q\n", h.err.Error())
		} else {
			fmt.Fprintf(w, "    answer: %s\n", preview(h.answer))
		}
	}
	switch {
	case o.answered:
		fmt.Fprintf(w, "  response: %s\n", preview(o.response))
	case o.failed:
		fmt.Fprintf(w, "  error: %s\n", preview([]byte(o.text)))
	default:
		fmt.Fprintf(w, "  %s\n", endOf(o.err)) // not how: that tells of memory that was there before
	}
}

// endOf names the end of a call that was not answered.
func endOf(err error) string {
	switch {
	case errors.As(err, new(*wapc.DeadlineError)):
		return "did not end"
	case errors.As(err, new(*wapc.MemoryError)):
		return "ran out of memory"
	case errors.As(err, new(*wapc.TrapError)):
		return "trapped"
	}
	return err.Error()
}

func isGuestError(err error) bool { return errors.As(err, new(*wapc.GuestError)) }

func writeFile(path string, data []byte) error { return os.WriteFile(path, data, 0o600) }
