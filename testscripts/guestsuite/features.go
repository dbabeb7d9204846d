package guestsuite

import (
	"errors"
	"fmt"
	"slices"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/waxosuit/waxo/wapc/wasm"
)

func features(ts *testscript.TestScript, not bool, args []string) {
	if not || len(args) > 0 {
		usage(ts, "features")
	}
	for _, f := range sessionOf(ts).beyond() {
		fmt.Fprintln(ts.Stdout(), f)
	}
}

// beyond lists what a module uses that WebAssembly 2.0 does not have.
func (s *subject) beyond() []string {
	if s.broken != nil {
		if errors.Is(s.broken, wasm.ErrUnsupported) {
			return []string{s.broken.Error()}
		}
		return nil
	}
	m := s.parts
	found := beyondInTypes(m)
	for i := range m.Code {
		r := wasm.NewReader(m.Code[i].Code)
		for in, ok := r.Next(); ok; in, ok = r.Next() {
			if in.Op == wasm.OpReturnCall || in.Op == wasm.OpReturnCallIndirect {
				found = append(found, fmt.Sprintf("tail calls: function %d", m.ImportedFuncs()+i))
				break
			}
		}
		if errors.Is(r.Err(), wasm.ErrUnsupported) {
			found = append(found, fmt.Sprintf("function %d: %v", m.ImportedFuncs()+i, r.Err()))
		}
	}
	for _, offset := range constants(m) {
		r := wasm.NewReader(offset)
		n := 0
		for _, ok := r.Next(); ok; _, ok = r.Next() {
			n++
		}
		if n > 2 { // the value, and the end
			found = append(found, "constant expressions with arithmetic")
		}
	}
	return slices.Compact(found)
}

func beyondInTypes(m *wasm.Module) (found []string) {
	memories := slices.Clone(m.Memories)
	for _, i := range m.Imports {
		switch i.Type.Kind {
		case wasm.KindMemory:
			memories = append(memories, i.Type.Memory)
		case wasm.KindTag:
			found = append(found, fmt.Sprintf("exceptions: the tag %s.%s", i.Module, i.Name))
		}
	}
	if len(memories) > 1 {
		found = append(found, fmt.Sprintf("%d memories", len(memories)))
	}
	for _, l := range memories {
		if l.Shared {
			found = append(found, "threads: a shared memory")
		}
		if l.Is64 {
			found = append(found, "64-bit memory")
		}
	}
	return found
}

// constants are the constant expressions of a module.
func constants(m *wasm.Module) (all [][]byte) {
	for _, g := range m.Globals {
		all = append(all, g.Init)
	}
	for _, e := range m.Elements {
		if e.Offset != nil {
			all = append(all, e.Offset)
		}
		all = append(all, e.Exprs...)
	}
	for _, d := range m.Data {
		if d.Offset != nil {
			all = append(all, d.Offset)
		}
	}
	return all
}

// unusedImports names the functions that a module imports and has no use for.
func unusedImports(m *wasm.Module) (unused []string, err error) {
	used := make(map[uint32]bool)
	for _, e := range m.Exports {
		used[e.Index] = used[e.Index] || e.Kind == wasm.KindFunc
	}
	for _, e := range m.Elements {
		for _, f := range e.Funcs {
			used[f] = true
		}
	}
	code := constants(m)
	for i := range m.Code {
		code = append(code, m.Code[i].Code)
	}
	for _, c := range code {
		r := wasm.NewReader(c)
		for in, ok := r.Next(); ok; in, ok = r.Next() {
			if in.RefersToFunc() {
				used[in.Index] = true
			}
		}
		err = errors.Join(err, r.Err())
	}
	f := uint32(0)
	for _, i := range m.Imports {
		if i.Type.Kind != wasm.KindFunc {
			continue
		}
		if !used[f] && (m.Start == nil || *m.Start != f) {
			unused = append(unused, fmt.Sprintf("%s.%s is imported and never used", i.Module, i.Name))
		}
		f++
	}
	return unused, err
}
