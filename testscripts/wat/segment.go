package wat

import (
	"slices"

	"github.com/waxosuit/waxo/wapc/wasm"
)

// expression assembles what is left of a list as a constant expression.
func (a *assembler) expression(c *cursor) []byte {
	f := &code{a: a}
	f.all(c)
	return append(f.b, byte(wasm.OpEnd))
}

// offset assembles where a segment is put.
func (a *assembler) offset(c *cursor) []byte {
	if c.nextIs("offset") {
		o := c.open()
		o.word()
		return a.expression(o)
	}
	return a.expression(&cursor{at: c.at, rest: []node{*c.next()}})
}

// zero is the offset of a segment that a table or a memory brings along.
func zero() []byte { return []byte{byte(wasm.OpI32Const), 0, byte(wasm.OpEnd)} }

// table assembles a table: by its limits, or by what is in it.
func (a *assembler) table(c *cursor, index uint32) {
	if c.nextIsIndex() {
		l := limits(c)
		a.m.Tables = append(a.m.Tables, wasm.TableType{Elem: refType(c.next()), Limits: l})
		return
	}
	t := refType(c.next())
	if !c.nextIs("elem") {
		c.at.fail("the limits of the table, or (elem ...), are missing")
	}
	items := c.open()
	items.word()
	e := wasm.Element{Table: index, Offset: zero(), Type: t}
	if items.nextIsList() {
		a.exprs(items, &e)
	} else {
		a.funcs(items, &e)
	}
	n := uint64(len(e.Funcs) + len(e.Exprs))
	a.m.Tables = append(a.m.Tables, wasm.TableType{Elem: t, Limits: wasm.Limits{Min: n, Max: n, HasMax: true}})
	a.addElement(e, active)
}

// memory assembles a memory: by its limits, or by what is in it.
func (a *assembler) memory(c *cursor, index uint32) {
	if !c.nextIs("data") {
		a.m.Memories = append(a.m.Memories, limits(c))
		return
	}
	d := c.open()
	d.word()
	data := wasm.Data{Memory: index, Offset: zero(), Init: text(d)}
	if index != 0 {
		data.Form = 2
	}
	const page = 64 << 10
	pages := uint64(len(data.Init)+page-1) / page
	a.m.Memories = append(a.m.Memories, wasm.Limits{Min: pages, Max: pages, HasMax: true})
	a.m.Data = append(a.m.Data, data)
}

// text reads the strings that are left.
func text(c *cursor) []byte {
	var b []byte
	for len(c.rest) > 0 {
		b = append(b, c.string()...)
	}
	return b
}

func (a *assembler) data(c *cursor) {
	c.name()
	d := wasm.Data{Form: 1}
	if c.nextIs("memory") {
		m := c.open()
		m.word()
		d.Memory = a.externs[wasm.KindMemory].index(m.next())
		m.end()
		if !c.nextIsList() {
			c.at.fail("the offset is missing behind this")
		}
	}
	if c.nextIsList() {
		d.Form, d.Offset = 0, a.offset(c)
		if d.Memory != 0 {
			d.Form = 2
		}
	}
	d.Init = text(c)
	a.m.Data = append(a.m.Data, d)
}

// The modes of an element segment, as the bits of its form say them.
const (
	active  = 0
	passive = 1
	declare = 3
)

func (a *assembler) elem(c *cursor) {
	c.name()
	e, mode := wasm.Element{Type: wasm.FuncRef}, uint32(passive)
	switch {
	case c.take("declare"):
		mode = declare
	case c.nextIsList():
		mode = active
		if c.nextIs("table") {
			t := c.open()
			t.word()
			e.Table = a.externs[wasm.KindTable].index(t.next())
			t.end()
		}
		e.Offset = a.offset(c)
	}
	switch {
	case c.take("func"), mode == active && (len(c.rest) == 0 || c.nextIsIndex()):
		a.funcs(c, &e)
	default:
		e.Type = refType(c.next())
		a.exprs(c, &e)
	}
	a.addElement(e, mode)
}

// funcs reads the indices of functions.
func (a *assembler) funcs(c *cursor, e *wasm.Element) {
	for len(c.rest) > 0 {
		e.Funcs = append(e.Funcs, a.externs[wasm.KindFunc].index(c.next()))
	}
}

// exprs reads expressions that give references.
func (a *assembler) exprs(c *cursor, e *wasm.Element) {
	onlyFuncs := e.Type == wasm.FuncRef
	for len(c.rest) > 0 {
		var expr []byte
		if c.nextIs("item") {
			item := c.open()
			item.word()
			expr = a.expression(item)
		} else {
			expr = a.expression(&cursor{at: c.at, rest: []node{*c.next()}})
		}
		e.Exprs = append(e.Exprs, expr)
		onlyFuncs = onlyFuncs && expr[0] == byte(wasm.OpRefFunc)
	}
	if !onlyFuncs {
		return
	}
	// A list of functions is shorter, and means the same.
	for _, expr := range e.Exprs {
		index, n, err := wasm.Uint32(expr[1:])
		if err != nil || 1+n+1 != len(expr) {
			e.Funcs = nil
			return
		}
		e.Funcs = append(e.Funcs, index)
	}
	e.Exprs = nil
}

// addElement gives a segment the form that says what it holds.
func (a *assembler) addElement(e wasm.Element, mode uint32) {
	const withTable, withExprs = 2, 4
	e.Form = mode
	if len(e.Exprs) > 0 || e.Type != wasm.FuncRef {
		e.Form |= withExprs
	}
	if mode == active && (e.Table != 0 || e.Type != wasm.FuncRef) {
		e.Form |= withTable
	}
	e.Exprs = slices.Clip(e.Exprs)
	a.m.Elements = append(a.m.Elements, e)
}
