package wasm

import (
	"errors"
	"fmt"
	"math"
	"unicode/utf8"
)

// ErrUnsupported is what every error matches that names a feature outside the
// core specification 2.0 (with tail calls and extended constant expressions).
var ErrUnsupported = errors.New("unsupported WebAssembly feature")

// Decode takes a module apart. It checks the structure, not the types: a
// module that decodes need not be valid. Function bodies are cut out but not
// walked. What it returns aliases module.
func Decode(module []byte) (*Module, error) {
	m, err := decode(module, ^uint32(0))
	if err != nil {
		return nil, err
	}
	if len(m.Funcs) != len(m.Code) {
		return nil, fmt.Errorf("%w: %d functions are declared and %d have code", ErrMalformed, len(m.Funcs), len(m.Code))
	}
	return m, nil
}

// decode is Decode for the sections whose bits are set in wanted. The order of
// all sections is checked, so that no second section of a kind can hide.
func decode(module []byte, wanted uint32) (*Module, error) {
	sections, err := Sections(module)
	if err != nil {
		return nil, err
	}
	m := new(Module)
	var last byte
	next := 0 // the place in sectionOrder from which sections may still come
	for _, s := range sections {
		if s.ID == idCustom {
			if !utf8.ValidString(s.Name) {
				return nil, fmt.Errorf("%w: the name of the custom section at offset %d is not UTF-8", ErrMalformed, s.Start)
			}
			m.Customs = append(m.Customs, Custom{Name: s.Name, Content: s.Content, After: last})
			continue
		}
		if s.ID > idDataCount {
			return nil, fmt.Errorf("%w: the section %d at offset %d", ErrUnsupported, s.ID, s.Start)
		}
		for next < len(sectionOrder) && sectionOrder[next] != s.ID {
			next++
		}
		if next == len(sectionOrder) {
			return nil, fmt.Errorf("%w: the section %d at offset %d is out of order or repeated", ErrMalformed, s.ID, s.Start)
		}
		next++
		last = s.ID
		if wanted>>s.ID&1 == 0 {
			continue
		}
		d := &decoder{b: s.Content, base: s.End - len(s.Content)}
		d.section(m, s.ID)
		if d.err == nil && d.at != len(d.b) {
			d.fail(ErrMalformed, "the section %d has bytes left over", s.ID)
		}
		if d.err != nil {
			return nil, d.err
		}
	}
	return m, nil
}

// decoder reads a section. After the first error it reads nothing but zeros.
type decoder struct {
	b    []byte
	at   int
	base int // offset of b in the module
	err  error
}

func (d *decoder) fail(kind error, format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: at offset %d: %s", kind, d.base+d.at, fmt.Sprintf(format, args...))
		d.at = len(d.b)
	}
}

func (d *decoder) byte() byte {
	if d.at >= len(d.b) {
		d.fail(ErrMalformed, "the section ends too early")
		return 0
	}
	c := d.b[d.at]
	d.at++
	return c
}

func (d *decoder) u32() uint32 {
	v, n, err := Uint32(d.b[d.at:])
	if err != nil {
		d.fail(ErrMalformed, "%v", err)
		return 0
	}
	d.at += n
	return v
}

func (d *decoder) u64() uint64 {
	v, n, err := uint64LEB(d.b[d.at:])
	if err != nil {
		d.fail(ErrMalformed, "%v", err)
		return 0
	}
	d.at += n
	return v
}

// count reads the length of a vector whose items take at least least bytes
// each, and refuses what cannot fit into the rest of the section.
func (d *decoder) count(least int) int {
	n := d.u32()
	if uint64(n)*uint64(least) > uint64(len(d.b)-d.at) {
		d.fail(ErrMalformed, "%d items do not fit into what is left of the section", n)
		return 0
	}
	return int(n)
}

func (d *decoder) bytes() []byte {
	n := d.count(1)
	d.at += n
	return d.b[d.at-n : d.at : d.at]
}

func (d *decoder) name() string {
	b := d.bytes()
	if !utf8.Valid(b) {
		d.fail(ErrMalformed, "a name is not UTF-8")
	}
	return string(b)
}

// vec reads a vector whose items take at least least bytes each.
func vec[T any](d *decoder, least int, item func() T) []T {
	n := d.count(least)
	if n == 0 {
		return nil
	}
	items := make([]T, 0, n)
	for range n {
		items = append(items, item())
		if d.err != nil {
			return nil
		}
	}
	return items
}

func (d *decoder) section(m *Module, id byte) {
	switch id {
	case idType:
		m.Types = vec(d, 3, d.funcType)
	case idImport:
		m.Imports = vec(d, 4, func() Import { return d.importOf(m.Types) })
	case idFunction:
		m.Funcs = vec(d, 1, d.u32)
	case idTable:
		m.Tables = vec(d, 3, d.tableType)
	case idMemory:
		m.Memories = vec(d, 2, d.limits)
	case idGlobal:
		m.Globals = vec(d, 3, func() Global { return Global{Type: d.globalType(), Init: d.expr()} })
	case idExport:
		m.Exports = vec(d, 3, d.export)
	case idStart:
		index := d.u32()
		m.Start = &index
	case idElement:
		m.Elements = vec(d, 3, d.element)
	case idDataCount:
		count := d.u32()
		m.DataCount = &count
	case idCode:
		m.Code = vec(d, 3, d.body)
	case idData:
		m.Data = vec(d, 2, d.data)
	}
}

func (d *decoder) valType() ValType {
	t := ValType(d.byte())
	if d.err == nil && !t.known() {
		d.at--
		d.fail(ErrUnsupported, "the value type %#02x", byte(t))
	}
	return t
}

