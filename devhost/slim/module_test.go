package slim_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/waxosuit/waxo/devhost/slim"
	"github.com/waxosuit/waxo/wapc/wasm"
)

// The functions of a module that newModule returns.
const (
	fnResponse = iota // wapc.__guest_response
	fnLog             // wapc.__console_log
	fnHostCall        // wapc.__host_call, with four parameters
	fnCall            // __guest_call
	fnInit            // _initialize
)

// seen is how much of its memory the guest shows with each call.
const seen = 256

var (
	pointer = wasm.FuncType{Params: []wasm.ValType{wasm.I32, wasm.I32}}
	nothing = wasm.FuncType{}
)

// newModule returns a guest whose answer to each call is the beginning of its
// memory, after the size of its memory and a global variable were written there.
// Its start is what init writes.
func newModule(init func(c *wasm.Code)) *wasm.Module {
	i32 := wasm.I32
	m := &wasm.Module{
		Memories: []wasm.Limits{{Min: 1}},
		Globals:  []wasm.Global{{Type: wasm.GlobalType{Type: i32, Mutable: true}, Init: wasm.NewCode(0).I32(1).Body().Code}},
		Exports:  []wasm.Export{{Name: "memory", Kind: wasm.KindMemory}},
	}
	for _, f := range []struct {
		name string
		t    wasm.FuncType
	}{{"__guest_response", pointer}, {"__console_log", pointer}, {"__host_call", wasm.FuncType{Params: []wasm.ValType{i32, i32, i32, i32}, Results: []wasm.ValType{i32}}}} {
		m.Imports = append(m.Imports, wasm.Import{Module: "wapc", Name: f.name, Type: wasm.ExternType{TypeIndex: m.AddType(f.t), Func: f.t}})
	}
	c := wasm.NewCode(2)
	c.I32(0).Index(opMemorySize, 0).Mem(wasm.OpI32Store, 0)
	c.I32(0).GetGlobal(0).Mem(wasm.OpI32Store, 4)
	c.I32(0).I32(seen).Call(fnResponse).I32(1)
	addFunc(m, "__guest_call", wasm.FuncType{Params: []wasm.ValType{i32, i32}, Results: []wasm.ValType{i32}}, c)
	c = wasm.NewCode(0)
	init(c)
	addFunc(m, "_initialize", nothing, c)
	return m
}

const opMemorySize, opMemoryGrow wasm.Opcode = 0x3f, 0x40

// misc is an instruction behind the prefix 0xfc.
func misc(n uint32) wasm.Opcode { return wasm.Opcode(0xfc<<16 | n) }

// index writes another index behind an instruction that has two.
func index(c *wasm.Code, i uint32) *wasm.Code { return c.Op(wasm.Opcode(i)) }

// addFunc adds a function, exports it unless name is empty, and returns its
// index.
func addFunc(m *wasm.Module, name string, t wasm.FuncType, c *wasm.Code) uint32 {
	f := uint32(m.ImportedFuncs() + len(m.Funcs))
	m.Funcs = append(m.Funcs, m.AddType(t))
	m.Code = append(m.Code, c.Body())
	if name != "" {
		m.Exports = append(m.Exports, wasm.Export{Name: name, Kind: wasm.KindFunc, Index: f})
	}
	return f
}

func addTable(m *wasm.Module, funcs ...uint32) {
	m.Tables = append(m.Tables, wasm.TableType{Elem: wasm.FuncRef, Limits: wasm.Limits{Min: 4}})
	m.Elements = append(m.Elements, wasm.Element{Offset: wasm.NewCode(0).I32(0).Body().Code, Type: wasm.FuncRef, Funcs: funcs})
}

func data(offset int32, text string) wasm.Data {
	return wasm.Data{Offset: wasm.NewCode(0).I32(offset).Body().Code, Init: []byte(text)}
}

func setDataCount(m *wasm.Module) {
	n := uint32(len(m.Data))
	m.DataCount = &n
}

var calls = []exchange{{"a", ""}, {"b", "payload"}, {"c", ""}}

// store8 writes a byte to the memory.
func store8(c *wasm.Code, at, value int32) {
	c.I32(at).I32(value).Mem(wasm.OpI32Store8, 0)
}

