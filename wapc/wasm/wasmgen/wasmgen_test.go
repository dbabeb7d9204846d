package wasmgen_test

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/waxosuit/waxo/wapc/wasm"
	"github.com/waxosuit/waxo/wapc/wasm/wasmgen"
)

const proposals = experimental.CoreFeaturesTailCall | experimental.CoreFeaturesExtendedConst

func choices(seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, r.IntN(4000))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// engine compiles modules and runs nothing.
func engine(t testing.TB, features api.CoreFeatures) func(module []byte) error {
	t.Helper()
	r := wazero.NewRuntimeWithConfig(t.Context(), wazero.NewRuntimeConfigInterpreter().WithCoreFeatures(features))
	t.Cleanup(func() { r.Close(t.Context()) })
	return func(module []byte) error {
		compiled, err := r.CompileModule(t.Context(), module)
		if err == nil {
			err = compiled.Close(t.Context())
		}
		return err
	}
}

// opcodes counts the instructions of a module.
func opcodes(t *testing.T, module []byte, counts map[wasm.Opcode]int) {
	t.Helper()
	m, err := wasm.Decode(module)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range m.Code {
		r := wasm.NewReader(b.Code)
		for in, ok := r.Next(); ok; in, ok = r.Next() {
			counts[in.Op]++
		}
		if err := r.Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// known tells whether the reader knows an opcode.
func known(op wasm.Opcode) bool {
	code := []byte{byte(op)}
	if prefix := byte(op >> 16); prefix != 0 {
		code = wasm.AppendUint32([]byte{prefix}, uint32(op&0xffff))
	}
	r := wasm.NewReader(append(code, make([]byte, 24)...)) // immediates of all kinds; refused for what follows, if at all
	in, ok := r.Next()
	return ok && in.Op == op
}

func TestModulesAreValid(t *testing.T) {
	for name, options := range map[string]*wasmgen.Options{
		"core": nil, "proposals": {Proposals: true}, "preview1": {Preview1: true},
	} {
		t.Run(name, func(t *testing.T) {
			features := api.CoreFeaturesV2
			if options != nil && options.Proposals {
				features |= proposals
			}
			compile := engine(t, features)
			counts := map[wasm.Opcode]int{}
			for seed := range uint64(400) {
				p := wasmgen.Generate(choices(seed), options)
				if err := compile(p.Module); err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
				opcodes(t, p.Module, counts)
			}
			checkCoverage(t, counts, features&proposals != 0)
		})
	}
}

// checkCoverage wants every instruction that there is.
func checkCoverage(t *testing.T, counts map[wasm.Opcode]int, tailCalls bool) {
	t.Helper()
	all := 0
	for _, prefix := range []wasm.Opcode{0, 0xfc << 16, 0xfd << 16} {
		for op := prefix; op < prefix+0x100; op++ {
			tailCall := op == wasm.OpReturnCall || op == wasm.OpReturnCallIndirect
			if !known(op) || tailCall && !tailCalls {
				continue
			}
			all++
			if counts[op] == 0 {
				t.Errorf("no module has the instruction %v", op)
			}
		}
	}
	if all < 400 {
		t.Errorf("only %d instructions are known", all)
	}
}

func TestSameChoicesGiveTheSame(t *testing.T) {
	for seed := range uint64(20) {
		one, other := wasmgen.Generate(choices(seed), nil), wasmgen.Generate(choices(seed), nil)
		if !reflect.DeepEqual(one, other) {
			t.Fatalf("seed %d gives two programs", seed)
		}
	}
	if bytes.Equal(wasmgen.Generate(choices(1), nil).Module, wasmgen.Generate(choices(2), nil).Module) {
		t.Fatal("two seeds give the same module")
	}
}

func TestFewChoicesGiveSmallPrograms(t *testing.T) {
	compile := engine(t, api.CoreFeaturesV2)
	for n := range 40 {
		p := wasmgen.Generate(bytes.Repeat([]byte{0xff}, n), nil)
		if err := compile(p.Module); err != nil {
			t.Fatalf("%d bytes: %v", n, err)
		}
		if n == 0 && len(p.Module) > 400 {
			t.Errorf("no choices give a module of %d bytes", len(p.Module))
		}
	}
}

func TestLibraryIsValid(t *testing.T) {
	if err := engine(t, api.CoreFeaturesV2)(wasmgen.Library()); err != nil {
		t.Fatal(err)
	}
}
