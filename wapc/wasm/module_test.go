package wasm_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"testing"

	"github.com/waxosuit/waxo/wapc/wasm"
)

func indices(t testing.TB) []byte {
	t.Helper()
	module, err := os.ReadFile("testdata/indices.wasm")
	if err != nil {
		t.Fatal(err)
	}
	return module
}

func TestFixtureIsUpToDate(t *testing.T) {
	out := filepath.Join(t.TempDir(), "indices.wasm")
	tool(t, "wat2wasm", "--debug-names", "--enable-tail-call", "--enable-extended-const", "testdata/indices.wat", "-o", out)
	got, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, indices(t)) {
		t.Error("testdata/indices.wasm is not what indices.wat compiles to")
	}
}

func TestDecodeEncodeIsTheIdentity(t *testing.T) {
	module := indices(t)
	m, err := wasm.Decode(module)
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Encode(); !bytes.Equal(got, module) {
		t.Errorf("%d bytes came back as %d others", len(module), len(got))
	}
	var forms []uint32
	for _, e := range m.Elements {
		forms = append(forms, e.Form)
	}
	if want := []uint32{0, 1, 2, 3, 4, 5, 6, 7}; !slices.Equal(forms, want) {
		t.Errorf("the fixture has the forms %v of element segments, want %v", forms, want)
	}
}

// everyKind is a module with imports and exports of all kinds, in the widest
// limits that there are.
func everyKind() *wasm.Module {
	f := wasm.FuncType{Params: []wasm.ValType{wasm.I32, wasm.V128}, Results: []wasm.ValType{wasm.F32, wasm.F64}}
	limits := wasm.Limits{Min: 1 << 40, Max: 1 << 41, HasMax: true, Is64: true}
	return &wasm.Module{
		Types: []wasm.FuncType{{}, f},
		Imports: []wasm.Import{
			{Module: "a", Name: "func", Type: wasm.ExternType{TypeIndex: 1, Func: f}},
			{Module: "a", Name: "table", Type: wasm.ExternType{Kind: wasm.KindTable, Table: wasm.TableType{Elem: wasm.ExternRef, Limits: wasm.Limits{Min: 3}}}},
			{Module: "b", Name: "memory", Type: wasm.ExternType{Kind: wasm.KindMemory, Memory: limits}},
			{Module: "b", Name: "global", Type: wasm.ExternType{Kind: wasm.KindGlobal, Global: wasm.GlobalType{Type: wasm.I64, Mutable: true}}},
			{Module: "", Name: "tag", Type: wasm.ExternType{Kind: wasm.KindTag, TypeIndex: 1, Func: f}},
		},
		Funcs:    []uint32{0},
		Tables:   []wasm.TableType{{Elem: wasm.FuncRef, Limits: wasm.Limits{Max: 7, HasMax: true}}},
		Memories: []wasm.Limits{{Min: 1, Max: 2, HasMax: true, Shared: true}},
		Globals:  []wasm.Global{{Type: wasm.GlobalType{Type: wasm.F32}, Init: []byte{0x43, 0, 0, 0, 0, 0x0b}}},
		Exports: []wasm.Export{
			{Name: "imported func", Index: 0}, {Name: "func", Index: 1},
			{Name: "imported table", Kind: wasm.KindTable}, {Name: "table", Kind: wasm.KindTable, Index: 1},
			{Name: "imported memory", Kind: wasm.KindMemory}, {Name: "memory", Kind: wasm.KindMemory, Index: 1},
			{Name: "imported global", Kind: wasm.KindGlobal}, {Name: "global", Kind: wasm.KindGlobal, Index: 1},
			{Name: "imported tag", Kind: wasm.KindTag},
		},
		Code: []wasm.Body{wasm.NewCode(0).Body()},
		Customs: []wasm.Custom{
			{Name: "first", Content: []byte("1")},
			{Name: "within", After: 5},
			{Name: "last", Content: []byte("3"), After: 10},
		},
	}
}

