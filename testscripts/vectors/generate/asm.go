package main

import (
	"slices"
	"strings"
)

// Opcodes and types of the binary format, as far as the guests need them.
const (
	opUnreachable = "\x00"
	opBlock       = "\x02\x40"
	opLoop        = "\x03\x40"
	opIf          = "\x04\x40"
	opEnd         = "\x0b"
	opReturn      = "\x0f"
	opDrop        = "\x1a"
	opEqz         = "\x45"
	opEq          = "\x46"
	opNe          = "\x47"
	opAdd         = "\x6a"
	opSub         = "\x6b"
	opLoad        = "\x28\x02\x00"
	opLoad8       = "\x2d\x00\x00"
	opStore       = "\x36\x02\x00"
	opStore8      = "\x3a\x00\x00"

	i32, i64 = '\x7f', '\x7e'

	kindFunc, kindTable, kindMemory, kindGlobal = 0, 1, 2, 3
)

func opConst(n int) string    { return "\x41" + string(signedLEB(int64(int32(n)))) }
func opCall(f int) string     { return "\x10" + string(leb(f)) }
func opGet(local int) string  { return "\x20" + string(leb(local)) }
func opSet(local int) string  { return "\x21" + string(leb(local)) }
func opBr(depth int) string   { return "\x0c" + string(leb(depth)) }
func opBrIf(depth int) string { return "\x0d" + string(leb(depth)) }

func signedLEB(n int64) (b []byte) {
	for {
		c := byte(n & 0x7f)
		n >>= 7
		if n == 0 && c&0x40 == 0 || n == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

// funcType is a function type of i32 alone.
func funcType(params, results int) string {
	return typeOf(slices.Repeat([]byte{i32}, params), slices.Repeat([]byte{i32}, results))
}

func typeOf(params, results []byte) string {
	return "\x60" + string(leb(len(params))) + string(params) + string(leb(len(results))) + string(results)
}

// guest is a module that is being written.
type guest struct {
	types   []string
	imports []string // encoded
	funcs   int      // imported functions
	defined []function
	exports []string // encoded
	globals []string // encoded
	pages   int
	start   int // index of the start function; 0: none, as there is always an import before it
	data    []chunk
	top     int // where the next constant goes
}

type function struct {
	typ    int
	locals string
	code   string
}

type chunk struct {
	at    int
	bytes string
}

func name(s string) string { return string(leb(len(s))) + s }

func (g *guest) typ(t string) int {
	if i := slices.Index(g.types, t); i >= 0 {
		return i
	}
	g.types = append(g.types, t)
	return len(g.types) - 1
}

// importFunc imports a function, before any is defined, and returns its index.
func (g *guest) importFunc(module, function, t string) int {
	g.imports = append(g.imports, name(module)+name(function)+string([]byte{kindFunc})+string(leb(g.typ(t))))
	g.funcs++
	return g.funcs - 1
}

// importOther imports something else; desc is its kind and its type.
func (g *guest) importOther(module, what, desc string) {
	g.imports = append(g.imports, name(module)+name(what)+desc)
}

// define defines a function and returns its index. Code comes without its end.
func (g *guest) define(t, locals, code string) int {
	g.defined = append(g.defined, function{g.typ(t), locals, code})
	return g.funcs + len(g.defined) - 1
}

func (g *guest) export(what string, kind byte, index int) {
	g.exports = append(g.exports, name(what)+string([]byte{kind})+string(leb(index)))
}

// place puts bytes into memory and returns where they lie.
func (g *guest) place(b string) int {
	at := g.room(len(b))
	if b != "" {
		g.data = append(g.data, chunk{at, b})
	}
	return at
}

// room returns where so many bytes are free. They are zero.
func (g *guest) room(n int) int {
	if g.top == 0 {
		g.top = 4096
	}
	at := g.top
	g.top += n + 8
	return at
}

// encode writes the module.
func (g *guest) encode() []byte {
	out := []byte("\x00asm\x01\x00\x00\x00")
	section := func(id byte, items []string) {
		if len(items) == 0 {
			return
		}
		body := string(leb(len(items))) + strings.Join(items, "")
		out = append(append(append(out, id), leb(len(body))...), body...)
	}
	var types, bodies, segments []string
	for _, f := range g.defined {
		types = append(types, string(leb(f.typ)))
		locals := f.locals
		if locals == "" {
			locals = "\x00"
		}
		bodies = append(bodies, name(locals+f.code+opEnd))
	}
	for _, s := range g.data {
		segments = append(segments, "\x00"+opConst(s.at)+opEnd+name(s.bytes))
	}
	section(1, g.types)
	section(2, g.imports)
	section(3, types)
	if g.pages > 0 {
		section(5, []string{"\x00" + string(leb(g.pages))})
	}
	section(6, g.globals)
	section(7, g.exports)
	if g.start > 0 {
		out = append(append(append(out, 8), leb(len(leb(g.start)))...), leb(g.start)...)
	}
	section(10, bodies)
	section(11, segments)
	return out
}
