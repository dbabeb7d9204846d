package meter_test

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"

	"github.com/waxosuit/waxo/wapc/meter"
	"github.com/waxosuit/waxo/wapc/wasm"
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
	"loop", "while", "nested", "values", "table", "itself", "states", "calls", "host", "indirect", "recursion", "mutual",
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
	m, err := wasm.Decode(rewritten(t, testModule(t, "work"), nil))
	if err != nil {
		t.Fatal(err)
	}
	content, _ := m.Custom(wasm.NameSection)
	names, err := wasm.DecodeNames(content)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]uint32{}
	for _, n := range names.Funcs {
		got[n.Name] = n.Func
	}
	var fib uint32 // is the first that calls itself
	for i := range m.Code {
		if self := uint32(m.ImportedFuncs() + i); fib == 0 && calls(m.Code[i].Code, self) {
			fib = self
		}
	}
	if len(got) != m.ImportedFuncs()+len(m.Code) || got["plus"] != 0 || got["waxo.look"] != 1 || got["begin"] != 2 || got["fib"] != fib {
		t.Errorf("%d names: plus %d, waxo.look %d, begin %d, fib %d, want 0, 1, 2, %d",
			len(got), got["plus"], got["waxo.look"], got["begin"], got["fib"], fib)
	}
}

func calls(code []byte, f uint32) bool {
	r := wasm.NewReader(code)
	for in, ok := r.Next(); ok; in, ok = r.Next() {
		if in.Op == wasm.OpCall && in.Index == f {
			return true
		}
	}
	return false
}

// Jumps of Go's kind lead forward at once.
func TestForwardJumps(t *testing.T) {
	m, err := wasm.Decode(testModule(t, "work"))
	if err != nil {
		t.Fatal(err)
	}
	count := func() (charges int) {
		for _, e := range m.Exports {
			if e.Name != "states" {
				continue
			}
			r := wasm.NewReader(m.Code[int(e.Index)-m.ImportedFuncs()].Code)
			for in, ok := r.Next(); ok; in, ok = r.Next() {
				if in.Op == wasm.OpGlobalSet {
					charges++
				}
			}
		}
		return charges
	}
	if n := count(); n != 0 {
		t.Fatalf("the fixture sets %d globals", n)
	}
	if err := meter.Rewrite(m, nil); err != nil {
		t.Fatal(err)
	}
	if n := count(); n != 2 { // of seven branches to the loop, two lead back
		t.Errorf("%d charges, want 2", n)
	}
}

func TestNoCode(t *testing.T) {
	for _, m := range []*wasm.Module{{}, {
		Types:   []wasm.FuncType{{Params: []wasm.ValType{wasm.I32}}},
		Imports: []wasm.Import{{Module: "m", Name: "f", Type: wasm.ExternType{Kind: wasm.KindFunc}}},
	}} {
		module := m.Encode()
		if !bytes.Equal(rewritten(t, module, nil), module) {
			t.Errorf("%x has become another", module)
		}
	}
}

func TestRefusals(t *testing.T) {
	const br, brIf, call = byte(wasm.OpBr), byte(wasm.OpBrIf), byte(wasm.OpCall)
	const loop, els, end = byte(wasm.OpLoop), byte(wasm.OpElse), byte(wasm.OpEnd)
	for name, code := range map[string][]byte{
		"label":             {br, 1, end},
		"label behind a br": {br, 0, brIf, 9, end},
		"huge label":        {br, 0xff, 0xff, 0xff, 0xff, 0x0f, end},
		"labels":            {0x41, 0, byte(wasm.OpBrTable), 1, 0, 7, end},
		"function":          {call, 1, end},
		"reference":         {byte(wasm.OpRefFunc), 99, end},
		"else":              {els, end},
		"two elses":         {0x41, 0, byte(wasm.OpIf), 0x40, els, els, end, end},
		"block type":        {loop, 9, end, end},
		"no end":            {loop, 0x40, end},
		"nothing":           nil,
		"table":             {0xfc, 15, 3, end},
	} {
		m := &wasm.Module{Types: []wasm.FuncType{{}}, Funcs: []uint32{0}, Code: []wasm.Body{{Code: code}}}
		if err := meter.Rewrite(m, nil); !errors.Is(err, wasm.ErrMalformed) || !strings.HasPrefix(err.Error(), "meter: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	good := func() *wasm.Module {
		return &wasm.Module{Types: []wasm.FuncType{{}}, Funcs: []uint32{0}, Code: []wasm.Body{{Code: []byte{end}}}}
	}
	for _, interval := range []int{-1, 1<<30 + 1} {
		if err := meter.Rewrite(good(), &meter.Options{Interval: interval}); err == nil {
			t.Errorf("an interval of %d is accepted", interval)
		}
	}
	m := good()
	m.Funcs[0] = 5
	if err := meter.Rewrite(m, nil); !errors.Is(err, wasm.ErrMalformed) {
		t.Errorf("a function of type 5: %v", err)
	}
	m = good()
	m.Code = append(m.Code, m.Code[0])
	if err := meter.Rewrite(m, nil); !errors.Is(err, wasm.ErrMalformed) {
		t.Errorf("more code than functions: %v", err)
	}
}

// compiles returns why the engine refuses a module. Its validator can panic.
func compiles(t *testing.T, module []byte) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	r := wazero.NewRuntimeWithConfig(t.Context(), wazero.NewRuntimeConfigInterpreter().WithCoreFeatures(features))
	defer r.Close(t.Context())
	_, err = r.CompileModule(t.Context(), module)
	return err
}

