package wapc

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"runtime/debug"
	"strings"
	"unicode/utf8"

	"github.com/tetratelabs/wazero/api"
)

const (
	maxName    = 1 << 10  // bytes of a binding, a namespace or an operation
	maxText    = 64 << 10 // bytes of an error's text
	maxInterns = 64       // names that an instance remembers
	maxKept    = 1 << 19  // bytes of a buffer that an instance keeps for its next call
)

// Why a host call fails without reaching a Host.
var (
	errNoHost   = errors.New("no host serves this guest's calls")
	errStarting = errors.New("host calls are not possible while the guest starts")
)

// violate ends the run: the guest broke the protocol.
func (in *instance) violate(function, format string, args ...any) {
	in.run.violation = function + " " + fmt.Sprintf(format, args...)
	panic(errStopped)
}

// view returns a part of the guest's memory. It is valid until the guest runs.
func (in *instance) view(mem api.Memory, function string, ptr, size uint64) []byte {
	if size = uint64(uint32(size)); size == 0 {
		return nil
	}
	b, ok := mem.Read(uint32(ptr), uint32(size))
	if !ok {
		in.violate(function, "was given %d bytes at %d, outside of its memory of %d", size, uint32(ptr), mem.Size())
	}
	return b
}

// put copies to the guest's memory.
func (in *instance) put(mem api.Memory, function string, ptr uint64, b []byte) {
	copy(in.view(mem, function, ptr, uint64(len(b))), b)
}

// name reads a name. The same bytes give the same string, without allocation.
func (in *instance) name(mem api.Memory, what string, ptr, size uint64) string {
	b := in.view(mem, fnHostCall, ptr, size)
	if s, ok := in.names[string(b)]; ok {
		return s
	}
	if len(b) > maxName {
		in.violate(fnHostCall, "was given %s of %d bytes, the limit is %d", what, len(b), maxName)
	}
	if !utf8.Valid(b) {
		in.violate(fnHostCall, "was given %s that is not UTF-8: %q", what, b)
	}
	if len(in.names) >= maxInterns {
		clear(in.names)
	}
	s := string(b)
	in.names[s] = s
	return s
}

// serving ends the run unless the guest is handling an operation.
func (in *instance) serving(function string) {
	if in.run.starting {
		in.violate(function, "was called while the guest starts")
	}
}

func (in *instance) guestRequest(_ *invocation, mem api.Memory, stack []uint64) {
	in.serving(fnGuestRequest)
	operation := in.view(mem, fnGuestRequest, stack[0], uint64(len(in.run.operation)))
	copy(operation, in.run.operation)
	in.put(mem, fnGuestRequest, stack[1], in.run.payload)
}

func (in *instance) guestResponse(_ *invocation, mem api.Memory, stack []uint64) {
	in.serving(fnGuestResponse)
	b := in.view(mem, fnGuestResponse, stack[0], stack[1])
	if in.run.responded {
		in.violate(fnGuestResponse, "was called twice")
	}
	in.run.responded = true
	if limit := in.pool.opts.MaxResponse; len(b) > limit {
		in.run.tooLarge = &SizeError{in.run.operation, "response", int64(len(b)), int64(limit)}
		return
	}
	in.run.response = append(in.run.response, b...)
}

func (in *instance) guestError(_ *invocation, mem api.Memory, stack []uint64) {
	in.serving(fnGuestError)
	in.run.guestErr = validText(in.view(mem, fnGuestError, stack[0], stack[1]), maxText)
}

func (in *instance) consoleLog(ctx *invocation, mem api.Memory, stack []uint64) {
	line := validText(in.view(mem, fnConsoleLog, stack[0], stack[1]), MaxLogLine)
	in.run.log.add(line)
	if in.pool.opts.Host == nil {
		return
	}
	in.guard(func() { in.pool.opts.Host.ConsoleLog(ctx, line) })
}

