package wasmgen

import (
	"math/bits"

	"github.com/waxosuit/waxo/wapc/wasm"
)

// address writes where to access the memory: mostly inside of it, also near and
// behind its end.
func (f *body) address() {
	size := int(f.g.memorySize)
	switch k := f.src.below(32); {
	case k < 12:
		f.i32(int32(f.src.below(300)))
	case k < 18:
		f.i32(int32(f.src.below(max(size-2000, 1))))
	case k < 29:
		f.expr(i32)
		mask := int32(0xfff)
		if n := bits.Len(uint(size / 2)); n > 12 {
			mask = 1<<(n-1) - 1
		}
		f.i32(mask).op(wasm.OpI32And)
	case k < 31:
		f.i32(int32(size - f.src.below(20)))
	default:
		f.expr(i32)
	}
}

// access writes an access to memory whose operands are on the stack.
func (f *body) access(a access) {
	f.op(a.op)
	f.b = append(f.b, byte(f.src.below(int(a.align)+1)))
	offset := uint32(f.src.below(64))
	if f.src.chance(8) {
		offset = pick(&f.src, []uint32{65535, 65536, 1 << 20, 1<<31 - 1, 1 << 31, 1<<32 - 1})
	}
	f.b = wasm.AppendUint32(f.b, offset)
	if a.lanes > 0 {
		f.b = append(f.b, byte(f.src.below(int(a.lanes))))
	}
}

func (f *body) load(t wasm.ValType) bool {
	if !f.g.hasMemory || len(loadsOf[t]) == 0 {
		return false
	}
	l := pick(&f.src, loadsOf[t])
	f.address()
	if l.lanes > 0 {
		f.expr(v128)
	}
	f.access(l)
	return true
}

func (f *body) store() {
	if !f.g.hasMemory {
		f.setLocal()
		return
	}
	s := pick(&f.src, stores)
	f.address()
	f.expr(s.t)
	f.access(s)
}

// bulk writes an instruction that works on many bytes.
func (f *body) bulk() {
	if !f.g.hasMemory {
		f.tableStatement()
		return
	}
	k := f.src.below(8)
	if len(f.g.segments) == 0 && k >= 6 {
		k = 1
	}
	if f.g.memorySize > 1<<16 && k < 6 && f.src.chance(110) {
		f.longBulk(k < 3)
		return
	}
	segment := uint32(f.src.below(len(f.g.segments)))
	long := f.longLength()
	switch k {
	case 0, 1, 2:
		f.address()
		f.address()
		f.length(long)
		f.op(opMemCopy).b = append(f.b, 0, 0)
	case 3, 4, 5:
		f.address()
		f.expr(i32)
		f.length(long)
		f.op(opMemFill).b = append(f.b, 0)
	case 6:
		f.address()
		f.i32(int32(f.src.below(20)))
		f.i32(int32(f.src.below(max(f.g.segments[segment]-10, 10))))
		f.index(opMemInit, segment, 0)
	case 7:
		if f.src.chance(60) {
			f.index(opDataDrop, segment)
		}
	}
}

// longBulk copies or fills much of the memory, of different contents; source
// and target may overlap.
func (f *body) longBulk(copies bool) {
	size := int(f.g.memorySize)
	n := 1<<16 + f.src.below(size-1<<16+1)
	if f.src.chance(80) {
		n = n&^0xffff + f.src.below(3) - 1
	}
	n = min(n, size)
	f.burn(int32(n>>14)%128 + 1)
	for range 1 + f.src.below(4) {
		at := f.src.below(size)
		f.i32(int32(at)).i32(int32(f.src.below(256))).i32(int32(min(f.src.below(n), size-at)))
		f.op(opMemFill).b = append(f.b, 0)
	}
	to := f.src.below(size - n + 1)
	f.i32(int32(to))
	if !copies {
		f.i32(int32(f.src.below(256))).i32(int32(n)).op(opMemFill).b = append(f.b, 0)
		return
	}
	apart := pick(&f.src, []int{2000, 60_000})
	from := max(0, min(to+f.src.below(2*apart)-apart, size-n))
	f.i32(int32(from)).i32(int32(n)).op(opMemCopy).b = append(f.b, 0, 0)
}

// longLength chooses a length that takes its time, and burns for it; 0 if the
// length is to be short.
func (f *body) longLength() int32 {
	if !f.src.chance(40) {
		return 0
	}
	n := int32(f.src.below(int(f.g.memorySize)+1)) & ^int32(0xff)
	if f.src.chance(40) {
		n = pick(&f.src, []int32{-1, 1 << 20, 1<<20 + 1, 1 << 30, 65536, 4096})
	}
	f.burn(int32(uint32(n)>>14)%128 + 1)
	return n
}

func (f *body) length(long int32) {
	switch {
	case long != 0:
		f.i32(long)
	case f.src.chance(80):
		f.expr(i32)
		f.i32(0xff).op(wasm.OpI32And)
	default:
		f.i32(int32(f.src.below(100)))
	}
}

// slot writes an index of a table, mostly inside of it.
func (f *body) slot(table uint32) {
	switch least := int(f.g.tableTypes[table].Limits.Min); {
	case f.src.chance(20):
		f.expr(i32)
	case f.src.chance(80):
		f.expr(i32)
		f.i32(int32(least)/2 + 1).op(0x70) // rem_u
	default:
		f.i32(int32(f.src.below(least)))
	}
}

// tableOf chooses a table with elements of a type.
func (f *body) tableOf(t wasm.ValType) (uint32, bool) {
	var fit []uint32
	for i, table := range f.g.tableTypes {
		if table.Elem == t {
			fit = append(fit, uint32(i))
		}
	}
	if len(fit) == 0 {
		return 0, false
	}
	return pick(&f.src, fit), true
}

func (f *body) tableGet(t wasm.ValType) bool {
	table, ok := f.tableOf(t)
	if !ok || f.g.tableTypes[table].Limits.Min == 0 && !f.src.chance(20) {
		return false
	}
	f.slot(table)
	f.index(opTableGet, table)
	return true
}

// few writes a number of elements.
func (f *body) few() { f.i32(int32(f.src.below(4))) }

// tableStatement writes what changes a table.
func (f *body) tableStatement() {
	table := uint32(f.src.below(len(f.g.tableTypes)))
	elem := f.g.tableTypes[table].Elem
	switch f.src.below(8) {
	case 0, 1, 2:
		f.slot(table)
		f.expr(elem)
		f.index(opTableSet, table)
	case 3:
		f.slot(table)
		f.expr(elem)
		f.few()
		f.index(opTableFill, table)
	case 4, 5:
		from, _ := f.tableOf(elem)
		f.slot(table)
		f.slot(from)
		f.few()
		f.index(opTableCopy, table, from)
	case 6:
		if segment := f.src.below(len(f.g.passive)); f.g.passive[segment] == elem {
			f.slot(table)
			f.few()
			f.few()
			f.index(opTableInit, uint32(segment), table)
		}
	case 7:
		if f.src.chance(80) {
			f.index(opElemDrop, uint32(f.src.below(len(f.g.passive))))
		}
	}
}
