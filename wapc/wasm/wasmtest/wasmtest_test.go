package wasmtest

import (
	"bytes"
	"errors"
	"testing"

	"github.com/waxosuit/waxo/wapc/wasm"
	"github.com/waxosuit/waxo/wapc/wasm/wasmgen"
)

// A rewriting that is wrong is found, wherever it shows: in results, memory,
// traps, global variables, tables or what the host is told.
func TestDifferencesAreFound(t *testing.T) {
	e := NewEngine(t, &EngineOptions{Interpreter: true})
	e.ProvideHost(t)
	for name, spoil := range map[string]func(m *wasm.Module){
		"no start function": func(m *wasm.Module) { m.Start = nil },
		"no data":           func(m *wasm.Module) { m.Data, m.DataCount = m.Data[:0], nil },
		"another global":    func(m *wasm.Module) { m.Globals[len(m.Globals)-1].Init = m.Globals[0].Init },
		"more memory":       func(m *wasm.Module) { m.Memories[0].Min, m.Memories[0].Max = 5, 50 },
		"another function":  func(m *wasm.Module) { m.Elements[0].Funcs[0]++ },
		"log of another": func(m *wasm.Module) {
			for i := range m.Imports {
				if m.Imports[i].Name == "log i32" {
					m.Imports[i].Name = "fail"
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			if !found(t, e, spoil) {
				t.Error("nobody noticed")
			}
		})
	}
}

// found tells whether one of some programs does something else when it is
// spoilt.
func found(t *testing.T, e *Engine, spoil func(m *wasm.Module)) bool {
	t.Helper()
	for seed := range uint64(200) {
		p := wasmgen.Generate(Choices(seed), nil)
		plain, err := e.Run(p, AsIs)
		if err != nil {
			t.Fatal(err)
		}
		other, err := e.Run(p, func(module []byte) (b []byte, err error) {
			defer func() {
				if recover() != nil {
					err = errors.New("there is nothing to spoil")
				}
			}()
			m, err := wasm.Decode(module)
			if err != nil {
				return nil, err
			}
			spoil(m)
			return m.Encode(), nil
		})
		if err == nil && plain.Difference(other) != "" {
			return true
		}
	}
	return false
}

func TestRunsAreTheSame(t *testing.T) {
	for _, interpreter := range []bool{false, true} {
		e := NewEngine(t, &EngineOptions{Interpreter: interpreter})
		e.ProvideHost(t)
		for seed := range uint64(30) {
			p := wasmgen.Generate(Choices(seed), nil)
			one, err := e.Run(p, AsIs)
			if err != nil {
				t.Fatal(err)
			}
			other, err := e.Run(p, AsIs)
			if err != nil {
				t.Fatal(err)
			}
			if d := one.Difference(other); d != "" {
				t.Fatalf("seed %d: %v: %s", seed, e, d)
			}
		}
	}
}

func TestOverflowEndsTheComparison(t *testing.T) {
	full := &Outcome{lines: []string{"a", "b"}}
	for _, tt := range []struct {
		other Outcome
		same  bool
	}{
		{Outcome{lines: []string{"a", "b"}}, true},
		{Outcome{lines: []string{"a"}}, false},
		{Outcome{lines: []string{"a"}, overflow: true}, true},
		{Outcome{lines: []string{"c"}, overflow: true}, false},
	} {
		if got := full.Difference(&tt.other) == ""; got != tt.same {
			t.Errorf("%+v: the same: %t", tt.other, got)
		}
	}
}

func TestShrink(t *testing.T) {
	choices := bytes.Repeat([]byte{7, 9, 200}, 300)
	choices[500] = 42
	got := shrink(choices, func(c []byte) bool { return bytes.IndexByte(c, 42) >= 3 })
	if !bytes.Equal(got, []byte{0, 0, 0, 42}) {
		t.Errorf("%v", got)
	}
}

func TestTraps(t *testing.T) {
	for text, want := range map[string]string{
		"wasm error: unreachable\nwasm stack trace:\n\t.f3()":          "unreachable",
		"start function[7] failed: wasm error: integer overflow\nwasm": "integer overflow",
		"the host failed with 16 (recovered by wazero)\nwasm stack":    "the host failed with 16",
		"stack overflow": overflowed,
	} {
		if got := trapOf(errors.New(text)); got != want {
			t.Errorf("%q gives %q, want %q", text, got, want)
		}
	}
}
