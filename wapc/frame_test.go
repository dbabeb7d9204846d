package wapc

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/waxosuit/waxo/wapc/meter"
	"github.com/waxosuit/waxo/wapc/wasm"
	"github.com/waxosuit/waxo/wapc/wasm/wasmgen"
)

// recursive returns a guest whose function takes so many local variables of a
// type, leaves so many values on its stack, and calls itself.
func recursive(locals uint32, t wasm.ValType, values int) []byte {
	c := wasm.NewCode(2)
	for range values {
		c.Get(0)
	}
	c.Get(0).Get(1).Call(0).Op(wasm.OpReturn)
	body := c.Body()
	body.Locals = []wasm.Locals{{Count: locals, Type: t}}
	m := &wasm.Module{
		Types:    []wasm.FuncType{{Params: []wasm.ValType{wasm.I32, wasm.I32}, Results: []wasm.ValType{wasm.I32}}},
		Funcs:    []uint32{0},
		Memories: []wasm.Limits{{Min: 1}},
		Exports:  []wasm.Export{{Name: "memory", Kind: wasm.KindMemory}, {Name: "__guest_call", Kind: wasm.KindFunc}},
		Code:     []wasm.Body{body},
	}
	return m.Encode()
}

// TestGreatFramesAreNotInterpreted: the interpreter does not bound them, and
// lets 2000 calls nest.
func TestGreatFramesAreNotInterpreted(t *testing.T) {
	for _, tt := range []struct {
		name   string
		module []byte
		great  bool
	}{
		{"100000 operands", recursive(0, wasm.I32, 100_000), true},
		{"operands above the limit", recursive(0, wasm.I32, maxFrameSlots), true},
		{"operands below the limit", recursive(0, wasm.I32, maxFrameSlots-20), false},
		{"49000 vectors", recursive(49_000, wasm.V128, 0), true},
		{"vectors above the limit", recursive(maxFrameSlots/2, wasm.V128, 0), true},
		{"vectors below the limit", recursive(maxFrameSlots/2-20, wasm.V128, 0), false},
		{"locals above the limit", recursive(maxFrameSlots, wasm.I64, 0), true},
		{"locals below the limit", recursive(maxFrameSlots-20, wasm.I64, 0), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			first := compileWith(t, &EngineOptions{InterpretFirst: true}, tt.module)
			if first.err != nil {
				t.Fatal(first.err)
			}
			if interpreted := first.stats.Interpret > 0; interpreted == tt.great {
				t.Errorf("with InterpretFirst it is interpreted: %t", interpreted)
			}
			if compiled := first.tier == TierCompiled; tt.great && !compiled {
				t.Errorf("with InterpretFirst the tier is %v", first.tier)
			}
			only := compileWith(t, &EngineOptions{Interpreter: true}, tt.module)
			if !tt.great {
				if only.err != nil {
					t.Error(only.err)
				}
				return
			}
			var refused *FormatError
			if !errors.As(only.err, &refused) || !strings.Contains(only.err.Error(), "it cannot be interpreted: calls of function 0 take up to ") {
				t.Errorf("the interpreter's error is %v", only.err)
			}
		})
	}
}

type outcome struct {
	tier  Tier
	stats CompileStats
	err   error
}

func compileWith(t *testing.T, opts *EngineOptions, module []byte) (o outcome) {
	t.Helper()
	e, err := NewEngine(opts)
	if err != nil {
		t.Fatal(err)
	}
	m, err := e.Compile(t.Context(), module)
	if o.err = err; err == nil {
		o.tier, o.stats = m.Tier(), m.CompileStats()
	}
	if err := e.Close(context.WithoutCancel(t.Context())); err != nil {
		t.Error(err)
	}
	return o
}

