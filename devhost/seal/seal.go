// Package seal makes guests that were compiled for WASI run where there is no
// WASI: on every host that offers the imports of the call protocol and nothing
// else.
//
// Seal replaces each import of wasi_snapshot_preview1 by a function inside of
// the module that touches nothing outside. So the sandbox stays absolute, and
// the guest becomes deterministic: what it does depends on its bytes, on its
// input and on the answers of the host, and on nothing else. It works on what
// any toolchain compiled for wasip1: Go, TinyGo, Rust, C.
//
// # What a sealed guest sees
//
// Time is one counter, for all four clocks. It starts at 2000-01-01T00:00:00Z
// (see [Options]) and moves by 1 microsecond with each look, that being its
// resolution. The step must be fine: the Go runtime measures its garbage
// collector with this clock, and with steps of a millisecond its heap grows
// without end. A sleep (poll_oneoff) makes the counter jump to the earliest
// deadline and reports what is due. The clock ends in the year 2262 and stands
// still there, which is where a sleep without end leads.
//
// Randomness (random_get) is the generator splitmix64 with a fixed seed. It is
// not cryptographic and everybody can compute it: no key may be made of it,
// and hash tables are not safe from chosen collisions. A guest asks a
// capability for real randomness, and for the real time.
//
// The arguments and the environment are empty. There are no files, no
// directories and no sockets: operations on them give EBADF, and what is left
// over gives ENOSYS. Standard input is at its end. The descriptors 0 to 2 are
// character devices, as a terminal is, so that C's stdio ends its buffer with
// each line; closing or syncing them does nothing.
//
// Text written to standard output and standard error goes to __console_log,
// one line a call, without its newline. Runtimes write in fragments, so a line
// is put together first, and an unfinished one waits for its rest, also from
// one guest call to the next. Both descriptors share one buffer of 1,024
// bytes; when the other one begins to write, an unfinished line is passed on
// as it is. A longer line comes in pieces, cut between two UTF-8 characters,
// unless it arrives in one write.
//
// proc_exit passes on an unfinished line, then "exit status N" if N is not 0,
// and traps. Pointers outside of the memory trap too, as everywhere in a
// guest.
//
// # Where the lines are kept
//
// In the guest's memory there is no place for a buffer: all of it belongs to
// the guest's allocator, or will. So an unfinished line is kept in global
// variables. To hand it over, they are swapped with the first bytes of the
// memory and, after __console_log, swapped back. Nobody can notice: a guest
// has one thread and is not entered while it waits for the host.
package seal

import (
	"slices"
	"strings"
	"time"

	"github.com/waxosuit/waxo/wapc/wasm"
)

// Options change what a sealed guest sees. The zero value and nil give the
// defaults.
type Options struct {
	// Start is the time at which the guest's clock starts. Default:
	// 2000-01-01T00:00:00Z, so that nobody takes it for the present. Times
	// before 1970 and after 2262 cannot be told by the clock; the nearest one
	// that can is taken.
	Start time.Time
	// Seed is where the guest's random numbers start. Default: 0, which is as
	// good as any.
	Seed uint64
}

// Report tells what Seal did.
type Report struct {
	// Replaced lists the imports that became functions, as "module.name", each
	// once, in the order of the module.
	Replaced []string
	// Dropped lists the custom sections that were left out because they told
	// of positions or numbers that have changed, in the order of the module.
	Dropped []string
	// AddedConsoleLog tells that the module did not import __console_log and
	// does now.
	AddedConsoleLog bool
}

// Seal returns the module with every import of wasi_snapshot_preview1 replaced
// from inside. The same module and options give the same bytes. A module
// without such imports is checked in the same way and returned as it is.
//
// A module that cannot be sealed soundly is refused with an [*Error]; no other
// error is returned. Seal does not validate the code: a module that was
// invalid before may be invalid after, and is for the engine to refuse.
func Seal(module []byte, opts *Options) ([]byte, *Report, error) {
	m, report, err := Module(module, opts)
	if err != nil {
		return nil, nil, err
	}
	if report.Replaced == nil {
		return module, report, nil
	}
	return m.Encode(), report, nil
}

// Module is Seal for those who go on to change the module: it is not encoded
// yet. It aliases module. Where the report tells of nothing that was replaced,
// it holds what module held.
func Module(module []byte, opts *Options) (*wasm.Module, *Report, error) {
	if opts == nil {
		opts = new(Options)
	}
	m, err := decode(module)
	if err != nil {
		return nil, nil, err
	}
	if !slices.ContainsFunc(m.Imports, replaceable) {
		same := make([]uint32, len(m.Imports)+len(m.Funcs))
		for i := range same {
			same[i] = uint32(i)
		}
		if err := m.RenumberFuncs(same); err != nil {
			return nil, nil, unreadable(err)
		}
		return m, new(Report), nil
	}
	if err := checkUnsigned(m); err != nil {
		return nil, nil, err
	}
	report := new(Report)
	if err := link(m, opts, report); err != nil {
		return nil, nil, err
	}
	return m, report, nil
}

func replaceable(i wasm.Import) bool { return i.Module == modulePreview1 }

// link replaces the imports of a module that passed the checks, so that all of
// them are known to be functions.
func link(m *wasm.Module, opts *Options, report *Report) error {
	var kept []wasm.Import
	console, logs := -1, false
	for _, i := range m.Imports {
		if replaceable(i) {
			logs = logs || preview1[i.Name].logs
			continue
		}
		if i.Name == consoleLog && console < 0 {
			console = len(kept)
		}
		kept = append(kept, i)
	}
	if logs && console < 0 {
		console = len(kept)
		kept = append(kept, wasm.Import{Module: moduleWAPC, Name: consoleLog, Type: wasm.ExternType{
			TypeIndex: m.AddType(consoleLogType), Func: consoleLogType,
		}})
		report.AddedConsoleLog = true
	}

	l := newLinker(m, opts, len(kept)+len(m.Funcs), uint32(console))
	numbers := make([]uint32, 0, len(m.Imports)+len(m.Funcs))
	next := uint32(0)
	for _, i := range m.Imports {
		if !replaceable(i) {
			numbers = append(numbers, next)
			next++
			continue
		}
		name := i.Module + "." + i.Name
		if !slices.Contains(report.Replaced, name) {
			report.Replaced = append(report.Replaced, name)
		}
		f := preview1[i.Name]
		numbers = append(numbers, l.function(name, f.sig, f.build))
	}
	for i := range m.Funcs {
		numbers = append(numbers, uint32(len(kept)+i))
	}
	if err := m.RenumberFuncs(numbers); err != nil {
		return unreadable(err)
	}
	m.Imports = kept
	l.build()
	l.renameCustoms(numbers, report)
	return nil
}

// stale tells whether a custom section is about code offsets or function
// numbers, in a form that is not rewritten here.
func stale(name string) bool {
	switch name {
	case "linking", "sourceMappingURL", "external_debug_info":
		return true
	}
	for _, prefix := range [...]string{".debug_", "reloc.", "metadata.code."} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}
