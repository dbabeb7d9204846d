package wapc

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/waxosuit/waxo/wapc/wasm"
)

// Section ids of the binary format.
const (
	sectionType     = 1
	sectionImport   = 2
	sectionFunction = 3
	sectionTable    = 4
	sectionExport   = 7
	sectionCode     = 10
)

// Kinds of imports and exports.
const (
	kindFunction = iota
	kindTable
	kindMemory
	kindGlobal
	kindTag
)

var kinds = [...]string{"function", "table", "memory", "global", "tag"}

const (
	valueI32  = 0x7f
	formFunc  = 0x60
	limitsMax = 0x01 // flag of limits: there is a maximum
)

// Types of values, and of them those of a table's elements.
var (
	valueTypeNames = map[byte]string{valueI32: "i32", 0x7e: "i64", 0x7d: "f32", 0x7c: "f64", 0x7b: "v128", 0x70: "funcref", 0x6f: "externref"}
	elementTypes   = map[byte]string{0x70: "funcref", 0x6f: "externref"}
)

// Bounds on what a few bytes of a module can make the engine allocate.
const (
	maxTableElements = 1 << 20 // over all tables of an instance: 8 MiB
	maxLocals        = 50_000  // of a function, as browsers have it
)

// signature is a function's type.
type signature struct{ params, results []byte }

func i32s(params, results int) signature {
	all := slices.Repeat([]byte{valueI32}, max(params, results))
	return signature{all[:params], all[:results]}
}

func (s signature) equal(t signature) bool {
	return string(s.params) == string(t.params) && string(s.results) == string(t.results)
}

func (s signature) String() string {
	return "(" + typeNames(s.params) + ") -> (" + typeNames(s.results) + ")"
}

func typeNames(types []byte) string {
	names := make([]string, len(types))
	for i, t := range types {
		names[i] = valueTypeNames[t]
	}
	return strings.Join(names, ", ")
}

type importDecl struct {
	module, name string
	kind         byte
	typ          uint32 // index of a function's type
}

type exportDecl struct {
	kind  byte
	index uint32
}

type tableDecl struct {
	elem     byte
	min, max uint32
	bounded  bool
}

// summary is what the checks before compilation need to know of a module.
// The compiler validates the rest.
type summary struct {
	types     []signature
	imports   []importDecl
	functions []uint32 // types of the module's own functions
	exports   map[string]exportDecl
	tables    []tableDecl
	tableAt   wasm.Section
}

// inspect reads what the checks need. What it cannot read is an error.
func inspect(module []byte) (*summary, error) {
	sections, err := wasm.Sections(module)
	if err != nil {
		return nil, err
	}
	s := &summary{exports: map[string]exportDecl{}}
	seen := map[byte]bool{}
	for _, section := range sections {
		if section.ID == 0 {
			continue
		}
		if seen[section.ID] {
			return nil, fmt.Errorf("section %d appears twice", section.ID)
		}
		seen[section.ID] = true
		r := &reader{b: section.Content}
		switch section.ID {
		case sectionType:
			s.types = listOf(r, (*reader).signature)
		case sectionImport:
			s.imports = listOf(r, (*reader).importDecl)
		case sectionFunction:
			s.functions = listOf(r, (*reader).u32)
		case sectionTable:
			s.tables, s.tableAt = listOf(r, (*reader).table), section
		case sectionExport:
			for range r.count() {
				name := r.name()
				s.exports[name] = exportDecl{r.byte(), r.u32()}
			}
		case sectionCode:
			listOf(r, (*reader).locals)
		default:
			continue
		}
		if r.err == nil && len(r.b) > 0 {
			r.err = errors.New("it goes on after its end")
		}
		if r.err != nil {
			return nil, fmt.Errorf("section %d: %w", section.ID, r.err)
		}
	}
	return s, nil
}

// signatureOf returns the type of the function with an index.
func (s *summary) signatureOf(index uint32) (signature, bool) {
	for _, i := range s.imports {
		if i.kind != kindFunction {
			continue
		}
		if index == 0 {
			return s.typeAt(i.typ)
		}
		index--
	}
	if int64(index) >= int64(len(s.functions)) {
		return signature{}, false
	}
	return s.typeAt(s.functions[index])
}

