package wapc

import "context"

// A guest's host call may lead to a call of the same pool, or to one of another
// whose guest comes back to this one. Were every instance held by a call that
// waits for another, nobody would ever go on. So calls that come from a host
// call may get an instance beyond the bounds, but only as many as they lie deep
// below the first call: one at depth 2 may have one if none is in use, one at
// depth 3 if at most one is, and so on.
//
// That is enough. Let everybody wait, and d be the depth of the deepest call
// that waits. Whoever holds an instance is above another that waits, so his
// depth is d-1 at most, and he could have got one beyond the bounds only as the
// (d-2)nd. So fewer than d-1 are in use, and the deepest one gets another.

// maxDepth bounds how deep calls may lie below each other.
const maxDepth = 32

// depthKey finds the invocation that a context comes from.
type depthKey struct{}

// depthOf returns how deep a call with a context lies, up to one more than is
// allowed: 1 for one that no guest made. What came back through another process
// cannot be told from that.
func depthOf(ctx context.Context) (depth int) {
	for depth = 1; depth <= maxDepth; depth++ {
		run, _ := ctx.Value(depthKey{}).(*invocation)
		if run == nil {
			break
		}
		ctx = run.caller
	}
	return depth
}

// reserve starts instances beyond the bounds for calls that come from a host
// call. The caller holds the lock.
func (p *Pool) reserve() {
	if p.queue.nested == 0 {
		return
	}
	coming := 0 // starts that serve those which we see
	for _, in := range p.all {
		if in.background && in.extra {
			coming++
		}
	}
	for w := p.queue.first; w != nil; w = w.next {
		switch {
		case w.depth < 2:
		case coming > 0:
			coming--
		case p.extra < w.depth-1:
			p.start(true)
		}
	}
}