// TestRecursionInTheInterpreterIsBounded runs the deepest recursion of the
// greatest frames that are interpreted.
func TestRecursionInTheInterpreterIsBounded(t *testing.T) {
	e, err := NewEngine(&EngineOptions{Interpreter: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = e.Close(context.WithoutCancel(t.Context())) }()
	m, err := e.Compile(t.Context(), recursive(0, wasm.I32, maxFrameSlots-20))
	if err != nil {
		t.Fatal(err)
	}
	p, err := m.NewPool(nil)
	if err != nil {
		t.Fatal(err)
	}
	var trap *TrapError
	if _, err := p.Call(t.Context(), "any", nil); !errors.As(err, &trap) || trap.Reason != "stack overflow" {
		t.Errorf("the recursion ends with %v", err)
	}
}

// TestFramesOfWideValues: vectors take two slots, wherever they come from, and
// a call may leave many values at once.
func TestFramesOfWideValues(t *testing.T) {
	const many = maxFrameSlots * 3 / 4 // too many only if each takes two slots
	global := []wasm.Global{{Type: wasm.GlobalType{Type: wasm.V128}}}
	vector, three := []wasm.ValType{wasm.V128}, []wasm.ValType{wasm.I32, wasm.I32, wasm.I32}
	for _, tt := range []struct {
		name   string
		repeat []byte
		times  int
		module wasm.Module
		least  int64
	}{
		{"numbers", []byte{byte(wasm.OpLocalGet), 0}, many, wasm.Module{}, many},
		{"local variables", []byte{byte(wasm.OpLocalGet), 1}, many, wasm.Module{Code: []wasm.Body{{Locals: []wasm.Locals{{Count: 1, Type: wasm.V128}}}}}, 2 * many},
		{"global variables", []byte{byte(wasm.OpGlobalGet), 0}, many, wasm.Module{Globals: global}, 2 * many},
		{"imported variables", []byte{byte(wasm.OpGlobalGet), 0}, many, wasm.Module{
			Imports: []wasm.Import{{Type: wasm.ExternType{Kind: wasm.KindGlobal, Global: global[0].Type}}},
		}, 2 * many},
		{"results", []byte{byte(wasm.OpCall), 1}, many, wasm.Module{Types: []wasm.FuncType{{}, {Results: vector}}}, 2 * many},
		{"instructions", []byte{byte(wasm.OpLocalGet), 0, simdPrefix, 0x12}, many, wasm.Module{}, 2 * many},
		{"many results", []byte{byte(wasm.OpCall), 1}, many / 2, wasm.Module{Types: []wasm.FuncType{{}, {Results: three}}}, 3 * many / 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := tt.module
			if m.Types == nil {
				m.Types = []wasm.FuncType{{}, {}}
			}
			m.Funcs = []uint32{0, 1}
			m.Code = append(m.Code, wasm.Body{})[:1]
			m.Code[0].Code = append(bytes.Repeat(tt.repeat, tt.times), byte(wasm.OpBr), 0, byte(wasm.OpEnd))
			m.Code = append(m.Code, wasm.Body{Code: []byte{byte(wasm.OpEnd)}})
			f := newFrames(&m)
			n, err := f.function(0)
			if err != nil || n < tt.least || n > tt.least+10 {
				t.Errorf("it takes %d slots (%v), want %d", n, err, tt.least)
			}
			if err := f.check(0); (err != nil) != (tt.least > maxFrameSlots) {
				t.Errorf("the verdict is %v", err)
			}
		})
	}
}

const (
	i32Type = byte(wasm.I32)
	noType  = 0x40
	threes  = 1 // a type: no parameters, three results
	pair    = 2 // a type: two parameters, two results
)

