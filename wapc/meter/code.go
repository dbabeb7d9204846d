package meter

import (
	"fmt"

	"github.com/waxosuit/waxo/wapc/wasm"
)

// Bounds on debts, in units.
const (
	maxStretch = 2000 // of straight code: it pays then
	maxOwed    = 250  // of a function at its end to its caller
	maxKept    = 1000 // of a function while it calls
	maxHeld    = 4000 // of all frames of a chain of calls, none of which has paid
)

// What some instructions cost.
const (
	chargeWeight = 4 // of a charge itself, where it comes often
	callWeight   = 8
	hostWeight   = 100 // of a call of the host's
	slowWeight   = 8   // divisions, square roots
	bulkWeight   = 64
	growWeight   = 500
	freeLocals   = 100
	maxLocals    = 1 << 20 // that count; more take more memory than there is
)

func weight(op wasm.Opcode) int {
	switch op {
	case wasm.OpCall, wasm.OpReturnCall, wasm.OpCallIndirect, wasm.OpReturnCallIndirect:
		return callWeight
	case wasm.OpMemoryFill, wasm.OpMemoryCopy, wasm.OpMemoryInit, wasm.OpTableInit, wasm.OpTableCopy, wasm.OpTableFill,
		wasm.OpRefFunc: // which leaves compiled code
		return bulkWeight
	}
	switch {
	case op >= wasm.OpI32DivS && op <= wasm.OpI32RemU, op >= wasm.OpI64DivS && op <= wasm.OpI64RemU,
		op == wasm.OpF32Sqrt, op == wasm.OpF64Sqrt, op == wasm.OpF32Div, op == wasm.OpF64Div:
		return slowWeight
	}
	return 1
}

// frame is a block that is open.
type frame struct {
	op       wasm.Opcode // OpBlock for the function itself
	live     bool        // its beginning can be reached
	params   bool        // of a loop: branches to it carry values
	in       int         // dearest path to its end so far; none if negative
	start    int         // debt where an if began, and its else begins
	base     int         // debt where a loop began; inside, debts count from its head
	bases    int         // of this and all loops around it
	number   int         // of its instruction
	empty    bool        // it has no values
	dispatch dispatch    // of a loop
	wrapped  bool        // a loop in three blocks more
	shift    int         // so many blocks more are open inside of it
}

// writer rewrites one function after the other.
type writer struct {
	g        *graph
	p        *parts
	out      []byte // of all functions
	usedUp   []byte // of a charge, what takes the units off the counter and tells whether it is used up
	ifRefill []byte // of a charge, what refills the counter then
	code     []byte // of the function being read
	copied   int    // so much of it is in out
	self     *node
	frames   []frame
	live     bool   // the instruction can be reached
	debt     int    // on the dearest path since the innermost loop's head, or since it was paid
	bases    int    // of all open loops
	left     int    // dearest path to the function's end
	local    uint32 // the function's local for lengths and labels; its type is added if it is used
	scratch  bool
	labels   []uint32
	turns    []uint32 // of these, the labels of loops, each once, but not more than maxTurns and one
	number   int      // of the instruction
	run      wasm.Run // before it
	loop     int      // how many have been read
	shift    int      // so many blocks more than there were are open
	places   []int    // in frames, of the labels of dispatches
}

// rewriteCode rewrites all functions, on all cores.
func rewriteCode(g *graph, p *parts) error {
	code := make([]wasm.Body, len(g.m.Code))
	err := each(g.functions, func() func(int) error {
		w := &writer{g: g, p: p}
		w.usedUp = wasm.AppendUint32([]byte{byte(wasm.OpI32Sub), byte(wasm.OpGlobalSet)}, p.counter)
		w.usedUp = wasm.AppendUint32(append(w.usedUp, byte(wasm.OpGlobalGet)), p.counter)
		w.usedUp = append(w.usedUp, byte(wasm.OpI32Const), 0, byte(wasm.OpI32LtS))
		w.ifRefill = wasm.AppendUint32([]byte{byte(wasm.OpIf), emptyBlock, byte(wasm.OpCall)}, p.refill)
		w.ifRefill = append(w.ifRefill, byte(wasm.OpEnd))
		return func(i int) error {
			body, err := w.function(i)
			if err != nil {
				return g.codeError(i, err)
			}
			code[i] = body
			return nil
		}
	})
	if err != nil {
		return err
	}
	g.m.Code = code
	return nil
}

