package seal_test

import (
	"flag"
	"fmt"
	"testing"

	"github.com/waxosuit/waxo/devhost/seal"
	"github.com/waxosuit/waxo/wapc/wasm/wasmgen"
	"github.com/waxosuit/waxo/wapc/wasm/wasmtest"
)

var (
	duration  = flag.Duration("duration", 0, "how long to compare generated guests; 0: some hundred of them")
	firstSeed = flag.Uint64("seed", 1, "the seed of the first generated guest")
)

var guests = wasmgen.Options{Preview1: true, Proposals: true}

func sealed(module []byte) ([]byte, error) {
	b, _, err := seal.Seal(module, nil)
	return b, err
}

// newCompare returns what runs guests in the model of the sealed world, and
// sealed where there is no WASI.
func newCompare(t testing.TB) wasmtest.Compare {
	t.Helper()
	type pair struct{ model, strict *wasmtest.Engine }
	var pairs []pair
	for _, interpreter := range []bool{false, true} {
		p := pair{modelled(t, &wasmtest.EngineOptions{Interpreter: interpreter}), wasmtest.NewEngine(t, &wasmtest.EngineOptions{Interpreter: interpreter})}
		provideProtocol(t, p.strict)
		pairs = append(pairs, p)
	}
	return func(p *wasmgen.Program, _ []byte) (outcomes []*wasmtest.Outcome, err error) {
		for _, e := range pairs {
			open, err := e.model.Run(p, wasmtest.AsIs)
			if err != nil {
				return nil, err
			}
			closed, err := e.strict.Run(p, sealed)
			if err != nil {
				return nil, fmt.Errorf("%v: sealed: %w", e.strict, err)
			}
			if d := open.Difference(closed); d != "" {
				return nil, fmt.Errorf("%v: in the model, and sealed:\n         %s", e.strict, d)
			}
			outcomes = append(outcomes, open)
		}
		return outcomes, nil
	}
}

// TestDifferential compares generated guests that are sealed with what the
// package promises: errors, memory, and what the host was told.
//
//	go test ./devhost/seal -run TestDifferential -duration 60s -seed 1000
func TestDifferential(t *testing.T) {
	c := wasmtest.Campaign{
		Generate: guests, First: *firstSeed, Count: 200, Duration: *duration, Rewrite: sealed,
	}
	ends := c.Run(t, func() wasmtest.Compare { return newCompare(t) })
	if ends["result"] == 0 || ends["out of bounds memory access"] == 0 || ends["unreachable"] == 0 {
		t.Error("not all kinds of ends were met")
	}
}

// FuzzSealed is TestDifferential for go test -fuzz.
func FuzzSealed(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(wasmtest.Choices(seed))
	}
	compare := newCompare(f)
	f.Fuzz(func(t *testing.T, choices []byte) {
		if _, err := compare(wasmgen.Generate(choices, &guests), choices); err != nil {
			t.Fatal(err)
		}
	})
}
