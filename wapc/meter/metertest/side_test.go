package metertest

import (
	"context"
	"fmt"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/waxosuit/waxo/wapc/wasm"
)

// tiny is an interval at which the guest looks at nearly every turn.
const tiny = 1

// unmetered is the interval of a side whose modules are left as they are.
const unmetered = -1

// sideConfig says how modules are run: it is one side of a comparison.
type sideConfig struct {
	features    api.CoreFeatures
	interpreter bool
	interval    int // units; 0: the default, or unmetered
}

func (c sideConfig) String() string {
	engine := "compiled"
	if c.interpreter {
		engine = "interpreted"
	}
	switch c.interval {
	case unmetered:
		return engine + ", as it is"
	case 0:
		return engine + ", metered"
	}
	return fmt.Sprintf("%s, metered by %d", engine, c.interval)
}

// side is an engine in which modules run, rewritten or not.
type side struct {
	sideConfig
	ctx     context.Context
	runtime wazero.Runtime
	looks   int
	host    host
}

func newSide(t testing.TB, config sideConfig) *side {
	t.Helper()
	s := &side{sideConfig: config, ctx: context.WithoutCancel(t.Context())}
	rc := wazero.NewRuntimeConfigCompiler()
	if config.interpreter {
		rc = wazero.NewRuntimeConfigInterpreter()
	}
	s.runtime = wazero.NewRuntimeWithConfig(s.ctx, rc.WithCoreFeatures(config.features))
	t.Cleanup(func() {
		if err := s.runtime.Close(s.ctx); err != nil {
			t.Errorf("close the engine: %v", err)
		}
	})
	look := func(context.Context) { s.looks++ }
	_, err := s.runtime.NewHostModuleBuilder("waxo").NewFunctionBuilder().WithFunc(look).Export("look").Instantiate(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.provide(); err != nil {
		t.Fatal(err)
	}
	return s
}

// rewrite returns the module as this side runs it.
func (s *side) rewrite(module []byte) ([]byte, error) {
	if s.interval == unmetered {
		return module, nil
	}
	m, err := wasm.Decode(module)
	if err != nil {
		return nil, fmt.Errorf("decode: %w", err)
	}
	if err := rewrite(m, s.interval); err != nil {
		return nil, fmt.Errorf("rewrite: %w", err)
	}
	return m.Encode(), nil
}

// instantiate rewrites and instantiates a module.
func (s *side) instantiate(module []byte, name string) (api.Module, error) {
	b, err := s.rewrite(module)
	if err != nil {
		return nil, err
	}
	return s.runtime.InstantiateWithConfig(s.ctx, b, wazero.NewModuleConfig().WithName(name))
}

func rewrite(m *wasm.Module, interval int) error { _ = interval; return nil }
