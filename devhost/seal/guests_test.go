package seal_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tetratelabs/wazero/sys"

	"github.com/waxosuit/waxo/wapc/wasm"
)

// goGuest builds and seals the Go guest, once.
var goGuest = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "seal")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "guest.wasm")
	cmd := exec.Command("go", "build", "-buildmode=c-shared", "-o", out, "./testdata/guest")
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=")
	if text, err := cmd.CombinedOutput(); err != nil {
		return nil, errors.New(string(text))
	}
	return os.ReadFile(out)
})

func sealedGoGuest(t testing.TB) []byte {
	t.Helper()
	module, err := goGuest()
	if err != nil {
		t.Fatal(err)
	}
	return mustSeal(t, module, nil)
}

// expect calls the guest and compares its response and its lines.
func (g *guest) expect(t *testing.T, operation, message, response string, lines ...string) {
	t.Helper()
	if got := g.invoke(t, operation, message); got != response {
		t.Errorf("%s(%q) = %q, want %q", operation, message, got, response)
	}
	if got := g.takeLines(); !slices.Equal(got, lines) {
		t.Errorf("%s(%q) logged %q, want %q", operation, message, got, lines)
	}
}

func TestGoGuest(t *testing.T) {
	module := sealedGoGuest(t)
	g := startGuest(t, module)
	g.expect(t, "echo", "hello", "hello")
	g.expect(t, "now", "", "2000 true true")
	g.expect(t, "sleep", "", "true true")
	g.expect(t, "goroutines", "", "4950 99")
	g.expect(t, "timers", "", "3")
	g.expect(t, "open", "", "true true true true")
	g.expect(t, "stdin", "", "")
	g.expect(t, "recover", "oh", "recovered: oh")
	g.expect(t, "print", "a line\nand ", "", "a line")
	g.expect(t, "print", "another\n", "", "and another")
	g.expect(t, "eprint", "to stderr\n", "", "to stderr")
	if got := g.invoke(t, "process", ""); !strings.HasPrefix(got, "0 [] true") || !strings.HasSuffix(got, "true <nil>") {
		t.Errorf("the process sees %s", got)
	}
}

// What is random changes from call to call, but not from guest to guest.
func TestGoGuestIsDeterministic(t *testing.T) {
	module := sealedGoGuest(t)
	a, b := startGuest(t, module), startGuest(t, module)
	for _, operation := range []string{"rand", "map", "now"} {
		first := a.invoke(t, operation, "")
		if again := a.invoke(t, operation, ""); again == first && operation != "now" {
			t.Errorf("%s gives %q twice", operation, first)
		}
		if other := b.invoke(t, operation, ""); other != first {
			t.Errorf("%s gives %q in one guest and %q in another", operation, first, other)
		}
		b.invoke(t, operation, "")
	}
}

// Whatever ends the guest, its last words arrive, and no exit of a WASI host is
// told. In a library, a panic of the Go runtime traps by itself.
func TestGoGuestDies(t *testing.T) {
	module := sealedGoGuest(t)
	tests := []struct {
		operation, trap, first string
		line                   string
	}{
		{"panic", "runtime.fatalpanic", "panic: what now", "main.guestCall(0x5, 0x8)"},
		{"deadlock", "runtime.checkdead", "fatal error: all goroutines are asleep - deadlock!", "main.guestCall(0x8, 0x8)"},
		{"exit", "wasi_snapshot_preview1.proc_exit", "half a line", "exit status 3"},
	}
	for _, test := range tests {
		t.Run(test.operation, func(t *testing.T) {
			g := startGuest(t, module)
			if test.operation == "exit" {
				g.invoke(t, "print", "half a line")
			}
			err := g.try(t, test.operation, "what now")
			if err == nil || !strings.Contains(err.Error(), "unreachable") || !strings.Contains(err.Error(), test.trap) {
				t.Errorf("error %v, want unreachable in %s", err, test.trap)
			}
			var exit *sys.ExitError
			if errors.As(err, &exit) {
				t.Errorf("error %v is the exit of a WASI host", err)
			}
			if lines := g.takeLines(); len(lines) < 2 || lines[0] != test.first || !slices.Contains(lines, test.line) {
				t.Errorf("the lines are %q", lines)
			}
		})
	}
}

