package meter

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/waxosuit/waxo/wapc/wasm"
)

// graph has a node for each function that a module defines, and after those one
// for each type of functions that may be called indirectly.
type graph struct {
	m         *wasm.Module
	imported  uint32
	globals   uint32
	types     []int // the first type that is equal to each
	nodes     []node
	functions int
	needs     needs
	path      []step // of the visit
}

// node is a function, or what an indirect call of a type may lead to.
type node struct {
	calls    []uint32 // nodes, once for each call
	cost     int      // at most what a call costs and does not pay for
	held     int      // at most what is owed by the frames of a call's deepest calls
	state    visitState
	taken    bool // its address is: it may be called indirectly
	pays     bool // it charges when it begins
	indirect bool // it charges before indirect calls
	loops    []loop
}

type visitState byte

const (
	unseen visitState = iota
	open              // it is on the path
	done
)

// step is a place on the path: a node and which of its calls comes next.
type step struct{ node, next int }

// needs tells which functions must be added.
type needs struct {
	fill, copy, long, grow bool
	tables                 []uint32 // that grow
}

// findings is what one function tells of itself.
type findings struct {
	refs  []uint32 // functions whose address it takes
	needs needs
}

func newGraph(m *wasm.Module) (*graph, error) {
	g := &graph{m: m, imported: uint32(m.ImportedFuncs()), types: canonicalTypes(m.Types), functions: len(m.Code)}
	g.nodes = make([]node, len(m.Code)+len(m.Types))
	g.globals = uint32(len(m.Globals))
	for i := range m.Imports {
		if m.Imports[i].Type.Kind == wasm.KindGlobal {
			g.globals++
		}
	}
	var mu sync.Mutex // guards taken and g.needs
	var taken []uint32
	err := each(g.functions, func() func(int) error {
		return func(i int) error {
			var f findings
			if err := g.read(i, &f); err != nil {
				return g.codeError(i, err)
			}
			mu.Lock()
			defer mu.Unlock()
			taken = append(taken, f.refs...)
			g.needs.add(f.needs)
			return nil
		}
	})
	if err != nil {
		return nil, err
	}
	if err := g.checkExports(); err != nil {
		return nil, err
	}
	outside, err := g.takenOutside()
	if err != nil {
		return nil, err
	}
	g.link(append(taken, outside...))
	for i := range g.nodes {
		g.visit(i)
	}
	slices.Sort(g.needs.tables) // the outcome must not depend on who was first
	g.needs.tables = slices.Compact(g.needs.tables)
	return g, nil
}

func (g *graph) codeError(i int, err error) error {
	return &wasm.CodeError{Func: g.imported + uint32(i), Offset: g.m.Code[i].Offset, Err: err}
}

// each calls work for 0 to n-1, on all cores. Each worker has a function of its
// own.
func each(n int, worker func() func(int) error) error {
	var wg sync.WaitGroup
	var next atomic.Int64
	var mu sync.Mutex // guards failed and first
	failed, first := n, error(nil)
	for range min(runtime.GOMAXPROCS(0), n) {
		wg.Go(func() {
			work := worker()
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				if err := work(int(i)); err != nil {
					mu.Lock()
					if int(i) < failed { // the error, too, must not depend on who was first
						failed, first = int(i), err
					}
					mu.Unlock()
					return
				}
			}
		})
	}
	wg.Wait()
	return first
}

// canonicalTypes maps each type to the first that is equal: call_indirect takes
// equal types for one.
func canonicalTypes(types []wasm.FuncType) []int {
	first := map[string]int{}
	same := make([]int, len(types))
	for i, t := range types {
		key := t.String()
		if _, ok := first[key]; !ok {
			first[key] = i
		}
		same[i] = first[key]
	}
	return same
}