func TestImportsAndExportsHaveTheirTypes(t *testing.T) {
	want := everyKind()
	module := want.Encode()
	imports, err := wasm.Imports(module)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(imports, want.Imports) {
		t.Errorf("imports %+v\nwant %+v", imports, want.Imports)
	}
	exports, err := wasm.Exports(module)
	if err != nil {
		t.Fatal(err)
	}
	local := func(k wasm.Kind) wasm.ExternType { return wasm.ExternType{Kind: k} }
	table, memory, global := local(wasm.KindTable), local(wasm.KindMemory), local(wasm.KindGlobal)
	table.Table, memory.Memory, global.Global = want.Tables[0], want.Memories[0], want.Globals[0].Type
	types := []wasm.ExternType{
		want.Imports[0].Type, local(wasm.KindFunc), want.Imports[1].Type, table,
		want.Imports[2].Type, memory, want.Imports[3].Type, global, want.Imports[4].Type,
	}
	for i, e := range exports {
		if e.Name != want.Exports[i].Name || !reflect.DeepEqual(e.Type, types[i]) {
			t.Errorf("export %q is %+v, want %q %+v", e.Name, e.Type, want.Exports[i].Name, types[i])
		}
	}
	if len(exports) != len(types) {
		t.Errorf("%d exports, want %d", len(exports), len(types))
	}
	m, err := wasm.Decode(module)
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Encode(); !bytes.Equal(got, module) {
		t.Error("the module came back as another")
	}
	if !reflect.DeepEqual(m.Customs[0], want.Customs[0]) || m.Customs[1].After != 5 || m.Customs[2].Name != "last" {
		t.Errorf("custom sections %+v, want %+v", m.Customs, want.Customs)
	}
}

// section makes a module of the types () -> () and what stands in raw.
func rawModule(raw ...byte) []byte {
	return slices.Concat(wasm.Magic[:], []byte{1, 4, 1, 0x60, 0, 0}, raw)
}

func TestMalformedModules(t *testing.T) {
	tests := []struct {
		name   string
		module []byte
		want   error
	}{
		{"empty", nil, wasm.ErrMalformed},
		{"another version", []byte("\x00asm\x02\x00\x00\x00"), wasm.ErrMalformed},
		{"section longer than the file", rawModule(2, 5, 0), wasm.ErrMalformed},
		{"section length overlong", rawModule(2, 0x80, 0x80, 0x80, 0x80, 0x10), wasm.ErrMalformed},
		{"section twice", rawModule(1, 1, 0), wasm.ErrMalformed},
		{"sections out of order", rawModule(3, 1, 0, 2, 1, 0), wasm.ErrMalformed},
		{"data count behind code", rawModule(10, 1, 0, 12, 1, 0), wasm.ErrMalformed},
		{"bytes left over", rawModule(2, 2, 0, 0), wasm.ErrMalformed},
		{"4 billion imports", rawModule(2, 5, 0xff, 0xff, 0xff, 0xff, 0x0f), wasm.ErrMalformed},
		{"4 billion locals types", rawModule(3, 2, 1, 0, 10, 8, 1, 6, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x0b), wasm.ErrMalformed},
		{"too many locals", rawModule(3, 2, 1, 0, 10, 17, 1, 15, 2, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x7f, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x7f, 0x0b), wasm.ErrMalformed},
		{"body beyond its section", rawModule(3, 2, 1, 0, 10, 4, 1, 9, 0, 0x0b), wasm.ErrMalformed},
		{"function without code", rawModule(3, 2, 1, 0), wasm.ErrMalformed},
		{"import of a type that does not exist", rawModule(2, 7, 1, 1, 'a', 1, 'b', 0, 1), wasm.ErrMalformed},
		{"name that is not UTF-8", rawModule(2, 7, 1, 1, 0xff, 1, 'b', 0, 0), wasm.ErrMalformed},
		{"custom section's name that is not UTF-8", rawModule(0, 2, 1, 0xff), wasm.ErrMalformed},
		{"custom section without a name", rawModule(0, 1, 1), wasm.ErrMalformed},
		{"global neither constant nor mutable", rawModule(6, 6, 1, 0x7f, 2, 0x41, 0, 0x0b), wasm.ErrMalformed},
		{"constant expression without end", rawModule(6, 5, 1, 0x7f, 0, 0x41, 0), wasm.ErrMalformed},
		{"table of numbers", rawModule(4, 4, 1, 0x7f, 0, 0), wasm.ErrMalformed},
		{"tag section", rawModule(13, 3, 1, 0, 0), wasm.ErrUnsupported},
		{"structure type", slices.Concat(wasm.Magic[:], []byte{1, 4, 1, 0x5f, 0, 0}), wasm.ErrUnsupported},
		{"recursive type", slices.Concat(wasm.Magic[:], []byte{1, 4, 1, 0x4e, 0, 0}), wasm.ErrUnsupported},
		{"value type of GC", rawModule(6, 6, 1, 0x6e, 0, 0xd0, 0x6e, 0x0b), wasm.ErrUnsupported},
		{"table with an initial value", rawModule(4, 9, 1, 0x40, 0, 0x70, 0, 0, 0xd0, 0x70, 0x0b), wasm.ErrUnsupported},
		{"unknown opcode in a constant expression", rawModule(6, 6, 1, 0x7f, 0, 0xfb, 0, 0x0b), wasm.ErrUnsupported},
		{"memory with a page size", rawModule(5, 4, 1, 8, 0, 0), wasm.ErrUnsupported},
		{"element segment of the form 8", rawModule(9, 4, 1, 8, 0, 0), wasm.ErrUnsupported},
		{"element kind 1", rawModule(9, 4, 1, 1, 1, 0), wasm.ErrUnsupported},
		{"data segment of the form 3", rawModule(11, 3, 1, 3, 0), wasm.ErrUnsupported},
		{"import of the kind 5", rawModule(2, 7, 1, 1, 'a', 1, 'b', 5, 0), wasm.ErrUnsupported},
		{"export of the kind 5", rawModule(7, 5, 1, 1, 'a', 5, 0), wasm.ErrUnsupported},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if m, err := wasm.Decode(test.module); !errors.Is(err, test.want) {
				t.Errorf("got %+v, error %v, want %v", m, err, test.want)
			}
		})
	}
}

