package wapc

import (
	"errors"
	"fmt"
	"math/bits"
	"runtime/debug"
	"strings"
	"unicode/utf8"
)

const (
	maxName    = 1 << 10  // bytes of a binding, a namespace or an operation
	maxText    = 64 << 10 // bytes of an error's text
	maxInterns = 64       // names that an instance remembers
	maxUnseen  = 16 << 10 // bytes that a guest may have moved without a look at it
	maxKept    = 1 << 19  // bytes of a buffer that an instance keeps for its next call

	maxSmall  = 128  // bytes of a response that shares an allocation
	smallRoom = 1024 // bytes of that
)

// Why a host call fails without reaching a Host.
var (
	errNoHost   = errors.New("no host serves this guest's calls")
	errStarting = errors.New("host calls are not possible while the guest starts")
)

// violate ends the run: the guest broke the protocol.
func (in *instance) violate(function, format string, args ...any) {
	in.run.mar().violation = function + " " + fmt.Sprintf(format, args...)
	panic(errStopped)
}

// inside returns a part of the guest's memory, or nil if it does not lie in
// there. It is valid until the guest runs. It is short, so that the compiler
// puts it where it is called, as view is not.
func (in *instance) inside(ptr, size uint64) []byte {
	at := uint64(uint32(ptr))
	if end := at + uint64(uint32(size)); end <= uint64(len(in.memory.bytes)) {
		return in.memory.bytes[at:end:end]
	}
	return nil
}

// view is inside, but ends the run where something lies outside.
func (in *instance) view(function string, ptr, size uint64) []byte {
	if b := in.inside(ptr, size); b != nil {
		return b
	}
	return in.outside(function, ptr, size)
}

// outside ends the run, unless nothing lies outside.
func (in *instance) outside(function string, ptr, size uint64) []byte {
	if uint32(size) > 0 {
		in.violate(function, "was given %d bytes at %d, outside of its memory of %d", uint32(size), uint32(ptr), len(in.memory.bytes))
	}
	return nil
}

// name reads a name, which is most often the last one of its kind.
func (in *instance) name(last *string, what string, ptr, size uint64) {
	b := in.inside(ptr, size)
	if b == nil {
		b = in.outside(fnHostCall, ptr, size)
	}
	if string(b) != *last {
		*last = in.intern(what, b)
	}
}

func (in *instance) intern(what string, b []byte) string {
	if s, ok := in.interned[string(b)]; ok {
		return s
	}
	if len(b) > maxName {
		in.violate(fnHostCall, "was given %s of %d bytes, the limit is %d", what, len(b), maxName)
	}
	if !utf8.Valid(b) {
		in.violate(fnHostCall, "was given %s that is not UTF-8: %q", what, b)
	}
	if in.interned == nil || len(in.interned) >= maxInterns {
		in.interned = map[string]string{}
	}
	s := string(b)
	in.interned[s] = s
	return s
}

// serving ends the run unless the guest is handling an operation.
func (in *instance) serving(function string) {
	if in.run.starting {
		in.violate(function, "was called while the guest starts")
	}
}

func (in *instance) guestRequest(stack []uint64) {
	in.serving(fnGuestRequest)
	run := &in.run
	operation := in.inside(stack[0], uint64(len(run.operation)))
	if operation == nil {
		operation = in.outside(fnGuestRequest, stack[0], uint64(len(run.operation)))
	}
	copy(operation, run.operation)
	payload := in.inside(stack[1], uint64(len(run.payload)))
	if payload == nil {
		payload = in.outside(fnGuestRequest, stack[1], uint64(len(run.payload)))
	}
	copy(payload, run.payload)
	in.moved(len(run.payload))
}

// moved is called where a host function has moved so many bytes. Metering knows
// nothing of them, so that a guest could keep such functions busy for long.
func (in *instance) moved(n int) {
	if n > maxUnseen {
		in.look()
	}
}

func (in *instance) guestResponse(stack []uint64) {
	in.serving(fnGuestResponse)
	b := in.inside(stack[0], stack[1])
	if b == nil {
		b = in.outside(fnGuestResponse, stack[0], stack[1])
	}
	run := &in.run
	run.response = run.response[:run.before] // of several responses the last one counts
	if run.marred {
		run.mishaps.tooLarge = nil
	}
	if limit := in.pool.opts.MaxResponse; len(b) > limit {
		run.mar().tooLarge = &SizeError{run.operation, "response", int64(len(b)), int64(limit)}
		return
	}
	dst := run.response
	if dst == nil {
		dst = in.roomFor(len(b))
	}
	run.response = append(dst, b...)
}

// roomFor returns room for a response, for the caller to keep. Small ones share
// an allocation with those that come after them.
func (in *instance) roomFor(size int) []byte {
	if size > maxSmall {
		return nil
	}
	if size > len(in.room) {
		in.room = make([]byte, smallRoom)
	}
	b := in.room[:0:size]
	in.room = in.room[size:]
	return b
}

func (in *instance) guestError(stack []uint64) {
	in.serving(fnGuestError)
	in.run.mar().guestErr = validText(in.view(fnGuestError, stack[0], stack[1]), maxText)
	in.look()
}

func (in *instance) consoleLog(stack []uint64) {
	line := validText(in.view(fnConsoleLog, stack[0], stack[1]), MaxLogLine)
	in.run.log.add(line)
	if in.pool.opts.Host == nil {
		in.look()
		return
	}
	in.leave()
	defer in.guard()
	in.run.away = true
	in.pool.opts.Host.ConsoleLog(in.invocation(), line)
	in.run.away = false
}

