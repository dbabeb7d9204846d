package metertest

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

// outcome is all that can be seen of a program's run, as lines of text: what
// differs between two runs is the first line that does.
type outcome struct {
	lines []string
	// overflow tells that the stack was exhausted. How deep calls may go is the
	// engine's business, and nothing is said of what comes after.
	overflow bool
	traps    map[string]int // by their kind; "" for calls that returned
}

const overflowed = "stack overflow"

func (o *outcome) say(format string, args ...any) {
	o.lines = append(o.lines, fmt.Sprintf(format, args...))
}

// difference tells how two outcomes differ.
func (o *outcome) difference(other *outcome) string {
	n := min(len(o.lines), len(other.lines))
	for i := range n {
		if o.lines[i] != other.lines[i] {
			return fmt.Sprintf("%s\n    and  %s", o.lines[i], other.lines[i])
		}
	}
	if len(o.lines) != len(other.lines) && !o.overflow && !other.overflow {
		return fmt.Sprintf("%d lines and %d lines", len(o.lines), len(other.lines))
	}
	return ""
}

// run runs a program with this interval.
func (s *side) run(p *wasmgen.Program, interval int) (*outcome, error) {
	s.interval, s.host = interval, host{}
	o := &outcome{traps: map[string]int{}}
	library, err := s.instantiate(wasmgen.Library(), wasmgen.LibraryModule)
	if err != nil {
		return nil, fmt.Errorf("the library: %w", err)
	}
	defer library.Close(s.ctx)
	b, err := s.rewrite(p.Module)
	if err != nil {
		return nil, err
	}
	compiled, err := s.runtime.CompileModule(s.ctx, b)
	if err != nil {
		return nil, err
	}
	defer compiled.Close(s.ctx)
	m, err := s.runtime.InstantiateModule(s.ctx, compiled, wazero.NewModuleConfig().WithName(""))
	if !o.ended("instantiate", err) {
		if err == nil {
			defer m.Close(s.ctx)
			s.calls(p, m, o)
		}
		s.state(p, library, o)
	}
	for _, line := range s.host.log {
		o.say("the host was told %s", line)
	}
	if o.overflow {
		o.lines = o.lines[:len(o.lines)-len(s.host.log)]
	}
	return o, nil
}

// ended notes how something ended, and tells whether that is the end of what
// can be compared.
func (o *outcome) ended(what string, err error) bool {
	if err == nil {
		o.traps[""]++
		return false
	}
	kind := trapOf(err)
	o.traps[kind]++
	if kind == overflowed {
		o.overflow = true
		return true
	}
	o.say("%s: %s", what, kind)
	return false
}

// trapOf tells why a guest was ended, without what depends on the numbers of
// functions.
func trapOf(err error) string {
	text, _, _ := strings.Cut(err.Error(), "\n")
	if _, kind, ok := strings.Cut(text, "wasm error: "); ok {
		return kind
	}
	if _, kind, ok := strings.Cut(text, " failed: "); ok {
		return kind
	}
	return text
}

// calls makes the program's calls and notes what they gave and left behind.
func (s *side) calls(p *wasmgen.Program, m api.Module, o *outcome) {
	fuel := m.ExportedGlobal(wasmgen.Fuel).(api.MutableGlobal)
	for i, c := range p.Calls {
		fuel.Set(uint64(c.Fuel))
		f := m.ExportedFunction(c.Func)
		results, err := f.Call(s.ctx, c.Args...)
		what := fmt.Sprintf("call %d of %s%x", i, c.Func, c.Args)
		if o.ended(what, err) {
			return
		}
		o.say("%s gives %s, fuel %d, memory %s", what, show(f, results), fuel.Get(), memoryOf(m))
	}
	s.state(p, m, o)
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
	at := 0
	for _, t := range f.Definition().ResultTypes() {
		switch {
		case at >= len(shown):
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
func (s *side) state(p *wasmgen.Program, m api.Module, o *outcome) {
	for _, name := range p.Globals {
		if g := m.ExportedGlobal(name); g != nil {
			o.say("%s is %#x", name, g.Get())
		}
	}
	if g := m.ExportedGlobal("variable"); g != nil {
		o.say("the library's variable is %#x", g.Get())
	}
	o.say("memory %s", memoryOf(m))
	for i := range p.Tables {
		size, isNull := m.ExportedFunction(fmt.Sprint(wasmgen.TableSize, i)), m.ExportedFunction(fmt.Sprint(wasmgen.TableIsNull, i))
		if size == nil || isNull == nil {
			continue
		}
		results, err := size.Call(s.ctx)
		if o.ended("table size", err) || err != nil {
			return
		}
		var nulls []byte
		for k := range min(results[0], 64) {
			null, err := isNull.Call(s.ctx, k)
			if o.ended("table is null", err) || err != nil {
				return
			}
			nulls = append(nulls, '0'+byte(null[0]))
		}
		o.say("table %d has %d elements, null: %s", i, results[0], nulls)
	}
}