// A clock that moves by a millisecond with each look lets the memory of this
// guest grow without end; this is where one would notice.
func TestGoGuestsMemoryDoesNotGrow(t *testing.T) {
	const calls, size = 100_000, 64 << 10
	g := startGuest(t, sealedGoGuest(t))
	random := rand.New(rand.NewPCG(3, 4))
	payload := make([]byte, size)
	for i := range payload {
		payload[i] = byte(random.Uint32())
	}
	g.operation, g.message = []byte("echo"), payload
	var early uint32
	for i := range calls {
		grown := g.Memory().Size()
		if i == calls/10 {
			early = grown
		}
		if grown > 32<<20 || i > calls/10 && grown > early {
			t.Fatalf("the memory has %d bytes after %d calls; after %d it had %d", grown, i, calls/10, early)
		}
		if results, err := g.call.Call(t.Context(), uint64(len(g.operation)), size); err != nil || results[0] != 1 {
			t.Fatalf("call %d: %v, error %v", i, results, err)
		}
	}
	if string(g.response) != string(payload) {
		t.Error("the echo is another")
	}
}

func TestCGuest(t *testing.T) {
	if _, err := os.Stat("/usr/include/wasm32-wasi"); err != nil {
		missing(t, "wasi-libc: %v", err)
	}
	needTool(t, "wasm-ld")
	out := filepath.Join(t.TempDir(), "guest.wasm")
	run(t, exec.Command(needTool(t, "clang"), "--target=wasm32-wasi", "-mexec-model=reactor", "-Os", "-g", "-o", out, "testdata/guest.c"))
	module := mustSeal(t, readFile(t, out), nil)
	noDebugSections(t, module)
	g := startGuest(t, module)
	g.expect(t, "print", "world", "", "hello world, 1 + 2 = 3.0", "to stderr")
	g.expect(t, "sleep", "", "0 3600")
	g.expect(t, "open", "", "1 1")
	g.expect(t, "terminal", "", "1 1 0 -1")
	g.expect(t, "sort", "wasm", "amsw")
	if a, b := g.invoke(t, "random", ""), g.invoke(t, "random", ""); a == b || !strings.HasPrefix(a, "0 ") {
		t.Errorf("random numbers %s and %s", a, b)
	}
	if err := g.try(t, "exit", ""); err == nil || !strings.Contains(err.Error(), "proc_exit") {
		t.Errorf("error %v", err)
	}
	if got, want := g.takeLines(), []string{"unfinished", "exit status 7"}; !slices.Equal(got, want) {
		t.Errorf("lines %q, want %q", got, want)
	}
	validate(t, module)
}

func TestRustGuest(t *testing.T) {
	rustc, target := rustForWASI(t)
	needTool(t, "wasm-ld")
	out := filepath.Join(t.TempDir(), "guest.wasm")
	run(t, exec.Command(rustc, "--target", target, "-O", "-g", "-C", "linker=wasm-ld", "-o", out, "testdata/guest.rs"))
	module := mustSeal(t, readFile(t, out), nil)
	noDebugSections(t, module)
	g := startGuest(t, module)
	g.expect(t, "print", "world", "", "hello world", "Some(1)", "to stderr")
	g.expect(t, "sleep", "", "3600")
	g.expect(t, "time", "", "946688400") // an hour after the start of 2000
	g.expect(t, "map", "a b c", "2")
	g.expect(t, "open", "", "true")
	g.expect(t, "env", "", "0 0")
	if err := g.try(t, "panic", "what now"); err == nil {
		t.Error("the panic did not trap")
	}
	if got := g.takeLines(); len(got) < 1 || !strings.Contains(strings.Join(got, " "), "what now") {
		t.Errorf("lines %q", got)
	}
	g = startGuest(t, module)
	if err := g.try(t, "exit", ""); err == nil || !strings.Contains(err.Error(), "proc_exit") {
		t.Errorf("error %v", err)
	}
	if got, want := g.takeLines(), []string{"exit status 7"}; !slices.Equal(got, want) {
		t.Errorf("lines %q, want %q", got, want)
	}
	validate(t, module)
}

// rustForWASI finds a compiler that has the standard library of a WASI target,
// under its new or its old name.
func rustForWASI(t *testing.T) (rustc, target string) {
	t.Helper()
	for _, rustc := range []string{"rustc", "/usr/bin/rustc"} {
		root, err := exec.Command(rustc, "--print", "sysroot").Output()
		if err != nil {
			continue
		}
		for _, target := range []string{"wasm32-wasip1", "wasm32-wasi"} {
			if _, err := os.Stat(filepath.Join(strings.TrimSpace(string(root)), "lib/rustlib", target, "lib")); err == nil {
				return rustc, target
			}
		}
	}
	missing(t, "a Rust compiler with the target wasm32-wasip1 or wasm32-wasi")
	return "", ""
}

func noDebugSections(t *testing.T, module []byte) {
	t.Helper()
	sections, err := wasm.Sections(module)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sections {
		if strings.HasPrefix(s.Name, ".debug") {
			t.Errorf("the section %s is left", s.Name)
		}
	}
}
