// Package meter rewrites modules so that running code comes by the host at
// bounded intervals, whatever it does.
//
// Compiled WebAssembly cannot be interrupted from outside. A metered module has
// a counter, which its code runs down as it goes, and calls the imported
// function waxo.look whenever that is used up: every 5 to 60 microseconds of
// compiled code, every one or two milliseconds in an interpreter (BenchmarkGap).
// There the host does what it likes; to end the guest, it panics.
//
// What code costs is known when it is rewritten, about one unit an
// instruction. The debt of straight code adds up, along the dearest path, until
// it is paid at a place that every further path passes: before a branch back to
// a loop, at the beginning of a function on a circle of calls, where straight
// code gets long, and where a function would leave too much to its caller. Bulk
// operations on memories and tables pay by length, and long ones on memory are
// done piece by piece.
//
// Metering changes no result, no memory and no trap of a module. It changes how
// deep calls may nest before the stack overflows, as that depends on what the
// compiler makes of the code. It often makes Go guests faster: see thread.go.
//
// It relies on imported functions to return, and not to call the module again
// without end: those are the host's. It does not validate; what is invalid before
// is invalid afterwards, but for a name section that cannot be read, which is
// replaced.
package meter

import (
	"cmp"
	"fmt"

	"github.com/waxosuit/waxo/wapc/wasm"
)

// ImportModule and ImportName name the function that a metered module imports
// beside its own imports. It takes nothing and returns nothing.
const (
	ImportModule = "waxo"
	ImportName   = "look"
)

// DefaultInterval is the default of Options.Interval.
const DefaultInterval = 200_000

// Options configures Rewrite.
type Options struct {
	// Interval is how much may run between two looks, in units of about one
	// instruction. Default: DefaultInterval. At most 1<<30; small values are
	// exceeded by what one charge may cost, some thousand units.
	Interval int

	// Known are answered without leaving the guest, where that is possible. Each
	// function at most once.
	Known []Known
}

// Known is an imported function that takes nothing and returns a number, an i32
// that the host knows beforehand most of the time. Who calls it gets the value
// of a global variable. While that is negative, as it is at first, the function
// itself is called.
type Known struct {
	Func   uint32 // its index
	Export string // names the global variable; an export of that name goes
}

// Rewrite meters a module. A module that has no code stays as it is. The
// function is imported after the functions that the module imports already; all
// others have indexes higher by one, and so do their names. The bytes that the
// module aliases are left alone. A function without a name gets one, "$" and the
// index that it had, so that traps tell what they told before. After an error,
// which is about malformed code or code that package wasm does not know, the
// module is of no use.
func Rewrite(m *wasm.Module, opts *Options) error {
	if opts == nil {
		opts = &Options{}
	}
	interval := cmp.Or(opts.Interval, DefaultInterval)
	if interval < 0 || interval > 1<<30 {
		return fmt.Errorf("meter: an interval of %d units", interval)
	}
	if len(m.Code) == 0 {
		return nil
	}
	if len(m.Code) != len(m.Funcs) {
		return fmt.Errorf("meter: %w: %d functions are declared and %d have code", wasm.ErrMalformed, len(m.Funcs), len(m.Code))
	}
	g, err := newGraph(m)
	if err != nil {
		return fmt.Errorf("meter: %w", err)
	}
	p, err := newParts(g, int32(interval), opts.Known)
	if err != nil {
		return fmt.Errorf("meter: %w", err)
	}
	if err := p.types(); err != nil {
		return fmt.Errorf("meter: %w", err)
	}
	if err := rewriteCode(g, p); err != nil {
		return fmt.Errorf("meter: %w", err)
	}
	if err := p.renumber(); err != nil {
		return fmt.Errorf("meter: %w", err)
	}
	p.add()
	return nil
}