func (in *instance) hostCall(ctx *invocation, form callForm, mem api.Memory, stack []uint64) {
	call := HostCall{Binding: DefaultBinding}
	args := stack
	if form == formBinding {
		if name := in.name(mem, "a binding", args[0], args[1]); name != "" {
			call.Binding = name
		}
		args = args[2:]
	}
	if form != formPrefixed {
		call.Namespace = in.name(mem, "a namespace", args[0], args[1])
		args = args[2:]
	}
	call.Operation = in.name(mem, "an operation", args[0], args[1])
	payload := in.view(mem, fnHostCall, args[2], args[3])

	answer, err := in.perform(ctx, call, payload)
	if ctx.Err() != nil {
		panic(errStopped)
	}
	run := &in.run
	run.hostCalled, run.hostAnswer, run.hostText, run.lastErr = true, answer, "", err
	stack[0] = 1
	if err != nil {
		run.hostAnswer = nil
		in.guard(func() { run.hostText = validText([]byte(err.Error()), maxText) })
		run.failedErr, run.failedText = err, run.hostText
		stack[0] = 0
	}
}

// perform checks a host call's sizes and hands it to the Host.
func (in *instance) perform(ctx context.Context, call HostCall, payload []byte) (answer []byte, err error) {
	opts := &in.pool.opts
	switch {
	case in.run.starting:
		return nil, errStarting
	case opts.Host == nil:
		return nil, errNoHost
	case len(payload) > opts.MaxHostPayload:
		return nil, &SizeError{call.Operation, "host call payload", int64(len(payload)), int64(opts.MaxHostPayload)}
	}
	in.hostPayload = append(in.hostPayload[:0], payload...)
	call.Payload, call.Into = in.hostPayload, in.into[:0]
	in.pool.entersHost(in)
	in.guard(func() { answer, err = opts.Host.HostCall(ctx, call) })
	in.pool.leavesHost(in)
	if n := min(len(answer), maxKept); n > cap(in.into) { // the next of its size shall have room
		in.into = make([]byte, 0, 1<<bits.Len(uint(n-1)))
	}
	if err == nil && len(answer) > opts.MaxHostResponse {
		return nil, &SizeError{call.Operation, "host call response", int64(len(answer)), int64(opts.MaxHostResponse)}
	}
	return answer, err
}

// guard calls the Host. If that panics, the run ends.
func (in *instance) guard(f func()) {
	defer func() {
		if v := recover(); v != nil {
			in.run.hostPanic = &HostError{in.run.operation, v, debug.Stack()}
			panic(errStopped)
		}
	}()
	f()
}

// answered ends the run unless there was a host call.
func (in *instance) answered(function string) {
	if !in.run.hostCalled {
		in.violate(function, "was called before any %s", fnHostCall)
	}
}

func (in *instance) hostResponseLen(_ *invocation, _ api.Memory, stack []uint64) {
	in.answered(fnHostResponseLen)
	stack[0] = uint64(len(in.run.hostAnswer))
}

func (in *instance) hostResponse(_ *invocation, mem api.Memory, stack []uint64) {
	in.answered(fnHostResponse)
	in.put(mem, fnHostResponse, stack[0], in.run.hostAnswer)
}

func (in *instance) hostErrorLen(_ *invocation, _ api.Memory, stack []uint64) {
	in.answered(fnHostErrorLen)
	stack[0] = uint64(len(in.run.hostText))
}

func (in *instance) hostError(_ *invocation, mem api.Memory, stack []uint64) {
	in.answered(fnHostError)
	in.put(mem, fnHostError, stack[0], []byte(in.run.hostText))
}

// validText copies bytes as valid UTF-8 of at most limit bytes.
func validText(b []byte, limit int) string {
	if len(b) > limit {
		b = b[:limit]
		for i := 1; i < utf8.UTFMax && len(b) >= i; i++ { // do not leave half a character
			if last := b[len(b)-i:]; utf8.RuneStart(last[0]) {
				if !utf8.FullRune(last) {
					b = b[:len(b)-i]
				}
				break
			}
		}
	}
	s := strings.ToValidUTF8(string(b), "\uFFFD")
	if len(s) > limit { // each replacement is longer than what it replaces
		return validText([]byte(s), limit)
	}
	return s
}

// containsText tells whether a guest's message passes on the text of a host
// call's error.
func containsText(message, text string) bool {
	return strings.Contains(message, strings.TrimSpace(text))
}
