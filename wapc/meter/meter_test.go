package meter_test

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"

	"github.com/waxosuit/waxo/wapc/meter"
)

// engines runs a test with compiled code and in the interpreter.
func engines(t *testing.T, test func(*testing.T, wazero.RuntimeConfig)) {
	t.Run("compiler", func(t *testing.T) { test(t, wazero.NewRuntimeConfigCompiler()) })
	t.Run("interpreter", func(t *testing.T) { test(t, wazero.NewRuntimeConfigInterpreter()) })
}

// exports lists the functions of testdata/work.wat that take how much to do, in
// an order that is always the same.
func exports(g *guest) []string {
	var names []string
	for name, f := range g.ExportedFunctionDefinitions() {
		if name != "imported" && len(f.ParamTypes()) == 1 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// busy are the functions of testdata/work.wat that do more when they are told
// to.
var busy = []string{
	"loop", "while", "nested", "values", "table", "states", "calls", "host", "indirect", "recursion", "mutual",
	"recursion_indirect", "mutual_indirect", "tail", "tail_indirect", "tree", "fill", "copies", "table_fill", "vectors",
}

// outcome is what a call comes to.
func outcome(t *testing.T, g *guest, name string, n uint64) string {
	t.Helper()
	result, err := g.ExportedFunction(name).Call(t.Context(), n)
	if err != nil {
		result = nil
	}
	memory, _ := g.Memory().Read(0, g.Memory().Size())
	return fmt.Sprintf("%v, %v, %d bytes of memory, sum %x", result, err, len(memory), crc32.ChecksumIEEE(memory))
}

func TestSameOutcomes(t *testing.T) {
	module := testModule(t, "work")
	for _, interval := range []int{0, 1, 777} {
		engines(t, func(t *testing.T, config wazero.RuntimeConfig) {
			plain := start(t, config, module, &guest{})
			metered := start(t, config, rewritten(t, module, &meter.Options{Interval: interval}), &guest{})
			for _, name := range exports(plain) {
				for _, n := range []uint64{1, 2, 3, 4, 7, 1001} {
					if want, got := outcome(t, plain, name, n), outcome(t, metered, name, n); got != want {
						t.Errorf("%s(%d), interval %d:\n%s\nunmetered:\n%s", name, n, interval, got, want)
					}
				}
			}
			if metered.looks == 0 {
				t.Error("the host was never called")
			}
		})
	}
}

// The host must be called more often the more there is to do.
func TestLooksGrow(t *testing.T) {
	const interval = 5000
	module := rewritten(t, testModule(t, "work"), &meter.Options{Interval: interval})
	engines(t, func(t *testing.T, config wazero.RuntimeConfig) {
		for _, name := range busy {
			g := start(t, config, module, &guest{})
			looks := func(n uint64) int {
				g.looks = 0
				if _, err := g.ExportedFunction(name).Call(t.Context(), n); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				return g.looks
			}
			few, many := looks(20_000), looks(60_000)
			if few < 15 || many < 2*few || many > 4*few {
				t.Errorf("%s: %d looks, and %d for three times the work", name, few, many)
			}
		}
	})
}

var errStop = errors.New("enough")

// A panic of the host ends the guest wherever it is, and leaves it usable.
func TestPanicsEnd(t *testing.T) {
	module := rewritten(t, testModule(t, "work"), &meter.Options{Interval: 1000})
	engines(t, func(t *testing.T, config wazero.RuntimeConfig) {
		for _, name := range busy {
			g := start(t, config, module, &guest{})
			for _, after := range []int{1, 2, 17} {
				g.looks = 0
				g.look = func() {
					if g.looks >= after {
						panic(errStop)
					}
				}
				if _, err := g.ExportedFunction(name).Call(t.Context(), 50_000); !errors.Is(err, errStop) || g.looks != after {
					t.Errorf("%s: ended with %v after %d looks, want %d", name, err, g.looks, after)
				}
			}
			g.look = nil
			if _, err := g.ExportedFunction(name).Call(t.Context(), 50); err != nil {
				t.Errorf("%s, again: %v", name, err)
			}
		}
	})
}

func TestStartFunction(t *testing.T) {
	module := rewritten(t, testModule(t, "work"), &meter.Options{Interval: 100})
	engines(t, func(t *testing.T, config wazero.RuntimeConfig) {
		if g := start(t, config, module, &guest{}); g.looks < 50 {
			t.Errorf("%d looks while it started", g.looks)
		}
	})
}

func TestGoGuest(t *testing.T) {
	module, err := jsonGuest()
	if err != nil {
		t.Fatal(err)
	}
	metered := rewritten(t, module, &meter.Options{Interval: 10_000})
	engines(t, func(t *testing.T, config wazero.RuntimeConfig) {
		a, b := start(t, config, module, &guest{}), start(t, config, metered, &guest{})
		for _, name := range []string{"handle", "echo"} {
			want, err := a.ExportedFunction(name).Call(t.Context(), 30)
			if err != nil {
				t.Fatal(err)
			}
			got, err := b.ExportedFunction(name).Call(t.Context(), 30)
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%s: %v, %v, want %v", name, got, err, want)
			}
		}
		if b.looks < 20 {
			t.Errorf("%d looks", b.looks)
		}
	})
}

// The outcome depends on nothing but the module: compiled code is kept by it.
func TestDeterministic(t *testing.T) {
	module := testModule(t, "work")
	first := rewritten(t, module, nil)
	for range 20 {
		if !bytes.Equal(rewritten(t, module, nil), first) {
			t.Fatal("two rewritings differ")
		}
	}
}

func TestNames(t *testing.T) {
	g := start(t, wazero.NewRuntimeConfigInterpreter(), rewritten(t, testModule(t, "work"), nil), &guest{})
	f := g.ExportedFunction("recursion").Definition()
	if f.DebugName() == "" || g.ExportedFunction("imported") == nil {
		t.Errorf("names: %q", f.DebugName())
	}
	_, err := g.ExportedFunction("fill_trap").Call(t.Context(), 1)
	if err == nil || strings.Contains(err.Error(), "waxo.") {
		t.Errorf("the trap came from what was added: %v", err)
	}
}
