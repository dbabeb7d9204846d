package metertest

import (
	"testing"

	"github.com/waxosuit/waxo/wapc/wasm"
	"github.com/waxosuit/waxo/wapc/wasm/wasmtest"
)

// What is added to a module is not there for the module itself. A guest that
// could name the counter, by an index that it does not have, could set it and
// would never be looked at again.
func TestTheAddedCannotBeReached(t *testing.T) {
	type code = *wasm.Code
	result := []wasm.ValType{wasm.I32}
	for name, add := range map[string]func(m *wasm.Module) *wasm.Code{
		"counter written": func(*wasm.Module) code { return wasm.NewCode(0).I32(1 << 30).SetGlobal(1).I32(0) },
		"counter read":    func(*wasm.Module) code { return wasm.NewCode(0).GetGlobal(1) },
		"counter in dead code": func(*wasm.Module) code {
			return wasm.NewCode(0).Op(wasm.OpUnreachable).GetGlobal(1)
		},
		"counter exported": func(m *wasm.Module) code {
			m.Exports = append(m.Exports, wasm.Export{Name: "counter", Kind: wasm.KindGlobal, Index: 1})
			return wasm.NewCode(0).I32(0)
		},
		"counter in a global": func(m *wasm.Module) code {
			init := wasm.NewCode(0).GetGlobal(1).Body().Code
			m.Globals = append(m.Globals[:0:0], wasm.Global{Type: wasm.GlobalType{Type: wasm.I32}, Init: init})
			return wasm.NewCode(0).I32(0)
		},
		"function called": func(*wasm.Module) code { return wasm.NewCode(0).Call(1).I32(0) },
		"function exported": func(m *wasm.Module) code {
			m.Exports = append(m.Exports, wasm.Export{Name: "look", Index: 1})
			return wasm.NewCode(0).I32(0)
		},
		"function started": func(m *wasm.Module) code {
			start := uint32(1)
			m.Start = &start
			return wasm.NewCode(0).I32(0)
		},
		"type of a function": func(m *wasm.Module) code {
			m.Funcs, m.Code = append(m.Funcs, 1), append(m.Code, wasm.NewCode(0).Body())
			return wasm.NewCode(0).I32(0)
		},
		"type of a block": func(*wasm.Module) code {
			return wasm.NewCode(0).Index(wasm.OpBlock, 1).Op(wasm.OpEnd).I32(0)
		},
		"type of a call": func(m *wasm.Module) code {
			m.Tables = []wasm.TableType{{Elem: wasm.FuncRef}}
			return wasm.NewCode(0).I32(0).Index(wasm.OpCallIndirect, 1).Op(0).I32(0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := &wasm.Module{
				Types:   []wasm.FuncType{{Results: result}},
				Funcs:   []uint32{0},
				Globals: []wasm.Global{{Type: wasm.GlobalType{Type: wasm.I32}, Init: wasm.NewCode(0).I32(0).Body().Code}},
			}
			body := add(m).Body()
			m.Code = append([]wasm.Body{body}, m.Code...)
			mustRefuse(t, m.Encode())
		})
	}
}

// mustRefuse wants a module that is not valid refused, also after it was
// rewritten.
func mustRefuse(t *testing.T, module []byte) {
	t.Helper()
	l := newLooker(t, &wasmtest.EngineOptions{Interpreter: true})
	if _, err := l.Runtime.CompileModule(l.Ctx, module); err == nil {
		t.Fatal("the module is valid as it is")
	}
	b, err := metered(0)(module)
	if err != nil {
		return
	}
	if _, err := l.Runtime.CompileModule(l.Ctx, b); err == nil {
		t.Error("the module was refused, and is valid when it is metered")
	}
}