func TestSnapshotOfAllState(t *testing.T) {
	m := newModule(func(c *wasm.Code) {
		store8(c, 20, 'i')
		c.I32(2).Index(opMemoryGrow, 0).SetGlobal(0)
		store8(c, 3*65536-1, 'e')
		c.GetGlobal(1).I64(math.MinInt64 + 1).Op(wasm.OpI64Add).SetGlobal(1)
		c.GetGlobal(2).SetGlobal(3)
	})
	f32 := func(bits ...byte) []byte { return append(append([]byte{0x43}, bits...), 0x0b) }
	f64 := append(append([]byte{0x44}, 1, 2, 3, 4, 5, 6, 0xf7, 0xff), 0x0b) // a NaN with a payload
	m.Globals = append(m.Globals,
		wasm.Global{Type: wasm.GlobalType{Type: wasm.I64, Mutable: true}, Init: wasm.NewCode(0).I64(-5).Body().Code},
		wasm.Global{Type: wasm.GlobalType{Type: wasm.F32}, Init: f32(1, 0, 0xa0, 0xff)}, // a signaling NaN
		wasm.Global{Type: wasm.GlobalType{Type: wasm.F32, Mutable: true}, Init: f32(0, 0, 0, 0)},
		wasm.Global{Type: wasm.GlobalType{Type: wasm.F64, Mutable: true}, Init: f64},
	)
	// Each call shows the globals, and the order in which the start functions ran.
	m.Code[0].Code = wasm.NewCode(2).
		I32(0).GetGlobal(1).Mem(wasm.OpI64Store, 32).I32(0).GetGlobal(3).Mem(0x38, 40).I32(0).GetGlobal(4).Mem(0x39, 48).
		I32(0).Mem(wasm.OpI32Load8U, 3*65536-1).Op(0x1a).
		I32(0).Index(opMemorySize, 0).Mem(wasm.OpI32Store, 0).I32(0).GetGlobal(0).Mem(wasm.OpI32Store, 4).
		I32(0).I32(seen).Call(fnResponse).I32(1).Body().Code
	order := func(letter int32) *wasm.Code { // memory[64..] gets the letter, global 0 counts
		return wasm.NewCode(0).GetGlobal(0).I32(letter).Mem(wasm.OpI32Store8, 64).GetGlobal(0).I32(1).Op(wasm.OpI32Add).SetGlobal(0)
	}
	addFunc(m, "wapc_init", nothing, order('w'))
	addFunc(m, "_start", nothing, order('s'))
	start := addFunc(m, "", nothing, order('S'))
	m.Start = &start
	m.Data = []wasm.Data{data(66, "xyz"), data(100, "data")}
	module := m.Encode()
	sameConversation(t, module, calls, noAnswer)
	after, r := slimmed(t, module, slim.Snapshot)
	if !r.Done || !strings.HasPrefix(r.Detail, "the start section, _start, _initialize, wapc_init ran") {
		t.Errorf("%+v", r)
	}
	exports, err := wasm.Exports(after)
	if err != nil || len(exports) != 2 || exports[0].Type.Memory.Min != 3 {
		t.Errorf("exports %+v, error %v", exports, err)
	}
	if _, r := slimmed(t, after, slim.Snapshot); r.Done || r.Detail != "the guest has no start function" {
		t.Errorf("a second snapshot: %+v", r)
	}
}

