package wasmgen_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/waxosuit/waxo/wapc/wasm"
	"github.com/waxosuit/waxo/wapc/wasm/wasmgen"
)

const features = api.CoreFeaturesV2 | experimental.CoreFeaturesTailCall | experimental.CoreFeaturesExtendedConst

func choices(seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 0))
	b := make([]byte, 64+r.IntN(4000))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func TestModulesAreValid(t *testing.T) {
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithCoreFeatures(features))
	defer r.Close(ctx)
	used := map[string]int{}
	sizes := 0
	for seed := range uint64(400) {
		p := wasmgen.Generate(choices(seed), &wasmgen.Options{Proposals: seed%2 == 1, Preview1: seed%5 == 4})
		compiled, err := r.CompileModule(ctx, p.Module)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		compiled.Close(ctx)
		sizes += len(p.Module)
		m, err := wasm.Decode(p.Module)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range m.Code {
			rd := wasm.NewReader(b.Code)
			for in, ok := rd.Next(); ok; in, ok = rd.Next() {
				used[in.Op.String()]++
			}
		}
	}
	keys := []string{}
	for k, n := range used {
		keys = append(keys, fmt.Sprintf("%s:%d", k, n))
	}
	slices.Sort(keys)
	t.Log(sizes/400, len(keys), keys)
}
