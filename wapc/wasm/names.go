package wasm

import (
	"cmp"
	"slices"
)

// NameSection is the name of the custom section that Names stands in.
const NameSection = "name"

// Names is the content of a module's name section.
type Names struct {
	Module *string
	Funcs  []Name
	// Locals and Labels name what is inside of functions.
	Locals, Labels []InnerNames
	// Rest is what is not about functions: types, tables, memories and so on.
	Rest []NameSubsection
}

// Name is the name of a function.
type Name struct {
	Func uint32
	Name string
}

// InnerNames is the map of names of one function's locals or labels, as it is
// encoded.
type InnerNames struct {
	Func  uint32
	Names []byte
}

// NameSubsection is a part of the name section that is kept as it is.
type NameSubsection struct {
	ID      byte
	Content []byte
}

const (
	nameModule = 0
	nameFuncs  = 1
	nameLocals = 2
	nameLabels = 3
)

// DecodeNames takes the content of a name section apart. The subsections must
// come in order, each at most once, and so must the functions in each.
func DecodeNames(content []byte) (*Names, error) {
	n := new(Names)
	d := &decoder{b: content}
	last := -1
	for d.err == nil && d.at < len(d.b) {
		id := d.byte()
		if int(id) <= last {
			d.fail(ErrMalformed, "the part %d of the names is out of order", id)
		}
		last = int(id)
		part := d.bytes()
		sub := &decoder{b: part, base: d.at - len(part)}
		if d.err == nil {
			n.decode(sub, id)
			d.err = sub.err
		}
	}
	if d.err != nil {
		return nil, d.err
	}
	return n, nil
}

func (n *Names) decode(d *decoder, id byte) {
	switch id {
	case nameModule:
		name := d.name()
		n.Module = &name
	case nameFuncs:
		n.Funcs = vec(d, 2, func() Name { return Name{Func: d.u32(), Name: d.name()} })
		if !slices.IsSortedFunc(n.Funcs, func(a, b Name) int { return ascending(a.Func, b.Func) }) {
			d.fail(ErrMalformed, "the names of functions are out of order")
		}
	case nameLocals:
		n.Locals = d.innerNames()
	case nameLabels:
		n.Labels = d.innerNames()
	default:
		n.Rest = append(n.Rest, NameSubsection{ID: id, Content: d.b})
		return
	}
	if d.err == nil && d.at != len(d.b) {
		d.fail(ErrMalformed, "the part %d of the names has bytes left over", id)
	}
}

func (d *decoder) innerNames() []InnerNames {
	inner := vec(d, 2, func() InnerNames {
		f := d.u32()
		start := d.at
		vec(d, 2, func() struct{} { d.u32(); d.name(); return struct{}{} })
		if d.err != nil {
			return InnerNames{}
		}
		return InnerNames{Func: f, Names: d.b[start:d.at]}
	})
	if !slices.IsSortedFunc(inner, func(a, b InnerNames) int { return ascending(a.Func, b.Func) }) {
		d.fail(ErrMalformed, "the functions of inner names are out of order")
	}
	return inner
}

// ascending is cmp.Compare but for equal values, which IsSortedFunc then takes
// for out of order.
func ascending(a, b uint32) int {
	if a == b {
		return -1
	}
	return cmp.Compare(a, b)
}

// RenumberFuncs changes every function index i to numbers[i], and puts the
// names back in order. Names of functions that do not exist are dropped, as
// are all but the first of several that come to stand for one function.
func (n *Names) RenumberFuncs(numbers []uint32) {
	n.Funcs = renumberNames(n.Funcs, numbers, func(x *Name) *uint32 { return &x.Func })
	n.Locals = renumberNames(n.Locals, numbers, func(x *InnerNames) *uint32 { return &x.Func })
	n.Labels = renumberNames(n.Labels, numbers, func(x *InnerNames) *uint32 { return &x.Func })
}

func renumberNames[T any](names []T, numbers []uint32, index func(*T) *uint32) []T {
	var out []T
	for _, name := range names {
		to, err := renumber(*index(&name), numbers)
		if err != nil {
			continue
		}
		*index(&name) = to
		out = append(out, name)
	}
	slices.SortStableFunc(out, func(a, b T) int { return cmp.Compare(*index(&a), *index(&b)) })
	return slices.CompactFunc(out, func(a, b T) bool { return *index(&a) == *index(&b) })
}

// SetFunc names a function, whether it had a name or not.
func (n *Names) SetFunc(f uint32, name string) {
	i, found := slices.BinarySearchFunc(n.Funcs, f, func(x Name, f uint32) int { return cmp.Compare(x.Func, f) })
	if found {
		n.Funcs[i].Name = name
		return
	}
	n.Funcs = slices.Insert(n.Funcs, i, Name{Func: f, Name: name})
}

// Encode returns the content of the name section.
func (n *Names) Encode() []byte {
	var b, part []byte
	put := func(id byte, content []byte) { b = appendBytes(append(b, id), content) }
	if n.Module != nil {
		put(nameModule, appendName(nil, *n.Module))
	}
	if len(n.Funcs) > 0 {
		part = appendItems(part[:0], n.Funcs, func(b []byte, x Name) []byte {
			return appendName(AppendUint32(b, x.Func), x.Name)
		})
		put(nameFuncs, part)
	}
	for i, inner := range [...][]InnerNames{n.Locals, n.Labels} {
		if len(inner) == 0 {
			continue
		}
		part = appendItems(part[:0], inner, func(b []byte, x InnerNames) []byte {
			return append(AppendUint32(b, x.Func), x.Names...)
		})
		put(nameLocals+byte(i), part)
	}
	for _, rest := range n.Rest {
		put(rest.ID, rest.Content)
	}
	return b
}
