package slim

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/waxosuit/waxo/wapc/wasm"
)

// Bounds on what a module can make the interpreter allocate before any limit on
// memory applies. Hosts refuse such modules too.
const (
	maxTable  = 1 << 20 // elements of all tables
	maxLocals = 50_000  // of a function
)

// hostError leaves the guest from a host function.
type hostError string

func (e hostError) Error() string { return "the guest calls " + string(e) + " while it starts" }

// start instantiates the module as a host does, up to the first call, and reads
// the state. Its errors say why that is not possible.
func (o *Options) start(ctx context.Context, m *wasm.Module) (*state, error) {
	if err := checkBounds(m); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(o.StartTimeout, DefaultStartTimeout))
	defer cancel()
	memory := &guestMemory{limit: uint64(cmp.Or(o.MemoryLimit, DefaultMemoryLimit))}
	s, err := run(ctx, m, memory)
	called := hostError("")
	switch {
	case memory.refused:
		return nil, fmt.Errorf("the guest wants more memory while it starts than its limit of %d bytes", memory.limit)
	case errors.As(err, &called):
		return nil, called
	case ctx.Err() != nil:
		return nil, errors.New("the guest takes too long to start")
	case err != nil:
		first, _, _ := strings.Cut(err.Error(), "\n")
		return nil, fmt.Errorf("the guest does not start: %s", first)
	}
	return s, nil
}

func checkBounds(m *wasm.Module) error {
	elements := uint64(0)
	for _, t := range m.Tables {
		if elements += t.Limits.Min; t.Limits.Min > maxTable || elements > maxTable {
			return fmt.Errorf("the tables have more than %d elements", maxTable)
		}
	}
	for i := range m.Code {
		locals := uint64(0)
		for _, l := range m.Code[i].Locals {
			locals += uint64(l.Count)
		}
		if locals > maxLocals {
			return fmt.Errorf("function %d has more than %d locals", m.ImportedFuncs()+i, maxLocals)
		}
	}
	return nil
}

// run runs the start functions in an interpreter, which is ready long before
// compiled code would be.
func run(ctx context.Context, m *wasm.Module, memory *guestMemory) (s *state, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the engine failed: %v", v)
		}
	}()
	ctx = experimental.WithMemoryAllocator(ctx, memory)
	config := wazero.NewRuntimeConfigInterpreter().WithCloseOnContextDone(true).WithDebugInfoEnabled(false).
		WithCoreFeatures(api.CoreFeaturesV2 | experimental.CoreFeaturesTailCall | experimental.CoreFeaturesExtendedConst)
	r := wazero.NewRuntimeWithConfig(ctx, config)
	defer r.Close(context.WithoutCancel(ctx))
	if err := offer(ctx, r, m); err != nil {
		return nil, err
	}
	code, names := instrument(m)
	guest, err := r.InstantiateWithConfig(ctx, code, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		return nil, err
	}
	var ran []string
	if m.Start != nil {
		ran = append(ran, "the start section")
	}
	for _, name := range startExports {
		if f := guest.ExportedFunction(name); f != nil {
			ran = append(ran, name)
			if _, err := f.Call(ctx); err != nil {
				return nil, err
			}
		}
	}
	s = &state{globals: make([]uint64, len(m.Globals)), ran: strings.Join(ran, ", ")}
	for i, name := range names {
		if name != "" {
			s.globals[i] = guest.ExportedGlobal(name).Get()
		}
	}
	s.memory = memory.bytes
	return s, ctx.Err()
}

// offer provides the functions that the module imports. None may be called.
func offer(ctx context.Context, r wazero.Runtime, m *wasm.Module) error {
	if len(m.Imports) == 0 {
		return nil
	}
	b := r.NewHostModuleBuilder("wapc")
	for _, i := range m.Imports {
		f := api.GoFunc(func(context.Context, []uint64) { panic(hostError(i.Name)) })
		b.NewFunctionBuilder().WithGoFunction(f, valueTypes(i.Type.Func.Params), valueTypes(i.Type.Func.Results)).Export(i.Name)
	}
	_, err := b.Instantiate(ctx)
	return err
}

func valueTypes(types []wasm.ValType) []api.ValueType {
	list := make([]api.ValueType, len(types))
	for i, t := range types {
		list[i] = api.ValueType(t)
	}
	return list
}

// instrument encodes a copy of the module that exports its mutable global
// variables, under the names that are returned by index, and that can be
// stopped: the engine looks for a time-out at the head of each loop, so each
// function begins with one.
func instrument(m *wasm.Module) (code []byte, names []string) {
	probe := *m
	probe.Exports = slices.Clone(m.Exports)
	names = make([]string, len(m.Globals))
	for i, g := range m.Globals {
		if !g.Type.Mutable {
			continue
		}
		names[i] = uniqueName(m, fmt.Sprintf("global %d", i))
		probe.Exports = append(probe.Exports, wasm.Export{Name: names[i], Kind: wasm.KindGlobal, Index: uint32(i)})
	}
	emptyLoop := []byte{byte(wasm.OpLoop), 0x40, byte(wasm.OpEnd)}
	probe.Code = slices.Clone(m.Code)
	for i := range probe.Code {
		probe.Code[i].Code = slices.Concat(emptyLoop, probe.Code[i].Code)
	}
	probe.Customs = nil
	return probe.Encode(), names
}

// uniqueName returns the name, made longer if an export has it.
func uniqueName(m *wasm.Module, name string) string {
	for slices.ContainsFunc(m.Exports, func(e wasm.Export) bool { return e.Name == name }) {
		name += "'"
	}
	return name
}

// guestMemory is the memory of the guest that starts. It remembers if it could
// not grow: a guest that lives with that lives with the limit of this build.
type guestMemory struct {
	limit   uint64
	refused bool
	bytes   []byte
}

// Allocate implements experimental.MemoryAllocator: an instance has one memory.
func (g *guestMemory) Allocate(_, _ uint64) experimental.LinearMemory { return g }

// Reallocate implements experimental.LinearMemory. Nil refuses.
func (g *guestMemory) Reallocate(size uint64) []byte {
	if size > g.limit {
		g.refused = true
		return nil
	}
	g.bytes = append(g.bytes, make([]byte, int(size)-len(g.bytes))...)
	return g.bytes[:size:size]
}

// Free implements experimental.LinearMemory.
func (g *guestMemory) Free() {}
