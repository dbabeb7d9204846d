package wasm_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/waxosuit/waxo/wapc/wasm"
)

func TestRenumberThereAndBack(t *testing.T) {
	module := indices(t)
	kept := bytes.Clone(module)
	m, err := wasm.Decode(module)
	if err != nil {
		t.Fatal(err)
	}
	total := m.ImportedFuncs() + len(m.Funcs)
	there, back := make([]uint32, total), make([]uint32, 1000+total)
	for i := range there {
		there[i] = uint32(1000 + total - 1 - i)
		back[there[i]] = uint32(i)
	}
	if err := m.RenumberFuncs(there); err != nil {
		t.Fatal(err)
	}
	if *m.Start < 1000 || m.Elements[0].Funcs[0] < 1000 || m.Exports[1].Index < 1000 {
		t.Errorf("start %d, elements %v, exports %v", *m.Start, m.Elements[0].Funcs, m.Exports)
	}
	far := m.Encode()
	for _, body := range m.Code {
		for _, in := range walk(t, body.Code) {
			if in.RefersToFunc() && in.Index < 1000 {
				t.Errorf("%+v was not renumbered", in)
			}
		}
	}
	again, err := wasm.Decode(far)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.RenumberFuncs(back); err != nil {
		t.Fatal(err)
	}
	if got := again.Encode(); !bytes.Equal(got, module) {
		t.Error("the module did not come back")
	}
	if !bytes.Equal(module, kept) {
		t.Error("the bytes that were decoded have changed")
	}
}

func TestRenumberRefuses(t *testing.T) {
	fresh := func() *wasm.Module {
		m, err := wasm.Decode(indices(t))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	identity := make([]uint32, fresh().ImportedFuncs()+len(fresh().Funcs))
	for i := range identity {
		identity[i] = uint32(i)
	}
	far := uint32(len(identity))
	refFunc := append(wasm.AppendUint32([]byte{byte(wasm.OpRefFunc)}, far), 0x0b)
	tests := []struct {
		name  string
		spoil func(*wasm.Module)
		text  string
	}{
		{"call", func(m *wasm.Module) { m.Code[3].Code = wasm.NewCode(0).Call(far).Body().Code }, "code of function 8"},
		{"global", func(m *wasm.Module) { m.Globals[0].Init = refFunc }, "global"},
		{"function element", func(m *wasm.Module) { m.Elements[1].Funcs[1] = far }, "element segment 1"},
		{"expression element", func(m *wasm.Module) { m.Elements[5].Exprs[0] = refFunc }, "element segment 5"},
		{"element offset", func(m *wasm.Module) { m.Elements[2].Offset = refFunc }, "element segment 2"},
		{"data offset", func(m *wasm.Module) { m.Data[0].Offset = refFunc }, "data segment 0"},
		{"export", func(m *wasm.Module) { m.Exports[1].Index = far }, m0(fresh())},
		{"start", func(m *wasm.Module) { m.Start = &far }, "start"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m := fresh()
			test.spoil(m)
			if err := m.RenumberFuncs(identity); !errors.Is(err, wasm.ErrMalformed) || !strings.Contains(err.Error(), test.text) {
				t.Errorf("error %v, want one with %q", err, test.text)
			}
		})
	}
	m := fresh()
	m.Code[2].Code = []byte{0x01, 0x06, 0x0b}
	var bad *wasm.CodeError
	if err := m.RenumberFuncs(identity); !errors.As(err, &bad) || bad.Func != 7 || bad.Offset != m.Code[2].Offset {
		t.Errorf("error %v, want one in function 7 at offset %d", err, m.Code[2].Offset)
	}
	if !slices.Equal(indices(t)[m.Code[2].Offset:][:2], []byte{0x41, 0xe6}) {
		t.Error("the offset does not lead to the code in the module")
	}
}

func m0(m *wasm.Module) string { return m.Exports[1].Name }

func checkNames(t *testing.T, content []byte) {
	t.Helper()
	names, err := wasm.DecodeNames(content)
	if err != nil {
		return
	}
	again, err := wasm.DecodeNames(names.Encode())
	if err != nil {
		t.Fatalf("encoded names do not decode: %v", err)
	}
	if once, twice := names.Encode(), again.Encode(); !bytes.Equal(once, twice) {
		t.Fatalf("names encoded once:\n%x\ntwice:\n%x", once, twice)
	}
}

// names has all that can be in a name section: the module's name, functions 0
// to 2, locals and labels of 1 and 2, and the name of a global.
var names = []byte{
	0, 2, 1, 'm',
	1, 10, 3, 0, 1, 'a', 1, 1, 'b', 2, 1, 'c',
	2, 11, 2, 1, 1, 0, 1, 'x', 2, 1, 0, 1, 'y',
	3, 6, 1, 2, 1, 5, 1, 'z',
	7, 4, 1, 0, 1, 'g',
}

func TestNames(t *testing.T) {
	n, err := wasm.DecodeNames(names)
	if err != nil {
		t.Fatal(err)
	}
	if got := n.Encode(); !bytes.Equal(got, names) {
		t.Errorf("names came back as %x", got)
	}
	n.RenumberFuncs([]uint32{5, 4, 3})
	n.SetFunc(4, "B")
	n.SetFunc(200, "new")
	want := []byte{
		0, 2, 1, 'm',
		1, 16, 4, 3, 1, 'c', 4, 1, 'B', 5, 1, 'a', 0xc8, 1, 3, 'n', 'e', 'w',
		2, 11, 2, 3, 1, 0, 1, 'y', 4, 1, 0, 1, 'x',
		3, 6, 1, 3, 1, 5, 1, 'z',
		7, 4, 1, 0, 1, 'g',
	}
	if got := n.Encode(); !bytes.Equal(got, want) {
		t.Errorf("renumbered names are % x\nwant % x", got, want)
	}
	n.RenumberFuncs([]uint32{0, 0, 0, 0, 0, 0})
	if len(n.Funcs) != 1 || len(n.Locals) != 1 {
		t.Errorf("names of one function: %v %v", n.Funcs, n.Locals)
	}
}

func TestMalformedNames(t *testing.T) {
	for name, content := range map[string][]byte{
		"parts out of order":     {1, 1, 0, 0, 2, 1, 'm'},
		"part twice":             {0, 2, 1, 'm', 0, 2, 1, 'm'},
		"part too long":          {0, 9, 1, 'm'},
		"part too short":         {1, 2, 0, 0},
		"function twice":         {1, 7, 2, 1, 1, 'a', 1, 1, 'b'},
		"functions out of order": {1, 7, 2, 2, 1, 'a', 1, 1, 'b'},
		"locals out of order":    {2, 5, 2, 2, 0, 1, 0},
		"locals cut off":         {2, 4, 1, 2, 1, 0},
		"not UTF-8":              {0, 2, 1, 0xff},
	} {
		if n, err := wasm.DecodeNames(content); !errors.Is(err, wasm.ErrMalformed) {
			t.Errorf("%s: %+v, error %v", name, n, err)
		}
	}
	for n := range names {
		if got, err := wasm.DecodeNames(names[:n]); err == nil && len(got.Encode()) != n {
			t.Errorf("%d bytes came back as others", n)
		}
	}
}
