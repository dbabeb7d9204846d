package wasmgen

import (
	"fmt"
	"slices"

	"github.com/waxosuit/waxo/wapc/wasm"
)

// generator makes one program.
type generator struct {
	opts *Options
	src  source // of what concerns the module as a whole
	body source // of the functions' code
	call source // of the calls
	m    *wasm.Module

	funcs       []function // imported and defined
	imported    int        // of funcs
	slots       []uint32   // where funcs stand in table 0; noSlot: nowhere
	globalTypes []wasm.GlobalType
	globalNames []string // exported, without the fuel
	constants   int      // of the globals: imported ones that never change
	fuel        uint32   // index of the global
	tableTypes  []wasm.TableType
	library     bool // something is imported from it
	hasMemory   bool
	memorySize  uint32 // bytes at the start
	segments    []int  // lengths of the data segments
	passive     []wasm.ValType
}

const noSlot = ^uint32(0)

// function is what there is to know of a function in order to call it.
type function struct {
	wasm.FuncType
	index uint32 // of its type
	// leaf functions need no fuel to be called; they call none but the host's.
	leaf bool
	host bool
	// A function of preview 1 has a name and kinds of parameters there.
	wasi, params string
}

func newGenerator(choices []byte, opts *Options) *generator {
	all := source{b: choices}
	g := &generator{opts: opts, m: new(wasm.Module)}
	g.call = all.cut(min(64, len(choices)/8))
	g.src = all.cut(min(256, len(choices)/4))
	g.body = all.cut(len(choices))
	return g
}

var values = []wasm.ValType{i32, i64, f32, f64, i32, i64, v128, wasm.FuncRef, wasm.ExternRef}

func (g *generator) types() {
	g.m.AddType(wasm.FuncType{})
	for n := 2 + g.src.below(6); n > 0; n-- {
		g.m.AddType(wasm.FuncType{
			Params:  g.typeList(g.src.below(5)),
			Results: g.typeList([...]int{1, 0, 1, 2, 3, 1}[g.src.below(6)]),
		})
	}
}

func (g *generator) typeList(n int) []wasm.ValType {
	var list []wasm.ValType
	for range n {
		list = append(list, pick(&g.src, values))
	}
	return list
}

func (g *generator) importFunc(module, name string, t wasm.FuncType) *function {
	index := g.m.AddType(t)
	g.m.Imports = append(g.m.Imports, wasm.Import{Module: module, Name: name, Type: wasm.ExternType{
		Kind: wasm.KindFunc, TypeIndex: index, Func: t,
	}})
	g.funcs = append(g.funcs, function{FuncType: t, index: index, leaf: true, host: true})
	g.imported++
	return &g.funcs[len(g.funcs)-1]
}

func (g *generator) imports() {
	if g.opts.Preview1 {
		g.importPreview1()
		return
	}
	for _, h := range HostFuncs {
		if g.src.chance(160) {
			g.importFunc(HostModule, h.Name, h.Type)
		}
	}
	if !g.src.chance(96) {
		return
	}
	for _, x := range libraryExports {
		if !g.src.chance(128) {
			continue
		}
		g.library = true
		t := x.Type
		if t.Kind == wasm.KindFunc {
			g.importFunc(LibraryModule, x.Name, t.Func)
			continue
		}
		g.m.Imports = append(g.m.Imports, wasm.Import{Module: LibraryModule, Name: x.Name, Type: t})
		switch t.Kind {
		case wasm.KindGlobal:
			g.globalTypes = append(g.globalTypes, t.Global)
		case wasm.KindTable:
			g.tableTypes = append(g.tableTypes, t.Table)
		case wasm.KindMemory:
			g.hasMemory, g.memorySize = true, uint32(t.Memory.Min)<<16
		}
	}
	g.constants = len(g.globalTypes)
}

func (g *generator) memories() {
	if g.hasMemory || !g.opts.Preview1 && g.src.chance(20) {
		return
	}
	pages := uint64(pick(&g.src, []int{1, 1, 2, 1, 3, 0, 1, 17, 1, 2, 33}))
	if g.opts.Preview1 {
		pages = max(pages, 1)
	}
	g.hasMemory, g.memorySize = true, uint32(pages)<<16
	g.m.Memories = []wasm.Limits{{Min: pages, Max: pages + uint64(g.src.below(5)), HasMax: true}}
}

