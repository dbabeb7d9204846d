package slim

import (
	"github.com/waxosuit/waxo/wapc/wasm"
)

// Instructions of the bulk memory and reference types proposals that change or
// name what other instructions do not.
const (
	opTableGet   wasm.Opcode = 0x25
	opTableSet   wasm.Opcode = 0x26
	opMemoryInit wasm.Opcode = 0xfc<<16 | 8
	opDataDrop   wasm.Opcode = 0xfc<<16 | 9
	opTableInit  wasm.Opcode = 0xfc<<16 | 12
	opElemDrop   wasm.Opcode = 0xfc<<16 | 13
	opTableCopy  wasm.Opcode = 0xfc<<16 | 14
	opTableGrow  wasm.Opcode = 0xfc<<16 | 15
	opTableFill  wasm.Opcode = 0xfc<<16 | 17
)

// facts are what a module's code holds beyond plain computation.
type facts struct {
	dataRefs  map[uint32]bool // data segments that instructions name
	dataDrops bool
	tables    bool            // a table or an element segment may change
	addresses map[uint32]bool // functions whose reference code takes
}

// look reads all code once.
func look(m *wasm.Module) (*facts, error) {
	f := &facts{dataRefs: map[uint32]bool{}, addresses: map[uint32]bool{}}
	for i := range m.Code {
		err := walk(m.Code[i].Code, func(in wasm.Instr) {
			switch in.Op {
			case opMemoryInit:
				f.dataRefs[in.Index] = true
			case opDataDrop:
				f.dataRefs[in.Index], f.dataDrops = true, true
			case opTableSet, opTableInit, opElemDrop, opTableCopy, opTableGrow, opTableFill:
				f.tables = true
			case wasm.OpRefFunc:
				f.addresses[in.Index] = true
			}
		})
		if err != nil {
			return nil, &wasm.CodeError{Func: uint32(m.ImportedFuncs() + i), Offset: m.Code[i].Offset, Err: err}
		}
	}
	return f, nil
}

func walk(code []byte, see func(wasm.Instr)) error {
	r := wasm.NewReader(code)
	for in, ok := r.Next(); ok; in, ok = r.Next() {
		see(in)
	}
	return r.Err()
}
