package meter

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/waxosuit/waxo/wapc/wasm"
)

// Bulk operations up to smallBulk bytes cost what an instruction of
// theirs costs; longer ones cost a unit for every 1<<bulkShift, and those on
// memory are done chunk by chunk.
const (
	smallBulk   = 4 << 10
	elementSize = 8 // bytes, of a table
	bulkShift   = 2
	chunk       = 256 << 10
)

// parts is what is added to a module, with the numbers that it will have.
type parts struct {
	m        *wasm.Module
	g        *graph
	interval int32
	counter  uint32 // global
	look     uint32 // the imported function
	refill   uint32 // the first function that is added
	bulk     uint32 // type of three numbers that become three
	fill     uint32
	copy     uint32
	long     uint32
	grow     uint32
	tables   map[uint32]uint32 // functions that grow tables
	known    []Known
	instead  map[uint32]uint32 // of functions that are known
	added    []added
}

// added is a function to be added.
type added struct {
	name string
	typ  uint32
	body wasm.Body
}

var (
	number  = []wasm.ValType{wasm.I32}
	numbers = []wasm.ValType{wasm.I32, wasm.I32, wasm.I32}
)

func newParts(g *graph, interval int32, known []Known) (*parts, error) {
	for _, k := range known {
		t, err := g.m.ExternType(wasm.KindFunc, k.Func)
		if err != nil {
			return nil, err
		}
		if k.Func >= g.imported || len(t.Func.Params) > 0 || !slices.Equal(t.Func.Results, number) {
			return nil, fmt.Errorf("function %d cannot be known: it is not imported, or of the type %v", k.Func, t.Func)
		}
	}
	return &parts{m: g.m, g: g, interval: interval, counter: g.globals, look: g.imported,
		tables: map[uint32]uint32{}, known: known, instead: map[uint32]uint32{}}, nil
}

// types adds the types and assembles the functions that will be added.
func (p *parts) types() error {
	p.refill = p.function("refill", wasm.FuncType{}, p.refillBody())
	if p.g.needs.fill || p.g.needs.copy {
		p.bulk = p.m.AddType(wasm.FuncType{Params: numbers, Results: numbers})
	}
	if p.g.needs.fill {
		p.fill = p.function("fill", p.m.Types[p.bulk], p.fillBody())
	}
	if p.g.needs.copy {
		p.copy = p.function("copy", p.m.Types[p.bulk], p.copyBody())
	}
	if p.g.needs.long {
		p.long = p.function("long", wasm.FuncType{Params: number}, p.longBody())
	}
	if p.g.needs.grow {
		p.grow = p.function("grow", wasm.FuncType{Params: number, Results: number}, p.growBody())
	}
	for _, table := range p.g.needs.tables {
		t, err := p.m.ExternType(wasm.KindTable, table)
		if err != nil {
			return err
		}
		typ := wasm.FuncType{Params: []wasm.ValType{t.Table.Elem, wasm.I32}, Results: number}
		p.tables[table] = p.function(fmt.Sprintf("grow table %d", table), typ, p.growTableBody(table))
	}
	for i, k := range p.known {
		p.instead[k.Func] = p.function(k.Export, wasm.FuncType{Results: number}, p.knownBody(k.Func, p.answer(i)))
	}
	return nil
}

func (p *parts) function(name string, t wasm.FuncType, body wasm.Body) uint32 {
	p.added = append(p.added, added{name: ImportModule + "." + name, typ: p.m.AddType(t), body: body})
	return p.g.imported + 1 + uint32(p.g.functions+len(p.added)-1)
}

// renumber shifts what refers to functions, outside of code, and names what is
// new.
func (p *parts) renumber() error {
	shifted := make([]uint32, int(p.g.imported)+p.g.functions) // what refers to a function
	places := make([]uint32, len(shifted))                     // the function itself
	for i := range shifted {
		shifted[i], places[i] = p.shift(uint32(i)), p.place(uint32(i))
	}
	code := p.m.Code
	p.m.Code = nil // that is done
	err := p.m.RenumberFuncs(shifted)
	p.m.Code = code
	if err != nil {
		return err
	}
	p.rename(places)
	return nil
}

