package metertest

import (
	"fmt"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/waxosuit/waxo/wapc/meter"
	"github.com/waxosuit/waxo/wapc/wasm"
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
		if err := meter.Rewrite(m, &meter.Options{Interval: interval}); err != nil {
			return nil, err
		}
		return m.Encode(), nil
	}
}

// looker is an engine for rewritten modules that counts how often they look.
type looker struct {
	*wasmtest.Engine
	looks int
}

func newLooker(t testing.TB, opts *wasmtest.EngineOptions) *looker {
	t.Helper()
	l := &looker{Engine: wasmtest.NewEngine(t, opts)}
	l.Provide(t, meter.ImportModule, map[string]wasmtest.HostFunc{meter.ImportName: {Call: func(api.Module, []uint64) { l.looks++ }}})
	return l
}

// instantiate rewrites and instantiates a module.
func (l *looker) instantiate(module []byte, name string, interval int) (api.Module, error) {
	b, err := metered(interval)(module)
	if err != nil {
		return nil, err
	}
	return l.Runtime.InstantiateWithConfig(l.Ctx, b, wazero.NewModuleConfig().WithName(name))
}