func TestHeights(t *testing.T) {
	const (
		block, loop, iff, els, end = byte(wasm.OpBlock), byte(wasm.OpLoop), byte(wasm.OpIf), byte(wasm.OpElse), byte(wasm.OpEnd)
		br, brIf, brTable, ret     = byte(wasm.OpBr), byte(wasm.OpBrIf), byte(wasm.OpBrTable), byte(wasm.OpReturn)
		call, indirect, get, drop  = byte(wasm.OpCall), byte(wasm.OpCallIndirect), byte(wasm.OpLocalGet), 0x1a
		unreachable, simd          = byte(wasm.OpUnreachable), simdPrefix
	)
	two := []byte{get, 0, get, 0}
	for _, tt := range []struct {
		name string
		code []byte
		most int64
	}{
		{"nothing", []byte{end}, 0},
		{"values", []byte{get, 0, get, 0, drop, drop, get, 0, drop, end}, 2},
		{"a block", []byte{get, 0, block, noType, get, 0, get, 0, br, 0, end, drop, end}, 3},
		{"a block with a result", []byte{block, i32Type, get, 0, end, get, 0, drop, drop, end}, 2},
		{"blocks one after the other", []byte{block, i32Type, get, 0, get, 0, br, 0, end, drop, block, i32Type, get, 0, get, 0, br, 0, end, drop, end}, 2},
		{"a loop", []byte{loop, i32Type, get, 0, get, 0, brIf, 0, end, drop, end}, 2},
		{"a loop with parameters", slices.Concat(two, []byte{loop, pair, get, 0, get, 0, brIf, 0, drop, end, drop, drop, end}), 4},
		{"an if with a result", []byte{get, 0, iff, i32Type, get, 0, els, get, 0, get, 0, drop, end, drop, end}, 2},
		{"the greater arm first", []byte{get, 0, iff, i32Type, get, 0, get, 0, get, 0, br, 0, els, get, 0, end, drop, end}, 3},
		{"an if with parameters", slices.Concat(two, []byte{get, 0, iff, pair, els, end, get, 0, drop, drop, drop, end}), 3},
		{"calls", []byte{call, 1, call, 1, br, 0, end}, 6},
		{"calls that take", slices.Concat(two, []byte{call, 2, call, 2, drop, drop, end}), 2},
		{"calls of imported functions", []byte{call, 0, call, 0, end}, 0},
		{"indirect calls", []byte{get, 0, indirect, threes, 0, get, 0, indirect, threes, 0, ret, end}, 6},
		{"tables of labels", []byte{get, 0, get, 0, brTable, 1, 0, 0, end}, 2},
		{"code behind a branch", []byte{get, 0, br, 0, drop, drop, drop, get, 0, get, 0, end}, 2},
		{"behind a block that does not end", []byte{get, 0, block, pair, unreachable, end, get, 0, br, 0, end}, 3},
		{"a block in code that nothing reaches", []byte{get, 0, unreachable, block, pair, end, drop, drop, end}, 2},
		{"vectors", slices.Concat([]byte{get, 0, simd, 15, get, 0, simd, 15}, []byte{simd, 0x6e, drop, end}), 2},
		{"tables and memories", slices.Concat(two, []byte{get, 0, 0xfc, 10, 0, 0, get, 0, 0x3f, 0, 0x36, 2, 0, end}), 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFrames(&wasm.Module{
				Types: []wasm.FuncType{
					{}, {Results: []wasm.ValType{wasm.I32, wasm.I32, wasm.I32}},
					{Params: []wasm.ValType{wasm.I32, wasm.I32}, Results: []wasm.ValType{wasm.I32, wasm.I32}},
				},
				Imports: []wasm.Import{{Type: wasm.ExternType{Kind: wasm.KindFunc}}},
				Funcs:   []uint32{threes, pair},
			})
			h := newHeights(f, wasm.FuncType{}, tt.code)
			if err := h.run(); err != nil || h.most != tt.most {
				t.Errorf("the greatest height is %d (%v), want %d", h.most, err, tt.most)
			}
		})
	}
}

func TestHeightsOfBadCode(t *testing.T) {
	for name, code := range map[string][]byte{
		"no such function":      {byte(wasm.OpCall), 9, byte(wasm.OpEnd)},
		"no such type":          {byte(wasm.OpCallIndirect), 9, 0, byte(wasm.OpEnd)},
		"no such type of block": {byte(wasm.OpBlock), 9, byte(wasm.OpEnd), byte(wasm.OpEnd)},
		"great type of block":   {byte(wasm.OpBlock), 0xff, 0xff, 0xff, 0xff, 0x0f, byte(wasm.OpEnd), byte(wasm.OpEnd)},
		"no end":                {byte(wasm.OpBlock), noType, byte(wasm.OpEnd)},
	} {
		if err := newHeights(newFrames(&wasm.Module{}), wasm.FuncType{}, code).run(); !errors.Is(err, wasm.ErrMalformed) {
			t.Errorf("%s: the error is %v", name, err)
		}
	}
	for _, code := range [][]byte{{0x1a, 0x1a, byte(wasm.OpEnd)}, {byte(wasm.OpElse), 0x1a, byte(wasm.OpEnd)}} {
		if err := newHeights(newFrames(&wasm.Module{}), wasm.FuncType{}, code).run(); err != nil {
			t.Errorf("%x: %v", code, err)
		}
	}
}

