package meter_test

import (
	"testing"

	"github.com/tetratelabs/wazero"

	"github.com/waxosuit/waxo/wapc/meter"
	"github.com/waxosuit/waxo/wapc/wasm"
)

const opRefNull, opDrop = wasm.Opcode(0xd0), wasm.Opcode(0x1a)

// dear are modules whose "run" does a thousand times something that takes long
// for the few instructions that it is.
var dear = map[string]func(m *wasm.Module, c *wasm.Code){
	"many locals": func(m *wasm.Module, c *wasm.Code) {
		m.Funcs = append(m.Funcs, 0)
		m.Code = append(m.Code, wasm.Body{Locals: []wasm.Locals{{Count: 5000, Type: wasm.V128}}, Code: []byte{byte(wasm.OpEnd)}})
		c.Call(1)
	},
	"reference": func(m *wasm.Module, c *wasm.Code) {
		for range 50 {
			c.Index(wasm.OpRefFunc, 0).Op(opDrop)
		}
	},
	"table": func(m *wasm.Module, c *wasm.Code) {
		m.Tables = []wasm.TableType{{Elem: wasm.FuncRef, Limits: wasm.Limits{Min: 4096}}}
		c.I32(0).Index(opRefNull, uint32(wasm.FuncRef)).I32(4096).Index(wasm.OpTableFill, 0)
	},
}

func TestWhatIsDearPays(t *testing.T) {
	for name, add := range dear {
		m := &wasm.Module{
			Types:   []wasm.FuncType{{}},
			Funcs:   []uint32{0},
			Exports: []wasm.Export{{Name: "run"}},
		}
		c := wasm.NewCode(0)
		i := c.Local(wasm.I32)
		c.I32(1000).Set(i).Loop(func() {
			add(m, c)
			c.Get(i).I32(1).Op(wasm.OpI32Sub).Index(wasm.OpLocalTee, i).BrIf(0)
		})
		m.Code = append([]wasm.Body{c.Body()}, m.Code...)
		t.Run(name, func(t *testing.T) {
			engines(t, func(t *testing.T, config wazero.RuntimeConfig) {
				g := start(t, config, rewritten(t, m.Encode(), &meter.Options{Interval: 100_000}), &guest{})
				if _, err := g.ExportedFunction("run").Call(t.Context()); err != nil {
					t.Fatal(err)
				}
				if g.looks < 10 {
					t.Errorf("%d looks", g.looks)
				}
			})
		})
	}
}