func TestTruncatedModules(t *testing.T) {
	module := indices(t)
	for n := range module {
		m, err := wasm.Decode(module[:n])
		if err == nil && !bytes.Equal(m.Encode(), module[:n]) {
			t.Errorf("%d of %d bytes are read as another module", n, len(module))
		}
		if _, err := wasm.Imports(module[:n]); err != nil && !errors.Is(err, wasm.ErrMalformed) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

// A claimed length must not cost memory before it is known to be true.
func TestHostileLengthsCostNothing(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for id := byte(1); id <= 12; id++ {
		raw := append([]byte{id, 5}, 0xff, 0xff, 0xff, 0x7f, 0)
		if _, err := wasm.Decode(slices.Concat(wasm.Magic[:], raw)); err == nil {
			t.Errorf("the section %d was read", id)
		}
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 1<<16 {
		t.Errorf("%d bytes were allocated", got)
	}
}

func TestAddType(t *testing.T) {
	m := everyKind()
	if got := m.AddType(wasm.FuncType{}); got != 0 {
		t.Errorf("the type that is there got the index %d", got)
	}
	added := wasm.FuncType{Params: []wasm.ValType{wasm.I64}}
	if a, b := m.AddType(added), m.AddType(added); a != 2 || b != 2 || len(m.Types) != 3 {
		t.Errorf("a new type got the indexes %d and %d of %d", a, b, len(m.Types))
	}
}

func TestSetCustom(t *testing.T) {
	m := everyKind()
	m.SetCustom("first", []byte("one"))
	m.SetCustom("new", []byte("four"))
	m, err := wasm.Decode(m.Encode())
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := m.Custom("first"); !ok || string(got) != "one" || m.Customs[0].Name != "first" {
		t.Errorf("the replaced section is %q, found %v", got, ok)
	}
	if got := m.Customs[len(m.Customs)-1]; got.Name != "new" || string(got.Content) != "four" {
		t.Errorf("the last section is %+v", got)
	}
	if _, ok := m.Custom("missing"); ok {
		t.Error("a section was found that is not there")
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(indices(f))
	f.Add(everyKind().Encode())
	f.Fuzz(func(t *testing.T, module []byte) {
		m, err := wasm.Decode(module)
		if err != nil {
			if !errors.Is(err, wasm.ErrMalformed) && !errors.Is(err, wasm.ErrUnsupported) {
				t.Fatalf("error of no kind: %v", err)
			}
			return
		}
		once := m.Encode()
		again, err := wasm.Decode(once)
		if err != nil {
			t.Fatalf("what was encoded does not decode: %v", err)
		}
		if twice := again.Encode(); !bytes.Equal(once, twice) {
			t.Fatalf("encoded once:\n%x\ntwice:\n%x", once, twice)
		}
		if len(once) > len(module)+1 {
			t.Fatalf("%d bytes became %d", len(module), len(once))
		}
		for i := range m.Code {
			m.Code[i].Offset, again.Code[i].Offset = 0, 0
		}
		if !reflect.DeepEqual(m, again) {
			t.Fatalf("decoded once:\n%+v\ntwice:\n%+v", m, again)
		}
		for i := range m.Code {
			walk(t, m.Code[i].Code)
		}
		if content, ok := m.Custom(wasm.NameSection); ok {
			checkNames(t, content)
		}
	})
}
