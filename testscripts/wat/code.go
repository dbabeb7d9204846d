package wat

import (
	"encoding/binary"
	"math/bits"
	"slices"

	"github.com/waxosuit/waxo/wapc/wasm"
)

const (
	opSelectTyped wasm.Opcode = 0x1c
	emptyBlock    byte        = 0x40
)

// code assembles instructions.
type code struct {
	a      *assembler
	b      []byte
	locals space
	labels []string // of the blocks around, innermost last; "" has no name
}

// function assembles a function that the module defines.
func (a *assembler) function(c *cursor) {
	index, _, names := a.typeUse(c)
	f := &code{a: a, locals: space{what: "local"}}
	for _, name := range names {
		f.locals.declare(c.at, name)
	}
	var body wasm.Body
	for c.nextIs("local") {
		l := c.open()
		l.word()
		if name := l.name(); name != "" {
			f.local(l, name, &body)
			l.end()
		}
		for len(l.rest) > 0 {
			f.local(l, "", &body)
		}
	}
	f.all(c)
	body.Code = append(f.b, byte(wasm.OpEnd))
	a.m.Funcs = append(a.m.Funcs, index)
	a.m.Code = append(a.m.Code, body)
}

// local declares a local variable.
func (f *code) local(c *cursor, name string, body *wasm.Body) {
	t := valType(c.next())
	f.locals.declare(c.at, name)
	if n := len(body.Locals); n > 0 && body.Locals[n-1].Type == t {
		body.Locals[n-1].Count++
		return
	}
	body.Locals = append(body.Locals, wasm.Locals{Count: 1, Type: t})
}

// all assembles everything that is left of a list.
func (f *code) all(c *cursor) {
	f.sequence(c)
	if len(c.rest) > 0 {
		c.rest[0].fail("%s without a block that it belongs to", c.rest[0].text)
	}
}

// sequence assembles instructions up to the end of a list, or of a block that
// was not opened by a parenthesis.
func (f *code) sequence(c *cursor) {
	for len(c.rest) > 0 {
		n := &c.rest[0]
		if n.kind == atom && (n.text == "end" || n.text == "else") {
			return
		}
		c.next()
		switch n.kind {
		case parens:
			f.folded(list(n))
		case atom:
			f.flat(n, c)
		default:
			n.fail("an instruction is wanted here")
		}
	}
}

func lookUp(n *node) instruction {
	i, known := instructions()[n.text]
	if !known {
		n.fail("unknown instruction %q", n.text)
	}
	return i
}

// flat assembles an instruction whose operands were put on the stack before it.
func (f *code) flat(n *node, c *cursor) {
	i := lookUp(n)
	if i.immediate != immBlock {
		f.plain(i, c)
		return
	}
	name := c.name()
	f.open(i.op, name, f.blockType(c))
	f.sequence(c)
	if i.op == wasm.OpIf && c.take("else") {
		f.again(c, name)
		// An else without instructions does not show in the module.
		mark := len(f.b)
		f.op(wasm.OpElse)
		if f.sequence(c); len(f.b) == mark+1 {
			f.b = f.b[:mark]
		}
	}
	if !c.take("end") {
		n.fail("%s without its end", n.text)
	}
	f.again(c, name)
	f.close()
}

// again reads the name of a block where it may be repeated.
func (f *code) again(c *cursor, name string) {
	if repeated := c.name(); repeated != "" && repeated != name {
		c.at.fail("the block's name is %q, not %s", name, repeated)
	}
}

// folded assembles an instruction that has its operands beside it.
func (f *code) folded(c *cursor) {
	n := c.next()
	if n.kind != atom {
		n.fail("an instruction is wanted here")
	}
	i := lookUp(n)
	if i.immediate == immBlock {
		f.foldedBlock(i.op, c)
		return
	}
	// What belongs to the instruction itself stands before the operands in the
	// text and behind them in the module.
	own := 0
	for own < len(c.rest) && (c.rest[own].kind != parens || c.rest[own].is("type") || c.rest[own].is("param") || c.rest[own].is("result")) {
		own++
	}
	self := &cursor{at: c.at, rest: c.rest[:own]}
	for c.rest = c.rest[own:]; len(c.rest) > 0; {
		f.folded(c.open())
	}
	f.plain(i, self)
	self.end()
}

