package wapc_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/waxosuit/waxo/wapc"
	"github.com/waxosuit/waxo/wapc/wasm"
)

// said is what came of a call, in a form that can be compared.
type said struct {
	Response string
	Err      string
	Type     string
	Stack    []string
	Log      []string
}

func ask(p *wapc.Pool, operation string, payload []byte) said {
	response, err := p.Call(context.Background(), operation, payload)
	s := said{Response: string(response), Err: fmt.Sprint(err), Type: fmt.Sprintf("%T", err)}
	if trap := (*wapc.TrapError)(nil); errors.As(err, &trap) {
		s.Stack, s.Log = trap.Stack, trap.Log
	}
	if memory := (*wapc.MemoryError)(nil); errors.As(err, &memory) {
		s.Stack = memory.Stack
	}
	if strings.Contains(s.Err, "stack overflow") {
		s.Stack, s.Err = nil, "stack overflow" // machine code tells no more
	}
	return s
}

// conversations are requests for the puppets.
func conversations() map[string][]byte {
	c := map[string][]byte{
		"crash":           (&script{}).do(crash).bytes(),
		"out of bounds":   (&script{}).do(load, 1<<30).bytes(),
		"too deep":        (&script{}).do(deep).bytes(),
		"grow":            (&script{}).do(grow, 3, scratch).do(grow, 3, scratch+4).do(response, scratch, 8).do(end, 1).bytes(),
		"grow too far":    (&script{}).do(grow, 10000, scratch).do(crash).bytes(),
		"grow the table":  (&script{}).do(growTable, 100, scratch).do(growTable, 1<<30, scratch+4).do(response, scratch, 8).do(end, 1).bytes(),
		"answer":          (&script{}).do(fill, answerAt, 'x', 5000).do(response, answerAt, 5000).do(end, 1).bytes(),
		"all of memory":   (&script{}).do(response, 0, pageEnd).do(end, 1).bytes(),
		"fail":            (&script{}).do(fill, answerAt, 'x', 50).do(guestError, answerAt, 50).do(end, 0).bytes(),
		"host call":       called("", "n", "o", "payload").do(end, 1).bytes(),
		"broken protocol": (&script{}).do(response, maxUint32, 1).bytes(),
		"log":             (&script{}).do(fill, answerAt, 'x', 50).do(consoleLog, answerAt, 50).do(crash).bytes(),
	}
	return c
}

