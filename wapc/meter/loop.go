package meter

import (
	"slices"

	"github.com/waxosuit/waxo/wapc/wasm"
)

// A call inside of a loop makes the compiler keep the loop's values in memory,
// even if it comes once in a thousand turns. So a loop that calls nothing is
// left for the call, and begun again:
//
//	block $exit
//	  loop $again
//	    block $empty
//	      loop ... br_if $empty, if the counter is used up; br 0 ... end
//	      br $exit
//	    end
//	    call $refill
//	    br $again
//	  end
//	end
const wrapping = 3 // blocks around the loop

// loop is what is known of a loop from the first reading.
type loop struct {
	calls bool // something, or is charged with a call; so do all loops around it
	back  bool // a branch turns to it
}

func (l loop) wrap() bool { return l.back && !l.calls }

// maxTurns is to how many loops a br_table may turn for each to be charged when
// it does; else it is charged before it branches.
const maxTurns = 4

// loops finds out about the loops of a function.
type loops struct {
	all    []loop // in the order of the code
	open   []int  // for each open block, its index in all; negative if it is no loop
	inside []int  // those that are open
	labels []uint32
	turns  []uint32 // labels of loops
}

func (l *loops) see(in wasm.Instr, code []byte) {
	switch in.Op {
	case wasm.OpBlock, wasm.OpIf:
		l.open = append(l.open, -1)
	case wasm.OpLoop:
		l.open = append(l.open, len(l.all))
		l.inside = append(l.inside, len(l.all))
		l.all = append(l.all, loop{})
	case wasm.OpEnd:
		if len(l.open) == 0 {
			return // the function's own
		}
		if l.open[len(l.open)-1] >= 0 {
			l.inside = l.inside[:len(l.inside)-1]
		}
		l.open = l.open[:len(l.open)-1]
	case wasm.OpBr, wasm.OpBrIf:
		if target := l.target(in.Index); target != nil {
			target.back = true
		}
	case wasm.OpBrTable:
		if len(l.inside) == 0 {
			return
		}
		l.table(in, code)
	case wasm.OpCall, wasm.OpCallIndirect, wasm.OpMemoryGrow, wasm.OpTableGrow, wasm.OpMemoryFill,
		wasm.OpMemoryCopy, wasm.OpMemoryInit, wasm.OpTableFill, wasm.OpTableCopy, wasm.OpTableInit:
		l.call()
	}
}

// call notes that the loops that are open call something.
func (l *loops) call() {
	for _, i := range slices.Backward(l.inside) {
		if l.all[i].calls {
			break // and those around it, or each call would see all of them
		}
		l.all[i].calls = true
	}
}

// table notes where a br_table leads.
func (l *loops) table(in wasm.Instr, code []byte) {
	l.labels = in.AppendLabels(l.labels[:0], code)
	l.turns = l.turns[:0]
	for _, label := range l.labels {
		if target := l.target(label); target != nil {
			target.back = true
			l.turns = addTurn(l.turns, label)
		}
	}
	if len(l.turns) > maxTurns {
		l.call()
	}
}

// addTurn adds a label that is not among turns, up to one more than there may be.
func addTurn(turns []uint32, label uint32) []uint32 {
	if len(turns) > maxTurns || slices.Contains(turns, label) {
		return turns
	}
	return append(turns, label)
}

// target returns the loop that a label stands for.
func (l *loops) target(label uint32) *loop {
	at := len(l.open) - 1 - int(label)
	if at < 0 || l.open[at] < 0 {
		return nil
	}
	return &l.all[l.open[at]]
}

// beginLoop writes the beginning of a loop that is wrapped.
func (w *writer) beginLoop(in wasm.Instr) {
	w.copy(in.Start)
	typ := w.code[in.Imm:in.End]
	w.out = append(append(w.out, byte(wasm.OpBlock)), typ...)
	w.out = append(append(w.out, byte(wasm.OpLoop)), typ...)
	w.out = append(w.out, byte(wasm.OpBlock), emptyBlock)
	w.shift += wrapping
}

