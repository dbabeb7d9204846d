// Package wasmgen makes valid WebAssembly modules, and calls to make on them,
// from bytes: to compare what two ways of running a module give.
//
// All constructs of the core specification 2.0 occur, where they are asked for
// also tail calls and extended constant expressions; jumps out of everything
// into everything, code that nothing reaches, recursion of all kinds, accesses
// far outside of memories and tables, traps of every kind.
//
// Every program comes to an end by itself. A global variable, exported as
// [Fuel], holds how many more turns of loops and calls of functions there may
// be; all repetition is bounded by it or by a constant. A function without fuel
// returns or traps.
//
// The same bytes give the same program. What they do not decide, behind their
// end, is decided in the simplest way; so shorter bytes give a simpler program,
// and a fuzzer can work with them. No bytes are wrong.
package wasmgen

// Fuel is the name of the exported global variable that bounds a run.
const Fuel = "fuel"

// Options say what is generated. The zero value and nil give the defaults.
type Options struct {
	// Proposals adds tail calls and extended constant expressions. Default:
	// core 2.0 alone.
	Proposals bool
	// Preview1 makes guests of the waPC protocol that were compiled for WASI:
	// they import functions of wasi_snapshot_preview1 and of wapc, and nothing
	// else. Default: modules that import from the host functions [HostFuncs] and
	// from [Library].
	Preview1 bool
}

// Program is a module and what to do with it.
type Program struct {
	Module []byte
	Calls  []Call
	// Tables tells how many tables the module has, whose contents the exports
	// [TableSize] and [TableIsNull] tell.
	Tables int
	// Library tells that the module imports from [Library].
	Library bool
	// Globals lists the exported global variables.
	Globals []string
}

// Call is a call of an exported function.
type Call struct {
	Func string
	Args []uint64 // as wazero has them: a vector takes two
	Fuel uint32   // to be set before
}

// The functions that tell of the table with a number.
const (
	TableSize   = "table size "    // () -> i32
	TableIsNull = "table is null " // (i32) -> i32
)

// Generate makes a program.
func Generate(choices []byte, opts *Options) *Program {
	if opts == nil {
		opts = new(Options)
	}
	g := newGenerator(choices, opts)
	g.types()
	g.imports()
	g.memories()
	g.tables()
	g.globals()
	g.declareFuncs()
	g.elements()
	g.data()
	g.bodies()
	g.exports()
	return &Program{
		Module: g.m.Encode(), Calls: g.calls(),
		Tables: len(g.tableTypes), Library: g.library, Globals: g.globalNames,
	}
}
