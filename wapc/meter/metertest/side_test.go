package metertest

import (
	"fmt"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/waxosuit/waxo/wapc/meter"
	"github.com/waxosuit/waxo/wapc/wasm"
	"github.com/waxosuit/waxo/wapc/wasm/wasmgen"
	"github.com/waxosuit/waxo/wapc/wasm/wasmtest"
)

// tiny is an interval at which the guest looks at nearly every turn.
const tiny = 1

// metered returns what rewrites modules with this interval, 0 for the default.
func metered(interval int) wasmtest.Rewrite {
	return func(module []byte) ([]byte, error) {
		m, err := wasm.Decode(module)
		if err != nil {
			return nil, fmt.Errorf("decode: %w", err)
		}
		if err := meter.Rewrite(m, &meter.Options{Interval: interval, Known: numbers(m)}); err != nil {
			return nil, err
		}
		return m.Encode(), nil
	}
}

// numbers are the functions that may be known. None is: they are all called.
func numbers(m *wasm.Module) (known []meter.Known) {
	f := uint32(0)
	for _, imp := range m.Imports {
		if imp.Type.Kind != wasm.KindFunc {
			continue
		}
		if imp.Type.Func.Equal(wasm.FuncType{Results: []wasm.ValType{wasm.I32}}) {
			known = append(known, meter.Known{Func: f, Export: fmt.Sprintf("known %d", f)})
		}
		f++
	}
	return known
}

// looker is an engine for rewritten modules that counts how often they look,
// and how much fuel of theirs they burn between two looks.
type looker struct {
	*wasmtest.Engine
	looks  int
	fuel   uint64 // at the last look
	burned uint64 // at most between two looks of one call
}

func newLooker(t testing.TB, opts *wasmtest.EngineOptions) *looker {
	t.Helper()
	l := &looker{}
	o := *opts
	o.Called = func(fuel uint32) { l.fuel = uint64(fuel) }
	l.Engine = wasmtest.NewEngine(t, &o)
	l.Provide(t, meter.ImportModule, map[string]wasmtest.HostFunc{meter.ImportName: {Call: l.look}})
	return l
}

func (l *looker) look(caller api.Module, _ []uint64) {
	l.looks++
	g := caller.ExportedGlobal(wasmgen.Fuel)
	if g == nil {
		return
	}
	fuel := g.Get()
	if fuel < l.fuel { // it has more where the module starts
		l.burned = max(l.burned, l.fuel-fuel)
	}
	l.fuel = fuel
}

// instantiate rewrites and instantiates a module.
func (l *looker) instantiate(module []byte, name string, interval int) (api.Module, error) {
	b, err := metered(interval)(module)
	if err != nil {
		return nil, err
	}
	return l.Runtime.InstantiateWithConfig(l.Ctx, b, wazero.NewModuleConfig().WithName(name))
}