func (s *summary) typeAt(index uint32) (signature, bool) {
	if int64(index) >= int64(len(s.types)) {
		return signature{}, false
	}
	return s.types[index], true
}

// limit returns the module with a maximum on each table, so that table.grow
// cannot take what the limit on memory denies.
func (s *summary) limit(module []byte) ([]byte, error) {
	spare := int64(maxTableElements)
	for _, t := range s.tables {
		spare -= int64(t.min)
	}
	if spare < 0 {
		return nil, fmt.Errorf("its tables have more than %d elements", maxTableElements)
	}
	body := wasm.AppendUint32(nil, uint32(len(s.tables)))
	changed := false
	for _, t := range s.tables {
		most := t.min + uint32(spare/int64(len(s.tables)))
		if !t.bounded || t.max > most {
			t.max, changed = most, true
		}
		body = append(body, t.elem, limitsMax)
		body = wasm.AppendUint32(wasm.AppendUint32(body, t.min), t.max)
	}
	if !changed {
		return module, nil
	}
	out := append(slices.Clone(module[:s.tableAt.Start]), sectionTable)
	out = append(wasm.AppendUint32(out, uint32(len(body))), body...)
	return append(out, module[s.tableAt.End:]...), nil
}

// reader reads a section. After an error it yields zeros.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
	r.b = nil
}

func (r *reader) take(n uint32) []byte {
	if uint64(n) > uint64(len(r.b)) {
		r.fail("it ends too soon")
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) u32() uint32 {
	v, n, err := wasm.Uint32(r.b)
	if err != nil {
		r.fail("%w", err)
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) bytes() []byte { return r.take(r.u32()) }
func (r *reader) name() string  { return string(r.bytes()) }

// count reads the length of a list, each of whose elements has a byte at least.
func (r *reader) count() uint32 {
	n := r.u32()
	if uint64(n) > uint64(len(r.b)) {
		r.fail("it ends too soon")
		return 0
	}
	return n
}

func listOf[T any](r *reader, element func(*reader) T) []T {
	all := make([]T, 0, r.count())
	for range cap(all) {
		if r.err != nil {
			break
		}
		all = append(all, element(r))
	}
	return all
}

func (r *reader) signature() signature {
	if form := r.byte(); form != formFunc {
		r.fail("a type of form %#x is not supported", form)
	}
	s := signature{params: r.bytes(), results: r.bytes()}
	for _, t := range slices.Concat(s.params, s.results) {
		r.checkType(t, valueTypeNames)
	}
	return s
}

// checkType refuses what is not among the known types: those of later
// proposals are longer than a byte.
func (r *reader) checkType(t byte, known map[byte]string) {
	if known[t] == "" && r.err == nil {
		r.fail("the type %#x is not supported", t)
	}
}

func (r *reader) limits() (low, high uint32, bounded bool) {
	flag := r.byte()
	if flag > limitsMax {
		r.fail("limits of kind %#x are not supported", flag)
	}
	low = r.u32()
	if flag == limitsMax {
		return low, r.u32(), true
	}
	return low, 0, false
}

func (r *reader) table() tableDecl {
	t := tableDecl{elem: r.byte()}
	r.checkType(t.elem, elementTypes)
	t.min, t.max, t.bounded = r.limits()
	return t
}

func (r *reader) importDecl() importDecl {
	i := importDecl{module: r.name(), name: r.name(), kind: r.byte()}
	switch i.kind {
	case kindFunction:
		i.typ = r.u32()
	case kindTable:
		r.table()
	case kindMemory:
		r.limits()
	case kindGlobal:
		r.take(2)
	case kindTag:
		r.byte()
		r.u32()
	default:
		r.fail("an import of kind %#x is not known", i.kind)
	}
	return i
}

// locals checks a function body's locals.
func (r *reader) locals() struct{} {
	body := &reader{b: r.bytes()}
	total := uint64(0)
	for range body.count() {
		total += uint64(body.u32())
		body.checkType(body.byte(), valueTypeNames)
	}
	if body.err != nil {
		r.fail("locals: %w", body.err)
	} else if total > maxLocals {
		r.fail("a function has %d locals, the limit is %d", total, maxLocals)
	}
	return struct{}{}
}
