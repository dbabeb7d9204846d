package wapc

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"
)

// PoolOptions configures a Pool. A field that is zero has its default.
type PoolOptions struct {
	// Host serves the guest's host calls and takes its log lines. Default: every
	// host call fails, lines are dropped.
	Host Host
	// Trace is told of each host function that a guest calls, by its name, before
	// it is served. It is called as Host is, and must not panic. The engine's
	// options must ask for it (Traced). Default: nobody is told.
	Trace func(function string)

	// MaxInstances bounds the instances, and with them the calls that can wait
	// for their host calls at once. As many as needed are started: not more than
	// can make use of the cores, but for those that wait in a host call. Calls
	// that come from host calls of guests may exceed it, by 31. Default 128, at
	// most 65,000.
	MaxInstances int
	MinInstances int // instances that are kept however long they idle. Default 0
	// MaxWaiting bounds the calls that wait for an instance, beyond those for
	// which one is being started. Calls that come from host calls of guests are
	// let in all the same. Negative: none. Default 1000.
	MaxWaiting int

	// CallTimeout is for one call in the guest, host calls included, but for the
	// first as long as the Host has not asked its context. Default 30 s
	CallTimeout  time.Duration
	StartTimeout time.Duration // for starting an instance. Default 30 s
	QueueTimeout time.Duration // for waiting for an instance. Default CallTimeout
	// IdleTimeout is how long an instance idles before it is closed. It may be
	// half as long again until that is noticed. Default 60 s.
	IdleTimeout time.Duration

	MemoryLimit int64 // bytes of an instance's memory, at most 4 GiB. Default 256 MiB
	// MemoryTotal is the number of bytes of all instances' memories beyond which
	// none is started and those that idle are closed. One may always run, and
	// those that run may grow. Default 1 GiB.
	MemoryTotal int64
	// MemoryKept is the number of bytes of an instance's memory beyond which it
	// is not kept after its call, but replaced. Negative: it is always kept.
	// Default: twice what it started with, and 32 MiB.
	MemoryKept int64

	MaxRequest      int // bytes of a call's payload. Default 33 MiB
	MaxResponse     int // bytes of a call's response. Default 33 MiB
	MaxHostPayload  int // bytes of a host call's payload. Default 33 MiB
	MaxHostResponse int // bytes of a host call's response. Default 33 MiB

	LogLines int // lines kept for the errors of a call, the first and the last; negative: none. Default 32
}

// Defaults of PoolOptions. A body may have 32 MiB; the envelope gets one more.
const (
	defaultInstances = 128
	defaultWaiting   = 1000
	defaultTimeout   = 30 * time.Second
	defaultIdle      = time.Minute
	defaultMemory    = 256 << 20
	defaultTotal     = 1 << 30
	defaultSpare     = 32 << 20
	defaultPayload   = 33 << 20
	defaultLogLines  = 32
)

// maxInstances is a bound on MaxInstances that leaves slots for the reserve.
const maxInstances = 65_000

// maxMemory is what a guest can address.
const maxMemory = 4 << 30

// maxPayload is what the protocol can say the length of.
const maxPayload = math.MaxInt32

