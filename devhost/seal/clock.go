package seal

import (
	"math"

	"github.com/waxosuit/waxo/wapc/wasm"
)

const (
	// clockStep is how far the clock moves with each look, in nanoseconds.
	clockStep = 1000
	// clockIDs: realtime, monotonic, the process's and the thread's CPU time.
	clockIDs = 4
	clockEnd = math.MaxInt64
)

func (l *linker) clock() uint32 {
	return l.global("clock", wasm.I64, l.opts.startNanos(), 1)
}

func clockResGet(_ *linker, c *wasm.Code) {
	const id, out = 0, 1
	c.Get(id).I32(clockIDs).Op(wasm.OpI32LtU)
	returnUnless(c, errnoInval)
	c.Get(out).I64(clockStep).Mem(wasm.OpI64Store, 0)
	c.I32(errnoSuccess)
}

func clockTimeGet(l *linker, c *wasm.Code) {
	const id, out = 0, 2
	clock := l.clock()
	next := c.Local(wasm.I64)
	c.Get(id).I32(clockIDs).Op(wasm.OpI32LtU)
	returnUnless(c, errnoInval)
	c.Get(out).GetGlobal(clock).Mem(wasm.OpI64Store, 0)
	c.GetGlobal(clock).I64(clockStep).Op(wasm.OpI64Add).Set(next)
	c.I64(clockEnd).Get(next)
	c.Get(next).I64(0).Op(wasm.OpI64LtS, wasm.OpSelect).SetGlobal(clock)
	c.I32(errnoSuccess)
}

// Where the fields of a subscription and an event of poll_oneoff stand.
const (
	subSize     = 48
	subUserdata = 0
	subTag      = 8
	subClockID  = 16
	subTimeout  = 24
	subFlags    = 40 // 1: the timeout is a time, not a duration
	subFD       = 16

	eventSize     = 32
	eventUserdata = 0
	eventErrno    = 8 // and the tag at 10
	eventNBytes   = 16
	eventFlags    = 24

	tagClock = 0
	tagRead  = 1
	tagWrite = 2
)

// pollOneoff lets the time pass to the earliest deadline, then reports each
// subscription that is due. Nothing else can happen in a sealed guest, so a
// subscription to a descriptor is due at once.
func pollOneoff(l *linker, c *wasm.Code) {
	const in, out, n, nevents = 0, 1, 2, 3
	clock := l.clock()
	deadline := l.function("seal.deadline", "iI:I", deadlineOf)
	event := l.function("seal.event", "ii:", writeEvent)
	sub, i, count := c.Local(wasm.I32), c.Local(wasm.I32), c.Local(wasm.I32)
	now, wake, due := c.Local(wasm.I64), c.Local(wasm.I64), c.Local(wasm.I64)
	each := func(do func()) {
		c.Get(in).Set(sub).I32(0).Set(i)
		c.Loop(func() {
			do()
			c.Get(sub).I32(subSize).Op(wasm.OpI32Add).Set(sub)
			c.Get(i).I32(1).Op(wasm.OpI32Add).Index(wasm.OpLocalTee, i)
			c.Get(n).Op(wasm.OpI32LtU).BrIf(0)
		})
	}

	c.Get(n)
	returnUnless(c, errnoInval)
	c.GetGlobal(clock).Set(now).I64(clockEnd).Set(wake)
	each(func() {
		c.Get(sub).Mem(wasm.OpI32Load8U, subTag).I32(tagWrite + 1).Op(wasm.OpI32LtU)
		returnUnless(c, errnoInval)
		c.Get(sub).Get(now).Call(deadline).Index(wasm.OpLocalTee, due)
		c.Get(wake).Op(wasm.OpI64LtS).If(func() { c.Get(due).Set(wake) })
	})
	c.Get(wake).Get(now).Op(wasm.OpI64GtS).If(func() { c.Get(wake).SetGlobal(clock) })
	each(func() {
		c.Get(sub).Get(now).Call(deadline).GetGlobal(clock).Op(wasm.OpI64LeS).If(func() {
			c.Get(sub).Get(out).Call(event)
			c.Get(out).I32(eventSize).Op(wasm.OpI32Add).Set(out)
			c.Get(count).I32(1).Op(wasm.OpI32Add).Set(count)
		})
	})
	c.Get(nevents).Get(count).Mem(wasm.OpI32Store, 0)
	c.I32(errnoSuccess)
}

// deadlineOf tells when a subscription is due. One that is not to a clock, or to
// a clock that does not exist, is due now. Nothing is due after the clock's
// end.
func deadlineOf(_ *linker, c *wasm.Code) {
	const sub, now = 0, 1
	due := c.Local(wasm.I64)
	c.Get(sub).Mem(wasm.OpI32Load8U, subTag)
	c.Get(sub).Mem(wasm.OpI32Load, subClockID).I32(clockIDs).Op(wasm.OpI32GeU)
	c.Op(wasm.OpI32Or).If(func() { c.Get(now).Op(wasm.OpReturn) })
	c.Get(sub).Mem(wasm.OpI64Load, subTimeout).Set(due)
	c.Get(sub).Mem(wasm.OpI32Load16U, subFlags).I32(1).Op(wasm.OpI32And, wasm.OpI32Eqz).If(func() {
		c.Get(due).Get(now).Op(wasm.OpI64Add).Index(wasm.OpLocalTee, due)
		c.Get(now).Op(wasm.OpI64LtU).If(func() { c.I64(clockEnd).Set(due) })
	})
	c.I64(clockEnd).Get(due)
	c.Get(due).I64(0).Op(wasm.OpI64LtS, wasm.OpSelect)
}

// writeEvent reports a subscription that is due. It reads all of it first: the
// guest may have both in one place.
func writeEvent(_ *linker, c *wasm.Code) {
	const sub, out = 0, 1
	userdata, tag := c.Local(wasm.I64), c.Local(wasm.I32)
	fd, errno := c.Local(wasm.I32), c.Local(wasm.I32)
	c.Get(sub).Mem(wasm.OpI64Load, subUserdata).Set(userdata)
	c.Get(sub).Mem(wasm.OpI32Load8U, subTag).Set(tag)
	c.Get(tag).IfElse(func() {
		// One can read from 0, and write to 1 and 2.
		c.I32(errnoSuccess).I32(errnoBadf)
		c.Get(sub).Mem(wasm.OpI32Load, subFD).Index(wasm.OpLocalTee, fd).Op(wasm.OpI32Eqz)
		c.Get(tag).I32(tagRead).Op(wasm.OpI32Eq, wasm.OpI32Eq)
		isStream(c, fd)
		c.Op(wasm.OpI32And, wasm.OpSelect).Set(errno)
	}, func() {
		c.I32(errnoSuccess).I32(errnoInval)
		c.Get(sub).Mem(wasm.OpI32Load, subClockID).I32(clockIDs).Op(wasm.OpI32LtU, wasm.OpSelect).Set(errno)
	})
	c.Get(out).Get(userdata).Mem(wasm.OpI64Store, eventUserdata)
	c.Get(out).Get(errno).Get(tag).I32(16).Op(wasm.OpI32Shl, wasm.OpI32Or, wasm.OpI64ExtendI32U)
	c.Mem(wasm.OpI64Store, eventErrno)
	c.Get(out).I64(0).Mem(wasm.OpI64Store, eventNBytes)
	c.Get(out).I64(0).Mem(wasm.OpI64Store, eventFlags)
}
