package wasm

import (
	"fmt"
	"slices"
)

// Module is a module taken apart. What Decode leaves in it aliases the bytes
// that it was given. Instructions stay bytes; a Reader walks them.
type Module struct {
	Types     []FuncType
	Imports   []Import
	Funcs     []uint32 // type index of each function that the module defines
	Tables    []TableType
	Memories  []Limits
	Globals   []Global
	Exports   []Export
	Start     *uint32 // function index
	Elements  []Element
	DataCount *uint32
	Code      []Body // one for each of Funcs
	Data      []Data
	Customs   []Custom
}

// Import is something that a module asks for.
type Import struct {
	Module, Name string
	Type         ExternType
}

// Export is something that a module offers.
type Export struct {
	Name  string
	Kind  Kind
	Index uint32 // in the index space of its kind
}

// Global is a global variable that a module defines.
type Global struct {
	Type GlobalType
	Init []byte // constant expression, with its end
}

// Element is an element segment.
type Element struct {
	Form   uint32   // 0 to 7, as the binary format numbers them
	Table  uint32   // forms 2 and 6
	Offset []byte   // constant expression; forms 0, 2, 4 and 6
	Type   ValType  // forms 5 to 7; the others hold functions
	Funcs  []uint32 // forms 0 to 3
	Exprs  [][]byte // forms 4 to 7
}

// Body is the code of a function.
type Body struct {
	Locals []Locals
	Code   []byte // instructions, with the last end
	Offset int    // where Code stood in the module that was decoded
}

// Locals declares Count local variables of one type.
type Locals struct {
	Count uint32
	Type  ValType
}

// Data is a data segment.
type Data struct {
	Form   uint32 // 0 active in memory 0, 1 passive, 2 active in Memory
	Memory uint32
	Offset []byte // constant expression; forms 0 and 2
	Init   []byte
}

// Custom is a custom section.
type Custom struct {
	Name    string
	Content []byte
	// After is the ID of the last section before it that is not custom, 0 if
	// there is none.
	After byte
}

// The identifiers of the sections.
const (
	idCustom    = 0
	idType      = 1
	idImport    = 2
	idFunction  = 3
	idTable     = 4
	idMemory    = 5
	idGlobal    = 6
	idExport    = 7
	idStart     = 8
	idElement   = 9
	idCode      = 10
	idData      = 11
	idDataCount = 12
)

// sectionOrder is the order in which the sections stand in a module.
var sectionOrder = [...]byte{
	idType, idImport, idFunction, idTable, idMemory, idGlobal,
	idExport, idStart, idElement, idDataCount, idCode, idData,
}

// ImportedFuncs tells how many functions the module imports: the index of the
// first that it defines.
func (m *Module) ImportedFuncs() int {
	n := 0
	for i := range m.Imports {
		if m.Imports[i].Type.Kind == KindFunc {
			n++
		}
	}
	return n
}

// ExternType gives the type of what an export, or an index of a kind, leads to.
func (m *Module) ExternType(kind Kind, index uint32) (ExternType, error) {
	rest := uint64(index)
	for i := range m.Imports {
		if t := m.Imports[i].Type; t.Kind == kind {
			if rest == 0 {
				return t, nil
			}
			rest--
		}
	}
	t := ExternType{Kind: kind}
	switch {
	case kind == KindFunc && rest < uint64(len(m.Funcs)):
		t.TypeIndex = m.Funcs[rest]
		if uint64(t.TypeIndex) >= uint64(len(m.Types)) {
			return t, fmt.Errorf("%w: function %d has the type %d, which does not exist", ErrMalformed, index, t.TypeIndex)
		}
		t.Func = m.Types[t.TypeIndex]
	case kind == KindTable && rest < uint64(len(m.Tables)):
		t.Table = m.Tables[rest]
	case kind == KindMemory && rest < uint64(len(m.Memories)):
		t.Memory = m.Memories[rest]
	case kind == KindGlobal && rest < uint64(len(m.Globals)):
		t.Global = m.Globals[rest].Type
	default:
		return t, fmt.Errorf("%w: there is no %v %d", ErrMalformed, kind, index)
	}
	return t, nil
}

// Imports lists what a module asks for, with types. It looks no further into
// the module than it must.
func Imports(module []byte) ([]Import, error) {
	m, err := decode(module, 1<<idType|1<<idImport)
	if err != nil {
		return nil, err
	}
	return m.Imports, nil
}

// TypedExport is an export with its type.
type TypedExport struct {
	Name string
	Type ExternType
}

// Exports lists what a module offers, with types. It looks no further into
// the module than it must.
func Exports(module []byte) ([]TypedExport, error) {
	m, err := decode(module, 1<<idType|1<<idImport|1<<idFunction|1<<idTable|1<<idMemory|1<<idGlobal|1<<idExport)
	if err != nil {
		return nil, err
	}
	exports := make([]TypedExport, len(m.Exports))
	for i, e := range m.Exports {
		t, err := m.ExternType(e.Kind, e.Index)
		if err != nil {
			return nil, fmt.Errorf("export %q: %w", e.Name, err)
		}
		exports[i] = TypedExport{Name: e.Name, Type: t}
	}
	return exports, nil
}

// AddType returns the index of a function type, and adds it if it is missing.
func (m *Module) AddType(t FuncType) uint32 {
	i := slices.IndexFunc(m.Types, t.Equal)
	if i < 0 {
		i = len(m.Types)
		m.Types = append(m.Types, t)
	}
	return uint32(i)
}

// Custom returns the content of the first custom section of that name.
func (m *Module) Custom(name string) (content []byte, ok bool) {
	for _, c := range m.Customs {
		if c.Name == name {
			return c.Content, true
		}
	}
	return nil, false
}

// SetCustom replaces the content of the first custom section of that name. If
// there is none, it becomes the module's last section.
func (m *Module) SetCustom(name string, content []byte) {
	for i := range m.Customs {
		if m.Customs[i].Name == name {
			m.Customs[i].Content = content
			return
		}
	}
	m.Customs = append(m.Customs, Custom{Name: name, Content: content, After: sectionOrder[len(sectionOrder)-1]})
}
