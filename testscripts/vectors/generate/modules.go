package main

import (
	"encoding/hex"

	"github.com/waxosuit/waxo/testscripts/vectors"
)

// plainGuest is a guest that does nothing: it imports and exports what it is told.
func plainGuest(imports func(g *guest), exports func(g *guest, f int)) []byte {
	g := &guest{pages: 1}
	imports(g)
	f := g.define(funcType(2, 1), "", opConst(1))
	exports(g, f)
	return g.encode()
}

func usual(g *guest, f int) {
	g.export("__guest_call", kindFunc, f)
	g.export("memory", kindMemory, 0)
}

func nothing(*guest) {}

func moduleVectors() []vectors.Module {
	return append(importVectors(), append(exportVectors(), formatVectors()...)...)
}

// imported is a guest with these imports.
func imported(name, rules string, imports func(g *guest), names ...string) vectors.Module {
	return moduleVector(name, rules, plainGuest(imports, usual), names...)
}

func moduleVector(name, rules string, module []byte, names ...string) vectors.Module {
	v := vectors.Module{Vector: vector(name, rules), Module: hex.EncodeToString(module), Result: vectors.Accepted, Names: names}
	if len(names) > 0 {
		v.Result = vectors.Refused
	}
	return v
}

// importsFunc imports a function of i32 alone.
func importsFunc(module, name string, params, results int) func(g *guest) {
	return func(g *guest) { g.importFunc(module, name, funcType(params, results)) }
}

func importVectors() []vectors.Module {
	f := importsFunc
	all := func(form int) func(g *guest) {
		return func(g *guest) {
			for _, h := range hostFunctions {
				if h.name == "__host_call" {
					h.params = form
				}
				g.importFunc("wapc", h.name, funcType(h.params, h.results))
			}
		}
	}
	memory := "\x02\x00\x01"
	list := []vectors.Module{
		imported("imports nothing", "CALL-30", nothing),
		imported("imports everything, in the form of 8", "CALL-30 CALL-31", all(8)),
		imported("imports everything, in the form of 6", "CALL-30 CALL-31", all(6)),
		imported("imports everything, in the form of 4", "CALL-30 CALL-31", all(4)),
		imported("imports of WASI", "HOST-1 MOD-13 MOD-16", f("wasi_snapshot_preview1", "fd_write", 4, 1), "wasi_snapshot_preview1.fd_write"),
		imported("imports of an older WASI", "HOST-1 MOD-13 MOD-16", f("wasi_unstable", "proc_exit", 1, 0), "wasi_unstable.proc_exit"),
		imported("imports of env", "HOST-1 MOD-13 MOD-16", f("env", "abort", 4, 0), "env.abort"),
		imported("imports of an empty module", "HOST-1 MOD-13 MOD-16", f("", "__console_log", 2, 0), ".__console_log"),
		imported("imports of a module in another case", "HOST-1 MOD-13 MOD-16", f("WAPC", "__console_log", 2, 0), "WAPC.__console_log"),
		imported("imports of a module whose name only begins so", "HOST-1 MOD-13 MOD-16", f("wapc2", "__console_log", 2, 0), "wapc2.__console_log"),
		imported("imports the meter of an engine", "HOST-1 MOD-13 MOD-16", f("waxo", "look", 0, 0), "waxo.look"),
		imported("imports of several modules", "HOST-1 MOD-13 MOD-16", func(g *guest) {
			all(8)(g)
			for _, m := range [][2]string{{"env", "now"}, {"wasi_snapshot_preview1", "random_get"}, {"env", "open"}} {
				f(m[0], m[1], 2, 1)(g)
			}
		}, "env.now", "wasi_snapshot_preview1.random_get", "env.open"),
		imported("imports a memory of env", "HOST-1 MOD-13 MOD-16", func(g *guest) { g.pages = 0; g.importOther("env", "memory", memory) }, "env.memory"),
		imported("imports a table of env", "HOST-1 MOD-13 MOD-16", func(g *guest) { g.importOther("env", "table", "\x01\x70\x00\x01") }, "env.table"),
		imported("imports a global of env", "HOST-1 MOD-13 MOD-16", func(g *guest) { g.importOther("env", "g", "\x03\x7f\x00") }, "env.g"),
		imported("imports a function that there is not", "MOD-14 MOD-16", f("wapc", "__guest_exit", 0, 0), "wapc.__guest_exit"),
		imported("imports a function with an empty name", "MOD-14 MOD-16", f("wapc", "", 0, 0), "wapc."),
		imported("imports a memory of wapc", "MOD-14 MOD-16", func(g *guest) { g.pages = 0; g.importOther("wapc", "memory", memory) }, "wapc.memory"),
		imported("imports a table under a function's name", "MOD-14 MOD-16", func(g *guest) { g.importOther("wapc", "__console_log", "\x01\x70\x00\x01") }, "wapc.__console_log"),
		imported("imports a global under a function's name", "MOD-14 MOD-16", func(g *guest) { g.importOther("wapc", "__host_error", "\x03\x7f\x00") }, "wapc.__host_error"),
	}
	return append(list, importTypeVectors()...)
}

