package wapc

import (
	"sync/atomic"

	"github.com/tetratelabs/wazero/experimental"
)

// linearMemory is an instance's memory. It refuses to grow beyond its limit and
// remembers that it did.
//
// Where the system allows it, the addresses up to the limit are reserved at
// first and filled as the guest grows: growing copies nothing, and the memory
// is given back at once instead of at some later garbage collection.
type linearMemory struct {
	limit   uint64
	image   *image // what it holds at the start
	laid    bool   // the image is
	refused uint64 // the size that was last refused; the instance resets it
	size    atomic.Int64
	bytes   []byte // the guest's view of it, which only its own goroutine may use
	mapping []byte // nil: the memory is on the heap
	heap    []byte
}

// Allocate implements experimental.MemoryAllocator: an instance has one memory.
func (m *linearMemory) Allocate(_, most uint64) experimental.LinearMemory {
	m.mapping = reserve(min(most, m.limit))
	return m
}

// Reallocate implements experimental.LinearMemory. Nil refuses.
func (m *linearMemory) Reallocate(size uint64) []byte {
	if size > m.limit {
		m.refused = size
		return nil
	}
	var b []byte
	switch {
	case m.mapping == nil:
		b = m.grow(size)
	case size > uint64(len(m.mapping)) || commit(m.mapping[:size]) != nil:
		m.refused = size
		return nil
	default:
		b = m.mapping[:size:size]
	}
	if !m.laid {
		m.laid = true
		if m.image.lay(b, m.mapping != nil) != nil {
			m.refused = size
			return nil
		}
	}
	m.size.Store(int64(size))
	m.bytes = b
	return b
}

// grow makes room on the heap, with a quarter to spare.
func (m *linearMemory) grow(size uint64) []byte {
	if size > uint64(cap(m.heap)) {
		b := make([]byte, size, min(size+size/4, m.limit))
		copy(b, m.heap)
		m.heap = b
	}
	m.heap = m.heap[:size]
	return m.heap[:size:size]
}

// Free implements experimental.LinearMemory. The engine may call it while host
// functions still hold a view of the memory: release does the work, once the
// instance has no run any more.
func (m *linearMemory) Free() {}

func (m *linearMemory) release() {
	if m.mapping != nil {
		unreserve(m.mapping)
	}
	m.mapping, m.heap, m.bytes = nil, nil, nil
	m.size.Store(0)
}