// checkValidity checks that a module, once metered, is valid if, and only if,
// it was valid before; names aside, which are dropped if they cannot be read.
func checkValidity(t *testing.T, module []byte) {
	t.Helper()
	m, err := wasm.Decode(module)
	if err != nil {
		return
	}
	locals := uint64(0)
	for i := range m.Code {
		for _, l := range m.Code[i].Locals {
			locals += uint64(l.Count)
		}
	}
	if locals > 100_000 {
		return // the engine would take minutes
	}
	before := compiles(t, module)
	if err := meter.Rewrite(m, nil); err != nil {
		if before == nil {
			t.Fatalf("a valid module is refused: %v\n%x", err, module)
		}
		return
	}
	after := compiles(t, m.Encode())
	if (before == nil) != (after == nil) && (before == nil || !strings.Contains(before.Error(), "section custom")) {
		t.Fatalf("before: %v, after: %v\n%x", before, after, module)
	}
}

func FuzzRewrite(f *testing.F) {
	f.Add(testModule(f, "work"))
	f.Add((&wasm.Module{}).Encode())
	f.Fuzz(checkValidity)
}

// Damaged modules, of which most still decode.
func TestDamage(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		module := testModule(t, "work")
		for range 1 + random.IntN(3) {
			module[8+random.IntN(len(module)-8)] = byte(random.UintN(256)) >> random.UintN(8)
		}
		checkValidity(t, module)
	}
}

// What is added has indexes that were out of range: whoever uses those is
// refused, or the guest could set the counter.
func TestOutOfRange(t *testing.T) {
	const end = byte(wasm.OpEnd)
	good := func() *wasm.Module {
		return &wasm.Module{
			Types: []wasm.FuncType{{}}, Funcs: []uint32{0}, Memories: []wasm.Limits{{Min: 1}},
			Code: []wasm.Body{{Code: []byte{end}}},
		}
	}
	for name, change := range map[string]func(m *wasm.Module){
		"global.get":    func(m *wasm.Module) { m.Code[0].Code = []byte{0x23, 0, 0x1a, end} },
		"global.set":    func(m *wasm.Module) { m.Code[0].Code = []byte{0x41, 0, 0x24, 0, end} },
		"export":        func(m *wasm.Module) { m.Exports = []wasm.Export{{Name: "g", Kind: wasm.KindGlobal}} },
		"data":          func(m *wasm.Module) { m.Data = []wasm.Data{{Offset: []byte{0x23, 0, end}}} },
		"exported look": func(m *wasm.Module) { m.Exports = []wasm.Export{{Name: "f", Kind: wasm.KindFunc, Index: 1}} },
		"call":          func(m *wasm.Module) { m.Code[0].Code = []byte{0x10, 1, end} },
		"type":          func(m *wasm.Module) { m.Code[0].Code = []byte{0x02, 1, end, end} },
		"type of calls": func(m *wasm.Module) { m.Code[0].Code = []byte{0x41, 0, 0x11, 1, 0, end} },
		"local variable": func(m *wasm.Module) {
			m.Code[0].Code = []byte{0x41, 0, 0x21, 0, 0x41, 0, 0x41, 0, 0x41, 0, 0xfc, 11, 0, end}
		},
	} {
		m := good()
		change(m)
		if err := meter.Rewrite(m, nil); !errors.Is(err, wasm.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFixtureIsUpToDate(t *testing.T) {
	wat2wasm, err := exec.LookPath("wat2wasm")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("wat2wasm of wabt is missing: %v", err)
	}
	out := filepath.Join(t.TempDir(), "work.wasm")
	cmd := exec.CommandContext(t.Context(), wat2wasm, "--debug-names", "--enable-tail-call", "testdata/work.wat", "-o", out)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	fresh, err := os.ReadFile(out)
	if err != nil || !bytes.Equal(fresh, testModule(t, "work")) {
		t.Errorf("testdata/work.wasm is not what work.wat compiles to (%v)", err)
	}
}
