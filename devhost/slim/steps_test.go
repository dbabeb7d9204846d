package slim_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/waxosuit/waxo/devhost/slim"
	"github.com/waxosuit/waxo/wapc/wasm"
)

func decode(t *testing.T, module []byte) *wasm.Module {
	t.Helper()
	m, err := wasm.Decode(module)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestStrip(t *testing.T) {
	m := newModule(func(*wasm.Code) {})
	local := wasm.InnerNames{Func: fnInit, Names: []byte("\x01\x00\x01x")}
	names := &wasm.Names{
		Funcs:  []wasm.Name{{Func: fnCall, Name: "call"}},
		Locals: []wasm.InnerNames{local}, Labels: []wasm.InnerNames{local},
		Rest: []wasm.NameSubsection{{ID: 7, Content: []byte{0}}},
	}
	m.SetCustom("name", names.Encode())
	for _, name := range []string{".debug_info", ".debug_line", "producers", "target_features", "sourceMappingURL",
		"external_debug_info", "reloc.CODE", "linking", "metadata.code.branch_hint", "licence", ".dep-v0"} {
		m.Customs = append(m.Customs, wasm.Custom{Name: name, Content: []byte("\xffcontent"), After: 11})
	}
	module := m.Encode()
	sameConversation(t, module, calls, noAnswer)
	after, r := slimmed(t, module, slim.Strip)
	var kept []string
	stripped := decode(t, after)
	for _, c := range stripped.Customs {
		kept = append(kept, c.Name)
	}
	if want := []string{"name", "licence", ".dep-v0"}; !slices.Equal(kept, want) || r.Detail != "9 custom sections removed" {
		t.Errorf("kept %q: %s", kept, r.Detail)
	}
	names.Locals, names.Labels, names.Rest = nil, nil, nil
	if content, _ := stripped.Custom("name"); string(content) != string(names.Encode()) {
		t.Errorf("the names are %q", content)
	}
	if again, r := slimmed(t, after, slim.Strip); string(again) != string(after) || r.Saved != 0 {
		t.Errorf("stripped again: %+v", r)
	}
}

// What is left of the custom sections is right.
func TestStaleCustomSections(t *testing.T) {
	for step, want := range map[slim.Step]string{
		slim.Merge:    "name .debug_line licence",
		slim.Snapshot: "name .debug_line licence",
		slim.Dead:     "name licence",
	} {
		m := newModule(func(c *wasm.Code) { store8(c, 30, 1) })
		addFunc(m, "", nothing, wasm.NewCode(0))
		m.Data = []wasm.Data{data(20, "a"), data(21, "b")}
		names := &wasm.Names{Rest: []wasm.NameSubsection{{ID: 7, Content: []byte{0}}, {ID: 9, Content: []byte{0}}}}
		m.SetCustom("name", names.Encode())
		for _, name := range []string{".debug_line", "reloc.DATA", "linking", "sourceMappingURL", "licence"} {
			m.SetCustom(name, []byte("x"))
		}
		after, r := slimmed(t, m.Encode(), step)
		var kept []string
		for _, c := range decode(t, after).Customs {
			kept = append(kept, c.Name)
		}
		content, _ := decode(t, after).Custom("name")
		names, err := wasm.DecodeNames(content)
		if err != nil || slices.ContainsFunc(names.Rest, func(s wasm.NameSubsection) bool { return s.ID == 9 }) != (step == slim.Dead) {
			t.Errorf("%s: names %+v, error %v", step, names, err)
		}
		if got := strings.Join(kept, " "); got != want || !r.Done {
			t.Errorf("%s kept %q, want %q: %+v", step, got, want, r)
		}
	}
}

func TestMerge(t *testing.T) {
	const long = "0123456789"
	zeros := func(n int) string { return strings.Repeat("\x00", n) }
	beyond := wasm.Data{Offset: wasm.NewCode(0).I32(90).I32(8).Op(wasm.OpI32Add).Body().Code, Init: []byte("sum")}
	for _, test := range []struct {
		name  string
		data  []wasm.Data
		after int
	}{
		{"none", nil, 0},
		{"neighbours", []wasm.Data{data(10, "a"), data(11, "b"), data(12, "c")}, 1},
		{"out of order", []wasm.Data{data(40, "c"), data(10, "a"), data(20, "b")}, 1},
		{"a gap that is filled", []wasm.Data{data(10, "a"), data(75, "b")}, 1},
		{"a gap that is not", []wasm.Data{data(10, "a"), data(76, "b")}, 2},
		{"the later one counts", []wasm.Data{data(10, long), data(12, "XY"), data(8, "--ab")}, 1},
		{"and the other way round", []wasm.Data{data(8, "--ab"), data(12, "XY"), data(10, long)}, 1},
		{"the later one is zero", []wasm.Data{data(10, long), data(12, zeros(3))}, 1},
		{"the same place", []wasm.Data{data(10, "a"), data(10, "b"), data(10, "")}, 1},
		{"one inside of another", []wasm.Data{data(10, long+long), data(12, "in"), data(29, "after")}, 1},
		{"long zeros inside", []wasm.Data{data(10, "a"+zeros(65)+"b")}, 2},
		{"short zeros inside", []wasm.Data{data(10, "a"+zeros(64)+"b")}, 1},
		{"zeros around", []wasm.Data{data(10, zeros(200)+"a"+zeros(9000))}, 1},
		{"zeros only", []wasm.Data{data(10, zeros(200)), data(40, ""), data(65536, "")}, 0},
		{"the last byte", []wasm.Data{data(65535, "z"), data(0, "a")}, 2},
		{"an unknown place", []wasm.Data{data(100, "a"), data(101, "b"), beyond, data(120, "c"), data(121, "d")}, 3},
		{"zeros after an unknown place", []wasm.Data{data(100, long), beyond, data(100, zeros(2)), data(104, zeros(1))}, 4},
		{"explicit memory", []wasm.Data{{Form: 2, Offset: data(10, "").Offset, Init: []byte("a")}, data(11, "b")}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newModule(func(*wasm.Code) {})
			m.Data = test.data
			sameConversation(t, m.Encode(), calls, noAnswer)
			after, r := slimmed(t, m.Encode(), slim.Merge)
			if n := len(decode(t, after).Data); n != test.after || !r.Done {
				t.Errorf("%d segments, %+v", n, r)
			}
			if again, _ := slimmed(t, after, slim.Merge); string(again) != string(after) {
				t.Error("merged again, the module is another")
			}
		})
	}
}

