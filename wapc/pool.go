package wapc

import (
	"cmp"
	"container/list"
	"context"
	"fmt"
	"math"
	"sync"
	"time"
	"unicode/utf8"
)

// PoolOptions configures a Pool. A field that is zero has its default.
type PoolOptions struct {
	// Host serves the guest's host calls and takes its log lines. Default: every
	// host call fails, lines are dropped.
	Host Host

	MaxInstances int // instances at once. Default 16
	MinInstances int // instances that are kept however long they idle. Default 0
	MaxWaiting   int // calls that wait for an instance; negative: none. Default 1000

	CallTimeout  time.Duration // for one call in the guest, host calls included. Default 30 s
	StartTimeout time.Duration // for starting an instance. Default 30 s
	QueueTimeout time.Duration // for waiting for an instance. Default CallTimeout
	// IdleTimeout is how long an instance idles before it is closed. It may be
	// half as long again until that is noticed. Default 60 s.
	IdleTimeout time.Duration

	MemoryLimit int64 // bytes of an instance's memory, at most 4 GiB. Default 256 MiB

	MaxRequest      int // bytes of a call's payload. Default 33 MiB
	MaxResponse     int // bytes of a call's response. Default 33 MiB
	MaxHostPayload  int // bytes of a host call's payload. Default 33 MiB
	MaxHostResponse int // bytes of a host call's response. Default 33 MiB

	LogLines int // lines kept for the errors of a call, the first and the last; negative: none. Default 32
}

// Defaults of PoolOptions. A body may have 32 MiB; the envelope gets one more.
const (
	defaultInstances = 16
	defaultWaiting   = 1000
	defaultTimeout   = 30 * time.Second
	defaultIdle      = time.Minute
	defaultMemory    = 256 << 20
	defaultPayload   = 33 << 20
	defaultLogLines  = 32
)

// maxMemory is what a guest can address.
const maxMemory = 4 << 30

// maxPayload is what the protocol can say the length of.
const maxPayload = math.MaxInt32

func (o PoolOptions) withDefaults() PoolOptions {
	o.MaxInstances = cmp.Or(o.MaxInstances, defaultInstances)
	o.MinInstances = min(o.MinInstances, o.MaxInstances)
	o.MaxWaiting = max(0, cmp.Or(o.MaxWaiting, defaultWaiting))
	o.CallTimeout = cmp.Or(o.CallTimeout, defaultTimeout)
	o.StartTimeout = cmp.Or(o.StartTimeout, defaultTimeout)
	o.QueueTimeout = cmp.Or(o.QueueTimeout, o.CallTimeout)
	o.IdleTimeout = cmp.Or(o.IdleTimeout, defaultIdle)
	o.MemoryLimit = min(cmp.Or(o.MemoryLimit, defaultMemory), maxMemory)
	for _, size := range []*int{&o.MaxRequest, &o.MaxResponse, &o.MaxHostPayload, &o.MaxHostResponse} {
		*size = min(cmp.Or(*size, defaultPayload), maxPayload)
	}
	o.LogLines = max(0, cmp.Or(o.LogLines, defaultLogLines))
	return o
}

// Pool keeps instances of a module and hands each call to one of them: the one
// that was used last, so that the others may go. Calls for which there is none
// wait in the order of their arrival. It may be used from several goroutines at
// once.
type Pool struct {
	module *Module
	opts   PoolOptions

	quit    chan struct{} // closed when the pool begins to close
	drained chan struct{} // closed when it does and nothing is in hand
	swept   chan struct{} // closed when sweep has ended

	// mu is held for a few instructions, before and after a call.
	mu      sync.Mutex
	closing bool
	inHand  int                    // calls that have or await an instance, and starts
	all     map[*instance]struct{} // every instance, those being started included
	idle    []idleInstance         // that used last at the end
	queue   list.List              // of chan *instance; not empty only while all are busy
	counts  Stats                  // only the counters
}

type idleInstance struct {
	*instance
	since time.Time
}

func newPool(m *Module, opts *PoolOptions) *Pool {
	if opts == nil {
		opts = &PoolOptions{}
	}
	return &Pool{
		module:  m,
		opts:    opts.withDefaults(),
		quit:    make(chan struct{}),
		drained: make(chan struct{}),
		swept:   make(chan struct{}),
		all:     map[*instance]struct{}{},
	}
}

// Call has the guest handle an operation and returns its response, which is
// the caller's own. Its errors are *GuestError, *TrapError, *DeadlineError,
// *MemoryError, *SizeError, *HostError, *StartError, ErrQueueFull,
// ErrQueueTimeout, ErrClosed, or one that wraps ctx's if that ended first.
// The payload must not change until Call returns.
func (p *Pool) Call(ctx context.Context, operation string, payload []byte) ([]byte, error) {
	return p.CallAppend(ctx, nil, operation, payload)
}

// CallAppend is Call, but appends the response to dst: where dst has room for
// it, nothing is allocated. With an error, it returns dst as it was given; the
// room behind it may have been written to. The room must not overlap the
// payload.
func (p *Pool) CallAppend(ctx context.Context, dst []byte, operation string, payload []byte) ([]byte, error) {
	if len(payload) > p.opts.MaxRequest {
		return dst, &SizeError{operation, "request", int64(len(payload)), int64(p.opts.MaxRequest)}
	}
	if len(operation) > maxName || !utf8.ValidString(operation) {
		return dst, fmt.Errorf("wapc: the operation is not UTF-8 or longer than %d bytes: %.40q", maxName, operation)
	}
	in, err := p.acquire(ctx)
	if err != nil {
		return dst, callerGone(operation, err)
	}
	returned := false
	defer func() {
		if !returned { // the Host ended the goroutine from within a host call
			in.dead = true
		}
		p.release(in, err)
	}()
	if !in.started {
		err = in.start(ctx)
	}
	if err == nil {
		dst, err = in.call(ctx, dst, operation, payload)
	}
	returned = true
	return dst, err
}

// Warm starts instances until there are n, or as many as the pool may have.
// Its errors are *StartError, ErrClosed, or one that wraps ctx's.
func (p *Pool) Warm(ctx context.Context, n int) error {
	n = min(n, p.opts.MaxInstances)
	for {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("wapc: warm: %w", err)
		}
		p.mu.Lock()
		if p.closing || len(p.all) >= n {
			closing := p.closing
			p.mu.Unlock()
			if closing {
				return ErrClosed
			}
			return nil
		}
		in := p.add()
		p.inHand++
		p.mu.Unlock()
		err := in.start(ctx)
		p.release(in, err)
		if err != nil {
			return err
		}
	}
}

// Stats tells how the pool is doing.
func (p *Pool) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.counts
	s.Instances, s.Idle, s.Waiting = len(p.all), len(p.idle), p.queue.Len()
	s.Busy = s.Instances - s.Idle
	for in := range p.all {
		s.MemoryBytes += in.memory.size.Load()
	}
	return s
}

// Stats is how a pool is doing. The first group is of the moment, the second
// counts since the pool was made.
type Stats struct {
	Instances   int   // all instances, those that are being started included
	Busy        int   // instances that serve a call or are being started
	Idle        int   // instances that wait for a call
	Waiting     int   // calls that wait for an instance
	MemoryBytes int64 // the memories of all instances

	Calls     uint64 // calls that got an instance
	Traps     uint64 // calls and starts that ended with a *TrapError or a *MemoryError
	Deadlines uint64 // calls and starts that ended with a *DeadlineError
	Replaced  uint64 // instances that were thrown away after a call or a start
}
