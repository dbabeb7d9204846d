package wasmgen

import (
	"slices"

	"github.com/waxosuit/waxo/wapc/wasm"
)

// construct writes a block, loop or if, some of whose parameters are on the
// stack already, and drops its results.
func (f *body) construct(op wasm.Opcode, params []wasm.ValType) {
	var results []wasm.ValType
	if f.src.chance(70) {
		more := f.typeList()
		f.exprs(more)
		params = slices.Concat(params, more)
		results = f.typeList()
	}
	f.block(op, params, results)
	f.dropAll(results)
}

// constructOf writes a construct that gives one value.
func (f *body) constructOf(op wasm.Opcode, t wasm.ValType) {
	var params []wasm.ValType
	results := []wasm.ValType{t}
	if f.src.chance(70) {
		params = f.typeList()
		f.exprs(params)
	}
	if f.src.chance(50) {
		results = slices.Concat(f.typeList(), results, f.typeList())
	}
	f.block(op, params, results)
	f.keep(results, t)
}

// block writes a construct whose parameters are on the stack.
func (f *body) block(op wasm.Opcode, params, results []wasm.ValType) {
	if op == wasm.OpLoop {
		f.loop(params, results)
		return
	}
	if op == wasm.OpIf {
		f.condition()
	}
	f.begin(op, params, results)
	f.labels = append(f.labels, label{types: results})
	f.inside(params, results)
	if op == wasm.OpIf && (!slices.Equal(params, results) || f.src.chance(128)) {
		f.op(wasm.OpElse)
		f.inside(params, results)
	}
	f.labels = f.labels[:len(f.labels)-1]
	f.op(wasm.OpEnd)
}

func (f *body) condition() {
	f.expr(i32)
	if f.src.chance(64) {
		f.op(wasm.OpI32Eqz)
	}
}

// begin writes the opcode and the type of a construct.
func (f *body) begin(op wasm.Opcode, params, results []wasm.ValType) {
	f.op(op)
	switch {
	case len(params)+len(results) == 0:
		f.b = append(f.b, 0x40)
	case len(params) == 0 && len(results) == 1 && !f.src.chance(30):
		f.b = append(f.b, byte(results[0]))
	default:
		index := f.g.m.AddType(wasm.FuncType{Params: params, Results: results})
		f.b = wasm.AppendInt64(f.b, int64(index))
	}
}

// inside writes what is in a construct: it takes the parameters from the stack
// and puts the results there.
func (f *body) inside(params, results []wasm.ValType) {
	n := len(params)
	if n <= len(results) && slices.Equal(params, results[:n]) && f.src.chance(100) {
		results = results[n:] // the parameters stay there
	} else {
		f.dropAll(params)
	}
	f.statements(f.src.below(4))
	if f.src.chance(24) {
		f.diverge()
		return
	}
	f.exprs(results)
}

// loop writes a loop that ends: because it counts, or because it burns fuel at
// its head or at each branch to it, or because no branch leads to it.
func (f *body) loop(params, results []wasm.ValType) {
	trips := 2 + f.src.below(12)
	counts := f.trips*trips <= maxTrips && f.src.chance(100)
	counter := uint32(0)
	if counts {
		counter = f.newLocal(i32)
		f.locals[counter].reserved = true
		f.trips *= trips
		defer func() { f.trips /= trips }()
		f.i32(int32(trips)).set(counter)
	}
	f.begin(wasm.OpLoop, params, results)
	l := label{types: params}
	switch {
	case counts:
		l.kind = forbidden
	case f.src.chance(100):
		l.kind = backward
	default:
		f.burn(1)
	}
	f.labels = append(f.labels, l)
	f.dropAll(params)
	f.statements(f.src.below(4))
	f.again(l, counter)
	f.exprs(results)
	f.labels = f.labels[:len(f.labels)-1]
	f.op(wasm.OpEnd)
}

// again writes the branch at the end of a loop.
func (f *body) again(l label, counter uint32) {
	switch {
	case l.kind == forbidden:
	case f.src.chance(90):
		f.always(l)
		return
	case !f.src.chance(170):
		return
	}
	f.exprs(l.types)
	switch l.kind {
	case forbidden:
		f.get(counter).i32(1).op(wasm.OpI32Sub).index(wasm.OpLocalTee, counter)
	case backward:
		f.burn(1)
		f.condition()
	default:
		f.condition()
	}
	f.index(wasm.OpBrIf, 0)
	f.dropAll(l.types)
}

