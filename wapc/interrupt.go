package wapc

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/waxosuit/waxo/wapc/wasm"
)

// The engine looks whether a guest must stop at the head of each loop, and only
// there. Calls can take for ever without one: by recursion that branches, and
// even without recursion, where each of sixty functions calls the next twice.
// makeInterruptible puts a loop of no turns at the beginning of as few
// functions as it takes, so that the engine looks there too.

// maxStretch bounds the length of code, in bytes, that calls may lead through
// without a look. A function with many calls exceeds it by as many times.
const maxStretch = 10_000

// emptyLoop is "loop end".
var emptyLoop = []byte{byte(wasm.OpLoop), 0x40, byte(wasm.OpEnd)}

// makeInterruptible changes the module where it has to.
func makeInterruptible(m *wasm.Module) error {
	g, err := newCallGraph(m)
	if err != nil {
		return err
	}
	for i := range g.nodes {
		g.visit(i)
	}
	for i := range m.Code {
		if n := &g.nodes[i]; n.looks && !n.loops {
			body := &m.Code[i]
			body.Code = append(slices.Clip(slices.Clone(emptyLoop)), body.Code...)
		}
	}
	return nil
}

// callGraph has a node for each function of a module, and after those one for
// each type of functions that call_indirect may call.
type callGraph struct {
	nodes     []callNode
	functions int
	path      []step // of the visit
}

type callNode struct {
	calls []uint32 // nodes, once for each call
	cost  int      // bytes of code that a call leads through without a look
	loops bool     // it begins with a loop of its own
	looks bool     // the engine looks when it begins
	state visitState
	taken bool // its address is: it may be called indirectly
}

type visitState byte

const (
	unseen visitState = iota
	open              // it is on the path
	done
)

// step is a place on the path: a node and which of its calls comes next.
type step struct{ node, next int }

func newCallGraph(m *wasm.Module) (*callGraph, error) {
	g := &callGraph{functions: len(m.Code), nodes: make([]callNode, len(m.Code)+len(m.Types))}
	imported := uint32(m.ImportedFuncs())
	same := canonicalTypes(m.Types)
	taken, err := g.readFunctions(m, imported, same)
	if err != nil {
		return nil, err
	}
	take := func(in wasm.Instr) {
		if in.Op == wasm.OpRefFunc {
			taken = append(taken, in.Index)
		}
	}
	for i := range m.Elements {
		taken = append(taken, m.Elements[i].Funcs...)
		for _, e := range m.Elements[i].Exprs {
			if err := walk(e, take); err != nil {
				return nil, err
			}
		}
	}
	for i := range m.Globals {
		if err := walk(m.Globals[i].Init, take); err != nil {
			return nil, err
		}
	}
	slices.Sort(taken) // the outcome must not depend on who was first: compiled code is kept by content
	for _, f := range taken {
		i := int64(f) - int64(imported)
		if i < 0 || i >= int64(g.functions) || g.nodes[i].taken || uint64(m.Funcs[i]) >= uint64(len(same)) {
			continue
		}
		g.nodes[i].taken = true
		n := &g.nodes[g.functions+same[m.Funcs[i]]]
		n.calls = append(n.calls, uint32(i))
	}
	return g, nil
}

// readFunctions reads the calls of all functions, on all cores, and tells which
// functions they take the address of.
func (g *callGraph) readFunctions(m *wasm.Module, imported uint32, same []int) (taken []uint32, err error) {
	var wg sync.WaitGroup
	var next atomic.Int64
	var mu sync.Mutex // guards the results
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(g.functions); i = next.Add(1) - 1 {
				refs, e := g.readFunction(int(i), m.Code[i].Code, imported, same)
				if refs == nil && e == nil {
					continue
				}
				mu.Lock()
				taken = append(taken, refs...)
				if e != nil && err == nil {
					err = fmt.Errorf("function %d: %w", int64(imported)+i, e)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return taken, err
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

func walk(code []byte, see func(wasm.Instr)) error {
	r := wasm.NewReader(code)
	for in, ok := r.Next(); ok; in, ok = r.Next() {
		see(in)
	}
	return r.Err()
}

// readFunction reads the calls of a function, and tells which functions it
// takes the address of.
func (g *callGraph) readFunction(i int, code []byte, imported uint32, same []int) (taken []uint32, err error) {
	n := &g.nodes[i]
	n.cost = len(code)
	straight := true // nothing so far can have led elsewhere
	err = walk(code, func(in wasm.Instr) {
		switch in.Op {
		case wasm.OpLoop:
			n.loops = n.loops || straight
		case wasm.OpIf, wasm.OpBr, wasm.OpBrIf, wasm.OpBrTable, wasm.OpReturn:
			straight = false
		case wasm.OpRefFunc:
			taken = append(taken, in.Index)
		case wasm.OpCall, wasm.OpReturnCall:
			straight = false
			if in.Index >= imported && in.Index-imported < uint32(g.functions) {
				n.calls = append(n.calls, in.Index-imported)
			}
		case wasm.OpCallIndirect, wasm.OpReturnCallIndirect:
			straight = false
			if uint64(in.Index) < uint64(len(same)) {
				n.calls = append(n.calls, uint32(g.functions+same[in.Index]))
			}
		}
	})
	return taken, err
}

// visit goes through everything that a node calls, deepest first, and decides
// for each function whether the engine must look there: it must somewhere on
// each circle of calls, and where the code behind a call gets too long. It
// keeps its own path: a module can call as deep as it has functions.
func (g *callGraph) visit(root int) {
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
		switch callee := &g.nodes[to]; {
		case callee.state == unseen:
			g.enter(to)
			continue // and come back to this call when it is done
		case callee.state == open && to < g.functions:
			callee.looks = true
		case callee.state == open:
			n.looks = true // a type is no place to look at: its caller is on the circle too
		case top.node >= g.functions:
			n.cost = max(n.cost, callee.behind())
		default:
			n.cost += callee.behind()
		}
		top.next++
	}
}

func (g *callGraph) enter(node int) {
	g.nodes[node].state = open
	g.path = append(g.path, step{node: node})
}

func (g *callGraph) leave(n *callNode, node int) {
	n.state = done
	n.looks = n.looks || n.loops || (node < g.functions && n.cost > maxStretch)
	g.path = g.path[:len(g.path)-1]
}

// behind is what a call of the node adds to the caller's cost.
func (n *callNode) behind() int {
	if n.looks {
		return 0
	}
	return n.cost
}
