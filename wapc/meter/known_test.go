package meter_test

import (
	"context"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/waxosuit/waxo/wapc/meter"
	"github.com/waxosuit/waxo/wapc/wasm"
)

const answer = "the answer"

// asking has a function that asks the host directly, one that does so through a
// table, and the host's function as an export. It exports answer already.
func asking() *wasm.Module {
	i32 := []wasm.ValType{wasm.I32}
	number := wasm.FuncType{Results: i32}
	return &wasm.Module{
		Types: []wasm.FuncType{number, {}, {Params: i32}},
		Imports: []wasm.Import{
			{Module: "host", Name: "nothing", Type: wasm.ExternType{Kind: wasm.KindFunc, TypeIndex: 1}},
			{Module: "host", Name: "ask", Type: wasm.ExternType{Kind: wasm.KindFunc, Func: number}},
		},
		Tables: []wasm.TableType{{Elem: wasm.FuncRef, Limits: wasm.Limits{Min: 1}}},
		Elements: []wasm.Element{{Offset: wasm.NewCode(0).I32(0).Body().Code, Type: wasm.FuncRef,
			Funcs: []uint32{1}}},
		Funcs: []uint32{0, 0},
		Code: []wasm.Body{
			wasm.NewCode(0).Call(1).Body(),
			{Code: []byte{byte(wasm.OpI32Const), 0, byte(wasm.OpCallIndirect), 0, 0, byte(wasm.OpEnd)}},
		},
		Exports: []wasm.Export{
			{Name: "direct", Kind: wasm.KindFunc, Index: 2}, {Name: "indirect", Kind: wasm.KindFunc, Index: 3},
			{Name: "itself", Kind: wasm.KindFunc, Index: 1}, {Name: answer, Kind: wasm.KindFunc, Index: 2},
		},
	}
}

// TestKnown: the host is asked only for what it has not said beforehand,
// whichever way the guest goes.
func TestKnown(t *testing.T) {
	m := asking()
	if err := meter.Rewrite(m, &meter.Options{Known: []meter.Known{{Func: 1, Export: answer}}}); err != nil {
		t.Fatal(err)
	}
	content, _ := m.Custom(wasm.NameSection)
	names, err := wasm.DecodeNames(content)
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range names.Funcs {
		if int(n.Func) != i {
			t.Fatalf("the names are %v", names.Funcs)
		}
	}
	for _, config := range []wazero.RuntimeConfig{wazero.NewRuntimeConfigCompiler(), wazero.NewRuntimeConfigInterpreter()} {
		ctx := context.Background()
		r := wazero.NewRuntimeWithConfig(ctx, config)
		t.Cleanup(func() { _ = r.Close(ctx) })
		asked := 0
		number := []api.ValueType{api.ValueTypeI32}
		host := r.NewHostModuleBuilder("host")
		host.NewFunctionBuilder().WithGoFunction(api.GoFunc(func(context.Context, []uint64) {}), nil, nil).Export("nothing")
		host.NewFunctionBuilder().WithGoFunction(api.GoFunc(func(_ context.Context, stack []uint64) {
			asked++
			stack[0] = 7
		}), nil, number).Export("ask")
		if _, err := host.Instantiate(ctx); err != nil {
			t.Fatal(err)
		}
		look := api.GoFunc(func(context.Context, []uint64) {})
		if _, err := r.NewHostModuleBuilder(meter.ImportModule).NewFunctionBuilder().WithGoFunction(look, nil, nil).
			Export(meter.ImportName).Instantiate(ctx); err != nil {
			t.Fatal(err)
		}
		g, err := r.Instantiate(ctx, m.Encode())
		if err != nil {
			t.Fatal(err)
		}
		variable := g.ExportedGlobal(answer).(api.MutableGlobal)
		for _, export := range []string{"direct", "indirect", "itself"} {
			for _, tt := range []struct{ known, want, asked int32 }{{-1, 7, 1}, {5, 5, 0}, {0, 0, 0}, {-3, 7, 1}} {
				variable.Set(api.EncodeI32(tt.known))
				asked = 0
				got, err := g.ExportedFunction(export).Call(ctx)
				if err != nil || int32(got[0]) != tt.want || asked != int(tt.asked) {
					t.Errorf("%s of %d: %v, %v, the host was asked %d times", export, tt.known, got, err, asked)
				}
			}
		}
	}
}

func TestKnownRefusals(t *testing.T) {
	for name, f := range map[string]uint32{"another type": 0, "not imported": 2, "missing": 9} {
		err := meter.Rewrite(asking(), &meter.Options{Known: []meter.Known{{Func: f, Export: answer}}})
		if err == nil || !strings.HasPrefix(err.Error(), "meter: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