// unsound are guests of which no snapshot may be taken.
var unsound = []struct {
	name, reason string
	init         func(c *wasm.Code)
	change       func(m *wasm.Module)
}{
	{"log line", "the guest calls __console_log while it starts", func(c *wasm.Code) { c.I32(0).I32(4).Call(fnLog) }, nil},
	{"host call", "the guest calls __host_call while it starts", func(c *wasm.Code) { c.I32(0).I32(0).I32(0).I32(0).Call(fnHostCall).SetGlobal(0) }, nil},
	{"response", "the guest calls __guest_response while it starts", func(c *wasm.Code) { c.I32(0).I32(0).Call(fnResponse) }, nil},
	{"trap", "the guest does not start: wasm error: unreachable", func(c *wasm.Code) { store8(c, 9, 9); c.Op(wasm.OpUnreachable) }, nil},
	{"recursion", "the guest does not start: wasm error: stack overflow", func(c *wasm.Code) { c.Call(fnInit) }, nil},
	{"much memory", "the guest wants more memory while it starts than its limit of 268435456 bytes", func(c *wasm.Code) {
		c.I32(5000).Index(opMemoryGrow, 0).SetGlobal(0)
	}, nil},
	{"large state", "the module would grow too much", func(c *wasm.Code) {
		c.I32(2).Index(opMemoryGrow, 0).SetGlobal(0)
		c.I32(60000).I32(1).I32(100_000).Index(misc(11), 0)
	}, nil},
	{"table.set", "the code can change a table", func(c *wasm.Code) { c.I32(1).Index(wasm.OpRefFunc, fnCall).Index(0x26, 0) }, func(m *wasm.Module) { addTable(m, fnCall) }},
	{"table.grow", "the code can change a table", func(c *wasm.Code) {
		c.Index(wasm.OpRefFunc, fnCall).I32(3).Index(misc(15), 0).SetGlobal(0)
	}, func(m *wasm.Module) { addTable(m, fnCall) }},
	{"table.fill", "the code can change a table", func(c *wasm.Code) {
		c.I32(0).Index(wasm.OpRefFunc, fnCall).I32(3).Index(misc(17), 0)
	}, func(m *wasm.Module) { addTable(m, fnCall) }},
	{"table.copy", "the code can change a table", func(c *wasm.Code) { index(c.I32(1).I32(0).I32(1).Index(misc(14), 0), 0) }, func(m *wasm.Module) { addTable(m, fnCall) }},
	{"elem.drop", "the code can change a table", func(c *wasm.Code) { c.Index(misc(13), 0) }, func(m *wasm.Module) { addTable(m, fnCall) }},
	{"data.drop", "the code can drop a data segment", func(c *wasm.Code) { c.Index(misc(9), 0) }, func(m *wasm.Module) {
		m.Data = []wasm.Data{{Form: 1, Init: []byte("passive")}}
		setDataCount(m)
	}},
	{"memory.init of what is active", "an instruction names data segment 0, which is active", func(c *wasm.Code) {
		index(c.I32(0).I32(0).I32(0).Index(misc(8), 0), 0)
	}, func(m *wasm.Module) {
		m.Data = []wasm.Data{data(9, "active")}
		setDataCount(m)
	}},
	{"function in a variable", "global variable 1 holds a funcref", func(c *wasm.Code) {}, func(m *wasm.Module) {
		m.Globals = append(m.Globals, wasm.Global{Type: wasm.GlobalType{Type: wasm.FuncRef, Mutable: true}, Init: wasm.NewCode(0).Index(wasm.OpRefFunc, fnCall).Body().Code})
	}},
	{"vector in a variable", "global variable 1 holds a v128", func(c *wasm.Code) {}, func(m *wasm.Module) {
		m.Globals = append(m.Globals, wasm.Global{Type: wasm.GlobalType{Type: wasm.V128, Mutable: true}, Init: append(append([]byte{0xfd, 12}, make([]byte, 16)...), 0x0b)})
	}},
	{"address of a start function", "the code takes the address of _initialize", func(c *wasm.Code) { c.Index(wasm.OpRefFunc, fnInit).Op(0x1a) }, nil},
	{"huge table", "the tables have more than 1048576 elements", func(c *wasm.Code) {}, func(m *wasm.Module) {
		m.Tables = []wasm.TableType{{Elem: wasm.FuncRef, Limits: wasm.Limits{Min: 1<<20 + 1}}}
	}},
	{"claims", "the module is signed, and claims hold for its bytes as they are", func(c *wasm.Code) {}, func(m *wasm.Module) { m.SetCustom("jwt", []byte("a.b.c")) }},
}

func TestUnsoundSnapshots(t *testing.T) {
	for _, test := range unsound {
		t.Run(test.name, func(t *testing.T) {
			m := newModule(test.init)
			if test.change != nil {
				test.change(m)
			}
			module := m.Encode()
			sameConversation(t, module, calls, func(int) (string, error) { return "an answer", nil })
			after, r := slimmed(t, module, slim.Snapshot)
			if r.Done || !strings.HasPrefix(r.Detail, test.reason) || string(after) != string(module) {
				t.Errorf("%+v, want %q; changed: %v", r, test.reason, string(after) != string(module))
			}
		})
	}
}