// Data segments at random, many of them over others.
func TestMergeOfRandomSegments(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		m := newModule(func(*wasm.Code) {})
		for range random.IntN(12) {
			text := make([]byte, random.IntN(40))
			for i := range text {
				text[i] = byte(random.IntN(3)) // zero is likely
			}
			m.Data = append(m.Data, data(int32(random.IntN(seen-40)), string(text)))
		}
		module := m.Encode()
		after, _ := slimmed(t, module, slim.Merge)
		if want, got := talk(t, module, calls, noAnswer), talk(t, after, calls, noAnswer); !slices.Equal(want, got) {
			t.Fatalf("%q became %q", want, got)
		}
	}
}

// Instructions find their passive segments, wherever those go.
func TestMergeKeepsPassiveSegments(t *testing.T) {
	m := newModule(func(c *wasm.Code) {
		index(c.I32(30).I32(0).I32(3).Index(misc(8), 1), 0)
		index(c.I32(40).I32(1).I32(3).Index(misc(8), 300), 0)
		c.Index(misc(9), 1)
	})
	for i := range 301 {
		m.Data = append(m.Data, data(int32(50+i/3), fmt.Sprint(i%10)))
	}
	m.Data[1] = wasm.Data{Form: 1, Init: []byte("one")}
	m.Data[300] = wasm.Data{Form: 1, Init: []byte("three hundred")}
	m.Data[7] = wasm.Data{Form: 1, Init: []byte("seven")}
	setDataCount(m)
	module := m.Encode()
	sameConversation(t, module, calls, noAnswer)
	after, r := slimmed(t, module, slim.Merge)
	if merged := decode(t, after); len(merged.Data) != 4 || *merged.DataCount != 4 || string(merged.Data[3].Init) != "three hundred" || !r.Done {
		t.Errorf("%d segments, %+v", len(merged.Data), r)
	}
	if _, r := slimmed(t, module, slim.Snapshot); r.Done || r.Detail != "the code can drop a data segment" {
		t.Errorf("%+v", r)
	}
}

func TestSnapshotKeepsPassiveSegments(t *testing.T) {
	m := newModule(func(c *wasm.Code) { index(c.I32(30).I32(0).I32(3).Index(misc(8), 1), 0) })
	later := index(wasm.NewCode(0).I32(40).I32(0).I32(5).Index(misc(8), 3), 0).Body().Code
	m.Code[0].Code = slices.Concat(later[:len(later)-1], m.Code[0].Code)
	m.Data = []wasm.Data{data(10, "active"), {Form: 1, Init: []byte("one")}, data(20, "more"), {Form: 1, Init: []byte("later")}}
	setDataCount(m)
	sameConversation(t, m.Encode(), calls, noAnswer)
	if _, r := slimmed(t, m.Encode(), slim.Snapshot); !r.Done {
		t.Errorf("%+v", r)
	}
}

