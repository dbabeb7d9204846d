package wasm

import "fmt"

// Opcode is an operation: the opcode byte, or for those behind a prefix byte
// the prefix shifted left by 16 bits and the number that follows it.
type Opcode uint32

func (op Opcode) String() string {
	if op < 0x100 {
		return fmt.Sprintf("%#02x", uint32(op))
	}
	return fmt.Sprintf("%#02x %d", uint32(op>>16), uint32(op&0xffff))
}

// The opcodes that this module's packages look for or write.
const (
	OpUnreachable        Opcode = 0x00
	OpBlock              Opcode = 0x02
	OpLoop               Opcode = 0x03
	OpIf                 Opcode = 0x04
	OpElse               Opcode = 0x05
	OpEnd                Opcode = 0x0b
	OpBr                 Opcode = 0x0c
	OpBrIf               Opcode = 0x0d
	OpBrTable            Opcode = 0x0e
	OpReturn             Opcode = 0x0f
	OpCall               Opcode = 0x10
	OpCallIndirect       Opcode = 0x11
	OpReturnCall         Opcode = 0x12
	OpReturnCallIndirect Opcode = 0x13
	OpSelect             Opcode = 0x1b
	OpLocalGet           Opcode = 0x20
	OpLocalSet           Opcode = 0x21
	OpLocalTee           Opcode = 0x22
	OpGlobalGet          Opcode = 0x23
	OpGlobalSet          Opcode = 0x24
	OpI32Load            Opcode = 0x28
	OpI64Load            Opcode = 0x29
	OpI32Load8U          Opcode = 0x2d
	OpI32Load16U         Opcode = 0x2f
	OpI32Store           Opcode = 0x36
	OpI64Store           Opcode = 0x37
	OpI32Store8          Opcode = 0x3a
	OpMemorySize         Opcode = 0x3f
	OpMemoryGrow         Opcode = 0x40
	OpI32Const           Opcode = 0x41
	OpI64Const           Opcode = 0x42
	OpI32Eqz             Opcode = 0x45
	OpI32Eq              Opcode = 0x46
	OpI32Ne              Opcode = 0x47
	OpI32LtS             Opcode = 0x48
	OpI32LtU             Opcode = 0x49
	OpI32GtU             Opcode = 0x4b
	OpI32LeU             Opcode = 0x4d
	OpI32GeU             Opcode = 0x4f
	OpI64LtS             Opcode = 0x53
	OpI64LtU             Opcode = 0x54
	OpI64GtS             Opcode = 0x55
	OpI64GtU             Opcode = 0x56
	OpI64LeS             Opcode = 0x57
	OpI32Add             Opcode = 0x6a
	OpI32Sub             Opcode = 0x6b
	OpI32Mul             Opcode = 0x6c
	OpI32DivS            Opcode = 0x6d
	OpI32DivU            Opcode = 0x6e
	OpI32RemU            Opcode = 0x70
	OpI32And             Opcode = 0x71
	OpI32Or              Opcode = 0x72
	OpI32Shl             Opcode = 0x74
	OpI32ShrU            Opcode = 0x76
	OpI64Add             Opcode = 0x7c
	OpI64Mul             Opcode = 0x7e
	OpI64DivS            Opcode = 0x7f
	OpI64RemU            Opcode = 0x82
	OpI64Or              Opcode = 0x84
	OpI64Xor             Opcode = 0x85
	OpI64Shl             Opcode = 0x86
	OpI64ShrU            Opcode = 0x88
	OpF32Sqrt            Opcode = 0x91
	OpF32Div             Opcode = 0x95
	OpF64Sqrt            Opcode = 0x9f
	OpF64Div             Opcode = 0xa3
	OpI32WrapI64         Opcode = 0xa7
	OpI64ExtendI32U      Opcode = 0xad
	OpRefFunc            Opcode = 0xd2
	OpMemoryInit         Opcode = prefixMisc<<16 | 8
	OpMemoryCopy         Opcode = prefixMisc<<16 | 10
	OpMemoryFill         Opcode = prefixMisc<<16 | 11
	OpTableInit          Opcode = prefixMisc<<16 | 12
	OpTableCopy          Opcode = prefixMisc<<16 | 14
	OpTableGrow          Opcode = prefixMisc<<16 | 15
	OpTableSize          Opcode = prefixMisc<<16 | 16
	OpTableFill          Opcode = prefixMisc<<16 | 17
)