const (
	emptyBlock = 0x40
	arenaSize  = 512 << 10
	maxEntry   = 64 // bytes of the charge at the beginning of a function
)

// function rewrites a function.
func (w *writer) function(i int) (wasm.Body, error) {
	body := w.g.m.Code[i]
	if need := 2*len(body.Code) + maxEntry; cap(w.out)-len(w.out) < need {
		w.out = make([]byte, 0, max(need, arenaSize))
	}
	w.reset(i)
	start := len(w.out)
	w.out = w.out[:start+maxEntry] // room for the charge, whose size is known at the end
	r := wasm.NewReader(body.Code)
	for {
		w.run = r.Plain(maxStretch - w.debt)
		w.number += w.run.N + 1
		if w.live {
			w.debt += w.run.N
		}
		in, ok := r.Next()
		if !ok {
			break
		}
		if err := w.instruction(in); err != nil {
			return body, fmt.Errorf("at offset %d: %w", in.Start, err)
		}
	}
	if err := r.Err(); err != nil {
		return body, err
	}
	w.copy(len(w.code))
	if w.self.pays {
		entry := w.appendCharge(nil, max(w.left, maxOwed/4)+chargeWeight)
		start += maxEntry - len(entry)
		copy(w.out[start:], entry)
	} else {
		start += maxEntry
	}
	body.Code = w.out[start:len(w.out):len(w.out)]
	if w.scratch {
		if err := w.checkLocals(); err != nil {
			return body, err
		}
		body.Locals = append(body.Locals[:len(body.Locals):len(body.Locals)], wasm.Locals{Count: 1, Type: wasm.I32})
	}
	return body, nil
}

// clearing is what it costs to clear a function's local variables. An interpreter
// does so one by one; what most functions have costs too little to count.
func clearing(locals []wasm.Locals) int {
	n := 0
	for _, l := range locals {
		n += int(min(l.Count, maxLocals))
	}
	return max(0, min(n, maxLocals)-freeLocals)
}

func (w *writer) reset(i int) {
	w.local = uint32(len(w.g.m.Types[w.g.m.Funcs[i]].Params))
	for _, l := range w.g.m.Code[i].Locals {
		w.local += l.Count
	}
	w.code, w.copied, w.self = w.g.m.Code[i].Code, 0, &w.g.nodes[i]
	w.frames = append(w.frames[:0], frame{op: wasm.OpBlock, live: true, in: -1})
	w.live, w.debt, w.bases, w.left, w.scratch = true, clearing(w.g.m.Code[i].Locals), 0, 0, false
	w.number, w.loop, w.shift, w.places = 0, 0, 0, w.places[:0]
}

// copy copies the code up to an offset.
func (w *writer) copy(to int) {
	w.out = append(w.out, w.code[w.copied:to]...)
	w.copied = to
}

// charge writes a charge before the offset.
func (w *writer) charge(at, units int) {
	w.copy(at)
	w.out = w.appendCharge(w.out, units)
}

// appendCharge appends a charge. It leaves the stack as it is.
func (w *writer) appendCharge(b []byte, units int) []byte {
	return append(w.appendUsedUp(b, units), w.ifRefill...)
}

// appendUsedUp appends a charge that leaves on the stack whether the counter is
// used up.
func (w *writer) appendUsedUp(b []byte, units int) []byte {
	b = wasm.AppendUint32(append(b, byte(wasm.OpGlobalGet)), w.p.counter)
	b = wasm.AppendInt64(append(b, byte(wasm.OpI32Const)), int64(units))
	return append(b, w.usedUp...)
}

// pay pays the debt before the offset.
func (w *writer) pay(at int) {
	if w.debt > 0 {
		w.charge(at, w.debt)
		w.debt = 0
	}
}

func (w *writer) instruction(in wasm.Instr) error {
	if w.live {
		w.debt += weight(in.Op)
		if w.debt > maxStretch {
			w.pay(in.Start)
		}
	}
	switch in.Op {
	case wasm.OpBlock, wasm.OpLoop, wasm.OpIf:
		w.enter(in)
	case wasm.OpElse:
		return w.otherwise()
	case wasm.OpEnd:
		w.end(in)
	case wasm.OpBr, wasm.OpBrIf, wasm.OpBrTable:
		return w.branch(in)
	case wasm.OpReturn, wasm.OpUnreachable:
		if w.live && in.Op == wasm.OpReturn {
			w.leave(in.Start)
		}
		w.live = false
	case wasm.OpCall, wasm.OpReturnCall, wasm.OpCallIndirect, wasm.OpReturnCallIndirect, wasm.OpRefFunc:
		w.call(in)
	default:
		w.bulk(in)
	}
	return nil
}

