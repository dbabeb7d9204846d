package meter

import "github.com/waxosuit/waxo/wapc/wasm"

// Go compiles a function with jumps to a loop around nested blocks, at whose
// head a br_table leads to where a local variable says; a jump sets that
// variable and branches to the loop. A jump forward is no turn of a loop, so it
// need not pay, and where it leads is known: it can branch there at once, which
// more than makes up for what metering costs.

// dispatch is what is known of a loop that begins with such a br_table.
type dispatch struct {
	known    bool
	local    uint32 // that it goes by
	from, to int    // its labels in the writer's places; the last is the default
}

// noteDispatch notes a br_table at the head of a loop: after nothing but the
// beginnings of blocks without values and the reading of a local variable.
func (w *writer) noteDispatch() {
	if w.run.N == 0 {
		return
	}
	at, number := len(w.frames)-1, w.number-2 // of the instruction before the reading of the variable
	for at > 0 && w.frames[at].empty && w.frames[at].op == wasm.OpBlock && w.frames[at].number == number {
		at, number = at-1, number-1
	}
	loop := &w.frames[at]
	if loop.op != wasm.OpLoop || loop.params || loop.number != number {
		return
	}
	local, ok := w.variable(w.run.Last, wasm.OpLocalGet)
	if !ok {
		return
	}
	loop.dispatch = dispatch{known: true, local: local, from: len(w.places)}
	for _, label := range w.labels {
		w.places = append(w.places, len(w.frames)-1-int(label)) // negative if there is no such label
	}
	loop.dispatch.to = len(w.places)
}

// thread returns the label of the block to whose end a br leads by way of such
// a br_table. It returns the br's own label if that is unknown, or not forward.
func (w *writer) thread(in wasm.Instr) uint32 {
	at := len(w.frames) - 1 - int(in.Index)
	if at <= 0 {
		return in.Index
	}
	loop := &w.frames[at]
	d := loop.dispatch
	if !d.known || w.run.N < 2 || wasm.Opcode(w.code[w.run.Before]) != wasm.OpI32Const {
		return in.Index
	}
	if local, ok := w.variable(w.run.Last, wasm.OpLocalSet); !ok || local != d.local {
		return in.Index
	}
	value, _, err := wasm.Int32(w.code[w.run.Before+1 : w.run.Last])
	if err != nil {
		return in.Index
	}
	place := w.places[min(uint64(uint32(value))+uint64(d.from), uint64(d.to-1))]
	if place <= at || place >= len(w.frames) || w.frames[place].number != loop.number+place-at {
		return in.Index // the loop again, or a block that has ended
	}
	return uint32(len(w.frames) - 1 - place)
}

// variable returns the local variable of the instruction at an offset, if it is
// of that kind.
func (w *writer) variable(at int, op wasm.Opcode) (local uint32, ok bool) {
	local, _, err := wasm.Uint32(w.code[at+1:])
	return local, err == nil && wasm.Opcode(w.code[at]) == op
}