func (g *generator) tables() {
	for n := 1 + g.src.below(3); n > 0; n-- {
		elem := wasm.FuncRef
		if len(g.tableTypes) > 0 {
			elem = pick(&g.src, []wasm.ValType{wasm.ExternRef, wasm.FuncRef})
		}
		least := uint64(g.src.below(24))
		t := wasm.TableType{Elem: elem, Limits: wasm.Limits{Min: least, Max: least + uint64(g.src.below(10)), HasMax: true}}
		g.tableTypes = append(g.tableTypes, t)
		g.m.Tables = append(g.m.Tables, t)
	}
}

func (g *generator) globals() {
	g.fuel = uint32(len(g.globalTypes))
	g.addGlobal(wasm.GlobalType{Type: i32, Mutable: true}, Fuel, new(asm).i32(1000).end())
	for n := g.src.below(6); n > 0; n-- {
		t := wasm.GlobalType{Type: pick(&g.src, values), Mutable: !g.src.chance(64)}
		init := new(asm)
		if at := slices.Index(g.globalTypes[:g.constants], wasm.GlobalType{Type: t.Type}); at >= 0 && g.src.chance(128) {
			init.index(wasm.OpGlobalGet, uint32(at))
		} else {
			init.constant(&g.src, t.Type)
		}
		name := fmt.Sprint("global ", len(g.globalTypes))
		if t.Type != wasm.FuncRef { // its bits are an address
			g.globalNames = append(g.globalNames, name)
		}
		g.addGlobal(t, name, init.end())
	}
}

func (g *generator) addGlobal(t wasm.GlobalType, name string, init []byte) {
	g.m.Exports = append(g.m.Exports, wasm.Export{Name: name, Kind: wasm.KindGlobal, Index: uint32(len(g.globalTypes))})
	g.globalTypes = append(g.globalTypes, t)
	g.m.Globals = append(g.m.Globals, wasm.Global{Type: t, Init: init})
}

func (g *generator) declareFuncs() {
	types := len(g.m.Types)
	for n := 1 + g.src.below(9); n > 0; n-- {
		g.declare(uint32(g.src.below(types)), g.src.chance(64))
	}
	if g.src.chance(40) {
		start := uint32(len(g.funcs))
		g.declare(0, false)
		g.m.Start = &start
	}
}

func (g *generator) declare(index uint32, leaf bool) {
	g.funcs = append(g.funcs, function{FuncType: g.m.Types[index], index: index, leaf: leaf})
	g.m.Funcs = append(g.m.Funcs, index)
}

// elements fills table 0 with the functions as far as it reaches, and makes
// segments for the instructions to work with. The last of them declares all
// functions, so that code may take their addresses.
func (g *generator) elements() {
	g.slots = slices.Repeat([]uint32{noSlot}, len(g.funcs))
	size := int(g.tableTypes[0].Limits.Min)
	first := g.src.below(3)
	var list []uint32
	for slot := first; slot < size && len(list) < 2*len(g.funcs); slot++ {
		f := uint32(g.src.below(len(g.funcs)))
		if len(list) < len(g.funcs) && !g.src.chance(48) {
			f = uint32(len(list))
		}
		list = append(list, f)
		g.slots[f] = uint32(slot)
	}
	if len(list) > 0 {
		g.m.Elements = append(g.m.Elements, wasm.Element{Offset: g.offset(first), Type: wasm.FuncRef, Funcs: list})
		g.passive = append(g.passive, wasm.FuncRef)
	}
	for n := g.src.below(3); n > 0; n-- {
		e := wasm.Element{Form: 5, Type: pick(&g.src, []wasm.ValType{wasm.FuncRef, wasm.ExternRef})}
		for k := g.src.below(6); k > 0; k-- {
			init := new(asm)
			if e.Type == wasm.FuncRef && g.src.chance(170) {
				init.index(wasm.OpRefFunc, uint32(g.src.below(len(g.funcs))))
			} else {
				init.refNull(e.Type)
			}
			e.Exprs = append(e.Exprs, init.end())
		}
		g.m.Elements = append(g.m.Elements, e)
		g.passive = append(g.passive, e.Type)
	}
	declared := wasm.Element{Form: 3, Type: wasm.FuncRef}
	for i := range g.funcs {
		declared.Funcs = append(declared.Funcs, uint32(i))
	}
	g.m.Elements = append(g.m.Elements, declared)
	g.passive = append(g.passive, wasm.FuncRef)
}

