package wasmtest

import (
	"fmt"
	"hash/maphash"
	"slices"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/waxosuit/waxo/wapc/wasm"
	"github.com/waxosuit/waxo/wapc/wasm/wasmgen"
)

// Rewrite changes a module before it is run.
type Rewrite func(module []byte) ([]byte, error)

// AsIs is the Rewrite that changes nothing.
func AsIs(module []byte) ([]byte, error) { return module, nil }

// Outcome is all that can be seen of a program's run.
type Outcome struct {
	// Ends counts the calls by how they ended: "result", or the trap.
	Ends map[string]int

	lines []string
	// overflow tells that the stack was exhausted. How deep calls may go is the
	// engine's business, and nothing is said of what comes after.
	overflow bool
}

const (
	result     = "result"
	overflowed = "stack overflow"
)

func (o *Outcome) say(format string, args ...any) {
	o.lines = append(o.lines, fmt.Sprintf(format, args...))
}

// Difference tells how two outcomes differ; "" if they do not. Where one of
// them ended because the stack was exhausted, what comes after is not compared.
func (o *Outcome) Difference(other *Outcome) string {
	for i := range min(len(o.lines), len(other.lines)) {
		if o.lines[i] != other.lines[i] {
			return fmt.Sprintf("%s\n    and: %s", o.lines[i], other.lines[i])
		}
	}
	if len(o.lines) != len(other.lines) && !o.overflow && !other.overflow {
		return fmt.Sprintf("%d lines and %d lines", len(o.lines), len(other.lines))
	}
	return ""
}

// Run runs a program. Its error is about a module that could not be rewritten
// or is not valid.
func (e *Engine) Run(p *wasmgen.Program, rewrite Rewrite) (*Outcome, error) {
	e.log, e.calls = nil, 0
	if e.opts.Reset != nil {
		e.opts.Reset()
	}
	r := &run{Engine: e, Outcome: &Outcome{Ends: map[string]int{}}, p: p}
	if p.Library {
		b, err := rewrite(wasmgen.Library())
		if err != nil {
			return nil, fmt.Errorf("the library: %w", err)
		}
		library, err := e.Runtime.InstantiateWithConfig(e.Ctx, b, wazero.NewModuleConfig().WithName(wasmgen.LibraryModule))
		if err != nil {
			return nil, fmt.Errorf("the library: %w", err)
		}
		defer library.Close(e.Ctx)
		defer func() { r.modules = nil }()
		r.modules = append(r.modules, library)
	}
	b, err := rewrite(p.Module)
	if err != nil {
		return nil, err
	}
	compiled, err := e.Runtime.CompileModule(e.Ctx, b)
	if err != nil {
		return nil, err
	}
	defer compiled.Close(e.Ctx)
	m, err := e.Runtime.InstantiateModule(e.Ctx, compiled, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err == nil {
		defer m.Close(e.Ctx)
		r.modules = append(r.modules, m)
	}
	r.finish(m, err)
	return r.Outcome, nil
}

// run is a program that runs.
type run struct {
	*Engine
	*Outcome
	p       *wasmgen.Program
	modules []api.Module // there in the end, the library first
}

// finish makes the calls, unless m could not be instantiated, and notes what is
// left behind.
func (r *run) finish(m api.Module, err error) {
	if r.ended("instantiate", err); err == nil {
		r.calls(m)
	}
	for _, m := range r.modules {
		r.state(m)
	}
	if r.overflow {
		return
	}
	for _, line := range r.log {
		r.say("the host was told %s", line)
	}
}

// ended notes how something ended.
func (r *run) ended(what string, err error) {
	if err == nil {
		r.Ends[result]++
		return
	}
	kind := trapOf(err)
	r.Ends[kind]++
	if kind == overflowed {
		r.overflow = true
		return
	}
	r.say("%s: %s", what, kind)
}

// trapOf tells why a guest was ended, without what depends on the numbers of
// functions.
func trapOf(err error) string {
	text, _, _ := strings.Cut(err.Error(), "\n")
	if _, kind, ok := strings.Cut(text, " failed: "); ok {
		text = kind // of a start function
	}
	return strings.TrimSuffix(strings.TrimPrefix(text, "wasm error: "), " (recovered by wazero)")
}

// calls makes the program's calls and notes what they gave and left behind.
func (r *run) calls(m api.Module) {
	fuel := m.ExportedGlobal(wasmgen.Fuel).(api.MutableGlobal)
	for i, c := range r.p.Calls {
		fuel.Set(uint64(c.Fuel))
		if r.opts.Called != nil {
			r.opts.Called(c.Fuel)
		}
		f := m.ExportedFunction(c.Func)
		results, err := f.Call(r.Ctx, c.Args...)
		what := fmt.Sprintf("call %d of %s%x", i, c.Func, c.Args)
		if r.ended(what, err); r.overflow {
			return
		}
		r.say("%s gives %s, fuel %d, memory %s", what, show(f, results), fuel.Get(), memoryOf(m))
	}
}

var hashSeed = maphash.MakeSeed()

// memoryOf describes the contents of a memory.
func memoryOf(m api.Module) string {
	memory := m.ExportedMemory("memory")
	if memory == nil {
		return "none"
	}
	view, _ := memory.Read(0, memory.Size())
	return fmt.Sprintf("%d/%x", len(view), maphash.Bytes(hashSeed, view))
}

// show writes results. References to functions are addresses: only whether
// they are null can be compared.
func show(f api.Function, results []uint64) string {
	shown := slices.Clone(results)
	types := f.Definition().ResultTypes()
	if shown == nil {
		return "nothing"
	}
	clean(shown, types)
	at := 0
	for _, t := range types {
		switch {
		case wasm.ValType(t) == wasm.V128:
			at++
		case wasm.ValType(t) == wasm.FuncRef && shown[at] != 0:
			shown[at] = 1
		}
		at++
	}
	return fmt.Sprintf("%#x", shown)
}

// state notes what a module holds at the end.
func (r *run) state(m api.Module) {
	if r.overflow {
		return
	}
	for _, name := range append(r.p.Globals, wasmgen.LibraryVariable) {
		if g := m.ExportedGlobal(name); g != nil {
			r.say("%s is %#x", name, g.Get())
		}
	}
	r.say("memory %s", memoryOf(m))
	for i := range r.p.Tables {
		size, isNull := m.ExportedFunction(fmt.Sprint(wasmgen.TableSize, i)), m.ExportedFunction(fmt.Sprint(wasmgen.TableIsNull, i))
		if size == nil {
			return // the library
		}
		n, err := size.Call(r.Ctx)
		if err != nil {
			r.say("table size: %v", err)
			continue
		}
		nulls := make([]byte, 0, 64)
		for k := range min(n[0], 64) {
			null, err := isNull.Call(r.Ctx, k)
			if err != nil {
				r.say("table is null: %v", err)
				break
			}
			nulls = append(nulls, '0'+byte(null[0]))
		}
		r.say("table %d has %d elements, null: %s", i, n[0], nulls)
	}
}