// Modules that no host takes are left alone, whatever they hold.
func TestForeignModules(t *testing.T) {
	for _, test := range []struct {
		name, reason string
		change       func(m *wasm.Module)
	}{
		{"import", "the module imports env.f", func(m *wasm.Module) { m.Imports[1].Module, m.Imports[1].Name = "env", "f" }},
		{"global", "the module imports wapc.__console_log", func(m *wasm.Module) {
			m.Imports[1].Type = wasm.ExternType{Kind: wasm.KindGlobal, Global: wasm.GlobalType{Type: wasm.I32}}
		}},
		{"memories", "the module has not exactly one memory", func(m *wasm.Module) { m.Memories = append(m.Memories, m.Memories[0]) }},
		{"no memory", "the module has not exactly one memory", func(m *wasm.Module) { m.Memories = nil }},
		{"shared memory", "the module has not exactly one memory", func(m *wasm.Module) { m.Memories[0].Shared = true }},
		{"large memory", "the module has not exactly one memory", func(m *wasm.Module) { m.Memories[0].Is64 = true }},
		{"start with a result", "the export _start is no function without", func(m *wasm.Module) {
			addFunc(m, "_start", wasm.FuncType{Results: []wasm.ValType{wasm.I32}}, wasm.NewCode(0).I32(1))
		}},
		{"start that is no function", "the export wapc_init is no function without", func(m *wasm.Module) {
			m.Exports = append(m.Exports, wasm.Export{Name: "wapc_init", Kind: wasm.KindGlobal})
		}},
		{"data outside", "the guest does not start: ", func(m *wasm.Module) { m.Data = []wasm.Data{data(65530, "too long")} }},
		{"locals", "function 4 has more than 50000 locals", func(m *wasm.Module) { m.Code[1].Locals = []wasm.Locals{{Count: 1 << 30, Type: wasm.I32}} }},
		{"invalid", "the guest does not start: ", func(m *wasm.Module) { m.Code[1].Code = wasm.NewCode(0).I32(1).Body().Code }},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newModule(func(*wasm.Code) {})
			test.change(m)
			module := m.Encode()
			after, r := slimmed(t, module, slim.Snapshot)
			if r.Done || !strings.HasPrefix(r.Detail, test.reason) || string(after) != string(module) {
				t.Errorf("%+v, want %q", r, test.reason)
			}
		})
	}
}

// A start that takes for ever is ended, by loops or by calls alone.
func TestEndlessStart(t *testing.T) {
	for name, m := range map[string]*wasm.Module{
		"loop":  newModule(func(c *wasm.Code) { c.Loop(func() { c.Br(0) }) }),
		"calls": newModule(func(c *wasm.Code) { c.Call(fnInit + 1) }),
	} {
		t.Run(name, func(t *testing.T) {
			for i := range uint32(60) { // each calls the next one twice
				c := wasm.NewCode(0)
				if i < 59 {
					c.Call(fnInit + 2 + i).Call(fnInit + 2 + i)
				}
				addFunc(m, "", nothing, c)
			}
			report, err := slim.Slim(t.Context(), m, &slim.Options{Steps: []slim.Step{slim.Snapshot}, StartTimeout: 50 * time.Millisecond})
			if err != nil || report.Changed || report.Steps[0].Done || report.Steps[0].Detail != "the guest takes too long to start" {
				t.Errorf("%+v, error %v", report, err)
			}
		})
	}
}

func TestMemoryLimitOfSnapshots(t *testing.T) {
	m := newModule(func(c *wasm.Code) { c.I32(10).Index(opMemoryGrow, 0).SetGlobal(0) })
	for limit, done := range map[int64]bool{11 << 16: true, 11<<16 - 1: false} {
		fresh, _ := wasm.Decode(m.Encode())
		report, err := slim.Slim(t.Context(), fresh, &slim.Options{Steps: []slim.Step{slim.Snapshot}, MemoryLimit: limit})
		if err != nil || report.Steps[0].Done != done {
			t.Errorf("limit %d: %+v, error %v", limit, report, err)
		}
	}
	// The module's own maximum is no limit of the build: it holds everywhere.
	m.Memories[0].Max, m.Memories[0].HasMax = 5, true
	if _, r := slimmed(t, m.Encode(), slim.Snapshot); !r.Done {
		t.Errorf("%+v", r)
	}
	sameConversation(t, m.Encode(), calls, noAnswer)
}

func TestOptions(t *testing.T) {
	m := newModule(func(*wasm.Code) {})
	report, err := slim.Slim(t.Context(), m, &slim.Options{Steps: []slim.Step{slim.Dead, slim.Strip, slim.Dead}})
	if err != nil || len(report.Steps) != 2 || report.Steps[0].Step != slim.Strip || report.Before != 0 {
		t.Errorf("%+v, error %v", report, err)
	}
	if report, err := slim.Slim(t.Context(), m, &slim.Options{Steps: []slim.Step{}}); err != nil || len(report.Steps) != 0 || report.Changed {
		t.Errorf("no steps: %+v, error %v", report, err)
	}
	if report, err := slim.Slim(t.Context(), m, nil); err != nil || len(report.Steps) != len(slim.Steps()) {
		t.Errorf("nil: %+v, error %v", report, err)
	}
	if len(m.Exports) != 2 { // the start is gone
		t.Errorf("exports %+v", m.Exports)
	}
}
