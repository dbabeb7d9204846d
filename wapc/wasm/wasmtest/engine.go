// Package wasmtest runs generated programs and compares what they do: for the
// tests of what rewrites modules.
//
// An [Engine] runs a program as it is, or after a rewriting, and gives an
// [Outcome]: results, traps, what is in memories, global variables and tables,
// and what the host was told. A [Campaign] does so for many programs and makes
// the first that differs as small as it can.
package wasmtest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/waxosuit/waxo/wapc/wasm"
	"github.com/waxosuit/waxo/wapc/wasm/wasmgen"
)

// Features are those that generated programs use.
const Features = api.CoreFeaturesV2 | experimental.CoreFeaturesTailCall | experimental.CoreFeaturesExtendedConst

// EngineOptions configures an Engine. The zero value and nil give the defaults.
type EngineOptions struct {
	// Features of WebAssembly. Default: Features.
	Features api.CoreFeatures
	// Interpreter interprets. Default: machine code.
	Interpreter bool
	// Reset is called before each run. Default: nothing.
	Reset func()
	// Called is told how much fuel each call of a program gets. Default:
	// nothing.
	Called func(fuel uint32)
}

// Engine runs programs, one at a time.
type Engine struct {
	Ctx     context.Context
	Runtime wazero.Runtime

	opts  EngineOptions
	log   []string
	calls uint64
}

// NewEngine returns an engine that is closed when the test ends.
func NewEngine(t testing.TB, opts *EngineOptions) *Engine {
	t.Helper()
	if opts == nil {
		opts = &EngineOptions{}
	}
	e := &Engine{Ctx: context.WithoutCancel(t.Context()), opts: *opts}
	if e.opts.Features == 0 {
		e.opts.Features = Features
	}
	config := wazero.NewRuntimeConfigCompiler()
	if opts.Interpreter {
		config = wazero.NewRuntimeConfigInterpreter()
	}
	e.Runtime = wazero.NewRuntimeWithConfig(e.Ctx, config.WithCoreFeatures(e.opts.Features))
	t.Cleanup(func() {
		if err := e.Runtime.Close(e.Ctx); err != nil {
			t.Errorf("close the engine: %v", err)
		}
	})
	return e
}

func (e *Engine) String() string {
	if e.opts.Interpreter {
		return "interpreted"
	}
	return "compiled"
}

// ProvideHost provides the functions of [wasmgen.HostFuncs].
func (e *Engine) ProvideHost(t testing.TB) {
	t.Helper()
	funcs := map[string]HostFunc{}
	for _, f := range wasmgen.HostFuncs {
		call := func(_ api.Module, stack []uint64) { e.host(f.Name, stack) }
		funcs[f.Name] = HostFunc{Type: f.Type, Call: call}
	}
	e.Provide(t, wasmgen.HostModule, funcs)
}

// HostFunc is a function of the host. It finds its arguments on the stack and
// puts its results there.
type HostFunc struct {
	Type wasm.FuncType
	Call func(caller api.Module, stack []uint64)
}

// Provide puts a module of the host into the engine.
func (e *Engine) Provide(t testing.TB, module string, funcs map[string]HostFunc) {
	t.Helper()
	b := e.Runtime.NewHostModuleBuilder(module)
	for name, f := range funcs {
		call := api.GoModuleFunc(func(_ context.Context, m api.Module, stack []uint64) {
			clean(stack, apiTypes(f.Type.Params))
			f.Call(m, stack)
		})
		b.NewFunctionBuilder().WithGoModuleFunction(call, apiTypes(f.Type.Params), apiTypes(f.Type.Results)).Export(name)
	}
	if _, err := b.Instantiate(e.Ctx); err != nil {
		t.Fatal(err)
	}
}

// clean clears what stands above numbers of 32 bits: the engine leaves there
// what there was.
func clean(stack []uint64, types []api.ValueType) {
	at := 0
	for _, t := range types {
		switch t {
		case api.ValueTypeI32, api.ValueTypeF32:
			stack[at] = uint64(uint32(stack[at]))
		case api.ValueType(wasm.V128):
			at++
		}
		at++
	}
}

func apiTypes(types []wasm.ValType) []api.ValueType {
	list := make([]api.ValueType, len(types))
	for i, t := range types {
		list[i] = api.ValueType(t)
	}
	return list
}

// host does what wasmgen says of its functions, and the same in each run.
func (e *Engine) host(name string, stack []uint64) {
	e.calls++
	switch name {
	case "next":
		stack[0] = uint64(uint32(e.calls * 0x9e3779b1))
		return
	case "mix":
		stack[0], stack[1] = stack[0]*0x9e3779b97f4a7c15+e.calls, stack[1]&0xff
	case "fail":
		if n := uint32(stack[0]); n%16 == 0 {
			panic(fmt.Errorf("the host failed with %d", n))
		}
	}
	e.Tell("%s %#x", name, stack)
}

// Bounds on what the host remembers: how much it was told, and of each.
const (
	maxLog  = 10_000
	maxLine = 256
)

// Tell notes something that the host was told.
func (e *Engine) Tell(format string, args ...any) {
	if len(e.log) >= maxLog {
		return
	}
	line := fmt.Sprintf(format, args...)
	if len(line) > maxLine {
		line = fmt.Sprintf("%s... %d bytes of sum %x", line[:maxLine/2], len(line), sha256.Sum256([]byte(line)))
	}
	e.log = append(e.log, line)
}
