package seal

import (
	"math"
	"slices"
	"time"

	"github.com/waxosuit/waxo/wapc/wasm"
)

// linker adds functions and global variables to a module, each once and only
// if something asks for it.
type linker struct {
	m       *wasm.Module
	opts    *Options
	first   int // index of the first added function
	console uint32
	added   []added
	numbers map[string]uint32 // of the added functions, by name
	globals map[string]uint32
}

type added struct {
	name  string
	sig   string
	write build
}

// build writes a function's body.
type build func(*linker, *wasm.Code)

func newLinker(m *wasm.Module, opts *Options, first int, console uint32) *linker {
	return &linker{
		m: m, opts: opts, first: first, console: console,
		numbers: make(map[string]uint32),
		globals: make(map[string]uint32),
	}
}

// function returns the index of the function of that name. Its body is written
// later, so that functions can call themselves and each other.
func (l *linker) function(name, sig string, write build) uint32 {
	f, ok := l.numbers[name]
	if !ok {
		f = uint32(l.first + len(l.added))
		l.numbers[name] = f
		l.added = append(l.added, added{name, sig, write})
	}
	return f
}

// global returns the index of the first of count mutable variables, which
// start at init.
func (l *linker) global(name string, t wasm.ValType, init int64, count int) uint32 {
	g, ok := l.globals[name]
	if !ok {
		g = uint32(len(l.m.Globals)) // a guest that can be sealed imports none
		l.globals[name] = g
		c := wasm.NewCode(0)
		if t == wasm.I64 {
			c.I64(init)
		} else {
			c.I32(int32(init))
		}
		for range count {
			l.m.Globals = append(l.m.Globals, wasm.Global{
				Type: wasm.GlobalType{Type: t, Mutable: true}, Init: c.Body().Code,
			})
		}
	}
	return g
}

// build writes the functions that were asked for, and those that they ask for.
func (l *linker) build() {
	for i := 0; i < len(l.added); i++ {
		f := l.added[i]
		t := signature(f.sig)
		c := wasm.NewCode(len(t.Params))
		f.write(l, c)
		l.m.Funcs = append(l.m.Funcs, l.m.AddType(t))
		l.m.Code = append(l.m.Code, c.Body())
	}
}

// renameCustoms names the added functions and drops what would now be wrong.
// Names that cannot be read are dropped too: a custom section may be malformed.
func (l *linker) renameCustoms(numbers []uint32, report *Report) {
	var names *wasm.Names
	l.m.Customs = slices.DeleteFunc(l.m.Customs, func(c wasm.Custom) bool {
		drop := stale(c.Name)
		if c.Name == wasm.NameSection {
			n, err := wasm.DecodeNames(c.Content)
			if drop = err != nil || names != nil; !drop {
				names = n
			}
		}
		if drop {
			report.Dropped = append(report.Dropped, c.Name)
		}
		return drop
	})
	if names == nil {
		names = new(wasm.Names)
	}
	names.RenumberFuncs(numbers)
	if report.AddedConsoleLog {
		names.SetFunc(l.console, moduleWAPC+"."+consoleLog)
	}
	for i, f := range l.added {
		names.SetFunc(uint32(l.first+i), f.name)
	}
	l.m.SetCustom(wasm.NameSection, names.Encode())
}

// signature reads a function type that is written as one letter a value, i for
// i32 and I for i64, with a colon before the results.
func signature(sig string) wasm.FuncType {
	var t wasm.FuncType
	to := &t.Params
	for _, c := range sig {
		switch c {
		case 'i':
			*to = append(*to, wasm.I32)
		case 'I':
			*to = append(*to, wasm.I64)
		case ':':
			to = &t.Results
		}
	}
	return t
}

// startNanos is the clock's first time in nanoseconds since 1970.
func (o *Options) startNanos() int64 {
	start := o.Start
	if start.IsZero() {
		start = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	switch end := time.Unix(0, math.MaxInt64); {
	case start.Before(time.Unix(0, 0)):
		return 0
	case start.After(end):
		return math.MaxInt64
	}
	return start.UnixNano()
}
