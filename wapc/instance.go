package wapc

import (
	"context"
	"fmt"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// instance is one instance of a module. One goroutine at a time uses it, but
// for its stopper and its memory's size.
type instance struct {
	pool    *Pool
	stopper stopper
	memory  linearMemory
	code    *code // what guest is an instance of
	guest   api.Module
	serve   api.Function // __guest_call
	stack   [2]uint64    // its parameters and result
	names   map[string]string
	started bool
	dead    bool // it must not serve again

	hostPayload, into []byte // what a host call gets, and where it may answer

	run runState

	pooled
}

// runState is the state of one run of guest code: a call, or the start.
type runState struct {
	operation string
	starting  bool
	payload   []byte

	response  []byte // is appended to
	responded bool
	guestErr  string
	tooLarge  *SizeError // what the guest handed over

	hostCalled bool
	hostAnswer []byte
	hostText   string // the error's text as the guest reads it
	lastErr    error  // of the last host call; nil if that went well
	failedErr  error  // of the last host call that failed
	failedText string

	violation string // how the guest broke the protocol
	hostPanic *HostError

	log lineLog
}

// newInstance returns an instance that is not started yet.
func newInstance(p *Pool) *instance {
	return &instance{
		pool:   p,
		memory: linearMemory{limit: uint64(p.opts.MemoryLimit)},
		names:  map[string]string{},
		run:    runState{log: newLineLog(p.opts.LogLines)},
	}
}

// reset prepares for a run.
func (in *instance) reset(operation string, payload []byte) {
	log := in.run.log
	log.clear()
	in.run = runState{operation: operation, payload: payload, log: log}
	in.memory.refused = 0
}

// start instantiates the module and calls its start functions. Its errors are
// those of Pool.Call's documentation.
func (in *instance) start(ctx context.Context) error {
	in.reset("instantiate", nil)
	in.run.starting = true
	timeout := in.pool.opts.StartTimeout
	run := in.stopper.begin(experimental.WithMemoryAllocator(ctx, &in.memory), in, timeout)
	err := in.instantiate(run)
	cause := in.stopper.end(ctx, run)
	if err == nil && cause != nil { // the engine may have closed the instance
		err = errStopped
	}
	if err == nil {
		in.started = true
		return nil
	}
	in.dead = true
	if cause != nil && cause != errTimeout && wasStopped(err) {
		return in.failure(err, cause, timeout)
	}
	return &StartError{in.failure(err, cause, timeout)}
}

// guestConfig gives an instance no name, so that there may be many, and leaves
// the start functions to us.
var guestConfig = wazero.NewModuleConfig().WithName("").WithStartFunctions()

func (in *instance) instantiate(ctx *invocation) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the engine failed: %v", v)
		}
	}()
	if in.code = in.pool.module.best(); in.code == nil {
		return ErrClosed
	}
	if in.guest, err = in.code.runtime.InstantiateModule(ctx, in.code.compiled, guestConfig); err != nil {
		return err
	}
	for _, name := range startExports {
		if f := in.guest.ExportedFunction(name); f != nil {
			in.run.operation = name
			if err := f.CallWithStack(ctx, nil); err != nil {
				return err
			}
		}
	}
	in.serve = in.guest.ExportedFunction(exportCall)
	return nil
}

// call has the guest handle one operation. Its errors are those of Pool.Call's
// documentation.
func (in *instance) call(ctx context.Context, dst []byte, operation string, payload []byte) ([]byte, error) {
	in.reset(operation, payload)
	in.run.response = dst
	timeout := in.pool.opts.CallTimeout
	run := in.stopper.begin(ctx, in, timeout)
	in.stack = [2]uint64{uint64(len(operation)), uint64(len(payload))}
	err := in.serve.CallWithStack(run, in.stack[:])
	cause := in.stopper.end(ctx, run)
	in.run.payload, in.run.hostAnswer = nil, nil
	if cap(in.hostPayload) > maxKept {
		in.hostPayload = nil
	}
	if err != nil {
		in.dead = true
		return dst, in.failure(err, cause, timeout)
	}
	// The engine may close an instance whose context ended just before the guest
	// came to its end.
	in.dead = cause != nil
	if err := in.result(); err != nil {
		return dst, err
	}
	return in.run.response, nil
}

// result reads what the guest said by returning.
func (in *instance) result() error {
	run := &in.run
	switch result := int32(in.stack[0]); result {
	case 1:
		if run.tooLarge != nil {
			return run.tooLarge
		}
		return nil
	case 0:
		e := &GuestError{Operation: run.operation, Message: run.guestErr}
		if run.failedText != "" && containsText(run.guestErr, run.failedText) {
			e.HostErr = run.failedErr
		}
		return e
	default:
		in.dead = true
		return &TrapError{
			Operation: run.operation,
			Reason:    fmt.Sprintf("the call protocol was broken: %s returned %d", exportCall, result),
			Log:       run.log.lines(),
			HostErr:   run.lastErr,
		}
	}
}

// close releases the instance, which has no run in hand.
func (in *instance) close() {
	in.stopper.stop(ErrClosed)
	if in.guest != nil {
		// It closes no file and no socket, so there is nothing that could fail.
		_ = in.guest.Close(context.Background())
	}
	in.memory.release()
	if in.code != nil {
		// Nothing waits for what this may release.
		_ = in.code.drop(context.Background())
		in.code = nil
	}
}