// always writes a branch to the loop around that is always taken, behind ways
// out of the loop.
func (f *body) always(l label) {
	for range f.src.below(3) {
		f.branchIf()
	}
	f.exprs(l.types)
	if l.kind == backward {
		f.burn(1)
	}
	if f.src.chance(170) {
		f.index(wasm.OpBr, 0)
		return
	}
	f.expr(i32)
	f.index(wasm.OpBrTable, 1, 0, 0)
}

// target chooses a label to branch to, of those that fit.
func (f *body) target(fits func(label) bool) (uint32, bool) {
	var fit []uint32
	for i := range f.labels {
		if l := f.labels[len(f.labels)-1-i]; l.kind != forbidden && fits(l) {
			fit = append(fit, uint32(i))
		}
	}
	if len(fit) == 0 {
		return 0, false
	}
	return pick(&f.src, fit), true
}

func (f *body) label(depth uint32) label { return f.labels[len(f.labels)-1-int(depth)] }

func anyLabel(label) bool { return true }

// branchIf writes a branch on a condition. What it would have taken along stays
// on the stack.
func (f *body) branchIf() {
	to, _ := f.target(anyLabel) // the function's own fits always
	f.branchTo(to)
	f.dropAll(f.label(to).types)
}

func (f *body) branchTo(to uint32) {
	l := f.label(to)
	f.exprs(l.types)
	if l.kind == backward {
		f.burn(1)
	}
	f.condition()
	f.index(wasm.OpBrIf, to)
}

func (f *body) branchIfOf(t wasm.ValType) bool {
	to, ok := f.target(func(l label) bool { return slices.Contains(l.types, t) })
	if !ok {
		return false
	}
	f.branchTo(to)
	f.keep(f.label(to).types, t)
	return true
}

// diverge writes what the code after it cannot be reached from, and some of
// that code.
func (f *body) diverge() {
	switch k := f.src.below(8); {
	case k == 0:
		f.exprs(f.self.Results)
		f.op(wasm.OpReturn)
	case k == 1 && f.src.chance(60):
		f.op(wasm.OpUnreachable)
	case k == 2 && f.g.opts.Proposals && f.tailCall():
	case k < 5:
		to, _ := f.target(anyLabel)
		l := f.label(to)
		f.exprs(l.types)
		if l.kind == backward {
			f.burn(1)
		}
		f.index(wasm.OpBr, to)
	default:
		f.branchTable()
	}
	if f.src.chance(60) {
		f.statement()
	}
	if f.src.chance(60) {
		f.instruction(pick(&f.src, operations[pick(&f.src, []wasm.ValType{i32, i64})]))
		f.op(opDrop)
	}
}

// branchTable writes a branch to one of several labels of the same types.
func (f *body) branchTable() {
	to, _ := f.target(anyLabel)
	types := f.label(to).types
	burns := false
	choose := func() uint32 {
		to, _ := f.target(func(l label) bool { return slices.Equal(l.types, types) })
		burns = burns || f.label(to).kind == backward
		return to
	}
	labels := make([]uint32, f.src.below(6))
	for i := range labels {
		labels[i] = choose()
	}
	otherwise := choose()
	f.exprs(types)
	if burns {
		f.burn(1)
	}
	f.expr(i32)
	if f.src.chance(170) {
		f.i32(7).op(wasm.OpI32And)
	}
	f.index(wasm.OpBrTable, append([]uint32{uint32(len(labels))}, labels...)...)
	f.b = wasm.AppendUint32(f.b, otherwise)
}

// dispatch writes blocks within each other and a branch out of one of them, as
// a switch is compiled.
func (f *body) dispatch() {
	cases := 1 + f.src.below(5)
	for range cases {
		f.begin(wasm.OpBlock, nil, nil)
		f.labels = append(f.labels, label{})
	}
	f.expr(i32)
	f.i32(int32(cases)).op(0x70) // rem_u
	labels := []uint32{uint32(cases)}
	for i := range cases {
		labels = append(labels, uint32(i))
	}
	f.index(wasm.OpBrTable, append(labels, 0)...)
	for range cases {
		f.labels = f.labels[:len(f.labels)-1]
		f.op(wasm.OpEnd)
		f.statements(f.src.below(2))
	}
}

// tailCall calls a function in place of this one.
func (f *body) tailCall() bool {
	i, ok := f.callable(func(c *function) bool {
		return slices.Equal(c.Results, f.self.Results) && !c.host && c.wasi == ""
	})
	if !ok {
		return false
	}
	callee := &f.g.funcs[i]
	f.exprs(callee.Params)
	if f.g.slots[i] != noSlot && f.g.tableTypes[0].Elem == wasm.FuncRef && f.src.chance(128) {
		f.tableIndex(i)
		f.index(wasm.OpReturnCallIndirect, callee.index, 0)
		return true
	}
	f.index(wasm.OpReturnCall, uint32(i))
	return true
}