// talk holds all conversations with a module: each twice, with a pool of its own.
func talk(t testing.TB, m *wapc.Module) map[string]said {
	t.Helper()
	all := map[string]said{}
	for name, payload := range conversations() {
		p, err := m.NewPool(&wapc.PoolOptions{Host: answering{}, MemoryLimit: 16 << 20})
		if err != nil {
			t.Fatal(err)
		}
		all[name] = ask(p, "op", payload)
		all[name+", again"] = ask(p, "op", payload)
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func alike(t testing.TB, who string, got, want map[string]said) {
	t.Helper()
	for request := range want {
		if !reflect.DeepEqual(got[request], want[request]) {
			t.Errorf("%s: %s gives\n%+v, not\n%+v", who, request, got[request], want[request])
		}
	}
}

// guests lists the guests of testdata that compile and come to an end.
func guests(t testing.TB) (names []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "*.wasm"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	e := engine(t, &wapc.EngineOptions{Interpreter: true})
	for _, f := range files {
		name := strings.TrimSuffix(filepath.Base(f), ".wasm")
		if m, err := e.Compile(t.Context(), guest(t, name)); err == nil && !strings.Contains(name, "spin") && name != "branching" {
			names = append(names, name)
			if err := m.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	return names
}

// TestAllWaysOfLoadingAreAlike: a module does the same however it came to be
// ready, traps, stacks and errors included.
func TestAllWaysOfLoadingAreAlike(t *testing.T) {
	names := guests(t)
	if !slices.Contains(names, "puppet8") || !slices.Contains(names, "start_trap") {
		t.Fatalf("the guests are %q", names)
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var want map[string]said
			dir := t.TempDir()
			ways := []struct {
				name string
				opts wapc.EngineOptions
				tier wapc.Tier
			}{
				{"in memory", wapc.EngineOptions{}, wapc.TierCompiled},
				{"for the cache", wapc.EngineOptions{CacheDir: dir}, wapc.TierCompiled},
				{"from the cache", wapc.EngineOptions{CacheDir: dir}, wapc.TierCompiled},
				{"from the cache, though interpreted first", wapc.EngineOptions{CacheDir: dir, InterpretFirst: true}, wapc.TierCompiled},
				{"interpreted", wapc.EngineOptions{Interpreter: true}, wapc.TierInterpreted},
				{"after it was interpreted", wapc.EngineOptions{InterpretFirst: true}, wapc.TierInterpreted},
			}
			for _, way := range ways {
				e := engine(t, &way.opts)
				m := compile(t, e, name)
				if way.name == "after it was interpreted" {
					if err := m.Compiled(t.Context()); err != nil {
						t.Fatal(err)
					}
					way.tier = wapc.TierCompiled
				}
				if m.Tier() != way.tier || m.CompileStats().Cached != strings.HasPrefix(way.name, "from") {
					t.Fatalf("%s: it is %v, %+v", way.name, m.Tier(), m.CompileStats())
				}
				got := talk(t, m)
				if want == nil {
					want = got
				}
				alike(t, way.name, got, want)
				if err := e.Close(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// cached fills a directory with an entry for a guest and tells its files.
func cached(t testing.TB, dir, name string) (machineCode, module string) {
	t.Helper()
	e := engine(t, &wapc.EngineOptions{CacheDir: dir})
	compile(t, e, name)
	if err := e.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, f := range filesIn(filepath.Join(dir, "modules")) {
		if filepath.Base(f) == "module" {
			module = f
		} else {
			machineCode = f
		}
	}
	if machineCode == "" || module == "" {
		t.Fatalf("the cache holds %q", filesIn(dir))
	}
	return machineCode, module
}

// serves compiles the echo with a cache and calls it. It tells whether its code
// came from the cache.
func serves(t testing.TB, dir string) bool {
	t.Helper()
	e := engine(t, &wapc.EngineOptions{CacheDir: dir})
	m := compile(t, e, "echo")
	p, err := m.NewPool(nil)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := p.Call(t.Context(), "echo", []byte("x")); err != nil || string(out) != "x" {
		t.Fatalf("got %q, %v", out, err)
	}
	was := m.CompileStats().Cached
	if err := e.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	return was
}

// TestDamagedEntries: an entry that is not what was written is not used, and is
// made anew.
func TestDamagedEntries(t *testing.T) {
	dir := t.TempDir()
	files := [2]string{}
	files[0], files[1] = cached(t, dir, "echo")
	if !serves(t, dir) {
		t.Fatal("the entry is not used at all")
	}
	check := func(what string) {
		t.Helper()
		if serves(t, dir) {
			t.Errorf("%s: the entry was used", what)
		}
		if !serves(t, dir) {
			t.Errorf("%s: the entry was not made anew", what)
		}
	}
	for _, f := range files {
		whole, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		damage := func(what string, content []byte) {
			t.Helper()
			if err := os.WriteFile(f, content, 0o600); err != nil {
				t.Fatal(err)
			}
			check(fmt.Sprintf("%s: %s", filepath.Base(f), what))
		}
		damage("empty", nil)
		damage("nonsense", []byte("nonsense"))
		damage("one byte more", append(slices.Clone(whole), 0))
		for _, size := range []int{1, 14, 30, len(whole) / 2, len(whole) - 1} {
			damage(fmt.Sprint("cut to ", size), whole[:size])
		}
		step := max(1, len(whole)/25)
		for at := 0; at < len(whole); at += step {
			flipped := slices.Clone(whole)
			flipped[at] ^= 1 << (at % 8)
			damage(fmt.Sprint("a bit flipped at ", at), flipped)
		}
		if err := os.Remove(f); err != nil {
			t.Fatal(err)
		}
		check(filepath.Base(f) + ": gone")
		zeros := make([]byte, len(whole)) // what some file systems leave of a file after a crash
		damage("zeros", zeros)
	}
}

// TestEntriesOfOthers: neither the machine code of another module nor its whole
// entry is taken for a module's own.
func TestEntriesOfOthers(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	code, module := cached(t, dir, "echo")
	otherCode, otherModule := cached(t, other, "puppet8")
	copyFile := func(to, from string) {
		t.Helper()
		b, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(to, b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	copyFile(code, otherCode)
	if serves(t, dir) || !serves(t, dir) {
		t.Error("the machine code of another module was used, or the entry was not made anew")
	}
	copyFile(module, otherModule)
	if serves(t, dir) || !serves(t, dir) {
		t.Error("what is known of another module was used, or the entry was not made anew")
	}
	entry := filepath.Dir(module)
	if err := os.RemoveAll(entry); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(entry, os.DirFS(filepath.Dir(otherModule))); err != nil {
		t.Fatal(err)
	}
	if serves(t, dir) || !serves(t, dir) {
		t.Error("the entry of another module was used, or was not made anew")
	}
}

// TestTheKeyIsTheModule: what differs in anything but claims has an entry of its
// own, and what is no module is none with a cache either.
func TestTheKeyIsTheModule(t *testing.T) {
	dir := t.TempDir()
	cached(t, dir, "echo")
	e := engine(t, &wapc.EngineOptions{CacheDir: dir})
	original := guest(t, "echo")
	for at := len(original) - 1; at >= 0; at -= 1 + len(original)/100 {
		changed := slices.Clone(original)
		changed[at] ^= 0x10
		m, err := e.Compile(t.Context(), changed)
		if err == nil && m.CompileStats().Cached {
			t.Errorf("with byte %d changed, it has the code of the original", at)
		}
	}
	m, err := wasm.Decode(original)
	if err != nil {
		t.Fatal(err)
	}
	m.SetCustom("\xff", nil)
	_, err = e.Compile(t.Context(), m.Encode())
	as[*wapc.FormatError](t, err)
}

// TestACacheThatCannotBeWritten: modules run all the same.
func TestACacheThatCannotBeWritten(t *testing.T) {
	dir := t.TempDir()
	e := engine(t, &wapc.EngineOptions{CacheDir: dir})
	folder := filepath.Join(dir, "modules")
	if err := os.Remove(folder); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(folder, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"echo", "puppet8"} {
		p, err := compile(t, e, name).NewPool(nil)
		if err == nil {
			err = p.Warm(t.Context(), 1)
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestManyMakeTheSameEntry: engines of several processes compile one module at
// once, and all get it right, also while entries vanish.
func TestManyMakeTheSameEntry(t *testing.T) {
	dir := t.TempDir()
	module := guest(t, "echo")
	stop := make(chan struct{})
	var vandal, wg sync.WaitGroup
	vandal.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			for _, f := range filesIn(dir) {
				if filepath.Base(f) == "module" {
					_ = os.RemoveAll(filepath.Dir(f))
					break
				}
			}
		}
	})
	for range 4 {
		wg.Go(func() {
			for range 15 {
				e, err := wapc.NewEngine(&wapc.EngineOptions{CacheDir: dir})
				if err != nil {
					t.Error(err)
					return
				}
				m, err := e.Compile(context.Background(), module)
				if err != nil {
					t.Error(err)
					return
				}
				p, err := m.NewPool(nil)
				if err != nil {
					t.Error(err)
					return
				}
				if got := ask(p, "echo", []byte("x")); got.Response != "x" {
					t.Errorf("got %+v", got)
				}
				if err := e.Close(context.Background()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	close(stop)
	vandal.Wait()
	serves(t, dir)
	if !serves(t, dir) {
		t.Error("the cache is of no use afterwards")
	}
	for _, f := range filesIn(dir) {
		if strings.Contains(f, ".tmp") {
			t.Errorf("%s was left behind", f)
		}
	}
}

// TestModulesShareCode: what is there already is not compiled again, and lives
// as long as anybody uses it.
func TestModulesShareCode(t *testing.T) {
	e := engine(t, nil)
	first := compile(t, e, "puppet8")
	second := compile(t, e, "puppet8")
	if first.CompileStats().Cached || !second.CompileStats().Cached {
		t.Errorf("the first is %+v, the second %+v", first.CompileStats(), second.CompileStats())
	}
	want := talk(t, first)
	if err := first.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	alike(t, "the second", talk(t, second), want)
	if err := second.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if third := compile(t, e, "puppet8"); third.CompileStats().Cached {
		t.Error("code outlived its last module")
	}
}
