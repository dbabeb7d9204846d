package wapc

import (
	"bytes"
	"context"
	"sync"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/waxosuit/waxo/wapc/wasm"
)

// stubWASI offers what a guest imports of WASI: functions that return 0.
func stubWASI(ctx context.Context, r wazero.Runtime, p *prepared) error {
	code := p.code
	if code == nil {
		code = p.skeleton
	}
	imports, err := wasm.Imports(code)
	if err != nil {
		return err
	}
	modules := make(map[string]wazero.HostModuleBuilder)
	for _, i := range imports {
		if !isWASI(i.Module) {
			continue
		}
		if modules[i.Module] == nil {
			modules[i.Module] = r.NewHostModuleBuilder(i.Module)
		}
		var params, results []api.ValueType
		for _, t := range i.Type.Func.Params {
			params = append(params, api.ValueType(t))
		}
		for _, t := range i.Type.Func.Results {
			results = append(results, api.ValueType(t))
		}
		zero := api.GoFunc(func(_ context.Context, stack []uint64) {
			if len(results) > 0 {
				stack[0] = 0
			}
		})
		modules[i.Module].NewFunctionBuilder().WithGoFunction(zero, params, results).Export(i.Name)
	}
	for _, m := range modules {
		if _, err := m.Instantiate(ctx); err != nil {
			return err
		}
	}
	return nil
}

func isWASI(module string) bool { return len(module) >= 4 && module[:4] == "wasi" }

// most is what may be reserved for a memory.
func (m *linearMemory) most(most uint64, unlimited bool) uint64 {
	if unlimited {
		return most
	}
	return min(most, m.limit)
}

// left is what the last instance of a module that crashed had in its memory.
var left struct {
	sync.Mutex
	memories map[*Module][]byte
}

func bequeath(in *instance) {
	left.Lock()
	defer left.Unlock()
	if left.memories == nil {
		left.memories = make(map[*Module][]byte)
	}
	left.memories[in.pool.module] = bytes.Clone(in.memory.bytes)
}

func inherit(in *instance) {
	left.Lock()
	defer left.Unlock()
	copy(in.memory.bytes, left.memories[in.pool.module])
}