// offset writes where an active segment goes.
func (g *generator) offset(at int) []byte {
	if g.opts.Proposals && g.src.chance(128) {
		return new(asm).i32(int32(at) - 7).i32(7).op(wasm.OpI32Add).end()
	}
	return new(asm).i32(int32(at)).end()
}

func (g *generator) data() {
	if !g.hasMemory {
		return
	}
	for n := g.src.below(4); n > 0; n-- {
		d := wasm.Data{Form: 1, Init: make([]byte, pick(&g.src, []int{0, 1, 16, 100, 3000}))}
		for i := range d.Init {
			d.Init[i] = byte(i*i + len(d.Init) + n)
		}
		if g.src.chance(128) && int(g.memorySize) >= len(d.Init) {
			d.Form, d.Offset = 0, g.offset(g.src.below(int(g.memorySize)-len(d.Init)+1))
		}
		g.m.Data = append(g.m.Data, d)
		g.segments = append(g.segments, len(d.Init))
	}
	if len(g.m.Data) > 0 {
		count := uint32(len(g.m.Data))
		g.m.DataCount = &count
	}
}

// bodies writes the functions' code, each from its part of the choices.
func (g *generator) bodies() {
	n := len(g.m.Funcs)
	for i := range n {
		part := g.body.cut((len(g.body.b) - g.body.at) / (n - i))
		f := newBody(g, part, &g.funcs[g.imported+i])
		g.m.Code = append(g.m.Code, f.write())
	}
}

// exports offers all functions, and those that look into the tables.
func (g *generator) exports() {
	export := func(name string, kind wasm.Kind, index uint32) {
		g.m.Exports = append(g.m.Exports, wasm.Export{Name: name, Kind: kind, Index: index})
	}
	for i := g.imported; i < len(g.funcs); i++ {
		export(fmt.Sprint("f", i), wasm.KindFunc, uint32(i))
	}
	if g.hasMemory {
		export("memory", wasm.KindMemory, 0)
	}
	next := uint32(len(g.funcs))
	define := func(name string, t wasm.FuncType, code *asm) {
		g.m.Funcs = append(g.m.Funcs, g.m.AddType(t))
		g.m.Code = append(g.m.Code, wasm.Body{Code: code.end()})
		export(name, wasm.KindFunc, next)
		next++
	}
	result := []wasm.ValType{i32}
	for i := range g.tableTypes {
		table := uint32(i)
		define(fmt.Sprint(TableSize, i), wasm.FuncType{Results: result}, new(asm).index(opTableSize, table))
		define(fmt.Sprint(TableIsNull, i), wasm.FuncType{Params: result, Results: result},
			new(asm).index(wasm.OpLocalGet, 0).index(opTableGet, table).op(opRefIsNull))
	}
	if g.opts.Preview1 {
		g.exportProtocol(define)
	}
}

// calls chooses the calls to make: each function once, in their order, and some
// of them again.
func (g *generator) calls() []Call {
	var calls []Call
	add := func(i int) {
		f := g.funcs[i]
		c := Call{Func: fmt.Sprint("f", i), Fuel: uint32(pick(&g.call, []int{300, 20, 1000, 0, 3000, 1, 100, 400}))}
		if g.call.chance(8) {
			c.Fuel = 30_000
		}
		for _, t := range f.Params {
			c.Args = append(c.Args, argument(&g.call, t)...)
		}
		calls = append(calls, c)
	}
	for i := g.imported; i < len(g.funcs); i++ {
		add(i)
	}
	for n := g.call.below(4); n > 0; n-- {
		add(g.imported + g.call.below(len(g.funcs)-g.imported))
	}
	return calls
}
