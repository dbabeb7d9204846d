package wasmgen

import (
	"slices"

	"github.com/waxosuit/waxo/wapc/wasm"
)

func (f *body) exprs(types []wasm.ValType) {
	for _, t := range types {
		f.expr(t)
	}
}

// expr writes code that puts one value on the stack.
func (f *body) expr(t wasm.ValType) {
	f.depth++
	defer func() { f.depth-- }()
	if f.depth > maxDepth || !f.compound(t) {
		f.simple(t)
	}
}

// simple writes an expression of one instruction.
func (f *body) simple(t wasm.ValType) {
	if f.src.chance(128) {
		if l, ok := f.localOf(t); ok {
			f.get(l)
			return
		}
	}
	if t == wasm.FuncRef && f.src.chance(150) {
		f.index(wasm.OpRefFunc, uint32(f.src.below(len(f.g.funcs))))
		return
	}
	f.constant(&f.src, t)
}

// compound writes any other expression, and tells whether it could.
func (f *body) compound(t wasm.ValType) bool {
	switch k := f.src.below(40); k {
	case 0, 1, 2, 3, 4:
		return false
	case 5, 6, 7:
		return f.load(t)
	case 8:
		f.constructOf(wasm.OpBlock, t)
	case 9:
		f.constructOf(wasm.OpLoop, t)
	case 10, 11:
		f.constructOf(wasm.OpIf, t)
	case 12, 13, 14:
		return f.callOf(t)
	case 15:
		return f.callIndirectOf(t)
	case 16:
		f.selectOf(t)
	case 17, 18:
		global, ok := f.globalOf(t, false)
		if ok {
			f.index(wasm.OpGlobalGet, global)
		}
		return ok
	case 19, 20:
		l, ok := f.localOf(t)
		if ok {
			f.expr(t)
			f.index(wasm.OpLocalTee, l)
		}
		return ok
	case 21, 22:
		return f.sizes(t)
	case 23:
		return f.branchIfOf(t)
	case 24:
		if !f.src.chance(40) {
			return false
		}
		f.diverge() // and the value comes from nowhere
	default:
		return f.operation(t)
	}
	return true
}

// operation writes an instruction that only computes.
func (f *body) operation(t wasm.ValType) bool {
	if t == wasm.FuncRef || t == wasm.ExternRef {
		return f.tableGet(t)
	}
	if t == v128 && f.src.chance(16) {
		f.expr(v128)
		f.expr(v128)
		f.op(opShuffle)
		for range 16 {
			f.b = append(f.b, byte(f.src.below(32)))
		}
		return true
	}
	o := pick(&f.src, operations[t])
	if o.traps && !f.src.chance(100) {
		return false
	}
	f.exprs(o.params)
	f.instruction(o)
	return true
}

func (f *body) instruction(o operation) {
	f.op(o.op)
	if o.lanes > 0 {
		f.b = append(f.b, byte(f.src.below(int(o.lanes))))
	}
}

func (f *body) selectOf(t wasm.ValType) {
	f.expr(t)
	f.expr(t)
	f.expr(i32)
	if t == wasm.FuncRef || t == wasm.ExternRef || f.src.chance(64) {
		f.op(opSelectT).b = append(f.b, 1, byte(t))
		return
	}
	f.op(wasm.OpSelect)
}

// sizes writes what asks for sizes, grows, or looks for null: all of it is i32.
func (f *body) sizes(t wasm.ValType) bool {
	if t != i32 {
		return false
	}
	k := f.src.below(6)
	if k < 2 && !f.g.hasMemory {
		k = 2
	}
	table := uint32(f.src.below(len(f.g.tableTypes)))
	switch k {
	case 0:
		f.op(opMemSize).b = append(f.b, 0)
	case 1:
		f.growth()
		f.op(opMemGrow).b = append(f.b, 0)
	case 2:
		f.index(opTableSize, table)
	case 3:
		f.expr(f.g.tableTypes[table].Elem)
		f.growth()
		f.index(opTableGrow, table)
	default:
		f.expr(pick(&f.src, []wasm.ValType{wasm.FuncRef, wasm.ExternRef}))
		f.op(opRefIsNull)
	}
	return true
}

// growth writes by how much to grow: memories and tables have a maximum that
// they reach soon.
func (f *body) growth() {
	switch f.src.below(6) {
	case 0:
		f.i32(0)
	case 1, 2:
		f.i32(1)
	case 3:
		f.expr(i32)
		f.i32(3).op(wasm.OpI32And)
	case 4:
		f.i32(-1)
	default:
		f.expr(i32)
	}
}

// callAny calls a function that fits, and returns what is on the stack then.
func (f *body) callAny(fits func(*function) bool) []wasm.ValType {
	i, ok := f.callable(fits)
	if !ok {
		return nil
	}
	callee := &f.g.funcs[i]
	if callee.wasi != "" {
		f.callPreview1(uint32(i), callee)
		return callee.Results // none of proc_exit, which it may leave out
	}
	f.exprs(callee.Params)
	f.index(wasm.OpCall, uint32(i))
	return callee.Results
}

// callable chooses a function that may be called from here: from a leaf, one of
// the host.
func (f *body) callable(fits func(*function) bool) (int, bool) {
	var fit []int
	for i := range f.g.funcs {
		if callee := &f.g.funcs[i]; fits(callee) && (callee.host || !f.self.leaf) {
			fit = append(fit, i)
		}
	}
	if len(fit) == 0 {
		return 0, false
	}
	return pick(&f.src, fit), true
}

func (f *body) callOf(t wasm.ValType) bool {
	results := f.callAny(func(c *function) bool { return slices.Contains(c.Results, t) })
	if len(results) == 0 {
		return false
	}
	f.keep(results, t)
	return true
}

// callIndirect calls through the table: mostly a function that stands there and
// has the type. It returns what is on the stack then.
func (f *body) callIndirect(result []wasm.ValType) []wasm.ValType {
	if f.self.leaf || f.g.tableTypes[0].Elem != wasm.FuncRef {
		return nil
	}
	i, ok := f.callable(func(c *function) bool {
		return len(result) == 0 || slices.Contains(c.Results, result[0])
	})
	if !ok {
		return nil
	}
	callee := &f.g.funcs[i]
	f.exprs(callee.Params)
	f.tableIndex(i)
	f.index(wasm.OpCallIndirect, callee.index, 0)
	return callee.Results
}

// tableIndex writes where a function stands in table 0, or something else.
func (f *body) tableIndex(i int) {
	switch slot := f.g.slots[i]; {
	case slot != noSlot && !f.src.chance(16):
		f.i32(int32(slot))
	case f.src.chance(128):
		f.expr(i32)
	default:
		f.i32(int32(f.src.below(int(f.g.tableTypes[0].Limits.Min) + 1)))
	}
}

func (f *body) callIndirectOf(t wasm.ValType) bool {
	results := f.callIndirect([]wasm.ValType{t})
	if len(results) == 0 {
		return false
	}
	f.keep(results, t)
	return true
}

// multiValue leaves several values on the stack between constructs.
func (f *body) multiValue() {
	types := f.typeList()
	f.exprs(types)
	f.statements(f.src.below(3))
	f.construct(wasm.OpBlock, types)
}

func (f *body) typeList() []wasm.ValType {
	var types []wasm.ValType
	for n := f.src.below(4); n > 0; n-- {
		types = append(types, pick(&f.src, values))
	}
	return types
}
