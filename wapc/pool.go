package wapc

import (
	"context"
	"time"
)

// PoolOptions configures a Pool. A field that is zero has its default.
type PoolOptions struct {
	// Host serves the guest's host calls and takes its log lines. Default: every
	// host call fails, lines are dropped.
	Host Host

	MaxInstances int // instances at once. Default 16
	MinInstances int // instances that are kept however long they idle. Default 0
	MaxWaiting   int // calls that wait for an instance. Default 1000

	CallTimeout  time.Duration // for one call in the guest, host calls included. Default 30 s
	StartTimeout time.Duration // for starting an instance. Default 30 s
	QueueTimeout time.Duration // for waiting for an instance. Default CallTimeout
	IdleTimeout  time.Duration // after which an idle instance is closed. Default 60 s

	MemoryLimit int64 // bytes of an instance's memory. Default 256 MiB

	MaxRequest      int // bytes of a call's payload. Default 33 MiB
	MaxResponse     int // bytes of a call's response. Default 33 MiB
	MaxHostPayload  int // bytes of a host call's payload. Default 33 MiB
	MaxHostResponse int // bytes of a host call's response. Default 33 MiB

	LogLines int // last lines kept for the errors of a call. Default 32
}

// Pool keeps instances of a module and hands each call to one of them. It may
// be used from several goroutines at once.
type Pool struct{}

// Call has the guest handle an operation and returns its response, which is
// the caller's own. Its errors are *GuestError, *TrapError, *DeadlineError,
// *MemoryError, *SizeError, *HostError, *StartError, ErrQueueFull,
// ErrQueueTimeout, ErrClosed, or one that wraps ctx's if that ended first.
// The payload must not change until Call returns.
func (p *Pool) Call(ctx context.Context, operation string, payload []byte) ([]byte, error) {
	panic("not written yet")
}

// Warm starts instances until there are n, or as many as the pool may have.
// Its errors are *StartError, ErrClosed, or one that wraps ctx's.
func (p *Pool) Warm(ctx context.Context, n int) error { panic("not written yet") }

// Stats tells how the pool is doing.
func (p *Pool) Stats() Stats { panic("not written yet") }

// Stats is how a pool is doing. The first group is of the moment, the second
// counts since the pool was made.
type Stats struct {
	Instances   int   // all instances, those that are being started included
	Busy        int   // instances that serve a call or are being started
	Idle        int   // instances that wait for a call
	Waiting     int   // calls that wait for an instance
	MemoryBytes int64 // the memories of all instances

	Calls    uint64 // calls that got an instance
	Traps    uint64 // calls and starts that ended the instance
	Replaced uint64 // instances that were thrown away because of that
}

// Close refuses new calls, lets those in hand and those that wait end within
// ctx, then stops them. When it returns nil, all have ended and everything is
// released; its error says how many calls had to be stopped. It may be called
// twice.
func (p *Pool) Close(ctx context.Context) error { panic("not written yet") }