// takenOutside lists the functions whose address is taken outside of code. It
// checks all constant expressions on the way.
func (g *graph) takenOutside() (taken []uint32, err error) {
	see := func(expr []byte) {
		r := wasm.NewReader(expr)
		for in, ok := r.Next(); ok && err == nil; in, ok = r.Next() {
			if in.Op == wasm.OpRefFunc {
				taken = append(taken, in.Index)
			}
			err = g.check(in, expr)
		}
		err = cmp.Or(err, r.Err())
	}
	for i := range g.m.Globals {
		see(g.m.Globals[i].Init)
	}
	for i := range g.m.Elements {
		e := &g.m.Elements[i]
		taken = append(taken, e.Funcs...)
		if e.Form&1 == 0 {
			see(e.Offset)
		}
		for _, expr := range e.Exprs {
			see(expr)
		}
	}
	for i := range g.m.Data {
		if g.m.Data[i].Form != 1 {
			see(g.m.Data[i].Offset)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("constant expression: %w", err)
	}
	return taken, nil
}

// link makes the functions whose address is taken callable by their types.
func (g *graph) link(taken []uint32) {
	slices.Sort(taken)
	for _, f := range taken {
		i := int64(f) - int64(g.imported)
		if i < 0 || i >= int64(g.functions) || g.nodes[i].taken {
			continue
		}
		g.nodes[i].taken = true
		n := &g.nodes[g.functions+g.types[g.m.Funcs[i]]]
		n.calls = append(n.calls, uint32(i))
	}
}

// callee returns the node that an instruction calls; ok is false if it calls
// none, or the host.
func (g *graph) callee(in wasm.Instr) (n uint32, ok bool) {
	switch in.Op {
	case wasm.OpCall, wasm.OpReturnCall:
		return in.Index - g.imported, in.Index >= g.imported
	case wasm.OpCallIndirect, wasm.OpReturnCallIndirect:
		return uint32(g.functions + g.types[in.Index]), true
	}
	return 0, false
}

// read reads what a function calls and needs.
func (g *graph) read(i int, f *findings) error {
	n := &g.nodes[i]
	code := g.m.Code[i].Code
	if err := g.checkType(uint64(g.m.Funcs[i])); err != nil {
		return err
	}
	n.cost = clearing(g.m.Code[i].Locals)
	r := wasm.NewReader(code)
	var l loops
	for {
		n.cost += r.Plain(maxStretch).N
		in, ok := r.Next()
		if !ok {
			break
		}
		if err := g.check(in, code); err != nil {
			return fmt.Errorf("at offset %d: %w", in.Start, err)
		}
		n.cost += weight(in.Op)
		l.see(in, code)
		if to, ok := g.callee(in); ok {
			n.calls = append(n.calls, to)
			continue
		}
		switch in.Op {
		case wasm.OpRefFunc:
			f.refs = append(f.refs, in.Index)
		case wasm.OpMemoryFill:
			f.needs.fill = true
		case wasm.OpMemoryCopy:
			f.needs.copy = true
		case wasm.OpMemoryGrow:
			f.needs.grow = true
		case wasm.OpMemoryInit, wasm.OpTableInit, wasm.OpTableCopy, wasm.OpTableFill:
			f.needs.long = true
		case wasm.OpTableGrow:
			f.needs.tables = append(f.needs.tables, in.Index)
		}
	}
	n.loops = l.all
	return r.Err()
}

func (n *needs) add(more needs) {
	n.fill = n.fill || more.fill
	n.copy = n.copy || more.copy
	n.long = n.long || more.long
	n.grow = n.grow || more.grow
	n.tables = append(n.tables, more.tables...)
}

// visit goes through everything that a node calls, deepest first, and decides
// which functions charge when they begin: one must on each circle of calls, and
// where the frames of a chain of calls would owe too much. It keeps its own
// path: a module can call as deep as it has functions.
func (g *graph) visit(root int) {
	if g.nodes[root].state != unseen {
		return
	}
	g.enter(root)
	for len(g.path) > 0 {
		top := &g.path[len(g.path)-1]
		n := &g.nodes[top.node]
		if top.next == len(n.calls) {
			g.leave(n, top.node)
			continue
		}
		to := int(n.calls[top.next])
		callee := &g.nodes[to]
		if callee.state == unseen {
			g.enter(to)
			continue // and come back to this call when it is done
		}
		top.next++
		switch {
		case callee.state == open && to < g.functions:
			callee.pays = true
		case callee.state == open:
			n.indirect = true // a type is no place to charge at; its caller pays, also what the callee owes
		case top.node >= g.functions:
			n.cost = max(n.cost, callee.owed())
		default:
			n.cost = min(n.cost+callee.owed(), maxOwed)
		}
		if callee.state == done && !callee.pays {
			n.held = max(n.held, callee.held)
		}
	}
}

func (g *graph) enter(i int) {
	g.nodes[i].state = open
	g.path = append(g.path, step{node: i})
}

func (g *graph) leave(n *node, i int) {
	n.state = done
	n.cost = min(n.cost, maxOwed)
	if i < g.functions && len(n.calls) > 0 {
		n.held += n.cost
		n.pays = n.pays || n.held > maxHeld
	}
	g.path = g.path[:len(g.path)-1]
}

// owed is what a call of the node adds to the caller's account.
func (n *node) owed() int {
	if n.pays {
		return 0
	}
	return n.cost
}
