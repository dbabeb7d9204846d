package wasmgen

import (
	"encoding/binary"
	"math"

	"github.com/waxosuit/waxo/wapc/wasm"
)

// asm writes instructions, with typed blocks, which wasm.Code does not know.
type asm struct{ b []byte }

const (
	opDrop      wasm.Opcode = 0x1a
	opSelectT   wasm.Opcode = 0x1c
	opTableGet  wasm.Opcode = 0x25
	opTableSet  wasm.Opcode = 0x26
	opMemSize   wasm.Opcode = 0x3f
	opMemGrow   wasm.Opcode = 0x40
	opRefNull   wasm.Opcode = 0xd0
	opRefIsNull wasm.Opcode = 0xd1
	opNop       wasm.Opcode = 0x01
	opI32Store8 wasm.Opcode = 0x3a

	opMemInit   wasm.Opcode = 0xfc<<16 | 8
	opDataDrop  wasm.Opcode = 0xfc<<16 | 9
	opMemCopy   wasm.Opcode = 0xfc<<16 | 10
	opMemFill   wasm.Opcode = 0xfc<<16 | 11
	opTableInit wasm.Opcode = 0xfc<<16 | 12
	opElemDrop  wasm.Opcode = 0xfc<<16 | 13
	opTableCopy wasm.Opcode = 0xfc<<16 | 14
	opTableGrow wasm.Opcode = 0xfc<<16 | 15
	opTableSize wasm.Opcode = 0xfc<<16 | 16
	opTableFill wasm.Opcode = 0xfc<<16 | 17

	opV128Const wasm.Opcode = 0xfd<<16 | 12
	opShuffle   wasm.Opcode = 0xfd<<16 | 13
)

func (a *asm) op(op wasm.Opcode) *asm {
	if prefix := byte(op >> 16); prefix != 0 {
		a.b = wasm.AppendUint32(append(a.b, prefix), uint32(op&0xffff))
	} else {
		a.b = append(a.b, byte(op))
	}
	return a
}

// index writes an instruction with indexes behind it.
func (a *asm) index(op wasm.Opcode, indexes ...uint32) *asm {
	a.op(op)
	for _, i := range indexes {
		a.b = wasm.AppendUint32(a.b, i)
	}
	return a
}

func (a *asm) get(local uint32) *asm { return a.index(wasm.OpLocalGet, local) }
func (a *asm) set(local uint32) *asm { return a.index(wasm.OpLocalSet, local) }

func (a *asm) i32(v int32) *asm {
	a.b = wasm.AppendInt64(append(a.b, byte(wasm.OpI32Const)), int64(v))
	return a
}

func (a *asm) i64(v int64) *asm {
	a.b = wasm.AppendInt64(append(a.b, byte(wasm.OpI64Const)), v)
	return a
}

func (a *asm) refNull(t wasm.ValType) *asm {
	a.op(opRefNull).b = append(a.b, byte(t))
	return a
}

// end closes an expression and returns it.
func (a *asm) end() []byte { return append(a.b, byte(wasm.OpEnd)) }

var (
	ints = []int64{
		0, 1, -1, 2, 7, 16, 63, 64, 255, 0x7f, 0x80, 0xffff, 0x10000, math.MaxInt32, math.MinInt32,
		1 << 32, math.MaxInt64, math.MinInt64, 0x0123456789abcdef, 10, 3, 4,
	}
	floats = []float64{
		0, 1, -1, math.Copysign(0, -1), 0.5, 1.5, -2.5, math.Inf(1), math.Inf(-1), math.NaN(),
		math.MaxFloat32, math.SmallestNonzeroFloat32, math.MaxFloat64, math.SmallestNonzeroFloat64,
		1 << 31, -1 << 31, 1 << 32, 1 << 62, 1 << 63, -1 << 63, 3.25, 100, 1e10,
	}
)

// number chooses the bits of a number.
func number(s *source, t wasm.ValType) uint64 {
	switch t {
	case f32:
		return uint64(math.Float32bits(float32(pick(s, floats))))
	case f64:
		return math.Float64bits(pick(s, floats))
	}
	if s.chance(40) {
		return s.u64()
	}
	return uint64(pick(s, ints))
}

// argument chooses an argument for a call from outside: references to functions
// are null.
func argument(s *source, t wasm.ValType) []uint64 {
	switch t {
	case i32:
		return []uint64{number(s, t) & math.MaxUint32}
	case v128:
		return []uint64{number(s, i64), number(s, i64)}
	case wasm.ExternRef:
		return []uint64{uint64(s.below(3))}
	case wasm.FuncRef:
		return []uint64{0}
	}
	return []uint64{number(s, t)}
}

// constant writes a constant.
func (a *asm) constant(s *source, t wasm.ValType) {
	switch t {
	case i32:
		a.i32(int32(number(s, t)))
	case i64:
		a.i64(int64(number(s, t)))
	case f32:
		a.b = binary.LittleEndian.AppendUint32(append(a.b, 0x43), uint32(number(s, t)))
	case f64:
		a.b = binary.LittleEndian.AppendUint64(append(a.b, 0x44), number(s, t))
	case v128:
		a.op(opV128Const).b = binary.LittleEndian.AppendUint64(a.b, number(s, i64))
		a.b = binary.LittleEndian.AppendUint64(a.b, number(s, i64))
	default:
		a.refNull(t)
	}
}
