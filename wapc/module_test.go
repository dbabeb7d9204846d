package wapc_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waxosuit/waxo/wapc"
	"github.com/waxosuit/waxo/wapc/wasm"
)

func TestImports(t *testing.T) {
	m := compile(t, engine(t, nil), "echo")
	want := []string{"wapc.__guest_request", "wapc.__guest_response", "wapc.__host_call", "wapc.__host_response_len", "wapc.__host_response"}
	got := m.Imports()
	if !slices.Equal(got, want) {
		t.Fatalf("got %q", got)
	}
	got[0] = "changed"
	if m.Imports()[0] != want[0] {
		t.Fatal("a caller can change the list")
	}
}

func TestRefusedImports(t *testing.T) {
	_, err := engine(t, nil).Compile(t.Context(), guest(t, "bad_imports"))
	e := as[*wapc.ImportError](t, err)
	var got []string
	for _, i := range e.Imports {
		got = append(got, i.Kind+" "+i.Module+"."+i.Name+": "+i.Problem)
		contains(t, err.Error(), i.Problem)
	}
	want := []string{
		`function wasi_snapshot_preview1.fd_write: a guest may import functions of "wapc" only`,
		`function env.abort: a guest may import functions of "wapc" only`,
		`function wapc.__no_such: "wapc" has no such function`,
		`function wapc.__guest_response: it has the type (i64) -> (), not (i32, i32) -> ()`,
		`function wapc.__host_call: it has the type (i32, i32) -> (i32), not 8, 6 or 4 parameters i32 and a result i32`,
		`table wapc.__console_log: "wapc" has functions only`,
		`memory wapc.memory: "wapc" has functions only`,
		`global wapc.__host_error: "wapc" has functions only`,
	}
	if !slices.Equal(got, want) {
		t.Fatalf("got\n%s", strings.Join(got, "\n"))
	}
}

func TestTwoFormsAtOnce(t *testing.T) {
	_, err := engine(t, nil).Compile(t.Context(), guest(t, "two_forms"))
	contains(t, as[*wapc.ImportError](t, err).Error(), "it is imported with 8 parameters as well")
}

func TestRefusedExports(t *testing.T) {
	e := engine(t, nil)
	_, err := e.Compile(t.Context(), guest(t, "bad_exports"))
	want := []string{
		"__guest_call has the type (i32) -> (i32), not (i32, i32) -> (i32)",
		"memory is a function, not a memory",
		"_start is a global, not a function",
		"_initialize has the type (i32) -> (), not () -> ()",
		"wapc_init has the type () -> (i32), not () -> ()",
	}
	if got := as[*wapc.ExportError](t, err).Problems; !slices.Equal(got, want) {
		t.Fatalf("got %q", got)
	}
	_, err = e.Compile(t.Context(), guest(t, "no_exports"))
	if got := as[*wapc.ExportError](t, err).Problems; !slices.Equal(got, []string{"__guest_call is missing", "memory is missing"}) {
		t.Fatalf("got %q", got)
	}
}

