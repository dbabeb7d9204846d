package wasmgen

import "github.com/waxosuit/waxo/wapc/wasm"

// operation is an instruction that takes values and gives one, and does
// nothing else but perhaps trap.
type operation struct {
	op     wasm.Opcode
	params []wasm.ValType
	result wasm.ValType
	lanes  byte // the immediate is a lane below this number; 0: none
	traps  bool
}

// operations holds all of them by the type of their result.
var operations = allOperations()

const (
	i32  = wasm.I32
	i64  = wasm.I64
	f32  = wasm.F32
	f64  = wasm.F64
	v128 = wasm.V128
)

type opTable map[wasm.ValType][]operation

func allOperations() opTable {
	t := opTable{}
	t.integers()
	t.floats()
	t.conversions()
	t.vectors()
	t.lanes()
	return t
}

// add enters the instructions with the opcodes from first to last.
func (t opTable) add(first, last wasm.Opcode, result wasm.ValType, params ...wasm.ValType) {
	for op := first; op <= last; op++ {
		t[result] = append(t[result], operation{op: op, params: params, result: result})
	}
}

// addTrapping is add for those that can trap.
func (t opTable) addTrapping(first, last wasm.Opcode, result wasm.ValType, params ...wasm.ValType) {
	t.add(first, last, result, params...)
	ops := t[result]
	for i := len(ops) - int(last-first) - 1; i < len(ops); i++ {
		ops[i].traps = true
	}
}

func (t opTable) integers() {
	t.add(0x6a, 0x6c, i32, i32, i32)         // add, sub, mul
	t.addTrapping(0x6d, 0x70, i32, i32, i32) // div, rem
	t.add(0x71, 0x78, i32, i32, i32)         // bits, shifts
	t.add(0x67, 0x69, i32, i32)              // clz, ctz, popcnt
	t.add(0xc0, 0xc1, i32, i32)              // sign extension
	t.add(0x45, 0x45, i32, i32)              // eqz
	t.add(0x46, 0x4f, i32, i32, i32)         // comparisons
	t.add(0x50, 0x50, i32, i64)
	t.add(0x51, 0x5a, i32, i64, i64)
	t.add(0x7c, 0x7e, i64, i64, i64)
	t.addTrapping(0x7f, 0x82, i64, i64, i64)
	t.add(0x83, 0x8a, i64, i64, i64)
	t.add(0x79, 0x7b, i64, i64)
	t.add(0xc2, 0xc4, i64, i64)
}

func (t opTable) floats() {
	t.add(0x5b, 0x60, i32, f32, f32)
	t.add(0x61, 0x66, i32, f64, f64)
	t.add(0x8b, 0x91, f32, f32)
	t.add(0x92, 0x98, f32, f32, f32)
	t.add(0x99, 0x9f, f64, f64)
	t.add(0xa0, 0xa6, f64, f64, f64)
}

func (t opTable) conversions() {
	t.add(0xa7, 0xa7, i32, i64)
	t.addTrapping(0xa8, 0xa9, i32, f32)
	t.addTrapping(0xaa, 0xab, i32, f64)
	t.add(0xac, 0xad, i64, i32)
	t.addTrapping(0xae, 0xaf, i64, f32)
	t.addTrapping(0xb0, 0xb1, i64, f64)
	t.add(0xb2, 0xb3, f32, i32)
	t.add(0xb4, 0xb5, f32, i64)
	t.add(0xb6, 0xb6, f32, f64)
	t.add(0xb7, 0xb8, f64, i32)
	t.add(0xb9, 0xba, f64, i64)
	t.add(0xbb, 0xbb, f64, f32)
	t.add(0xbc, 0xbc, i32, f32)
	t.add(0xbd, 0xbd, i64, f64)
	t.add(0xbe, 0xbe, f32, i32)
	t.add(0xbf, 0xbf, f64, i64)
	t.add(misc(0), misc(1), i32, f32)
	t.add(misc(2), misc(3), i32, f64)
	t.add(misc(4), misc(5), i64, f32)
	t.add(misc(6), misc(7), i64, f64)
}

func misc(n wasm.Opcode) wasm.Opcode { return 0xfc<<16 | n }
func simd(n wasm.Opcode) wasm.Opcode { return 0xfd<<16 | n }

// vectorOps tells of each instruction behind 0xfd what it takes and gives: u
// takes a vector, b two, c three, s a vector and a number, and gives a vector;
// t takes a vector and gives an i32. The others are elsewhere.
const vectorOps = "" +
	"..............b." + // 00 swizzle
	"................" + // 10
	"...bbbbbbbbbbbbb" + // 20 comparisons
	"bbbbbbbbbbbbbbbb" + // 30
	"bbbbbbbbbbbbbubb" + // 40 bits
	"bbct..........uu" + // 50
	"uuuttbbuuuusssbb" + // 60 i8x16
	"bbbbuubbbbubuuuu" + // 70
	"uubttbbuuuusssbb" + // 80 i16x8
	"bbbbubbbbb.bbbbb" + // 90
	"uu.tt..uuuusssb." + // a0 i32x4
	".b...bbbbbb.bbbb" + // b0
	"uu.tt..uuuusssb." + // c0 i64x2
	".b...bbbbbbbbbbb" + // d0
	"uu.ubbbbbbbbuu.u" + // e0 f32x4, f64x2
	"bbbbbbbbuuuuuuuu" //  f0

