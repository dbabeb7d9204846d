package wapc

import "sync/atomic"

// idleStack holds the instances that idle, the one that was used last on top.
// take and give are lock-free and allocate nothing.
//
// The head is one word: the slot on top, whether the stack is frozen, and how
// often take has succeeded. The count makes it safe that a slot comes back to
// the top while another goroutine still believes what it read before: what is
// below a slot that is on top cannot change without a take. It is also how the
// pool counts its calls, and would have to wrap around, which takes years,
// within one take to be mistaken.
//
// Everything else needs the pool's lock and a frozen stack: while it is frozen,
// take and give fail, and whoever holds the lock has the stack to himself.
type idleStack struct {
	_    [64]byte // the head has a cache line to itself
	head atomic.Uint64
	_    [56]byte

	slots []slot
	free  []uint32 // slots without an instance
	taken uint64   // the head's count when it was thawed
}

// slot is an instance's place, from its start to its end.
type slot struct {
	in    *instance
	below atomic.Uint32 // the next slot of the stack
	_     [48]byte      // neighbours are used by other cores
}

// The parts of the head. Slots are counted from 1; 0 is none.
const (
	topSlot  = 1<<16 - 1
	frozen   = 1 << 16
	oneTake  = 1 << 17
	maxSlots = topSlot
)

// init makes room for as many instances as there are slots.
func (s *idleStack) init(slots int) {
	s.slots, s.free = make([]slot, slots), make([]uint32, slots)
	for i := range s.free {
		s.free[i] = uint32(slots - i)
	}
}

func (s *idleStack) at(i uint64) *slot { return &s.slots[i-1] }

// take returns the instance on top. Nil: there is none, or the stack is frozen.
func (s *idleStack) take() *instance {
	for {
		head := s.head.Load()
		top := head & topSlot
		if top == 0 || head&frozen != 0 {
			return nil
		}
		slot := s.at(top)
		below := uint64(slot.below.Load())
		if s.head.CompareAndSwap(head, (head+oneTake)&^topSlot|below) {
			return slot.in
		}
	}
}

// give puts an instance on top. False: the stack is frozen.
func (s *idleStack) give(in *instance) bool {
	slot := s.at(uint64(in.slot))
	for {
		head := s.head.Load()
		if head&frozen != 0 {
			return false
		}
		// Mostly it comes back to where it was, and a store costs more than a look.
		if top := uint32(head & topSlot); slot.below.Load() != top {
			slot.below.Store(top)
		}
		if s.head.CompareAndSwap(head, head&^topSlot|uint64(in.slot)) {
			return true
		}
	}
}

// freeze makes take and give fail. It tells how often take has succeeded since
// the stack was thawed.
func (s *idleStack) freeze() (takes uint64) {
	head := s.head.Or(frozen)
	if head&frozen != 0 {
		return 0
	}
	return (head/oneTake - s.taken) & (1<<64/oneTake - 1)
}

// thaw lets take and give succeed again. The count moves on, so that a take
// that began before the stack was frozen cannot succeed.
func (s *idleStack) thaw() {
	head := (s.head.Load() + oneTake) &^ frozen
	s.taken = head / oneTake
	s.head.Store(head)
}

// The following are for whoever froze the stack.

// settle gives an instance its slot, of which there must be one.
func (s *idleStack) settle(in *instance) {
	last := len(s.free) - 1
	in.slot = s.free[last]
	s.free = s.free[:last]
	s.at(uint64(in.slot)).in = in
}

// leave takes the slot of an instance that does not idle.
func (s *idleStack) leave(in *instance) {
	s.at(uint64(in.slot)).in = nil
	s.free = append(s.free, in.slot)
}

func (s *idleStack) setTop(i uint32) { s.head.Store(s.head.Load()&^topSlot | uint64(i)) }

func (s *idleStack) push(in *instance) {
	s.at(uint64(in.slot)).below.Store(uint32(s.head.Load() & topSlot))
	s.setTop(in.slot)
}

func (s *idleStack) pop() *instance {
	top := s.head.Load() & topSlot
	if top == 0 {
		return nil
	}
	slot := s.at(top)
	s.setTop(slot.below.Load())
	return slot.in
}

// list returns the instances, that used last first.
func (s *idleStack) list() []*instance {
	var all []*instance
	for i := s.head.Load() & topSlot; i != 0; i = uint64(s.at(i).below.Load()) {
		all = append(all, s.at(i).in)
	}
	return all
}

// put makes the stack consist of instances in the order of list.
func (s *idleStack) put(all []*instance) {
	s.setTop(0)
	for i := len(all) - 1; i >= 0; i-- {
		s.push(all[i])
	}
}