// endLoop writes the end of a loop that is wrapped.
func (w *writer) endLoop(in wasm.Instr) {
	w.copy(in.End)
	w.out = append(w.out, byte(wasm.OpBr), wrapping-1, byte(wasm.OpEnd), byte(wasm.OpCall))
	w.out = wasm.AppendUint32(w.out, w.p.refill)
	w.out = append(w.out, byte(wasm.OpBr), 0, byte(wasm.OpEnd), byte(wasm.OpEnd))
	w.shift -= wrapping
}

// turn writes, in the place of a br or br_if to a loop, the charge and a br to
// the loop. A br_if is charged only if it is taken: as "if, charge, br, end".
func (w *writer) turn(in wasm.Instr, f *frame, units int) {
	label := w.relabel(in.Index, f)
	w.copy(in.Start)
	if in.Op == wasm.OpBrIf {
		w.out = append(w.out, byte(wasm.OpIf), emptyBlock)
		label++
	}
	w.turnTo(f, label, units)
	if in.Op == wasm.OpBrIf {
		w.out = append(w.out, byte(wasm.OpEnd))
	}
	w.copied = in.End
}

// turnTable writes, in the place of a br_table to loops and other blocks, one
// that leads from loops to a charge and a br to the loop, for each of them:
//
//	local.set $scratch block local.get $scratch br_table ... end charge br $loop
func (w *writer) turnTable(in wasm.Instr) {
	w.forward(in)
	w.copy(in.Start)
	w.scratch = true
	w.out = wasm.AppendUint32(append(w.out, byte(wasm.OpLocalSet)), w.local)
	for range w.turns {
		w.out = append(w.out, byte(wasm.OpBlock), emptyBlock)
	}
	w.out = wasm.AppendUint32(append(w.out, byte(wasm.OpLocalGet)), w.local)
	w.out = wasm.AppendUint32(append(w.out, byte(wasm.OpBrTable)), uint32(len(w.labels)-1))
	for _, label := range w.labels {
		to := slices.Index(w.turns, label)
		if to < 0 {
			to = int(w.relabel(label, w.target(label))) + len(w.turns)
		}
		w.out = wasm.AppendUint32(w.out, uint32(to))
	}
	for i, label := range w.turns {
		w.out = append(w.out, byte(wasm.OpEnd))
		f := w.target(label)
		w.turnTo(f, w.relabel(label, f)+uint32(len(w.turns)-1-i), w.debt+w.bases-f.bases+chargeWeight)
	}
	w.copied = in.End
}

// turnTo writes a charge and a br to a loop, which has that label here.
func (w *writer) turnTo(f *frame, label uint32, units int) {
	if f.wrapped {
		w.out = w.appendUsedUp(w.out, units)
		w.out = wasm.AppendUint32(append(w.out, byte(wasm.OpBrIf)), label+1)
	} else {
		w.out = w.appendCharge(w.out, units)
	}
	w.out = wasm.AppendUint32(append(w.out, byte(wasm.OpBr)), label)
}

// relabel gives a label's new number.
func (w *writer) relabel(label uint32, f *frame) uint32 { return label + uint32(w.shift-f.shift) }

// relabelAll writes the labels of a branch anew, if wrapped loops have moved
// them.
func (w *writer) relabelAll(in wasm.Instr) {
	if w.shift == 0 && in.Op != wasm.OpBr { // a br may have been led elsewhere
		return
	}
	w.copy(in.Imm)
	if in.Op == wasm.OpBrTable {
		w.out = wasm.AppendUint32(w.out, uint32(len(w.labels)-1))
	}
	for _, label := range w.labels {
		w.out = wasm.AppendUint32(w.out, w.relabel(label, &w.frames[len(w.frames)-1-int(label)]))
	}
	w.copied = in.End
}