const (
	prefixMisc = 0xfc
	prefixSIMD = 0xfd
)

// What follows an opcode. The three tables below hold one letter an opcode.
const (
	immUnknown = '.' // no such opcode
	immNone    = 'n'
	immBlock   = 'b' // block type
	immIndex   = 'i' // one index
	immIndexes = 'j' // two indexes
	immLabels  = 't' // vector of labels and a default label
	immTypes   = 's' // vector of value types
	immRefType = 'r' // reference type
	immMemory  = 'm' // alignment and offset
	immMemLane = 'y' // alignment, offset, lane
	immLane    = 'x' // lane
	immI32     = 'w' // signed LEB128
	immI64     = 'l' // signed LEB128
	immF32     = '4' // 4 bytes
	immF64     = '8' // 8 bytes
	immV128    = 'v' // 16 bytes
)

// plainOps has a row for each upper half of the opcode byte.
const plainOps = "" +
	"nnbbbn.....niitn" + // 00 control
	"ijij......nns..." + // 10 calls, parametric; 12 and 13 are tail calls
	"iiiiiii.mmmmmmmm" + // 20 variables, loads
	"mmmmmmmmmmmmmmmi" + // 30 loads, stores, memory.size
	"iwl48nnnnnnnnnnn" + // 40 memory.grow, constants, comparisons
	"nnnnnnnnnnnnnnnn" + // 50
	"nnnnnnnnnnnnnnnn" + // 60
	"nnnnnnnnnnnnnnnn" + // 70
	"nnnnnnnnnnnnnnnn" + // 80
	"nnnnnnnnnnnnnnnn" + // 90
	"nnnnnnnnnnnnnnnn" + // a0
	"nnnnnnnnnnnnnnnn" + // b0
	"nnnnn..........." + // c0 sign extension
	"rni............." + // d0 references
	"................" + // e0
	"................" //  f0 prefixes

// runOps has the plain instructions, those of Run: "i" also stands for other
// integers. Divisions and square roots are not plain, as they are slow.
const runOps = "" +
	".n.............." + // 00 nop
	"..........nn...." + // 10 drop, select
	"iiiii...mmmmmmmm" + // 20 variables, loads
	"mmmmmmmmmmmmmmmi" + // 30 loads, stores, memory.size
	".ii48nnnnnnnnnnn" + // 40 constants, comparisons
	"nnnnnnnnnnnnnnnn" + // 50
	"nnnnnnnnnnnnn..." + // 60
	".nnnnnnnnnnnnnn." + // 70
	"...nnnnnnnnnnnnn" + // 80
	"n.nnn.nnnnnnnnn." + // 90
	"nnn.nnnnnnnnnnnn" + // a0
	"nnnnnnnnnnnnnnnn" + // b0
	"nnnnn..........." + // c0 sign extension
	"................" + // d0
	"................" + // e0
	"................" //  f0

// miscOps stand behind 0xfc: saturating truncation, bulk memory, tables.
const miscOps = "nnnnnnnnjijijijiii"

// simdOps stand behind 0xfd.
const simdOps = "" +
	"mmmmmmmmmmmmvvnn" + // 00 loads, store, const, shuffle
	"nnnnnxxxxxxxxxxx" + // 10 splats, lanes
	"xxxnnnnnnnnnnnnn" + // 20 lanes, comparisons
	"nnnnnnnnnnnnnnnn" + // 30
	"nnnnnnnnnnnnnnnn" + // 40
	"nnnnyyyyyyyymmnn" + // 50 lane loads and stores
	"nnnnnnnnnnnnnnnn" + // 60 i8x16
	"nnnnnnnnnnnnnnnn" + // 70
	"nnnnnnnnnnnnnnnn" + // 80 i16x8
	"nnnnnnnnnn.nnnnn" + // 90
	"nn.nn..nnnnnnnn." + // a0 i32x4
	".n...nnnnnn.nnnn" + // b0
	"nn.nn..nnnnnnnn." + // c0 i64x2
	".n...nnnnnnnnnnn" + // d0
	"nn.nnnnnnnnnnn.n" + // e0 f32x4, f64x2
	"nnnnnnnnnnnnnnnn" //  f0