func (d *decoder) refType() ValType {
	t := d.valType()
	if d.err == nil && !t.isRef() {
		d.fail(ErrMalformed, "%v where a reference type must stand", t)
	}
	return t
}

func (d *decoder) funcType() FuncType {
	if form := d.byte(); d.err == nil && form != 0x60 {
		d.fail(ErrUnsupported, "the form of type %#02x", form)
	}
	return FuncType{Params: vec(d, 1, d.valType), Results: vec(d, 1, d.valType)}
}

func (d *decoder) limits() Limits {
	flags := d.byte()
	if flags > 7 {
		d.fail(ErrUnsupported, "limits with the flags %#02x", flags)
	}
	l := Limits{HasMax: flags&1 != 0, Shared: flags&2 != 0, Is64: flags&4 != 0}
	read := func() uint64 { return uint64(d.u32()) }
	if l.Is64 {
		read = d.u64
	}
	l.Min = read()
	if l.HasMax {
		l.Max = read()
	}
	return l
}

func (d *decoder) tableType() TableType {
	return TableType{Elem: d.refType(), Limits: d.limits()}
}

func (d *decoder) globalType() GlobalType {
	t := GlobalType{Type: d.valType()}
	switch d.byte() {
	case 0:
	case 1:
		t.Mutable = true
	default:
		d.fail(ErrMalformed, "a global that is neither constant nor mutable")
	}
	return t
}

func (d *decoder) importOf(types []FuncType) Import {
	i := Import{Module: d.name(), Name: d.name()}
	t := &i.Type
	t.Kind = Kind(d.byte())
	switch t.Kind {
	case KindTag, KindFunc:
		if t.Kind == KindTag && d.byte() != 0 {
			d.fail(ErrUnsupported, "a tag that is no exception")
		}
		t.TypeIndex = d.u32()
		if uint64(t.TypeIndex) >= uint64(len(types)) {
			d.fail(ErrMalformed, "the import %s.%s has the type %d, which does not exist", i.Module, i.Name, t.TypeIndex)
			return i
		}
		t.Func = types[t.TypeIndex]
	case KindTable:
		t.Table = d.tableType()
	case KindMemory:
		t.Memory = d.limits()
	case KindGlobal:
		t.Global = d.globalType()
	default:
		d.fail(ErrUnsupported, "an import of the kind %d", byte(t.Kind))
	}
	return i
}

func (d *decoder) export() Export {
	e := Export{Name: d.name(), Kind: Kind(d.byte()), Index: d.u32()}
	if e.Kind > KindTag {
		d.fail(ErrUnsupported, "an export of the kind %d", byte(e.Kind))
	}
	return e
}

// expr reads a constant expression up to and with its end.
func (d *decoder) expr() []byte {
	if b := d.b[d.at:]; len(b) > 2 && Opcode(b[0]) == OpI32Const { // nearly always
		if _, n, err := intLEB(b[1:], 32); err == nil && n+1 < len(b) && Opcode(b[n+1]) == OpEnd {
			d.at += n + 2
			return b[: n+2 : n+2]
		}
	}
	r := Reader{code: d.b[d.at:], open: true}
	for {
		if _, ok := r.Next(); !ok {
			break
		}
	}
	if r.err != nil {
		d.at += r.at
		kind := ErrMalformed
		if errors.Is(r.err, ErrUnsupported) {
			kind = ErrUnsupported
		}
		d.fail(kind, "in a constant expression: %v", r.err)
		return nil
	}
	d.at += r.at
	return d.b[d.at-r.at : d.at : d.at]
}

func (d *decoder) element() Element {
	e := Element{Form: d.u32(), Type: FuncRef}
	if e.Form > 7 {
		d.fail(ErrUnsupported, "an element segment of the form %d", e.Form)
		return e
	}
	active, explicit, exprs := e.Form&1 == 0, e.Form&2 != 0, e.Form&4 != 0
	if active {
		if explicit {
			e.Table = d.u32()
		}
		e.Offset = d.expr()
	}
	if !active || explicit {
		if exprs {
			e.Type = d.refType()
		} else if kind := d.byte(); kind != 0 {
			d.fail(ErrUnsupported, "an element kind %#02x", kind)
		}
	}
	if exprs {
		e.Exprs = vec(d, 2, d.expr)
	} else {
		e.Funcs = vec(d, 1, d.u32)
	}
	return e
}

func (d *decoder) body() Body {
	size := d.count(1)
	end := d.at + size
	inner := &decoder{b: d.b[:end:end], at: d.at, base: d.base}
	var b Body
	var total uint64
	b.Locals = vec(inner, 2, func() Locals {
		l := Locals{Count: inner.u32(), Type: inner.valType()}
		total += uint64(l.Count)
		return l
	})
	if total > math.MaxUint32 {
		inner.fail(ErrMalformed, "a function with %d local variables", total)
	}
	if inner.err != nil {
		d.err, d.at = inner.err, len(d.b)
		return b
	}
	b.Offset = d.base + inner.at
	b.Code = inner.b[inner.at:]
	d.at = end
	return b
}

func (d *decoder) data() Data {
	s := Data{Form: d.u32()}
	switch s.Form {
	case 0, 1:
	case 2:
		s.Memory = d.u32()
	default:
		d.fail(ErrUnsupported, "a data segment of the form %d", s.Form)
	}
	if s.Form != 1 {
		s.Offset = d.expr()
	}
	s.Init = d.bytes()
	return s
}