func (f *code) foldedBlock(op wasm.Opcode, c *cursor) {
	name := c.name()
	t := f.blockType(c)
	if op != wasm.OpIf {
		f.open(op, name, t)
		f.all(c)
		f.close()
		return
	}
	for !c.nextIs("then") {
		f.folded(c.open())
	}
	f.open(op, name, t)
	then := c.open()
	then.word()
	f.all(then)
	if c.nextIs("else") {
		otherwise := c.open()
		otherwise.word()
		if len(otherwise.rest) > 0 {
			f.op(wasm.OpElse)
			f.all(otherwise)
		}
	}
	c.end()
	f.close()
}

func (f *code) op(op wasm.Opcode) {
	if prefix := byte(op >> 16); prefix != 0 {
		f.b = append(f.b, prefix)
		f.number(uint32(op & 0xffff))
		return
	}
	f.b = append(f.b, byte(op))
}

func (f *code) number(v uint32) { f.b = wasm.AppendUint32(f.b, v) }

func (f *code) open(op wasm.Opcode, label string, blockType []byte) {
	f.op(op)
	f.b = append(f.b, blockType...)
	f.labels = append(f.labels, label)
}

func (f *code) close() {
	f.op(wasm.OpEnd)
	f.labels = f.labels[:len(f.labels)-1]
}

// blockType reads the type of a block and encodes it.
func (f *code) blockType(c *cursor) []byte {
	if !c.nextIs("type") && !c.nextIs("param") && !c.nextIs("result") {
		return []byte{emptyBlock}
	}
	if !c.nextIs("type") {
		// The short forms need no type of the module.
		ahead := *c
		if t, _ := signature(&ahead); len(t.Params) == 0 && len(t.Results) < 2 {
			*c = ahead
			return shortType(t)
		}
	}
	index, t, _ := f.a.typeUse(c)
	if len(t.Params) == 0 && len(t.Results) < 2 {
		return shortType(t)
	}
	return wasm.AppendInt64(nil, int64(index))
}

func shortType(t wasm.FuncType) []byte {
	if len(t.Results) == 0 {
		return []byte{emptyBlock}
	}
	return []byte{byte(t.Results[0])}
}

// label reads a label: a name or a number of blocks.
func (f *code) label(n *node) uint32 {
	if !n.isName() {
		return uint32(unsigned(n, 32))
	}
	for i, name := range slices.Backward(f.labels) {
		if name == n.text {
			return uint32(len(f.labels) - 1 - i)
		}
	}
	n.fail("there is no block %s around this", n.text)
	return 0
}

// plain assembles an instruction with what belongs to it.
func (f *code) plain(i instruction, c *cursor) {
	externs := &f.a.externs
	switch i.immediate {
	case immLabel:
		f.op(i.op)
		f.number(f.label(c.next()))
	case immLabels:
		f.branchTable(c)
	case immFunc:
		f.index(i.op, &externs[wasm.KindFunc], c)
	case immLocal:
		f.index(i.op, &f.locals, c)
	case immGlobal:
		f.index(i.op, &externs[wasm.KindGlobal], c)
	case immIndirect:
		table := f.optional(&externs[wasm.KindTable], c)
		index, _, _ := f.a.typeUse(c)
		f.op(i.op)
		f.number(index)
		f.number(table)
	case immSelect:
		f.typedSelect(c)
	case immTable:
		f.op(i.op)
		f.number(f.optional(&externs[wasm.KindTable], c))
	case immMemory:
		f.op(i.op)
		f.number(f.optional(&externs[wasm.KindMemory], c))
	case immTables:
		f.op(i.op)
		f.number(f.optional(&externs[wasm.KindTable], c))
		f.number(f.optional(&externs[wasm.KindTable], c))
	case immMemories:
		f.op(i.op)
		f.number(f.optional(&externs[wasm.KindMemory], c))
		f.number(f.optional(&externs[wasm.KindMemory], c))
	case immData, immMemoryData, immElem, immTableElem:
		f.segment(i, c)
	default:
		f.op(i.op)
		f.value(i, c)
	}
}