func (in *instance) hostCall(form callForm, stack []uint64) {
	call, args := &in.hostCalling, stack
	if form == formBinding {
		if uint32(args[1]) != 0 {
			in.name(&call.Binding, "a binding", args[0], args[1])
		} else if call.Binding != DefaultBinding {
			call.Binding = DefaultBinding
		}
		args = args[2:]
	}
	if form != formPrefixed {
		in.name(&call.Namespace, "a namespace", args[0], args[1])
		args = args[2:]
	}
	in.name(&call.Operation, "an operation", args[0], args[1])
	payload := in.view(fnHostCall, args[2], args[3])

	in.leave()
	answer, err := in.perform(payload)
	run := &in.run
	if err != nil || run.invocation == nil || run.invocation.asked.Load() {
		in.check(now())
	}
	run.hostCalled, run.hostAnswer = true, answer
	stack[0] = 1
	if err != nil {
		in.failed(err)
		stack[0] = 0
	} else if run.marred {
		run.mishaps.hostText, run.mishaps.lastErr = "", nil
	}
	in.hostAnswerLen.set(int32(len(run.hostAnswer)))
}

// failed notes that a host call failed.
func (in *instance) failed(err error) {
	in.run.hostAnswer = nil
	odd := in.run.mar()
	odd.lastErr, odd.failedErr = err, err
	odd.hostText = in.textOf(err)
	odd.failedText = odd.hostText
}

func (in *instance) textOf(err error) string {
	defer in.guard()
	in.run.away = true
	text := err.Error()
	in.run.away = false
	return validText([]byte(text), maxText)
}

// perform checks a host call's sizes and hands it to the Host.
func (in *instance) perform(payload []byte) (answer []byte, err error) {
	opts, call := &in.pool.opts, &in.hostCalling
	switch {
	case in.run.starting:
		return nil, errStarting
	case opts.Host == nil:
		return nil, errNoHost
	case len(payload) > opts.MaxHostPayload:
		return nil, &SizeError{call.Operation, "host call payload", int64(len(payload)), int64(opts.MaxHostPayload)}
	}
	if len(call.Payload) == len(payload) {
		copy(call.Payload, payload)
	} else {
		call.Payload = append(call.Payload[:0], payload...)
	}
	in.pool.entersHost(in)
	answer, err = in.ask()
	in.pool.leavesHost(in)
	if n := min(len(answer), maxKept); n > cap(call.Into) { // the next of its size shall have room
		call.Into = make([]byte, 0, 1<<bits.Len(uint(n-1)))
	}
	if err == nil && len(answer) > opts.MaxHostResponse {
		return nil, &SizeError{call.Operation, "host call response", int64(len(answer)), int64(opts.MaxHostResponse)}
	}
	return answer, err
}

func (in *instance) ask() (answer []byte, err error) {
	defer in.guard()
	in.run.away = true
	answer, err = in.pool.opts.Host.HostCall(in.invocation(), in.hostCalling)
	in.run.away = false
	return answer, err
}

// invocation returns the context of the run in hand that the Host gets.
func (in *instance) invocation() *invocation {
	if in.run.invocation == nil {
		in.run.invocation = in.newInvocation()
	}
	return in.run.invocation
}

func (in *instance) newInvocation() *invocation {
	if len(in.invocations) == 0 {
		in.invocations = make([]invocation, invocationsAtOnce)
	}
	c := &in.invocations[0]
	in.invocations = in.invocations[1:]
	c.caller, c.stopper, c.timeout = in.run.caller, &in.stopper, in.run.clock.timeout
	if ends := in.run.clock.ends; ends != 0 {
		c.ends.Store(int64(ends))
	}
	return c
}

// guard is deferred where the Host is called.
func (in *instance) guard() {
	if in.run.away {
		in.astray(recover())
	}
}

// astray is called where the Host did not come back. If it panicked, the run
// ends. If it ended the goroutine, nobody else comes by to give the instance
// back.
func (in *instance) astray(panicked any) {
	if panicked != nil {
		in.run.mar().hostPanic = &HostError{in.run.operation, panicked, debug.Stack()}
		panic(errStopped)
	}
	if !in.run.starting {
		in.dead = true
		in.pool.release(in, nil)
	}
}

// answered ends the run unless there was a host call.
func (in *instance) answered(function string) {
	if !in.run.hostCalled {
		in.violate(function, "was called before any %s", fnHostCall)
	}
}

func (in *instance) hostResponseLen(stack []uint64) {
	in.answered(fnHostResponseLen)
	stack[0] = uint64(len(in.run.hostAnswer))
}

func (in *instance) hostResponse(stack []uint64) {
	in.answered(fnHostResponse)
	copy(in.view(fnHostResponse, stack[0], uint64(len(in.run.hostAnswer))), in.run.hostAnswer)
	in.moved(len(in.run.hostAnswer))
}

func (in *instance) hostErrorLen(stack []uint64) {
	in.answered(fnHostErrorLen)
	stack[0] = uint64(len(in.run.mishaps.hostText))
}

func (in *instance) hostError(stack []uint64) {
	in.answered(fnHostError)
	text := in.run.mishaps.hostText
	copy(in.view(fnHostError, stack[0], uint64(len(text))), text)
	in.moved(len(text))
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