func TestFormat(t *testing.T) {
	e := engine(t, nil)
	echo := guest(t, "echo")
	invalid := bytes.Replace(echo, []byte{0x41, 0x01, 0x0b}, []byte{0x43, 0x00, 0x0b}, 1)
	if bytes.Equal(invalid, echo) {
		t.Fatal("the guest does not end as expected")
	}
	for name, b := range map[string][]byte{
		"nothing": nil, "text": []byte("(module)"), "cut": echo[:len(echo)-3], "component": []byte("\x00asm\x0d\x00\x01\x00"),
		"invalid": invalid,
	} {
		if _, err := e.Compile(t.Context(), b); !errors.As(err, new(*wapc.FormatError)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTooManyLocals(t *testing.T) {
	// One function with 0xfffffff locals, in a dozen bytes.
	m := []byte("\x00asm\x01\x00\x00\x00" +
		"\x01\x07\x01\x60\x02\x7f\x7f\x01\x7f" +
		"\x03\x02\x01\x00" +
		"\x05\x03\x01\x00\x01" +
		"\x07\x19\x02\x06memory\x02\x00\x0c__guest_call\x00\x00" +
		"\x0a\x0b\x01\x09\x01\xff\xff\xff\x7f\x7f\x41\x01\x0b")
	_, err := engine(t, nil).Compile(t.Context(), m)
	contains(t, as[*wapc.FormatError](t, err).Error(), "268435455 locals")
}

// TestLongSignatures: what a call hands on is not paid for.
func TestLongSignatures(t *testing.T) {
	for n, want := range map[int]string{1000: "", 1001: "0 parameters and 1001 results, the limit is 1000"} {
		m, err := wasm.Decode(guest(t, "echo"))
		if err != nil {
			t.Fatal(err)
		}
		m.AddType(wasm.FuncType{Results: slices.Repeat([]wasm.ValType{wasm.I64}, n)})
		_, err = engine(t, nil).Compile(t.Context(), m.Encode())
		if want == "" {
			if err != nil {
				t.Errorf("%d results: %v", n, err)
			}
			continue
		}
		contains(t, as[*wapc.FormatError](t, err).Error(), want)
	}
}

// TestEndlessWithoutLoops: calls are looked at, too.
func TestEndlessWithoutLoops(t *testing.T) {
	for _, interpreter := range []bool{false, true} {
		m := compile(t, engine(t, &wapc.EngineOptions{Interpreter: interpreter}), "branching")
		p, err := m.NewPool(&wapc.PoolOptions{CallTimeout: short, QueueTimeout: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		for _, op := range []string{"1", "22", "333"} {
			_, err := p.Call(t.Context(), op, nil)
			as[*wapc.DeadlineError](t, err)
		}
		if _, err := p.Call(t.Context(), "4444", nil); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCacheDirThatIsAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := wapc.NewEngine(&wapc.EngineOptions{CacheDir: file}); err == nil {
		t.Fatal("a file was taken for a directory")
	}
}

func TestCompileCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m, err := engine(t, nil).Compile(ctx, guest(t, "puppet8"))
	if err == nil { // small modules may be done before anybody looks
		err = m.Close(t.Context())
	} else if errors.Is(err, context.Canceled) {
		err = nil
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestCompileTheSameAtOnce(t *testing.T) {
	e := engine(t, nil)
	module := guest(t, "echo")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
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
			if out, err := p.Call(context.Background(), "echo", []byte("x")); err != nil || string(out) != "x" {
				t.Errorf("got %q, %v", out, err)
			}
			if err := m.Close(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestClosed(t *testing.T) {
	e := engine(t, nil)
	m := compile(t, e, "echo")
	p, err := m.NewPool(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Call(t.Context(), "echo", nil); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := m.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.Call(t.Context(), "echo", nil); err != wapc.ErrClosed {
		t.Errorf("Call: %v", err)
	}
	if err := p.Warm(t.Context(), 1); err != wapc.ErrClosed {
		t.Errorf("Warm: %v", err)
	}
	if _, err := m.NewPool(nil); err != wapc.ErrClosed {
		t.Errorf("NewPool: %v", err)
	}
	if s := p.Stats(); s.Instances != 0 || s.MemoryBytes != 0 {
		t.Errorf("stats: %+v", s)
	}
	for range 2 {
		if err := e.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := e.Compile(t.Context(), guest(t, "echo")); err != wapc.ErrClosed {
		t.Errorf("Compile: %v", err)
	}
}

// TestGuestsAreWhatTheirTextSays: UPDATE_GUESTS=1 writes them anew.
func TestGuestsAreWhatTheirTextSays(t *testing.T) {
	wat2wasm := tool(t, "wat2wasm")
	texts, err := filepath.Glob("testdata/*.wat")
	if err != nil || len(texts) < 10 {
		t.Fatalf("%d texts, %v", len(texts), err)
	}
	for _, text := range texts {
		binary := strings.TrimSuffix(text, ".wat") + ".wasm"
		out := filepath.Join(t.TempDir(), "out.wasm")
		if os.Getenv("UPDATE_GUESTS") != "" {
			out = binary
		}
		if msg, err := exec.Command(wat2wasm, "--debug-names", "-o", out, text).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", text, err, msg)
		}
		want, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(binary); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what its text says: %v", binary, err)
		}
	}
}

// FuzzCompile: whatever the bytes, Compile returns, and what it accepts can be
// called.
func FuzzCompile(f *testing.F) {
	binaries, err := filepath.Glob("testdata/*.wasm")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range binaries {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	e := engine(f, &wapc.EngineOptions{Interpreter: true})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := e.Compile(context.Background(), b)
		if err != nil {
			return
		}
		if p, err := m.NewPool(&wapc.PoolOptions{CallTimeout: short, StartTimeout: short, MemoryLimit: 4 << 20}); err == nil {
			_, _ = p.Call(context.Background(), "op", []byte("payload"))
		}
		if err := m.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
	})
}