// TestHeightsAreExact: in valid code there are, wherever a block ends, the
// values that its type promises, so every effect of what is before was right.
func TestHeightsAreExact(t *testing.T) {
	seen := map[wasm.Opcode]bool{}
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		choices := make([]byte, 2000)
		for at := 0; at < len(choices); at += 8 {
			binary.LittleEndian.PutUint64(choices[at:], r.Uint64())
		}
		checkHeights(t, wasmgen.Generate(choices, &wasmgen.Options{Proposals: r.IntN(2) == 0}).Module, seen)
	}
	for op := range wasm.Opcode(0xc5) {
		if _, adds := effect(op); !seen[op] && plainEffects[op] != '.' {
			t.Errorf("no generated module has %v, which adds %d", op, adds)
		}
	}
	for n := range simdEffects {
		if op := simdPrefix<<16 | wasm.Opcode(n); !seen[op] && simdEffects[n] != '.' {
			t.Errorf("no generated module has %v", op)
		}
	}
	for n := range miscEffects {
		if op := miscPrefix<<16 | wasm.Opcode(n); !seen[op] {
			t.Errorf("no generated module has %v", op)
		}
	}
	files, err := filepath.Glob(filepath.Join("testdata", "puppet*.wasm"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		module, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		checkHeights(t, module, seen)
	}
}

func checkHeights(t *testing.T, module []byte, seen map[wasm.Opcode]bool) {
	t.Helper()
	m, err := wasm.Decode(bytes.Clone(module))
	if err != nil {
		t.Fatal(err)
	}
	if err := meter.Rewrite(m, nil); err != nil {
		t.Fatal(err)
	}
	f := newFrames(m)
	for i := range m.Code {
		index := uint32(len(f.types) - len(m.Code) + i)
		typ, err := f.typeOf(index)
		if err != nil {
			t.Fatal(err)
		}
		h := newHeights(f, typ, m.Code[i].Code)
		if err := walkHeights(h, seen); err != nil {
			t.Fatalf("function %d: %v", index, err)
		}
		if n, err := f.function(i); err != nil || n < h.most {
			t.Errorf("function %d has %d values, but takes %d (%v)", index, h.most, n, err)
		}
	}
}

// walkHeights steps through a function and checks the ends of blocks.
func walkHeights(h *heights, seen map[wasm.Opcode]bool) error {
	r := wasm.NewReader(h.code)
	dead := []bool{false} // of each block: nothing reaches its code
	for in, ok := r.Next(); ok; in, ok = r.Next() {
		at := len(dead) - 1
		b := h.blocks[at]
		if !dead[at] && (in.Op == wasm.OpEnd || in.Op == wasm.OpElse) && h.now != b.base+b.results {
			return fmt.Errorf("at %d there are %d values, and should be %d", in.Start, h.now, b.base+b.results)
		}
		seen[in.Op] = seen[in.Op] || !dead[at]
		switch in.Op {
		case wasm.OpBlock, wasm.OpLoop, wasm.OpIf:
			dead = append(dead, dead[at])
		case wasm.OpElse:
			dead[at] = at > 0 && dead[at-1]
		case wasm.OpEnd:
			dead = dead[:at]
		case wasm.OpUnreachable, wasm.OpBr, wasm.OpBrTable, wasm.OpReturn, wasm.OpReturnCall, wasm.OpReturnCallIndirect:
			dead[at] = true
		}
		if err := h.step(in); err != nil {
			return err
		}
	}
	return r.Err()
}
