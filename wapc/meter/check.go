package meter

import (
	"fmt"

	"github.com/waxosuit/waxo/wapc/wasm"
)

// What is added comes after what there is, so an index that was out of range
// could come to mean it: the guest could set the counter. Such modules are
// refused here, as the engine could not know.

func (g *graph) check(in wasm.Instr, code []byte) error {
	switch in.Op {
	case wasm.OpGlobalGet, wasm.OpGlobalSet:
		if in.Index >= g.globals {
			return missing("global", uint64(in.Index))
		}
	case wasm.OpCall, wasm.OpReturnCall, wasm.OpRefFunc:
		if f := uint64(in.Index); f >= uint64(g.imported)+uint64(g.functions) {
			return missing("function", f)
		}
	case wasm.OpCallIndirect, wasm.OpReturnCallIndirect:
		return g.checkType(uint64(in.Index))
	case wasm.OpBlock, wasm.OpLoop, wasm.OpIf:
		if index, ok := blockType(in, code); ok {
			return g.checkType(uint64(index))
		}
	case wasm.OpMemoryGrow: // which is replaced
		if in.End != in.Imm+1 || code[in.Imm] != 0 {
			return fmt.Errorf("%w: memory.grow of another memory than the first", wasm.ErrMalformed)
		}
	}
	return nil
}

func (g *graph) checkType(index uint64) error {
	if index >= uint64(len(g.types)) {
		return missing("type", index)
	}
	return nil
}

// checkExports checks what exports lead to, but functions.
func (g *graph) checkExports() error {
	for _, e := range g.m.Exports {
		if e.Kind == wasm.KindGlobal && e.Index >= g.globals {
			return missing("global", uint64(e.Index))
		}
	}
	return nil
}

// checkLocals checks the local variables of a function that gets one more.
func (w *writer) checkLocals() error {
	r := wasm.NewReader(w.code)
	for in, ok := r.Next(); ok; in, ok = r.Next() {
		switch in.Op {
		case wasm.OpLocalGet, wasm.OpLocalSet, wasm.OpLocalTee:
			if in.Index >= w.local {
				return missing("local variable", uint64(in.Index))
			}
		}
	}
	return nil
}

func missing(what string, index uint64) error {
	return fmt.Errorf("%w: there is no %s %d", wasm.ErrMalformed, what, index)
}

// blockType returns the index of a block's type, if it is given by one.
func blockType(in wasm.Instr, code []byte) (index uint32, ok bool) {
	if c := code[in.Imm]; c >= 0x40 && c < 0x80 {
		return 0, false // empty, or the type of its result
	}
	index, _, err := wasm.Uint32(code[in.Imm:in.End]) // signed, but not negative
	return index, err == nil
}
