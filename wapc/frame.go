package wapc

import (
	"fmt"

	"github.com/waxosuit/waxo/wapc/wasm"
)

// The interpreter lets 2000 calls nest and does not bound how much room each of
// them takes: a few hundred bytes of a module can make it take gigabytes of the
// host's memory. So what a call may take is computed beforehand, and a module
// that would take too much is not interpreted. What remains is 62.5 MiB. The
// stack grows by a quarter, so it takes about as much as that of compiled code,
// which doubles, may take: see the package's comment.
const (
	maxFrameSlots = 32 << 10 / 8
	frameSpare    = 4 // slots that the interpreter takes for itself, as for local.tee of a vector
)

// frames computes how many slots of 8 bytes the calls of a module's functions
// take in the interpreter.
type frames struct {
	m       *wasm.Module
	types   []uint32 // of all functions, those that are imported first
	gain    int      // at most the values that an instruction adds
	vectors bool     // there are types or global variables with vectors
}

func newFrames(m *wasm.Module) *frames {
	f := &frames{m: m, gain: 1, types: make([]uint32, 0, len(m.Imports)+len(m.Funcs))}
	for i := range m.Imports {
		switch t := m.Imports[i].Type; t.Kind {
		case wasm.KindFunc:
			f.types = append(f.types, t.TypeIndex)
		case wasm.KindGlobal:
			f.vectors = f.vectors || t.Global.Type == wasm.V128
		}
	}
	f.types = append(f.types, m.Funcs...)
	for i := range m.Globals {
		f.vectors = f.vectors || m.Globals[i].Type.Type == wasm.V128
	}
	for _, t := range m.Types {
		f.gain = max(f.gain, len(t.Results)-len(t.Params))
		f.vectors = f.vectors || slots(t.Params) > len(t.Params) || slots(t.Results) > len(t.Results)
	}
	return f
}

func slots(types []wasm.ValType) int {
	n := len(types)
	for _, t := range types {
		if t == wasm.V128 {
			n++
		}
	}
	return n
}

// check tells why a module may not be interpreted. The functions that it defines
// are called by numbers that begin with first.
func (f *frames) check(first int) error {
	for i := range f.m.Code {
		n, err := f.function(i)
		if err != nil {
			return err
		}
		if n > maxFrameSlots {
			return fmt.Errorf("calls of function %d take up to %d KiB of the interpreter's stack each, the limit is %d KiB",
				first+i, n*8>>10, maxFrameSlots*8>>10)
		}
	}
	return nil
}

// function returns an upper bound of what a call takes of a function that the
// module defines. That of a function too short to take too much is rough.
func (f *frames) function(i int) (int64, error) {
	t, err := f.typeOf(uint32(len(f.types) - len(f.m.Code) + i))
	if err != nil {
		return 0, err
	}
	body := &f.m.Code[i]
	fixed, vectors := int64(frameSpare+slots(t.Params)+slots(t.Results)), f.vectors
	for _, l := range body.Locals {
		fixed += int64(l.Count)
		if l.Type == wasm.V128 {
			fixed += int64(l.Count)
			vectors = true
		}
	}
	// What adds values has at least two bytes, and so has what turns a value
	// into a vector.
	short := int64(len(body.Code)/2) * int64(f.gain)
	if vectors {
		short *= 2
	}
	if fixed+short <= maxFrameSlots {
		return fixed + short, nil
	}
	h := newHeights(f, t, body.Code)
	if err := h.run(); err != nil {
		return 0, &wasm.CodeError{Func: uint32(len(f.types) - len(f.m.Code) + i), Offset: body.Offset, Err: err}
	}
	if vectors || h.vectors {
		return fixed + 2*h.most, nil
	}
	return fixed + h.most, nil
}

func (f *frames) typeOf(function uint32) (wasm.FuncType, error) {
	if int64(function) >= int64(len(f.types)) {
		return wasm.FuncType{}, fmt.Errorf("%w: there is no function %d", wasm.ErrMalformed, function)
	}
	return f.typ(f.types[function])
}

func (f *frames) typ(index uint32) (wasm.FuncType, error) {
	if int64(index) >= int64(len(f.m.Types)) {
		return wasm.FuncType{}, fmt.Errorf("%w: there is no type %d", wasm.ErrMalformed, index)
	}
	return f.m.Types[index], nil
}

// heights follows how many values are on the operand stack. Of code that is
// valid it is exact, but where nothing reaches it: there it may be too high.
type heights struct {
	*frames
	code    []byte
	blocks  []openBlock // the first is the function
	now     int64
	most    int64
	vectors bool // there were instructions on vectors
}

// openBlock is a block that has begun: how many values are below it, and how
// many it takes and leaves.
type openBlock struct{ base, params, results int64 }

