package guestsuite

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/waxosuit/waxo/capability/payload/registry"
	"github.com/waxosuit/waxo/testscripts/script"
	"github.com/waxosuit/waxo/wapc"
)

// session is what a script has of the guest: an instance, the services that
// serve it, and what was seen of both.
type session struct {
	*subject
	pool     *wapc.Pool
	services *services
	trace    []string // host functions that were called in the call in hand

	seen   []*outcome
	found  map[string][]string // what was found, by kind
	looked map[domain]int      // how much there was to look at
	kept   []int64             // the sizes of its memory that the script keeps in mind
	skip   func(reason string) // ends the script

	crashed map[string]bool // requests of the suite that crashed the guest, by name
}

type sessionKey struct{}

func setUp(env *testscript.Env, s *subject) error {
	play := &session{subject: s}
	play.skip = func(reason string) { env.T().Skip(reason) }
	play.forget()
	env.Values[sessionKey{}] = play
	env.Defer(play.end)
	return nil
}

func sessionOf(ts *testscript.TestScript) *session {
	return ts.Value(sessionKey{}).(*session)
}

// forget starts what is seen and found anew.
func (s *session) forget() {
	s.seen, s.found, s.looked = nil, make(map[string][]string), make(map[domain]int)
	s.crashed = make(map[string]bool)
}

const defaultCallTimeout = 10 * time.Second

// memoryLimit is what a host gives at least; a module that starts with more is
// given twice of that.
const memoryLimit = 256 << 20

// start starts an instance with fresh services, in place of the one before. With
// limit 0 it has the memory that it needs.
func (s *session) start(ctx context.Context, limit int64) error {
	s.end()
	s.forget()
	s.kept = nil
	answers := map[string]answer(nil)
	if s.services != nil {
		answers = s.services.answers // a script may say them before it loads
	}
	s.services = newServices(s, answers)
	opts := &wapc.PoolOptions{
		Host: s.services, Trace: func(function string) { s.trace = append(s.trace, function) },
		MaxInstances: 1, MinInstances: 1, MemoryKept: -1, MemoryLimit: limit,
		CallTimeout: s.opts.CallTimeout, StartTimeout: s.opts.CallTimeout,
	}
	if opts.CallTimeout <= 0 {
		opts.CallTimeout, opts.StartTimeout = defaultCallTimeout, defaultCallTimeout
	}
	if limit == 0 {
		opts.MemoryLimit = memoryLimit
		if s.parts != nil && len(s.parts.Memories) > 0 {
			opts.MemoryLimit = max(memoryLimit, 2*int64(s.parts.Memories[0].Min<<16))
		}
	}
	var err error
	if s.pool, err = s.code.NewPool(opts); err != nil {
		return err
	}
	s.trace = nil
	err = s.pool.Warm(ctx, 1)
	s.started(err)
	return err
}

func (s *session) end() {
	if s.pool != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = s.pool.Close(ctx) // the instance has no call in hand
		s.pool = nil
	}
}

// outcome is what became of a call.
type outcome struct {
	name      string // of the request, for people
	operation string // as it went over the wire
	response  []byte
	answered  bool
	text      string // of the guest's error
	failed    bool   // with an error of the guest
	err       error  // any other end
	hostCalls []*hostCall
}

// String says in short how the call ended.
func (o *outcome) String() string {
	switch {
	case o.answered:
		return fmt.Sprintf("answered with %d bytes", len(o.response))
	case o.failed:
		return fmt.Sprintf("answered with the error %.200q", o.text)
	}
	return strings.TrimPrefix(o.err.Error(), "wapc: ")
}

// perform has the guest handle an operation, and looks at everything that it
// does. Of an operation that the suite knows, kind is the message of the answer.
func (s *session) perform(ctx context.Context, operation string, payload []byte, known ...registry.Operation) *outcome {
	o := &outcome{name: operation, operation: operation}
	s.trace, s.services.calls = s.trace[:0], nil
	response, err := s.pool.Call(ctx, operation, payload)
	o.hostCalls = s.services.calls
	failure := new(wapc.GuestError)
	switch {
	case err == nil:
		o.answered, o.response = true, response
	case errors.As(err, &failure):
		o.failed, o.text = true, failure.Message
	default:
		o.err = err
	}
	s.seen = append(s.seen, o)
	s.look(o, known)
	return o
}

// call is perform for an operation of the standard, with what it brings about:
// chunks of a download that it asked for, which may be a download again.
func (s *session) call(ctx context.Context, name string, op registry.Operation, payload []byte) *outcome {
	o := s.perform(ctx, s.spell(op.Capability, op.Name), payload, op)
	o.name = name
	for range maxDeliveries {
		d := s.services.next()
		if d == nil || o.err != nil {
			break
		}
		if s.lacks(d.op.Capability) == "" {
			s.perform(ctx, s.spell(d.op.Capability, d.op.Name), d.payload, d.op).name = d.op.Name
		}
	}
	return o
}

// maxDeliveries bounds what one call of a guest can set in motion.
const maxDeliveries = 64

// fatal ends a script because the run did.
func fatal(ts *testscript.TestScript) {
	if err := script.Context(ts).Err(); err != nil {
		ts.Fatalf("the check took too long or was interrupted: %v", err)
	}
}
