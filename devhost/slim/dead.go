package slim

import (
	"fmt"
	"slices"

	"github.com/waxosuit/waxo/wapc/wasm"
)

// What the call protocol knows of a guest's exports.
const (
	guestCall = "__guest_call"
	memory    = "memory"
)

// startExports are called once, in this order, each that exists.
var startExports = [...]string{"_start", "_initialize", "wapc_init"}

func isStart(name string) bool { return slices.Contains(startExports[:], name) }

// removeDead removes exports that no host looks at and functions that nothing
// reaches.
func removeDead(m *wasm.Module) (Result, error) {
	r, err := newReach(m)
	if err != nil {
		return Result{}, err
	}
	exports := len(m.Exports)
	m.Exports = slices.DeleteFunc(slices.Clone(m.Exports), func(e wasm.Export) bool { return !r.keeps(e) })
	exports -= len(m.Exports)
	functions := r.unreached()
	result := Result{Done: true, changed: exports > 0 || functions > 0}
	result.Detail = fmt.Sprintf("%s and %s removed", count(functions, "function"), count(exports, "export"))
	if functions == 0 {
		return result, nil
	}
	numbers := r.compact(m)
	if err := m.RenumberFuncs(numbers); err != nil {
		return Result{}, err
	}
	dropCustoms(m, aboutCode, aboutLayout)
	for i, c := range m.Customs {
		if c.Name == wasm.NameSection {
			m.Customs[i].Content = r.renameFuncs(c.Content, numbers)
		}
	}
	return result, nil
}

// reach knows which functions can run, or be referred to.
type reach struct {
	m         *wasm.Module
	imported  int
	reached   []bool // by function index
	todo      []uint32
	addresses map[uint32]bool // functions whose reference code takes
}

func newReach(m *wasm.Module) (*reach, error) {
	r := &reach{m: m, imported: m.ImportedFuncs(), addresses: map[uint32]bool{}}
	r.reached = make([]bool, r.imported+len(m.Funcs))
	for i := range r.imported {
		r.reached[i] = true
	}
	if err := r.roots(); err != nil {
		return nil, err
	}
	for len(r.todo) > 0 {
		f := r.todo[len(r.todo)-1]
		r.todo = r.todo[:len(r.todo)-1]
		body := r.m.Code[int(f)-r.imported]
		if err := walk(body.Code, r.see); err != nil {
			return nil, &wasm.CodeError{Func: f, Offset: body.Offset, Err: err}
		}
	}
	return r, nil
}

// roots are the functions that the host calls, or an indirect call may.
func (r *reach) roots() error {
	for _, e := range r.m.Exports {
		if e.Kind == wasm.KindFunc && (e.Name == guestCall || isStart(e.Name)) {
			r.mark(e.Index)
		}
	}
	if r.m.Start != nil {
		r.mark(*r.m.Start)
	}
	for i := range r.m.Elements {
		e := &r.m.Elements[i]
		for _, f := range e.Funcs {
			r.mark(f)
		}
		for _, expr := range e.Exprs {
			if err := walk(expr, r.see); err != nil {
				return fmt.Errorf("element segment %d: %w", i, err)
			}
		}
	}
	for i := range r.m.Globals {
		if err := walk(r.m.Globals[i].Init, r.see); err != nil {
			return fmt.Errorf("initial value of a global: %w", err)
		}
	}
	return nil
}

func (r *reach) see(in wasm.Instr) {
	if in.RefersToFunc() {
		r.mark(in.Index)
		if in.Op == wasm.OpRefFunc {
			r.addresses[in.Index] = true
		}
	}
}

// mark adds a function. One that does not exist is RenumberFuncs' to refuse.
func (r *reach) mark(f uint32) {
	if uint64(f) < uint64(len(r.reached)) && !r.reached[f] {
		r.reached[f] = true
		r.todo = append(r.todo, f)
	}
}

// keeps tells whether an export stays. One of a function whose reference code
// takes does in any case: it may be what declares that reference.
func (r *reach) keeps(e wasm.Export) bool {
	return e.Name == guestCall || e.Name == memory || isStart(e.Name) || e.Kind == wasm.KindFunc && r.addresses[e.Index]
}

func (r *reach) unreached() int {
	n := 0
	for _, reached := range r.reached {
		if !reached {
			n++
		}
	}
	return n
}

// compact removes the functions that were not reached and returns the others'
// new numbers.
func (r *reach) compact(m *wasm.Module) (numbers []uint32) {
	numbers = make([]uint32, len(r.reached))
	var funcs []uint32
	var code []wasm.Body
	next := uint32(0)
	for i, reached := range r.reached {
		numbers[i] = next
		if !reached {
			continue
		}
		next++
		if i >= r.imported {
			funcs = append(funcs, m.Funcs[i-r.imported])
			code = append(code, m.Code[i-r.imported])
		}
	}
	m.Funcs, m.Code = funcs, code
	return numbers
}

func (r *reach) renameFuncs(content []byte, numbers []uint32) []byte {
	names, err := wasm.DecodeNames(content)
	if err != nil {
		return content // malformed before, and nobody reads it
	}
	gone := func(f uint32) bool { return uint64(f) >= uint64(len(r.reached)) || !r.reached[f] }
	names.Funcs = slices.DeleteFunc(names.Funcs, func(n wasm.Name) bool { return gone(n.Func) })
	inner := func(n wasm.InnerNames) bool { return gone(n.Func) }
	names.Locals = slices.DeleteFunc(names.Locals, inner)
	names.Labels = slices.DeleteFunc(names.Labels, inner)
	names.RenumberFuncs(numbers)
	return names.Encode()
}