func newHeights(f *frames, t wasm.FuncType, code []byte) *heights {
	return &heights{frames: f, code: code, blocks: []openBlock{{results: int64(len(t.Results))}}}
}

func (h *heights) run() error {
	r := wasm.NewReader(h.code)
	for in, ok := r.Next(); ok; in, ok = r.Next() {
		if err := h.step(in); err != nil {
			return err
		}
	}
	return r.Err()
}

func (h *heights) step(in wasm.Instr) (err error) {
	b := h.blocks[len(h.blocks)-1]
	switch in.Op {
	case wasm.OpBlock, wasm.OpLoop, wasm.OpIf:
		err = h.enter(in)
	case wasm.OpElse:
		h.now = b.base + b.params
	case wasm.OpEnd:
		h.now = b.base + b.results
		h.blocks = h.blocks[:len(h.blocks)-1]
	case wasm.OpUnreachable, wasm.OpBr, wasm.OpBrTable, wasm.OpReturn, wasm.OpReturnCall, wasm.OpReturnCallIndirect:
		h.now = b.base
	case wasm.OpCall:
		var t wasm.FuncType
		t, err = h.typeOf(in.Index)
		h.change(len(t.Params), len(t.Results))
	case wasm.OpCallIndirect:
		var t wasm.FuncType
		t, err = h.typ(in.Index)
		h.change(len(t.Params)+1, len(t.Results))
	default:
		h.vectors = h.vectors || in.Op>>16 == simdPrefix
		h.change(effect(in.Op))
	}
	h.most = max(h.most, h.now)
	return err
}

func (h *heights) enter(in wasm.Instr) error {
	const empty = 0x40
	b := openBlock{}
	switch c := h.code[in.Imm]; {
	case c == empty:
	case c > empty && c < 0x80:
		b.results = 1
	default:
		index, _, err := wasm.Uint32(h.code[in.Imm:in.End]) // a signed integer that is not negative
		if err != nil {
			return fmt.Errorf("%w: the type of a block: %w", wasm.ErrMalformed, err)
		}
		t, err := h.typ(index)
		if err != nil {
			return err
		}
		b.params, b.results = int64(len(t.Params)), int64(len(t.Results))
	}
	if in.Op == wasm.OpIf {
		h.change(1, 0)
	}
	h.change(int(b.params), 0)
	b.base = h.now
	h.blocks = append(h.blocks, b)
	h.now += b.params
	return nil
}

// change takes values and adds values. In code that nothing reaches there may be
// fewer than are taken.
func (h *heights) change(takes, adds int) {
	h.now = max(h.now-int64(takes), h.blocks[len(h.blocks)-1].base) + int64(adds)
}

const (
	miscPrefix = 0xfc
	simdPrefix = 0xfd
)

// effect tells how many values more an instruction takes than it adds, or the
// other way round. What it does not know adds one.
func effect(op wasm.Opcode) (takes, adds int) {
	table, n := plainEffects, op&0xffff
	switch op >> 16 {
	case miscPrefix:
		table = miscEffects
	case simdPrefix:
		table = simdEffects
	}
	if int(n) >= len(table) || table[n] == '+' || table[n] == '.' {
		return 0, 1
	}
	return int(table[n] - '0'), 0
}

// plainEffects has a letter for each opcode and a row for each upper half of it:
// how many values fewer there are after it, "+" for one more, "." for what does
// not exist or has no effect that is always the same.
const plainEffects = "" +
	".0...........1.." + // 00 control
	"..........122..." + // 10 drop, select
	"+10+102.00000000" + // 20 variables, tables, loads
	"000000222222222+" + // 30 loads, stores, memory.size
	"0++++01111111111" + // 40 memory.grow, constants, comparisons
	"0111111111111111" + // 50
	"1111111000111111" + // 60
	"1111111110001111" + // 70
	"1111111111100000" + // 80
	"0011111110000000" + // 90
	"1111111000000000" + // a0
	"0000000000000000" + // b0
	"00000..........." + // c0 sign extension
	"+0+............." //  d0 references

const miscEffects = "0000000030333031+3"

const simdEffects = "" +
	"000000000002+110" + // 00 loads, store, const, shuffle
	"0000000100101010" + // 10 splats, lanes
	"1011111111111111" + // 20 lanes, comparisons
	"1111111111111111" + // 30
	"1111111111111011" + // 40
	"1120111122220000" + // 50 lane loads and stores
	"0000011000011111" + // 60 i8x16
	"1111001111010000" + // 70
	"0010011000011111" + // 80 i16x8
	"1111011111.11111" + // 90
	"00.00..00001111." + // a0 i32x4
	".1...111111.1111" + // b0
	"00.00..00001111." + // c0 i64x2
	".1...11111111111" + // d0
	"00.01111111100.0" + // e0 f32x4, f64x2
	"1111111100000000" //  f0
