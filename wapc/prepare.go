package wapc

import (
	"fmt"
	"slices"

	"github.com/waxosuit/waxo/wapc/meter"
	"github.com/waxosuit/waxo/wapc/wasm"
)

// Bounds on what a few bytes of a module can make the engine allocate.
const (
	maxTableElements = 1 << 20 // over all tables of an instance: 8 MiB
	maxLocals        = 50_000  // of a function, as browsers have it
	maxSignature     = 1_000   // parameters of a function, and its results, as browsers have it
)

// prepared is a module that was checked and made ready for the engine.
type prepared struct {
	facts
	code     []byte // what the engine compiles; nil if the machine code is there already
	skeleton []byte // what it reads instead where it has the machine code: see skeleton.go
	spans    []span // what its memory holds at the start
	deep     error  // why it may not be interpreted: see frame.go
}

// facts are what is known of a module besides its code.
type facts struct {
	Imports   []string
	Form      callForm
	MemoryMin int64 // bytes
}

// prepare checks a module against the protocol, bounds what it can do to its
// host, and takes its data out. Its errors are those of Engine.Compile.
func prepare(module []byte, key moduleKey, traced bool) (*prepared, error) {
	m, err := wasm.Decode(module)
	if err != nil {
		return nil, &FormatError{err}
	}
	p := &prepared{}
	if p.Form, err = checkImports(m); err != nil {
		return nil, err
	}
	memory, err := checkExports(m)
	if err != nil {
		return nil, err
	}
	p.MemoryMin = int64(memory.Min << 16)
	for _, imp := range m.Imports {
		p.Imports = append(p.Imports, imp.Module+"."+imp.Name)
	}
	if err := bound(m); err != nil {
		return nil, &FormatError{err}
	}
	if p.spans, err = takeData(m); err != nil {
		return nil, &FormatError{err}
	}
	strip(m)
	defined := m.ImportedFuncs() // the first function that the module defines
	var known []meter.Known
	if !traced {
		known = knownOf(m)
	}
	if err := meter.Rewrite(m, &meter.Options{Known: known}); err != nil {
		return nil, &FormatError{err}
	}
	p.deep = newFrames(m).check(defined)
	p.code = m.Encode()
	p.skeleton = skeletonOf(m, key)
	return p, nil
}

// responseLen names the global variable that answers for __host_response_len
// while the length is known: leaving the guest costs as much as all else that a
// host call of few bytes does.
const responseLen = "waxo.response_len"

func knownOf(m *wasm.Module) []meter.Known {
	f := uint32(0)
	for _, imp := range m.Imports { // of functions alone, as checkImports has seen
		if imp.Name == fnHostResponseLen {
			return []meter.Known{{Func: f, Export: responseLen}}
		}
		f++
	}
	return nil
}

// strip drops the custom sections but the functions' names, which traps tell:
// the engine makes no use of them. Compiled code is kept without regard to them:
// a module that is signed again has other claims and the same code.
func strip(m *wasm.Module) {
	m.Customs = slices.DeleteFunc(m.Customs, func(c wasm.Custom) bool { return c.Name != wasm.NameSection })
}

// bound refuses what would take too much memory before any limit applies, and
// gives each table a maximum, so that table.grow cannot take what the limit on
// memory denies.
func bound(m *wasm.Module) error {
	for i, t := range m.Types {
		if len(t.Params) > maxSignature || len(t.Results) > maxSignature {
			return fmt.Errorf("type %d has %d parameters and %d results, the limit is %d", i, len(t.Params), len(t.Results), maxSignature)
		}
	}
	for i := range m.Code {
		total := uint64(0)
		for _, l := range m.Code[i].Locals {
			total += uint64(l.Count)
		}
		if total > maxLocals {
			return fmt.Errorf("function %d has %d locals, the limit is %d", m.ImportedFuncs()+i, total, maxLocals)
		}
	}
	spare := uint64(maxTableElements)
	for _, t := range m.Tables {
		if t.Limits.Min > spare {
			return fmt.Errorf("its tables have more than %d elements", maxTableElements)
		}
		spare -= t.Limits.Min
	}
	for i := range m.Tables {
		limits := &m.Tables[i].Limits
		most := limits.Min + spare/uint64(len(m.Tables))
		if !limits.HasMax || limits.Max > most {
			limits.Max, limits.HasMax = most, true
		}
	}
	return nil
}