// value assembles a constant, or where in memory.
func (f *code) value(i instruction, c *cursor) {
	switch i.immediate {
	case immAccess:
		f.access(i, c)
	case immI32:
		f.b = wasm.AppendInt64(f.b, integer(c.next(), 32))
	case immI64:
		f.b = wasm.AppendInt64(f.b, integer(c.next(), 64))
	case immF32:
		f.b = binary.LittleEndian.AppendUint32(f.b, uint32(float(c.next(), 32)))
	case immF64:
		f.b = binary.LittleEndian.AppendUint64(f.b, float(c.next(), 64))
	case immHeapType:
		switch {
		case c.take("func"):
			f.b = append(f.b, byte(wasm.FuncRef))
		case c.take("extern"):
			f.b = append(f.b, byte(wasm.ExternRef))
		default:
			c.at.fail("func or extern is missing behind this")
		}
	}
}

func (f *code) index(op wasm.Opcode, s *space, c *cursor) {
	f.op(op)
	f.number(s.index(c.next()))
}

// optional reads an index that is 0 where it is left out.
func (f *code) optional(s *space, c *cursor) uint32 {
	if c.nextIsIndex() {
		return s.index(c.next())
	}
	return 0
}

func (f *code) branchTable(c *cursor) {
	labels := []uint32{f.label(c.next())}
	for c.nextIsIndex() {
		labels = append(labels, f.label(c.next()))
	}
	f.op(wasm.OpBrTable)
	f.number(uint32(len(labels) - 1))
	for _, l := range labels {
		f.number(l)
	}
}

func (f *code) typedSelect(c *cursor) {
	if !c.nextIs("result") {
		f.op(wasm.OpSelect)
		return
	}
	t, _ := signature(c)
	f.op(opSelectTyped)
	f.number(uint32(len(t.Results)))
	for _, r := range t.Results {
		f.b = append(f.b, byte(r))
	}
}

// segment assembles an instruction on a segment, and what it copies to, which
// stands first in the text and last in the module.
func (f *code) segment(i instruction, c *cursor) {
	segments, to := &f.a.elems, &f.a.externs[wasm.KindTable]
	if i.immediate == immData || i.immediate == immMemoryData {
		segments, to = &f.a.datas, &f.a.externs[wasm.KindMemory]
		f.a.needsDataCount = true
	}
	f.op(i.op)
	first := c.next()
	if i.immediate == immData || i.immediate == immElem {
		f.number(segments.index(first))
		return
	}
	if c.nextIsIndex() {
		f.number(segments.index(c.next()))
		f.number(to.index(first))
		return
	}
	f.number(segments.index(first))
	f.number(0)
}

// access assembles the alignment and the offset of a load or a store.
func (f *code) access(i instruction, c *cursor) {
	offset, align := uint32(0), i.align
	if n, ok := f.setting(c, "offset="); ok {
		offset = uint32(unsigned(n, 32))
	}
	if n, ok := f.setting(c, "align="); ok {
		v := unsigned(n, 32)
		if bits.OnesCount64(v) != 1 {
			n.fail("an alignment is a power of two")
		}
		align = uint32(bits.TrailingZeros64(v))
	}
	f.number(align)
	f.number(offset)
}

// setting reads the number behind a word such as offset= if it is the next one.
func (f *code) setting(c *cursor, word string) (*node, bool) {
	if len(c.rest) == 0 || c.rest[0].kind != atom || len(c.rest[0].text) < len(word) || c.rest[0].text[:len(word)] != word {
		return nil, false
	}
	n := *c.next()
	n.text = n.text[len(word):]
	n.column += len(word)
	return &n, true
}