// enter opens a block.
func (w *writer) enter(in wasm.Instr) {
	f := frame{op: in.Op, live: w.live, in: -1, start: w.debt, number: w.number, empty: w.code[in.Imm] == emptyBlock}
	if in.Op == wasm.OpLoop {
		l := w.self.loops[w.loop]
		w.loop++
		params := w.hasParams(in)
		if w.live {
			if w.debt+w.bases > maxOwed/2 {
				w.pay(in.Start)
			}
			if f.wrapped = l.wrap() && !params; f.wrapped {
				w.beginLoop(in)
			}
			f.params, f.base = params, w.debt
			w.bases += f.base
			w.debt = 0
		}
	}
	f.shift = w.shift
	f.bases = w.bases
	w.frames = append(w.frames, f)
}

// hasParams tells whether a block takes values.
func (w *writer) hasParams(in wasm.Instr) bool {
	index, ok := blockType(in, w.code)
	return ok && len(w.g.m.Types[index].Params) > 0
}

func (w *writer) otherwise() error {
	f := &w.frames[len(w.frames)-1]
	if f.op != wasm.OpIf {
		return fmt.Errorf("%w: an else without an if", wasm.ErrMalformed)
	}
	if w.live {
		f.in = max(f.in, w.debt)
	}
	f.op, w.live, w.debt = wasm.OpElse, f.live, f.start
	return nil
}

// end closes a block.
func (w *writer) end(in wasm.Instr) {
	f := &w.frames[len(w.frames)-1]
	if len(w.frames) == 1 {
		if w.live {
			w.leave(in.Start)
		}
		return
	}
	w.frames = w.frames[:len(w.frames)-1]
	if f.op == wasm.OpLoop {
		if f.wrapped {
			w.endLoop(in)
		}
		w.bases -= f.base
		w.debt += f.base
		return
	}
	if w.live {
		f.in = max(f.in, w.debt)
	}
	if f.op == wasm.OpIf && f.live {
		f.in = max(f.in, f.start)
	}
	w.live, w.debt = f.in >= 0, max(f.in, 0)
}

// leave pays, at the function's end or before a return, what is too much for
// the caller.
func (w *writer) leave(at int) {
	if total := w.debt + w.bases; total > maxOwed {
		w.charge(at, total)
	} else {
		w.left = max(w.left, total)
	}
}

func (w *writer) branch(in wasm.Instr) error {
	switch {
	case in.Op == wasm.OpBrTable:
		w.labels = in.AppendLabels(w.labels[:0], w.code)
	case in.Op == wasm.OpBr && w.live:
		w.labels = append(w.labels[:0], w.thread(in))
	default:
		w.labels = append(w.labels[:0], in.Index)
	}
	back, params, total := false, false, w.debt // whether it may turn to a loop, with values; what is due then
	var f *frame
	w.turns = w.turns[:0]
	for _, label := range w.labels {
		if uint64(label) >= uint64(len(w.frames)) {
			return missing("label", uint64(label))
		}
		if f = w.target(label); f.op == wasm.OpLoop {
			back, total, params = true, max(total, w.debt+w.bases-f.bases), params || f.params
			w.turns = addTurn(w.turns, label)
		}
	}
	switch {
	case !w.live:
		w.relabelAll(in)
		return nil
	case in.Op == wasm.OpBrTable:
		w.noteDispatch()
		if back && !params && len(w.turns) <= maxTurns {
			w.turnTable(in)
			w.live = false
			return nil
		}
	case back && !f.params:
		w.turn(in, f, total+chargeWeight)
		w.live = in.Op == wasm.OpBrIf
		return nil
	}
	if back {
		w.charge(in.Start, total+chargeWeight)
		w.debt = 0
	}
	w.forward(in)
	w.relabelAll(in)
	w.live = in.Op == wasm.OpBrIf
	return nil
}

