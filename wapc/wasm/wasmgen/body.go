package wasmgen

import (
	"slices"

	"github.com/waxosuit/waxo/wapc/wasm"
)

const (
	maxDepth = 14  // of constructs within each other
	maxTrips = 128 // of loops within each other that need no fuel
)

// body writes the code of one function.
type body struct {
	asm
	g      *generator
	src    source
	self   *function
	locals []local
	labels []label // of the function and the constructs around, innermost last
	depth  int
	trips  int // of the loops around that need no fuel
}

// local is a parameter or a local variable.
type local struct {
	t        wasm.ValType
	reserved bool // a loop counts with it
}

// label is where a branch can go.
type label struct {
	types []wasm.ValType
	kind  labelKind
}

type labelKind byte

const (
	forward   labelKind = iota // and loops that burn fuel at their head
	backward                   // a branch to it must burn fuel
	forbidden                  // a branch to it would spoil a loop's counter
)

func newBody(g *generator, src source, self *function) *body {
	f := &body{g: g, src: src, self: self, trips: 1, labels: []label{{types: self.Results}}}
	for _, t := range self.Params {
		f.locals = append(f.locals, local{t: t})
	}
	for n := f.src.below(6); n > 0; n-- {
		f.newLocal(pick(&f.src, values))
	}
	return f
}

func (f *body) newLocal(t wasm.ValType) uint32 {
	f.locals = append(f.locals, local{t: t})
	return uint32(len(f.locals) - 1)
}

func (f *body) write() wasm.Body {
	if !f.self.leaf {
		f.burn(1)
		if f.src.chance(40) {
			f.recurse()
		}
	}
	f.statements(2 + f.src.below(8))
	f.exprs(f.self.Results)
	b := wasm.Body{Code: f.end()}
	for _, l := range f.locals[len(f.self.Params):] {
		if n := len(b.Locals); n > 0 && b.Locals[n-1].Type == l.t {
			b.Locals[n-1].Count++
			continue
		}
		b.Locals = append(b.Locals, wasm.Locals{Count: 1, Type: l.t})
	}
	return b
}

// recurse calls this function or one that may call it, straight away.
func (f *body) recurse() {
	i := f.g.imported + f.src.below(len(f.g.funcs)-f.g.imported)
	if f.src.chance(170) {
		i = slices.IndexFunc(f.g.funcs, func(other function) bool { return other.index == f.self.index && !other.host })
	}
	callee := &f.g.funcs[i]
	for _, t := range callee.Params {
		f.simple(t)
	}
	if f.g.slots[i] != noSlot && f.g.tableTypes[0].Elem == wasm.FuncRef && f.src.chance(170) {
		f.tableIndex(i)
		f.index(wasm.OpCallIndirect, callee.index, 0)
	} else {
		f.index(wasm.OpCall, uint32(i))
	}
	f.dropAll(callee.Results)
}

// burn takes fuel, and leaves the function if there is not enough.
func (f *body) burn(n int32) {
	fuel := f.g.fuel
	f.index(wasm.OpGlobalGet, fuel)
	if n == 1 {
		f.op(wasm.OpI32Eqz)
	} else {
		f.i32(n).op(wasm.OpI32LtU)
	}
	f.op(wasm.OpIf).b = append(f.b, 0x40)
	if f.src.chance(24) {
		f.op(wasm.OpUnreachable)
	} else {
		for _, t := range f.self.Results {
			f.constant(new(source), t)
		}
		f.op(wasm.OpReturn)
	}
	f.op(wasm.OpEnd)
	f.index(wasm.OpGlobalGet, fuel).i32(n).op(wasm.OpI32Sub).index(wasm.OpGlobalSet, fuel)
}

func (f *body) statements(n int) {
	for range n {
		f.statement()
	}
}

// statement writes code that leaves the stack as it was.
func (f *body) statement() {
	f.depth++
	defer func() { f.depth-- }()
	if f.depth > maxDepth {
		f.op(opNop)
		return
	}
	if f.g.opts.Preview1 && f.src.chance(60) {
		f.dropAll(f.callAny(func(c *function) bool { return c.wasi != "" }))
		return
	}
	switch k := f.src.below(40); k {
	case 0, 1:
		f.op(opNop)
	case 2, 3:
		f.expr(pick(&f.src, values))
		f.op(opDrop)
	case 4, 5, 6, 7, 8:
		f.setLocal()
	case 9, 10, 11:
		f.setGlobal()
	case 12, 13, 14, 15:
		f.store()
	case 16, 17, 18:
		f.bulk()
	case 19, 20, 21, 22, 23, 24:
		f.construct(pick(&f.src, []wasm.Opcode{wasm.OpBlock, wasm.OpIf, wasm.OpLoop, wasm.OpLoop}), nil)
	case 25, 26, 27, 28:
		f.dropAll(f.callAny(func(*function) bool { return true }))
	case 29, 30:
		f.dropAll(f.callIndirect(nil))
	case 31, 32, 33:
		f.branchIf()
	case 34, 35, 36:
		f.tableStatement()
	case 37:
		if f.src.chance(110) {
			f.diverge()
		}
	case 38:
		f.dispatch()
	case 39:
		f.multiValue()
	}
}

// localOf chooses a local variable of a type.
func (f *body) localOf(t wasm.ValType) (uint32, bool) {
	var fit []uint32
	for i, l := range f.locals {
		if l.t == t && !l.reserved {
			fit = append(fit, uint32(i))
		}
	}
	if len(fit) == 0 {
		return 0, false
	}
	return pick(&f.src, fit), true
}

// someLocal is localOf, with a new one where there is none.
func (f *body) someLocal(t wasm.ValType) uint32 {
	if l, ok := f.localOf(t); ok {
		return l
	}
	return f.newLocal(t)
}

func (f *body) setLocal() {
	t := pick(&f.src, values)
	f.expr(t)
	f.set(f.someLocal(t))
}

// globalOf chooses a global variable of a type, not the fuel.
func (f *body) globalOf(t wasm.ValType, mutable bool) (uint32, bool) {
	var fit []uint32
	for i, global := range f.g.globalTypes {
		if global.Type == t && uint32(i) != f.g.fuel && (global.Mutable || !mutable) {
			fit = append(fit, uint32(i))
		}
	}
	if len(fit) == 0 {
		return 0, false
	}
	return pick(&f.src, fit), true
}

func (f *body) setGlobal() {
	for _, t := range values[f.src.below(len(values)):] {
		if global, ok := f.globalOf(t, true); ok {
			f.expr(t)
			f.index(wasm.OpGlobalSet, global)
			return
		}
	}
	f.setLocal()
}

// dropAll takes values from the stack, the last first.
func (f *body) dropAll(types []wasm.ValType) {
	for _, t := range slices.Backward(types) {
		if f.src.chance(128) {
			f.set(f.someLocal(t))
		} else {
			f.op(opDrop)
		}
	}
}

// keep leaves one value of the type t of those on the stack.
func (f *body) keep(types []wasm.ValType, t wasm.ValType) {
	at := slices.Index(types, t)
	f.dropAll(types[at+1:])
	if at == 0 {
		return
	}
	l := f.newLocal(t)
	f.set(l)
	f.dropAll(types[:at])
	f.get(l)
}