func TestMergeLeavesAlone(t *testing.T) {
	for reason, change := range map[string]func(m *wasm.Module){
		"an instruction names data segment 1, which is active": func(m *wasm.Module) {
			m.Code[1].Code = wasm.NewCode(0).Index(misc(9), 1).Body().Code
		},
		"data segment 2 lies outside of the memory: no instance can start": func(m *wasm.Module) { m.Data[2] = data(65534, "end") },
		"data segment 0 lies outside of the memory: no instance can start": func(m *wasm.Module) { m.Data[0] = data(-1, "") },
		"an instruction names a data segment that does not exist": func(m *wasm.Module) {
			m.Code[1].Code = wasm.NewCode(0).Index(misc(9), 3).Body().Code
		},
		"the module does not have as many data segments as it says":  func(m *wasm.Module) { *m.DataCount = 2 },
		"data segment 1 is for a memory that does not exist":         func(m *wasm.Module) { m.Data[1].Form, m.Data[1].Memory = 2, 1 },
		"the module's memory is not its only memory, or not its own": func(m *wasm.Module) { m.Memories = nil },
	} {
		m := newModule(func(*wasm.Code) {})
		m.Data = []wasm.Data{data(10, "a"), data(11, "b"), data(12, "c")}
		setDataCount(m)
		change(m)
		after, r := slimmed(t, m.Encode(), slim.Merge)
		if r.Done || r.Detail != reason || string(after) != string(m.Encode()) {
			t.Errorf("%+v, want %q", r, reason)
		}
	}
}

func TestDead(t *testing.T) {
	m := newModule(func(c *wasm.Code) { c.Call(7).I32(2).Index(wasm.OpCallIndirect, m1).Op(0) })
	number := func(n int32) *wasm.Code { return wasm.NewCode(0).I32(8).I32(n).Mem(wasm.OpI32Store8, 0) }
	for i := range int32(12) { // functions 5 to 16
		addFunc(m, map[int32]string{1: "six", 8: "thirteen", 9: "fourteen"}[i], nothing, number(i))
	}
	call := func(f uint32, other ...uint32) {
		c := wasm.NewCode(0).Call(f)
		for _, f := range other {
			c.Call(f)
		}
		m.Code[7-3].Code = c.Body().Code
	}
	call(9, 11)
	m.Code[5-3].Code = wasm.NewCode(0).Call(5).Call(6).Body().Code // nobody calls it but itself
	m.Code[9-3].Code = wasm.NewCode(0).Index(wasm.OpRefFunc, 14).Op(0x1a).Index(wasm.OpReturnCall, 12).Body().Code
	addTable(m, fnInit, 10, 16, 12)
	m.Exports = append(m.Exports, wasm.Export{Name: "table", Kind: wasm.KindTable}, wasm.Export{Name: "global", Kind: wasm.KindGlobal},
		wasm.Export{Name: "another memory", Kind: wasm.KindMemory})
	names := new(wasm.Names)
	for i := range uint32(17) {
		names.Funcs = append(names.Funcs, wasm.Name{Func: i, Name: fmt.Sprint("f", i)})
	}
	m.SetCustom("name", names.Encode())
	m.SetCustom(".debug_line", []byte("offsets"))
	m.SetCustom("licence", []byte("free"))
	module := m.Encode()
	sameConversation(t, module, calls, noAnswer)
	after, r := slimmed(t, module, slim.Dead)
	if !r.Done || r.Detail != "5 functions and 5 exports removed" {
		t.Errorf("%+v", r)
	}
	var exports, kept []string
	slimmer := decode(t, after)
	for _, e := range slimmer.Exports {
		exports = append(exports, e.Name)
	}
	if want := []string{"memory", "__guest_call", "_initialize", "fourteen"}; !slices.Equal(exports, want) {
		t.Errorf("exports %q", exports)
	}
	content, _ := slimmer.Custom("name")
	names, err := wasm.DecodeNames(content)
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range names.Funcs {
		if n.Func != uint32(i) {
			t.Errorf("name %d is that of function %d", i, n.Func)
		}
		kept = append(kept, n.Name)
	}
	if want := "f0 f1 f2 f3 f4 f7 f9 f10 f11 f12 f14 f16"; strings.Join(kept, " ") != want {
		t.Errorf("kept %q, want %q", kept, want)
	}
	if _, ok := slimmer.Custom(".debug_line"); ok || len(slimmer.Customs) != 2 {
		t.Errorf("custom sections %+v", slimmer.Customs)
	}
}

// m1 is the type of functions without parameters in a module of newModule.
const m1 = 3

func TestUnreadableCode(t *testing.T) {
	for _, step := range []slim.Step{slim.Dead, slim.Merge, slim.Snapshot} {
		m := newModule(func(*wasm.Code) {})
		setDataCount(m)
		m.Code[1].Code = []byte{0xff, 0x0b}
		_, err := slim.Slim(t.Context(), m, &slim.Options{Steps: []slim.Step{step}})
		if at := new(wasm.CodeError); !errors.As(err, &at) || at.Func != fnInit || !errors.Is(err, wasm.ErrUnsupported) {
			t.Errorf("%s: error %v", step, err)
		}
	}
	if _, err := slim.Slim(t.Context(), newModule(func(*wasm.Code) {}), &slim.Options{Steps: []slim.Step{"stripp"}}); !errors.Is(err, slim.ErrUnknownStep) {
		t.Errorf("error %v", err)
	}
}