// rename shifts the names of functions, which traps tell, and names what is
// new. A function without a name gets the number that it had, in the form in
// which a trap would have told it.
func (p *parts) rename(places []uint32) {
	names := &wasm.Names{}
	if content, ok := p.m.Custom(wasm.NameSection); ok {
		if decoded, err := wasm.DecodeNames(content); err == nil { // else they would mislead
			names = decoded
		}
	}
	names.RenumberFuncs(places)
	names.Labels = nil // there are more blocks now
	all := make([]wasm.Name, 0, len(places)+1+len(p.added))
	named := names.Funcs
	for i := range uint32(len(places)) {
		if i == p.look {
			all = append(all, wasm.Name{Func: p.look, Name: ImportModule + "." + ImportName})
		}
		name := wasm.Name{Func: places[i], Name: "$" + strconv.Itoa(int(i))}
		if len(named) > 0 && named[0].Func == name.Func {
			name, named = named[0], named[1:]
		}
		all = append(all, name)
	}
	for i, f := range p.added {
		all = append(all, wasm.Name{Func: p.refill + uint32(i), Name: f.name})
	}
	names.Funcs = all
	p.m.SetCustom(wasm.NameSection, names.Encode())
}

// place gives a function's new index.
func (p *parts) place(f uint32) uint32 {
	if f >= p.g.imported {
		f++
	}
	return f
}

// shift gives the index that is to stand where a function's stood.
func (p *parts) shift(f uint32) uint32 {
	if to, ok := p.instead[f]; ok {
		return to
	}
	return p.place(f)
}

// answer is the global variable that answers for what is known.
func (p *parts) answer(known int) uint32 { return p.counter + 1 + uint32(known) }

// knownBody answers for an imported function.
func (p *parts) knownBody(f, answer uint32) wasm.Body {
	c := wasm.NewCode(0)
	c.GetGlobal(answer).I32(0).Op(wasm.OpI32LtS).If(func() { c.Call(f).Op(wasm.OpReturn) })
	return c.GetGlobal(answer).Body()
}

// add adds what is new.
func (p *parts) add() {
	none := p.m.AddType(wasm.FuncType{})
	p.m.Imports = append(slices.Clip(p.m.Imports), wasm.Import{
		Module: ImportModule, Name: ImportName,
		Type: wasm.ExternType{Kind: wasm.KindFunc, TypeIndex: none},
	})
	p.m.Globals = append(slices.Clip(p.m.Globals), variable(int64(p.interval)))
	for i, k := range p.known {
		p.m.Globals = append(p.m.Globals, variable(-1))
		p.m.Exports = slices.DeleteFunc(p.m.Exports, func(e wasm.Export) bool { return e.Name == k.Export })
		p.m.Exports = append(p.m.Exports, wasm.Export{Name: k.Export, Kind: wasm.KindGlobal, Index: p.answer(i)})
	}
	for _, f := range p.added {
		p.m.Funcs = append(p.m.Funcs, f.typ)
		p.m.Code = append(p.m.Code, f.body)
	}
}

// variable is a global variable, an i32.
func variable(value int64) wasm.Global {
	return wasm.Global{
		Type: wasm.GlobalType{Type: wasm.I32, Mutable: true},
		Init: append(wasm.AppendInt64([]byte{byte(wasm.OpI32Const)}, value), byte(wasm.OpEnd)),
	}
}

// refillBody is where the counter starts anew.
func (p *parts) refillBody() wasm.Body {
	c := wasm.NewCode(0)
	return c.I32(p.interval).SetGlobal(p.counter).Call(p.look).Body()
}

// spend charges the units on the stack.
func (p *parts) spend(c *wasm.Code, units uint32) {
	c.GetGlobal(p.counter).Get(units).Op(wasm.OpI32Sub).SetGlobal(p.counter)
	c.GetGlobal(p.counter).I32(0).Op(wasm.OpI32LtS).If(func() { c.Call(p.refill) })
}

// longBody charges for an operation of so many bytes or elements.
func (p *parts) longBody() wasm.Body {
	c := wasm.NewCode(1)
	c.Get(0).I32(bulkShift).Op(wasm.OpI32ShrU).Set(0)
	p.spend(c, 0)
	return c.Body()
}

