package wat

import (
	"slices"

	"github.com/waxosuit/waxo/wapc/wasm"
)

// space is an index space: what a name or a number leads to.
type space struct {
	what  string
	names map[string]uint32
	count uint32
}

// declare takes the next index.
func (s *space) declare(p position, name string) {
	if name != "" {
		if _, taken := s.names[name]; taken {
			p.fail("there is a %s %s already", s.what, name)
		}
		if s.names == nil {
			s.names = make(map[string]uint32)
		}
		s.names[name] = s.count
	}
	s.count++
}

// index reads a name or a number.
func (s *space) index(n *node) uint32 {
	if n.isName() {
		i, known := s.names[n.text]
		if !known {
			n.fail("there is no %s %s", s.what, n.text)
		}
		return i
	}
	return uint32(unsigned(n, 32))
}

// assembler builds a module.
type assembler struct {
	m                   wasm.Module
	types, elems, datas space
	externs             [wasm.KindTag + 1]space // of what can be imported
	next                [wasm.KindTag + 1]uint32
	ownDefinitions      bool // have begun: no import may follow
	needsDataCount      bool
}

// assemble builds the module whose fields are given, or which is given whole.
func assemble(fields []node) *wasm.Module {
	if len(fields) == 1 && fields[0].is("module") {
		fields = fields[0].list[1:]
		if len(fields) > 0 && fields[0].isName() {
			fields = fields[1:]
		}
	}
	a := &assembler{types: space{what: "type"}, elems: space{what: "element segment"}, datas: space{what: "data segment"}}
	for kind := range a.externs {
		a.externs[kind].what = wasm.Kind(kind).String()
	}
	for i := range fields {
		a.declare(list(&fields[i]))
	}
	for i := range fields {
		if fields[i].is("type") {
			a.typeDef(list(&fields[i]))
		}
	}
	for i := range fields {
		a.define(list(&fields[i]))
	}
	if a.needsDataCount {
		a.m.DataCount = new(uint32(len(a.m.Data)))
	}
	return &a.m
}

// kindOf tells what kind a word is, if it is one.
func kindOf(word string) (kind wasm.Kind, ok bool) {
	i := slices.Index([]string{"func", "table", "memory", "global", "tag"}, word)
	return wasm.Kind(max(i, 0)), i >= 0
}

// kind reads a word that must be a kind.
func (a *assembler) kind(c *cursor) wasm.Kind {
	word := c.word()
	kind, ok := kindOf(word)
	if !ok {
		c.at.fail("what is imported or exported is one of func, table, memory, global and tag, not %q", word)
	}
	return kind
}

// declare gives a field its place in the index spaces, so that others can name
// it wherever it stands.
func (a *assembler) declare(c *cursor) {
	word := c.word()
	if kind, ok := kindOf(word); ok {
		a.externs[kind].declare(c.at, c.name())
		a.declareSegment(c, kind)
		return
	}
	switch word {
	case "type":
		a.types.declare(c.at, c.name())
	case "elem":
		a.elems.declare(c.at, c.name())
	case "data":
		a.datas.declare(c.at, c.name())
	case "import":
		c.string()
		c.string()
		what := c.open()
		kind := a.kind(what)
		a.externs[kind].declare(what.at, what.name())
	case "export", "start":
	default:
		c.at.fail("unknown field %q", word)
	}
}

// declareSegment declares a segment that a memory or a table defines beside
// itself.
func (a *assembler) declareSegment(c *cursor, kind wasm.Kind) {
	for _, n := range c.rest {
		switch {
		case kind == wasm.KindMemory && n.is("data"):
			a.datas.declare(n.position, "")
		case kind == wasm.KindTable && n.is("elem"):
			a.elems.declare(n.position, "")
		}
	}
}

func (a *assembler) typeDef(c *cursor) {
	c.word()
	c.name()
	def := c.open()
	if def.word() != "func" {
		def.at.fail("the only types are those of functions")
	}
	t, _ := signature(def)
	def.end()
	c.end()
	a.m.Types = append(a.m.Types, t)
}

// define assembles a field.
func (a *assembler) define(c *cursor) {
	word := c.word()
	if kind, ok := kindOf(word); ok {
		a.extern(c, kind)
		c.end()
		return
	}
	switch word {
	case "type":
		return
	case "import":
		module, name := c.string(), c.string()
		what := c.open()
		kind := a.kind(what)
		what.name()
		a.next[kind]++
		a.imported(what, kind, module, name)
		what.end()
	case "export":
		name := c.string()
		what := c.open()
		kind := a.kind(what)
		a.export(name, kind, a.externs[kind].index(what.next()))
		what.end()
	case "start":
		if a.m.Start != nil {
			c.at.fail("there is a start function already")
		}
		a.m.Start = new(a.externs[wasm.KindFunc].index(c.next()))
	case "elem":
		a.elem(c)
	case "data":
		a.data(c)
	}
	c.end()
}

// extern assembles a function, table, memory or global, which may be imported
// and exported where it stands.
func (a *assembler) extern(c *cursor, kind wasm.Kind) {
	c.name()
	index := a.next[kind]
	a.next[kind]++
	for c.nextIs("export") {
		x := c.open()
		x.word()
		a.export(x.string(), kind, index)
		x.end()
	}
	if c.nextIs("import") {
		i := c.open()
		i.word()
		module, name := i.string(), i.string()
		i.end()
		a.imported(c, kind, module, name)
		return
	}
	a.ownDefinitions = true
	switch kind {
	case wasm.KindFunc:
		a.function(c)
	case wasm.KindTable:
		a.table(c, index)
	case wasm.KindMemory:
		a.memory(c, index)
	case wasm.KindGlobal:
		t := globalType(c)
		a.m.Globals = append(a.m.Globals, wasm.Global{Type: t, Init: a.expression(c)})
	default:
		c.at.fail("a tag can only be imported")
	}
}

func (a *assembler) export(name string, kind wasm.Kind, index uint32) {
	a.m.Exports = append(a.m.Exports, wasm.Export{Name: name, Kind: kind, Index: index})
}

// imported reads the type of an import.
func (a *assembler) imported(c *cursor, kind wasm.Kind, module, name string) {
	if a.ownDefinitions {
		c.at.fail("an import stands before every function, table, memory and global that the module defines")
	}
	t := wasm.ExternType{Kind: kind}
	switch kind {
	case wasm.KindFunc, wasm.KindTag:
		t.TypeIndex, t.Func, _ = a.typeUse(c)
	case wasm.KindTable:
		t.Table.Limits = limits(c)
		t.Table.Elem = refType(c.next())
	case wasm.KindMemory:
		t.Memory = limits(c)
	case wasm.KindGlobal:
		t.Global = globalType(c)
	}
	a.m.Imports = append(a.m.Imports, wasm.Import{Module: module, Name: name, Type: t})
}
