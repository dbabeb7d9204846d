package meter_test

import (
	"slices"
	"testing"

	"github.com/tetratelabs/wazero"

	"github.com/waxosuit/waxo/wapc/meter"
	"github.com/waxosuit/waxo/wapc/wasm"
)

// tableOfLoops has a function that goes so many times through a br_table, which
// leads to one of so many nested loops or out of them all. What it returns tells
// which way it went.
func tableOfLoops(loops int) *wasm.Module {
	const n, sum = 0, 1
	unary := wasm.FuncType{Params: []wasm.ValType{wasm.I32}, Results: []wasm.ValType{wasm.I32}}
	c := wasm.NewCode(1)
	c.Local(wasm.I32)
	var nest func(depth int)
	nest = func(depth int) {
		if depth == loops {
			var labels []uint32
			for i := range loops {
				labels = append(labels, uint32(i), uint32(loops-1-i))
			}
			c.Get(n).I32(1).Op(wasm.OpI32Sub).Index(wasm.OpLocalTee, n)
			c.I32(int32(len(labels))).Op(wasm.OpI32RemU)
			c.I32(-1).Get(n).Op(wasm.OpSelect) // beyond the table at the end
			c.BrTable(labels, uint32(loops))
			return
		}
		c.Loop(func() {
			c.Get(sum).I32(3).Op(wasm.OpI32Mul).I32(int32(depth + 1)).Op(wasm.OpI32Add).Set(sum)
			nest(depth + 1)
		})
	}
	c.Block(func() { nest(0) })
	body := c.Get(sum).Body()
	return &wasm.Module{
		Types: []wasm.FuncType{unary}, Funcs: []uint32{0}, Code: []wasm.Body{body},
		Exports: []wasm.Export{{Name: "go", Kind: wasm.KindFunc}},
	}
}

// TestTablesOfLoops: a br_table may turn to few loops, each of which is charged
// when it does, and to many, which are charged before.
func TestTablesOfLoops(t *testing.T) {
	for _, config := range []wazero.RuntimeConfig{wazero.NewRuntimeConfigCompiler(), wazero.NewRuntimeConfigInterpreter()} {
		for loops := 1; loops < 8; loops++ {
			plain := tableOfLoops(loops).Encode()
			const turns = 5000
			want, err := start(t, config, plain, &guest{}).ExportedFunction("go").Call(t.Context(), turns)
			if err != nil {
				t.Fatal(err)
			}
			for _, interval := range []int{1, 1000} {
				g := start(t, config, rewritten(t, plain, &meter.Options{Interval: interval}), &guest{})
				got, err := g.ExportedFunction("go").Call(t.Context(), turns)
				if err != nil || !slices.Equal(got, want) {
					t.Errorf("%d loops, interval %d: %v, %v, want %v", loops, interval, got, err, want)
				}
				// Each turn costs more than ten units and less than a hundred.
				if least, most := turns*10/(interval+100), turns*100/interval+1; g.looks < least || g.looks > most {
					t.Errorf("%d loops, interval %d: %d looks, want %d to %d", loops, interval, g.looks, least, most)
				}
			}
		}
	}
}