func (o PoolOptions) withDefaults() PoolOptions {
	if o.MaxInstances <= 0 {
		o.MaxInstances = defaultInstances
	}
	o.MaxInstances = min(o.MaxInstances, maxInstances)
	o.MinInstances = min(o.MinInstances, o.MaxInstances)
	o.MaxWaiting = max(0, cmp.Or(o.MaxWaiting, defaultWaiting))
	o.CallTimeout = cmp.Or(o.CallTimeout, defaultTimeout)
	o.StartTimeout = cmp.Or(o.StartTimeout, defaultTimeout)
	o.QueueTimeout = cmp.Or(o.QueueTimeout, o.CallTimeout)
	o.IdleTimeout = cmp.Or(o.IdleTimeout, defaultIdle)
	o.MemoryLimit = min(cmp.Or(o.MemoryLimit, defaultMemory), maxMemory)
	o.MemoryTotal = cmp.Or(o.MemoryTotal, defaultTotal)
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
//
// A call that finds an instance takes it and gives it back without a lock. All
// else is under mu, with the stack of idle instances frozen; it stays frozen
// while calls wait, so that no call overtakes them, and once the pool closes.
type Pool struct {
	module *Module
	opts   PoolOptions

	idle    idleStack
	tick    atomic.Uint32 // moves on twice in an IdleTimeout
	edition atomic.Uint32 // instances of an older one are not kept
	hungry  atomic.Bool   // a call waits until fewer instances run guest code

	quit       chan struct{} // closed when the pool begins to close
	drained    chan struct{} // closed when it does and nothing is left
	swept      chan struct{} // closed when sweep has ended
	background sync.WaitGroup
	waiters    sync.Pool // of *waiter

	mu        sync.Mutex
	closing   bool
	all       []*instance // every instance, those being started included
	extra     int         // of those, beyond the bounds: see reserve
	starting  int         // starts in the background
	runners   int         // instances that may run before another one is started
	startSize int64       // bytes that an instance began with
	newest    uint32      // the edition of new instances
	renewing  int         // instances of the newest edition to be had; 0: none
	queue     queue       // not empty only while none idles
	stall     stall
	counts    Stats // only the counters
}

func newPool(m *Module, opts *PoolOptions) *Pool {
	if opts == nil {
		opts = &PoolOptions{}
	}
	o := opts.withDefaults()
	p := &Pool{
		module:    m,
		opts:      o,
		startSize: m.memoryMin,
		runners:   runners(),
		quit:      make(chan struct{}),
		drained:   make(chan struct{}),
		swept:     make(chan struct{}),
		waiters:   sync.Pool{New: func() any { return newWaiter() }},
	}
	p.idle.init(o.MaxInstances + maxDepth)
	return p
}

// lock takes mu and freezes the stack of idle instances.
func (p *Pool) lock() {
	p.mu.Lock()
	p.counts.Calls += p.idle.freeze()
}

// unlock undoes lock, but leaves the stack frozen where its users must ask for
// the lock.
func (p *Pool) unlock() {
	if p.queue.len == 0 && !p.closing {
		p.idle.thaw()
	}
	p.mu.Unlock()
}

// Call has the guest handle an operation and returns its response, which is
// the caller's own; small ones share an allocation of 1 KiB. Its errors are
// *GuestError, *TrapError, *DeadlineError, *MemoryError, *SizeError,
// *HostError, *StartError, *NestingError, ErrQueueFull, ErrQueueTimeout,
// ErrClosed, or one that wraps ctx's if that ended first.
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
	in, err := p.acquire(ctx, operation)
	if err != nil {
		return dst, err
	}
	if operation != in.run.operation && !validOperation(operation) { // mostly it is the last one's
		p.release(in, nil)
		return dst, fmt.Errorf("wapc: the operation is not UTF-8 or longer than %d bytes: %.40q", maxName, operation)
	}
	dst, err = in.call(ctx, dst, operation, payload) // see instance.astray
	p.release(in, err)
	return dst, err
}

func validOperation(operation string) bool {
	return len(operation) <= maxName && utf8.ValidString(operation)
}

// Warm starts instances until there are n, or as many as the pool may have.
// Its errors are *StartError, ErrClosed, or one that wraps ctx's.
func (p *Pool) Warm(ctx context.Context, n int) error {
	for {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("wapc: warm: %w", err)
		}
		p.lock()
		if p.closing {
			p.unlock()
			return ErrClosed
		}
		if len(p.all) >= n || !p.room() {
			p.unlock()
			return nil
		}
		in := p.add()
		p.unlock()
		if err := p.launch(ctx, in); err != nil {
			return err
		}
	}
}

// Stats tells how the pool is doing.
func (p *Pool) Stats() Stats {
	p.lock()
	defer p.unlock()
	s := p.counts
	s.Instances, s.Idle, s.Waiting = len(p.all), len(p.idle.list()), p.queue.len
	s.Busy = s.Instances - s.Idle
	s.MemoryBytes = p.memoryInUse()
	return s
}

// Stats is how a pool is doing. The first group is of the moment, the second
// counts since the pool was made.
type Stats struct {
	Instances   int   // all instances, those that are being started included
	Busy        int   // instances that serve a call or are being started
	Idle        int   // instances that wait for a call
	Waiting     int   // calls that wait for an instance, be it one that is being started
	MemoryBytes int64 // the memories of all instances

	Calls     uint64 // calls that got an instance
	Traps     uint64 // calls and starts that ended with a *TrapError or a *MemoryError
	Deadlines uint64 // calls and starts that ended with a *DeadlineError
	// Replaced counts the instances that were thrown away after a call or a start:
	// they failed, had grown beyond MemoryKept, or ran code for which there is
	// better by now.
	Replaced uint64
}
