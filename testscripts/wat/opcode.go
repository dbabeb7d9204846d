package wat

import (
	"strconv"
	"strings"
	"sync"

	"github.com/waxosuit/waxo/wapc/wasm"
)

// instruction is what a word stands for.
type instruction struct {
	op        wasm.Opcode
	immediate byte // one of the letters below
	align     uint32
}

// What follows the word.
const (
	immNone       = '-'
	immBlock      = 'b'
	immLabel      = 'l'
	immLabels     = 'L'
	immFunc       = 'f'
	immIndirect   = 'c' // a table, if it is not the first, and a type
	immSelect     = 's' // result types, if any
	immLocal      = 'v'
	immGlobal     = 'g'
	immTable      = 't' // left out for the first
	immTables     = 'T' // two, or none for the first
	immMemory     = '1' // left out for the only one
	immMemories   = '2' // likewise
	immAccess     = 'm' // offset= and align=
	immI32        = 'i'
	immI64        = 'I'
	immF32        = 'd'
	immF64        = 'D'
	immHeapType   = 'r'
	immData       = 'a'
	immMemoryData = 'A' // memory.init
	immElem       = 'e'
	immTableElem  = 'E' // table.init
)

// instructionTable has lines of an opcode, what follows the word of it, and the
// words of this opcode and of those after it.
const instructionTable = `
00 - unreachable nop
02 b block loop if
0c l br br_if
0e L br_table
0f - return
10 f call
11 c call_indirect
12 f return_call
13 c return_call_indirect
1a - drop
1b s select
20 v local.get local.set local.tee
23 g global.get global.set
25 t table.get table.set
28 m i32.load i64.load f32.load f64.load i32.load8_s i32.load8_u i32.load16_s i32.load16_u
30 m i64.load8_s i64.load8_u i64.load16_s i64.load16_u i64.load32_s i64.load32_u
36 m i32.store i64.store f32.store f64.store i32.store8 i32.store16 i64.store8 i64.store16 i64.store32
3f 1 memory.size memory.grow
41 i i32.const
42 I i64.const
43 d f32.const
44 D f64.const
45 - i32.eqz i32.eq i32.ne i32.lt_s i32.lt_u i32.gt_s i32.gt_u i32.le_s i32.le_u i32.ge_s i32.ge_u
50 - i64.eqz i64.eq i64.ne i64.lt_s i64.lt_u i64.gt_s i64.gt_u i64.le_s i64.le_u i64.ge_s i64.ge_u
5b - f32.eq f32.ne f32.lt f32.gt f32.le f32.ge
61 - f64.eq f64.ne f64.lt f64.gt f64.le f64.ge
67 - i32.clz i32.ctz i32.popcnt i32.add i32.sub i32.mul i32.div_s i32.div_u i32.rem_s i32.rem_u
71 - i32.and i32.or i32.xor i32.shl i32.shr_s i32.shr_u i32.rotl i32.rotr
79 - i64.clz i64.ctz i64.popcnt i64.add i64.sub i64.mul i64.div_s i64.div_u i64.rem_s i64.rem_u
83 - i64.and i64.or i64.xor i64.shl i64.shr_s i64.shr_u i64.rotl i64.rotr
8b - f32.abs f32.neg f32.ceil f32.floor f32.trunc f32.nearest f32.sqrt
92 - f32.add f32.sub f32.mul f32.div f32.min f32.max f32.copysign
99 - f64.abs f64.neg f64.ceil f64.floor f64.trunc f64.nearest f64.sqrt
a0 - f64.add f64.sub f64.mul f64.div f64.min f64.max f64.copysign
a7 - i32.wrap_i64 i32.trunc_f32_s i32.trunc_f32_u i32.trunc_f64_s i32.trunc_f64_u
ac - i64.extend_i32_s i64.extend_i32_u i64.trunc_f32_s i64.trunc_f32_u i64.trunc_f64_s i64.trunc_f64_u
b2 - f32.convert_i32_s f32.convert_i32_u f32.convert_i64_s f32.convert_i64_u f32.demote_f64
b7 - f64.convert_i32_s f64.convert_i32_u f64.convert_i64_s f64.convert_i64_u f64.promote_f32
bc - i32.reinterpret_f32 i64.reinterpret_f64 f32.reinterpret_i32 f64.reinterpret_i64
c0 - i32.extend8_s i32.extend16_s i64.extend8_s i64.extend16_s i64.extend32_s
d0 r ref.null
d1 - ref.is_null
d2 f ref.func
fc0000 - i32.trunc_sat_f32_s i32.trunc_sat_f32_u i32.trunc_sat_f64_s i32.trunc_sat_f64_u
fc0004 - i64.trunc_sat_f32_s i64.trunc_sat_f32_u i64.trunc_sat_f64_s i64.trunc_sat_f64_u
fc0008 A memory.init
fc0009 a data.drop
fc000a 2 memory.copy
fc000b 1 memory.fill
fc000c E table.init
fc000d e elem.drop
fc000e T table.copy
fc000f t table.grow table.size table.fill
`

// instructions finds an instruction by its word.
var instructions = sync.OnceValue(func() map[string]instruction {
	all := make(map[string]instruction)
	for line := range strings.Lines(strings.TrimSpace(instructionTable)) {
		words := strings.Fields(line)
		op, err := strconv.ParseUint(words[0], 16, 32)
		if err != nil {
			panic(err)
		}
		for i, word := range words[2:] {
			all[word] = instruction{
				op: wasm.Opcode(op) + wasm.Opcode(i), immediate: words[1][0], align: naturalAlignment(word),
			}
		}
	}
	return all
})

// naturalAlignment is the exponent of the number of bytes that a load or store
// moves.
func naturalAlignment(word string) uint32 {
	_, access, _ := strings.Cut(word, ".")
	switch {
	case strings.Contains(access, "8"):
		return 0
	case strings.Contains(access, "16"):
		return 1
	case strings.Contains(access, "32"), strings.HasPrefix(word, "i32"), strings.HasPrefix(word, "f32"):
		return 2
	}
	return 3
}
