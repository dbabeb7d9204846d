package wat

import "github.com/waxosuit/waxo/wapc/wasm"

// cursor walks the nodes of a list.
type cursor struct {
	at   position // of what was read last
	rest []node
}

// list begins to read a node that must be a list.
func list(n *node) *cursor {
	if n.kind != parens {
		n.fail("a ( is wanted here")
	}
	return &cursor{at: n.position, rest: n.list}
}

// next reads a node that must be there.
func (c *cursor) next() *node {
	if len(c.rest) == 0 {
		c.at.fail("something is missing behind this")
	}
	n := &c.rest[0]
	c.at, c.rest = n.position, c.rest[1:]
	return n
}

// nextIs tells whether a list that begins with that word follows.
func (c *cursor) nextIs(word string) bool { return len(c.rest) > 0 && c.rest[0].is(word) }

// nextIsList tells whether a list follows.
func (c *cursor) nextIsList() bool { return len(c.rest) > 0 && c.rest[0].kind == parens }

// nextIsIndex tells whether a name or a number follows.
func (c *cursor) nextIsIndex() bool {
	return len(c.rest) > 0 && (c.rest[0].isName() || c.rest[0].isNumber())
}

// take reads a word if it is the next one.
func (c *cursor) take(word string) bool {
	if len(c.rest) > 0 && c.rest[0].kind == atom && c.rest[0].text == word {
		c.next()
		return true
	}
	return false
}

// word reads a word that must be there.
func (c *cursor) word() string {
	n := c.next()
	if n.kind != atom {
		n.fail("a word is wanted here")
	}
	return n.text
}

// name reads a name such as $x if there is one.
func (c *cursor) name() string {
	if len(c.rest) > 0 && c.rest[0].isName() {
		return c.next().text
	}
	return ""
}

// string reads a string that must be there.
func (c *cursor) string() string {
	n := c.next()
	if n.kind != quoted {
		n.fail("a string is wanted here")
	}
	return n.text
}

// open begins to read a list that must be there.
func (c *cursor) open() *cursor { return list(c.next()) }

// end says that nothing may follow.
func (c *cursor) end() {
	if len(c.rest) > 0 {
		c.rest[0].fail("nothing is wanted here")
	}
}

func valType(n *node) wasm.ValType {
	if n.kind == atom {
		for _, t := range []wasm.ValType{wasm.I32, wasm.I64, wasm.F32, wasm.F64, wasm.FuncRef, wasm.ExternRef} {
			if n.text == t.String() {
				return t
			}
		}
	}
	n.fail("a value type is wanted here: i32, i64, f32, f64, funcref or externref")
	return 0
}

func refType(n *node) wasm.ValType {
	t := valType(n)
	if t != wasm.FuncRef && t != wasm.ExternRef {
		n.fail("a reference type is wanted here: funcref or externref")
	}
	return t
}

// signature reads parameters, with their names, and results.
func signature(c *cursor) (t wasm.FuncType, names []string) {
	for c.nextIs("param") {
		p := c.open()
		p.word()
		if name := p.name(); name != "" {
			t.Params, names = append(t.Params, valType(p.next())), append(names, name)
			p.end()
			continue
		}
		for len(p.rest) > 0 {
			t.Params, names = append(t.Params, valType(p.next())), append(names, "")
		}
	}
	for c.nextIs("result") {
		r := c.open()
		r.word()
		for len(r.rest) > 0 {
			t.Results = append(t.Results, valType(r.next()))
		}
	}
	return t, names
}

// typeUse reads the type of a function: by index, in full, or both.
func (a *assembler) typeUse(c *cursor) (index uint32, t wasm.FuncType, names []string) {
	if !c.nextIs("type") {
		t, names = signature(c)
		return a.m.AddType(t), t, names
	}
	use := c.open()
	use.word()
	n := use.next()
	index = a.types.index(n)
	use.end()
	if uint64(index) >= uint64(len(a.m.Types)) {
		n.fail("there is no type %d", index)
	}
	t, names = signature(c)
	known := a.m.Types[index]
	if len(t.Params)+len(t.Results) > 0 && !t.Equal(known) {
		n.fail("the type is %v, but %v follows", known, t)
	}
	if len(names) == 0 {
		names = make([]string, len(known.Params))
	}
	return index, known, names
}

func limits(c *cursor) wasm.Limits {
	l := wasm.Limits{Min: unsigned(c.next(), 32)}
	if c.nextIsIndex() {
		l.Max, l.HasMax = unsigned(c.next(), 32), true
	}
	l.Shared = c.take("shared")
	return l
}

func globalType(c *cursor) wasm.GlobalType {
	if !c.nextIs("mut") {
		return wasm.GlobalType{Type: valType(c.next())}
	}
	mut := c.open()
	mut.word()
	t := wasm.GlobalType{Type: valType(mut.next()), Mutable: true}
	mut.end()
	return t
}
