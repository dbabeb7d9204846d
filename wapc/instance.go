package wapc

import (
	"context"
	"fmt"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// instance is one instance of a module. One goroutine at a time uses it, but
// for its stopper and its memory's size.
type instance struct {
	pool          *Pool
	turns         *turns // of the engine
	stopper       stopper
	memory        linearMemory
	code          *code // what guest is an instance of
	guest         api.Module
	serve         api.Function // __guest_call
	hostAnswerLen knownLength
	stack         [2]uint64       // its parameters and result
	values        context.Context // what the engine looks for while it instantiates
	started       bool
	dead          bool // it must not serve again

	interned    map[string]string // the same bytes give the same name, without allocation
	hostCalling HostCall          // the last one; what is the same in the next is not written again
	invocations []invocation      // for coming runs

	run runState

	pooled

	room []byte // for coming responses
}

// runState is the state of one run of guest code: a call, or the start.
type runState struct {
	caller    context.Context
	operation string
	starting  bool
	payload   []byte

	response []byte // is appended to what was there before
	before   int    // bytes of that

	hostCalled bool
	hostAnswer []byte

	clock      clock
	turn       turn
	invocation *invocation // nil before the first host call
	away       bool        // the Host is being called

	// mishaps is touched in few runs, so that most need not clear it.
	mishaps mishaps
	marred  bool // there are some

	log lineLog
}

// mishaps are the things that do not happen in most runs.
type mishaps struct {
	guestErr string
	tooLarge *SizeError // what the guest handed over

	hostText   string // the error's text as the guest reads it
	lastErr    error  // of the last host call; nil if that went well
	failedErr  error  // of the last host call that failed
	failedText string

	violation string // how the guest broke the protocol
	hostPanic *HostError
	stopped   error // why the run was stopped: see stop.go
}

// knownLength is a variable of the guest's: see responseLen.
type knownLength struct {
	variable api.MutableGlobal // nil if the guest never asks for the length
	length   int32             // what it holds
}

func (k *knownLength) set(length int32) {
	if k.length != length && k.variable != nil {
		k.variable.Set(api.EncodeI32(length))
		k.length = length
	}
}

// mar returns the run's mishaps to write to.
func (r *runState) mar() *mishaps {
	r.marred = true
	return &r.mishaps
}

// newInstance returns an instance that is not started yet.
func newInstance(p *Pool) *instance {
	return &instance{
		pool:   p,
		turns:  p.module.engine.turns,
		memory: linearMemory{limit: uint64(p.opts.MemoryLimit)},
		run:    runState{log: newLineLog(p.opts.LogLines)},

		hostCalling: HostCall{Binding: DefaultBinding},
	}
}

// engineContext is the context that the engine runs a guest with. It is the
// instance itself, so that the host functions need not look for it. The engine
// looks for values at each call: the caller's are none of its business, and may
// lie deep.
type engineContext instance

func (*engineContext) Deadline() (deadline time.Time, ok bool) { return deadline, false }
func (*engineContext) Done() <-chan struct{}                   { return nil }
func (*engineContext) Err() error                              { return nil }

func (c *engineContext) Value(key any) any {
	if c.values == nil {
		return nil
	}
	return c.values.Value(key)
}

// begin prepares for a run. Each is followed by end.
func (in *instance) begin(caller context.Context, operation string, timeout time.Duration) {
	run := &in.run
	run.caller, run.operation = caller, operation
	run.starting, run.hostCalled, run.away = false, false, false
	run.clock = clock{timeout: timeout}
	if run.marred {
		run.mishaps, run.marred = mishaps{}, false
	}
	run.log.clear()
	in.memory.refused = 0
	if in.hostAnswerLen.length != unknown {
		in.hostAnswerLen.set(unknown)
	}
}

// end leaves nothing behind that is the caller's or the Host's.
func (in *instance) end() {
	run := &in.run
	if run.turn.busy > 0 {
		in.turns.leave(&run.turn)
		run.turn = turn{}
	}
	run.caller = nil
	run.payload, run.response, run.hostAnswer = nil, nil, nil
	if run.invocation != nil {
		run.invocation.end()
		run.invocation = nil
	}
	if call := &in.hostCalling; cap(call.Payload) > maxKept {
		call.Payload = nil
	}
}

// start instantiates the module and calls its start functions. Its errors are
// those of Pool.Call's documentation.
func (in *instance) start(ctx context.Context) error {
	in.begin(ctx, "instantiate", in.pool.opts.StartTimeout)
	in.run.starting = true
	in.values = experimental.WithMemoryAllocator(context.Background(), &in.memory)
	err := in.instantiate((*engineContext)(in))
	in.values = nil
	in.end()
	if err == nil {
		in.started = true
		return nil
	}
	in.dead = true
	failure := in.failure(err)
	if cause := in.run.mishaps.stopped; cause != nil && cause != errTimeout {
		return failure
	}
	return &StartError{failure}
}

// guestConfig gives an instance no name, so that there may be many, and leaves
// the start functions to us.
var guestConfig = wazero.NewModuleConfig().WithName("").WithStartFunctions()

func (in *instance) instantiate(ctx context.Context) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the engine failed: %v", v)
		}
	}()
	if in.code = in.pool.module.best(); in.code == nil {
		return ErrClosed
	}
	in.memory.image = in.code.image
	in.hostAnswerLen.length = unknown
	if in.guest, err = in.code.runtime.InstantiateModule(ctx, in.code.compiled, guestConfig); err != nil {
		return err
	}
	if g, ok := in.guest.ExportedGlobal(responseLen).(api.MutableGlobal); ok {
		in.hostAnswerLen.variable = g
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

// call has the guest handle one operation and appends its response to dst. Its
// errors are those of Pool.Call's documentation.
func (in *instance) call(ctx context.Context, dst []byte, operation string, payload []byte) ([]byte, error) {
	if in.stopper.stopped.Load() {
		in.dead = true
		return dst, stoppedFor(operation, ErrClosed)
	}
	in.begin(ctx, operation, in.pool.opts.CallTimeout)
	in.run.payload, in.run.response, in.run.before = payload, dst, len(dst)
	in.stack = [2]uint64{uint64(len(operation)), uint64(len(payload))}
	err := in.serve.CallWithStack((*engineContext)(in), in.stack[:])
	response := in.run.response
	in.end()
	if err != nil {
		in.dead = true
		return dst, in.failure(err)
	}
	if int32(in.stack[0]) != 1 || in.run.marred {
		if err := in.result(); err != nil {
			return dst, err
		}
	}
	return response, nil
}

// result reads what the guest said by returning, where that is not plain
// success.
func (in *instance) result() error {
	odd := &in.run.mishaps
	switch result := int32(in.stack[0]); result {
	case 1:
		if odd.tooLarge != nil {
			return odd.tooLarge
		}
		return nil
	case 0:
		e := &GuestError{Operation: in.run.operation, Message: odd.guestErr}
		if odd.failedText != "" && containsText(odd.guestErr, odd.failedText) {
			e.HostErr = odd.failedErr
		}
		return e
	default:
		in.dead = true
		return in.trap(fmt.Sprintf("the call protocol was broken: %s returned %d", exportCall, result), nil)
	}
}

// close releases the instance, which has no run in hand.
func (in *instance) close() {
	in.end() // a Host may have left in the middle of a run
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