// importTypeVectors have functions of wapc with other types.
func importTypeVectors() []vectors.Module {
	f := importsFunc
	var list []vectors.Module
	for _, h := range hostFunctions {
		if h.name == "__host_call" {
			continue
		}
		list = append(list,
			imported(h.name+" with a parameter too many", "MOD-15 MOD-16", f("wapc", h.name, h.params+1, h.results), "wapc."+h.name),
			imported(h.name+" with another result", "MOD-15 MOD-16", f("wapc", h.name, h.params, 1-h.results), "wapc."+h.name))
	}
	for n := range 10 {
		if n != 8 && n != 6 && n != 4 {
			list = append(list, imported("__host_call with parameters: "+string(rune('0'+n)), "MOD-15 MOD-16", f("wapc", "__host_call", n, 1), "wapc.__host_call"))
		}
	}
	wide := func(params []byte, results ...byte) func(g *guest) {
		return func(g *guest) { g.importFunc("wapc", "__host_call", typeOf(params, results)) }
	}
	eight := []byte{i32, i32, i32, i32, i32, i32, i64, i32}
	return append(list,
		imported("__host_call without a result", "MOD-15 MOD-16", wide(eight[:6]), "wapc.__host_call"),
		imported("__host_call with a 64-bit parameter", "MOD-15 MOD-16", wide(eight, i32), "wapc.__host_call"),
		imported("__host_call with a 64-bit result", "MOD-15 MOD-16", wide(eight[:6], i64), "wapc.__host_call"),
		imported("two forms of __host_call", "MOD-18", func(g *guest) { f("wapc", "__host_call", 8, 1)(g); f("wapc", "__host_call", 6, 1)(g) }, "wapc.__host_call"),
	)
}

func exportVectors() []vectors.Module {
	exported := func(name, rules string, exports func(g *guest, f int), names ...string) vectors.Module {
		return moduleVector(name, rules, plainGuest(nothing, exports), names...)
	}
	list := []vectors.Module{
		exported("no __guest_call", "MOD-23 MOD-24", func(g *guest, _ int) { g.export("memory", kindMemory, 0) }, "__guest_call"),
		exported("no memory", "MOD-23 MOD-24", func(g *guest, f int) { g.export("__guest_call", kindFunc, f) }, "memory"),
		exported("no exports", "MOD-23 MOD-24", func(*guest, int) {}, "__guest_call", "memory"),
		exported("the memory under another name", "MOD-23 MOD-24", func(g *guest, f int) {
			g.export("__guest_call", kindFunc, f)
			g.export("mem", kindMemory, 0)
		}, "memory"),
		exported("a function called memory", "MOD-23 MOD-24", func(g *guest, f int) {
			g.export("__guest_call", kindFunc, f)
			g.export("memory", kindFunc, f)
		}, "memory"),
		exported("a memory called __guest_call", "MOD-23 MOD-24", func(g *guest, _ int) {
			g.export("__guest_call", kindMemory, 0)
			g.export("memory", kindMemory, 0)
		}, "__guest_call"),
		exported("further exports", "MOD-23", func(g *guest, f int) {
			usual(g, f)
			g.export("run", kindFunc, f)
			g.export("main", kindFunc, g.define(funcType(0, 0), "", ""))
		}),
		exported("start functions", "MOD-23", func(g *guest, f int) {
			usual(g, f)
			for _, name := range []string{"_start", "_initialize", "wapc_init"} {
				g.export(name, kindFunc, g.define(funcType(0, 0), "", ""))
			}
		}),
	}
	for _, t := range []struct {
		name, typ, code string
	}{
		{"without a result", funcType(2, 0), ""}, {"with one parameter", funcType(1, 1), opConst(1)}, {"with three parameters", funcType(3, 1), opConst(1)},
		{"with a 64-bit result", typeOf([]byte{i32, i32}, []byte{i64}), "\x42\x01"}, {"with a 64-bit parameter", typeOf([]byte{i64, i32}, []byte{i32}), opConst(1)},
	} {
		list = append(list, exported("__guest_call "+t.name, "MOD-23 MOD-24", func(g *guest, _ int) { usual(g, g.define(t.typ, "", t.code)) }, "__guest_call"))
	}
	for _, name := range []string{"_start", "_initialize", "wapc_init"} {
		list = append(list,
			exported(name+" with a parameter", "MOD-24 MOD-25", func(g *guest, f int) { usual(g, f); g.export(name, kindFunc, g.define(funcType(1, 0), "", "")) }, name),
			exported(name+" with a result", "MOD-24 MOD-25", func(g *guest, f int) { usual(g, f); g.export(name, kindFunc, g.define(funcType(0, 1), "", opConst(0))) }, name))
	}
	return list
}

func formatVectors() []vectors.Module {
	good := plainGuest(nothing, usual)
	bad := func(name string, module []byte) vectors.Module {
		return vectors.Module{Vector: vector(name, "MOD-3"), Module: hex.EncodeToString(module), Result: vectors.Refused}
	}
	code := func(code string) []byte {
		g := &guest{pages: 1}
		usual(g, g.define(funcType(2, 1), "", code))
		return g.encode()
	}
	return []vectors.Module{
		bad("nothing", nil),
		bad("text", []byte("(module)")),
		bad("a preamble that is cut", good[:7]),
		bad("a component", append([]byte("\x00asm\x0d\x00\x01\x00"), good[8:]...)),
		bad("version 2", append([]byte("\x00asm\x02\x00\x00\x00"), good[8:]...)),
		bad("cut", good[:len(good)-1]),
		bad("a byte after it", append(good[:len(good):len(good)], 0)),
		bad("code whose types are wrong", code("\x42\x01")), // i64.const
		bad("code that leaves nothing", code("")),
		bad("a call of a function that there is not", code(opConst(1)+opCall(7))),
		bad("an opcode that there is not", code(opConst(1)+"\xff")),
	}
}
