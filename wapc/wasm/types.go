package wasm

import (
	"slices"
	"strings"
)

// ValType is a type of values, as the binary format writes it.
type ValType byte

// The value types of the core specification 2.0.
const (
	I32       ValType = 0x7f
	I64       ValType = 0x7e
	F32       ValType = 0x7d
	F64       ValType = 0x7c
	V128      ValType = 0x7b
	FuncRef   ValType = 0x70
	ExternRef ValType = 0x6f
)

func (t ValType) String() string {
	switch t {
	case I32:
		return "i32"
	case I64:
		return "i64"
	case F32:
		return "f32"
	case F64:
		return "f64"
	case V128:
		return "v128"
	case FuncRef:
		return "funcref"
	case ExternRef:
		return "externref"
	}
	return "unknown type"
}

func (t ValType) known() bool { return t >= V128 && t <= I32 || t.isRef() }

func (t ValType) isRef() bool { return t == FuncRef || t == ExternRef }

// FuncType is the type of a function.
type FuncType struct {
	Params, Results []ValType
}

// Equal tells whether two functions of these types can stand for each other.
func (t FuncType) Equal(u FuncType) bool {
	return slices.Equal(t.Params, u.Params) && slices.Equal(t.Results, u.Results)
}

// String gives the type as "(i32, i32) -> (i32)".
func (t FuncType) String() string {
	return typeList(t.Params) + " -> " + typeList(t.Results)
}

func typeList(types []ValType) string {
	names := make([]string, len(types))
	for i, t := range types {
		names[i] = t.String()
	}
	return "(" + strings.Join(names, ", ") + ")"
}

// Kind is what an import or an export is.
type Kind byte

// The kinds, with the numbers of the binary format.
const (
	KindFunc Kind = iota
	KindTable
	KindMemory
	KindGlobal
	KindTag
)

func (k Kind) String() string {
	switch k {
	case KindFunc:
		return "function"
	case KindTable:
		return "table"
	case KindMemory:
		return "memory"
	case KindGlobal:
		return "global"
	case KindTag:
		return "tag"
	}
	return "unknown kind"
}

// Limits bound a memory (in pages of 64 KiB) or a table (in elements).
type Limits struct {
	Min    uint64
	Max    uint64 // 0 unless HasMax
	HasMax bool
	Shared bool // of the threads proposal
	Is64   bool // of the memory64 proposal: addressed by i64
}

// TableType is the type of a table.
type TableType struct {
	Elem   ValType
	Limits Limits
}

// GlobalType is the type of a global variable.
type GlobalType struct {
	Type    ValType
	Mutable bool
}

// ExternType is the type of something that crosses a module's border. The
// field that belongs to Kind is set; a tag sets TypeIndex and Func.
type ExternType struct {
	Kind      Kind
	TypeIndex uint32 // of a function or tag: where Func stands in the type section
	Func      FuncType
	Table     TableType
	Memory    Limits
	Global    GlobalType
}