// target returns the frame that a label names.
func (w *writer) target(label uint32) *frame { return &w.frames[len(w.frames)-1-int(label)] }

// forward carries the debt to where a branch leads.
func (w *writer) forward(in wasm.Instr) {
	for _, label := range w.labels {
		f := w.target(label)
		bases := w.bases - f.bases // of the loops that the branch leaves
		switch {
		case f == &w.frames[0]:
			if w.debt+bases > maxOwed {
				w.pay(in.Start)
			}
			w.left = max(w.left, w.debt+bases)
		case f.op != wasm.OpLoop:
			f.in = max(f.in, w.debt+bases)
		}
	}
}

// call charges where a call must be, and shifts function indexes.
func (w *writer) call(in wasm.Instr) {
	if in.Op == wasm.OpCall && in.Index < w.g.imported && w.live {
		w.debt += hostWeight
	}
	if to, ok := w.g.callee(in); ok && w.live {
		callee := &w.g.nodes[to]
		w.debt += callee.owed()
		indirect := w.self.indirect && (in.Op == wasm.OpCallIndirect || in.Op == wasm.OpReturnCallIndirect)
		if indirect || len(callee.calls) > 0 && w.debt+w.bases > maxKept {
			w.pay(in.Start)
		}
	}
	if in.Op == wasm.OpReturnCall || in.Op == wasm.OpReturnCallIndirect {
		if w.live {
			w.leave(in.Start)
		}
		w.live = false
	}
	if in.RefersToFunc() {
		w.copy(in.Imm)
		w.out = wasm.AppendUint32(w.out, w.p.shift(in.Index))
		w.copied = in.End
	}
}

// bulk makes a bulk operation pay by its length.
func (w *writer) bulk(in wasm.Instr) {
	if !w.live {
		return
	}
	switch in.Op {
	case wasm.OpMemoryGrow:
		if in.Index != 0 {
			return // for the engine to refuse
		}
		w.replace(in, w.p.grow)
	case wasm.OpTableGrow:
		w.replace(in, w.p.tables[in.Index])
	case wasm.OpMemoryFill:
		w.long(in, w.p.bulk, w.p.fill)
	case wasm.OpMemoryCopy:
		w.long(in, w.p.bulk, w.p.copy)
	case wasm.OpMemoryInit:
		w.longCharge(in, smallBulk)
	case wasm.OpTableInit, wasm.OpTableCopy, wasm.OpTableFill:
		w.longCharge(in, smallBulk/elementSize)
	}
}

// replace writes a call in the place of an instruction.
func (w *writer) replace(in wasm.Instr, f uint32) {
	w.copy(in.Start)
	w.out = wasm.AppendUint32(append(w.out, byte(wasm.OpCall)), f)
	w.copied = in.End
}

// long writes, before a bulk operation, a call for those that are long, which
// takes the three operands and leaves what remains to be done.
func (w *writer) long(in wasm.Instr, block, f uint32) {
	w.ifLong(in, smallBulk)
	w.out = wasm.AppendInt64(append(w.out, byte(wasm.OpIf)), int64(block))
	w.out = wasm.AppendUint32(append(w.out, byte(wasm.OpCall)), f)
	w.out = append(w.out, byte(wasm.OpEnd))
}

// longCharge writes, before a bulk operation, a charge for those that are long.
func (w *writer) longCharge(in wasm.Instr, small int64) {
	w.ifLong(in, small)
	w.out = append(w.out, byte(wasm.OpIf), emptyBlock)
	w.out = wasm.AppendUint32(append(w.out, byte(wasm.OpLocalGet)), w.local)
	w.out = wasm.AppendUint32(append(w.out, byte(wasm.OpCall)), w.p.long)
	w.out = append(w.out, byte(wasm.OpEnd))
}

// ifLong tells whether the length on the stack is that of a long operation.
func (w *writer) ifLong(in wasm.Instr, small int64) {
	w.copy(in.Start)
	w.scratch = true
	w.out = wasm.AppendUint32(append(w.out, byte(wasm.OpLocalTee)), w.local)
	w.out = wasm.AppendUint32(append(w.out, byte(wasm.OpLocalGet)), w.local)
	w.out = wasm.AppendInt64(append(w.out, byte(wasm.OpI32Const)), small)
	w.out = append(w.out, byte(wasm.OpI32GtU))
}