func (t opTable) vectors() {
	for i, c := range vectorOps {
		op := simd(wasm.Opcode(i))
		switch c {
		case 'u':
			t.add(op, op, v128, v128)
		case 'b':
			t.add(op, op, v128, v128, v128)
		case 'c':
			t.add(op, op, v128, v128, v128, v128)
		case 's':
			t.add(op, op, v128, v128, i32)
		case 't':
			t.add(op, op, i32, v128)
		}
	}
	for i, from := range [...]wasm.ValType{i32, i32, i32, i64, f32, f64} {
		op := simd(0x0f + wasm.Opcode(i))
		t.add(op, op, v128, from) // splat
	}
}

func (t opTable) lanes() {
	lane := func(op wasm.Opcode, lanes byte, result wasm.ValType, params ...wasm.ValType) {
		t[result] = append(t[result], operation{op: simd(op), params: params, result: result, lanes: lanes})
	}
	lane(0x15, 16, i32, v128)
	lane(0x16, 16, i32, v128)
	lane(0x18, 8, i32, v128)
	lane(0x19, 8, i32, v128)
	lane(0x1b, 4, i32, v128)
	lane(0x1d, 2, i64, v128)
	lane(0x1f, 4, f32, v128)
	lane(0x21, 2, f64, v128)
	lane(0x17, 16, v128, v128, i32)
	lane(0x1a, 8, v128, v128, i32)
	lane(0x1c, 4, v128, v128, i32)
	lane(0x1e, 2, v128, v128, i64)
	lane(0x20, 4, v128, v128, f32)
	lane(0x22, 2, v128, v128, f64)
}

// access is a load or a store of the type t.
type access struct {
	op    wasm.Opcode
	t     wasm.ValType
	align byte // its largest, as a power of two
	lanes byte // it loads or stores one of so many lanes
}

var loads = []access{
	{op: 0x28, t: i32, align: 2}, {op: 0x29, t: i64, align: 3}, {op: 0x2a, t: f32, align: 2}, {op: 0x2b, t: f64, align: 3},
	{op: 0x2c, t: i32}, {op: 0x2d, t: i32}, {op: 0x2e, t: i32, align: 1}, {op: 0x2f, t: i32, align: 1},
	{op: 0x30, t: i64}, {op: 0x31, t: i64}, {op: 0x32, t: i64, align: 1}, {op: 0x33, t: i64, align: 1},
	{op: 0x34, t: i64, align: 2}, {op: 0x35, t: i64, align: 2},
	{op: simd(0), t: v128, align: 4}, {op: simd(1), t: v128, align: 3}, {op: simd(2), t: v128, align: 3},
	{op: simd(3), t: v128, align: 3}, {op: simd(4), t: v128, align: 3}, {op: simd(5), t: v128, align: 3},
	{op: simd(6), t: v128, align: 3}, {op: simd(7), t: v128}, {op: simd(8), t: v128, align: 1},
	{op: simd(9), t: v128, align: 2}, {op: simd(10), t: v128, align: 3},
	{op: simd(0x5c), t: v128, align: 2}, {op: simd(0x5d), t: v128, align: 3},
	{op: simd(0x54), t: v128, lanes: 16}, {op: simd(0x55), t: v128, align: 1, lanes: 8},
	{op: simd(0x56), t: v128, align: 2, lanes: 4}, {op: simd(0x57), t: v128, align: 3, lanes: 2},
}

var stores = []access{
	{op: 0x36, t: i32, align: 2}, {op: 0x37, t: i64, align: 3}, {op: 0x38, t: f32, align: 2}, {op: 0x39, t: f64, align: 3},
	{op: 0x3a, t: i32}, {op: 0x3b, t: i32, align: 1}, {op: 0x3c, t: i64}, {op: 0x3d, t: i64, align: 1}, {op: 0x3e, t: i64, align: 2},
	{op: simd(0x0b), t: v128, align: 4},
	{op: simd(0x58), t: v128, lanes: 16}, {op: simd(0x59), t: v128, align: 1, lanes: 8},
	{op: simd(0x5a), t: v128, align: 2, lanes: 4}, {op: simd(0x5b), t: v128, align: 3, lanes: 2},
}

// loadsOf holds the loads by what they give.
var loadsOf = func() map[wasm.ValType][]access {
	by := map[wasm.ValType][]access{}
	for _, l := range loads {
		by[l.t] = append(by[l.t], l)
	}
	return by
}()