// growBody grows the memory. An engine may have to copy what there is.
func (p *parts) growBody() wasm.Body {
	c := wasm.NewCode(1)
	units := c.Local(wasm.I32)
	const most = 1 << 16 // pages; more fails at once
	c.Get(0).I32(most).Get(0).I32(most).Op(wasm.OpI32LtU, wasm.OpSelect)
	c.Index(wasm.OpMemorySize, 0).Op(wasm.OpI32Add).I32(16).Op(wasm.OpI32Mul).I32(growWeight).Op(wasm.OpI32Add).Set(units)
	p.spend(c, units)
	return c.Get(0).Index(wasm.OpMemoryGrow, 0).Body()
}

func (p *parts) growTableBody(table uint32) wasm.Body {
	c := wasm.NewCode(2)
	units := c.Local(wasm.I32)
	const most = 1 << 24 // elements
	c.Get(1).I32(most).Get(1).I32(most).Op(wasm.OpI32LtU, wasm.OpSelect)
	c.Index(wasm.OpTableSize, table).Op(wasm.OpI32Add).I32(bulkShift).Op(wasm.OpI32ShrU).I32(growWeight).Op(wasm.OpI32Add).Set(units)
	p.spend(c, units)
	return c.Get(0).Get(1).Index(wasm.OpTableGrow, table).Body()
}

// fillBody takes and returns the operands of a memory.fill, and does all but
// the last chunk of it: that, and what is out of bounds, is left to the
// instruction.
func (p *parts) fillBody() wasm.Body {
	const at, value, n = 0, 1, 2
	c := wasm.NewCode(3)
	units := c.Local(wasm.I32)
	c.Block(func() {
		p.outOfBounds(c, at, n)
		c.BrIf(0)
		p.chunks(c, n, units, func() {
			c.Get(at).Get(value).I32(chunk).Index(wasm.OpMemoryFill, 0)
			c.Get(at).I32(chunk).Op(wasm.OpI32Add).Set(at)
		})
	})
	return c.Get(at).Get(value).Get(n).Body()
}

// copyBody is fillBody for memory.copy. Where the target lies above the source,
// it begins at the end, as they may overlap.
func (p *parts) copyBody() wasm.Body {
	const to, from, n = 0, 1, 2
	c := wasm.NewCode(3)
	units := c.Local(wasm.I32)
	end := func(of uint32) { c.Get(of).Get(n).Op(wasm.OpI32Add).I32(chunk).Op(wasm.OpI32Sub) }
	c.Block(func() {
		p.outOfBounds(c, to, n)
		c.BrIf(0)
		p.outOfBounds(c, from, n)
		c.BrIf(0)
		c.Get(to).Get(from).Op(wasm.OpI32GtU).IfElse(func() {
			p.chunks(c, n, units, func() {
				end(to)
				end(from)
				c.I32(chunk).Index(wasm.OpMemoryCopy, 0).Op(0)
			})
		}, func() {
			p.chunks(c, n, units, func() {
				c.Get(to).Get(from).I32(chunk).Index(wasm.OpMemoryCopy, 0).Op(0)
				c.Get(to).I32(chunk).Op(wasm.OpI32Add).Set(to)
				c.Get(from).I32(chunk).Op(wasm.OpI32Add).Set(from)
			})
		})
	})
	return c.Get(to).Get(from).Get(n).Body()
}

// outOfBounds tells whether n bytes at a place are not all in the memory.
func (p *parts) outOfBounds(c *wasm.Code, at, n uint32) {
	c.Get(at).Op(wasm.OpI64ExtendI32U).Get(n).Op(wasm.OpI64ExtendI32U, wasm.OpI64Add)
	c.Index(wasm.OpMemorySize, 0).Op(wasm.OpI64ExtendI32U).I64(16).Op(wasm.OpI64Shl, wasm.OpI64GtU)
}

// chunks does a chunk and takes it off n, until no more than one is left, and
// charges for each, also for the last.
func (p *parts) chunks(c *wasm.Code, n, units uint32, one func()) {
	c.Block(func() {
		c.Loop(func() {
			c.Get(n).I32(chunk).Get(n).I32(chunk).Op(wasm.OpI32LtU, wasm.OpSelect)
			c.I32(bulkShift).Op(wasm.OpI32ShrU).Set(units)
			p.spend(c, units)
			c.Get(n).I32(chunk).Op(wasm.OpI32LeU).BrIf(1)
			one()
			c.Get(n).I32(chunk).Op(wasm.OpI32Sub).Set(n)
			c.Br(0)
		})
	})
}
