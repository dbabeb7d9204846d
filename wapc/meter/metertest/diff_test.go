package metertest

import (
	"flag"
	"fmt"
	"testing"

	"github.com/waxosuit/waxo/wapc/wasm/wasmgen"
	"github.com/waxosuit/waxo/wapc/wasm/wasmtest"
)

var (
	duration  = flag.Duration("duration", 0, "how long to compare generated modules; 0: some hundred of them")
	firstSeed = flag.Uint64("seed", 1, "the seed of the first generated module")
)

// intervals are those that a program is run with: the smallest, the default,
// and one between that depends on the program.
func intervals(choices []byte) []int {
	between := 2
	for _, c := range choices[:min(len(choices), 8)] {
		between += int(c)
	}
	return []int{tiny, between, 0}
}

// How much fuel may burn between two looks: for each unit of the interval, as a
// program pays some ten instructions to burn what a long bulk operation burns
// at once and then may not reach the operation; and beyond it, what a chain of
// calls may owe.
const (
	maxBurnedByUnit = 12
	maxBurned       = 600
)

// newCompare returns what runs programs on two engines, in each as they are and
// metered.
func newCompare(t testing.TB) wasmtest.Compare {
	t.Helper()
	engines := []*looker{newLooker(t, &wasmtest.EngineOptions{}), newLooker(t, &wasmtest.EngineOptions{Interpreter: true})}
	for _, e := range engines {
		e.ProvideHost(t)
	}
	return func(p *wasmgen.Program, choices []byte) (outcomes []*wasmtest.Outcome, err error) {
		for _, e := range engines {
			plain, err := e.Run(p, wasmtest.AsIs)
			if err != nil {
				return nil, err
			}
			outcomes = append(outcomes, plain)
			for _, interval := range intervals(choices) {
				e.fuel, e.burned = 0, 0
				other, err := e.Run(p, metered(interval))
				if err != nil {
					return nil, fmt.Errorf("%v: metered by %d: %w", e, interval, err)
				}
				if d := plain.Difference(other); d != "" {
					return nil, fmt.Errorf("%v: as it is, and metered by %d:\n         %s", e, interval, d)
				}
				if interval != 0 && e.burned > uint64(interval)*maxBurnedByUnit+maxBurned {
					return nil, fmt.Errorf("%v: metered by %d, it burned %d between two looks", e, interval, e.burned)
				}
			}
		}
		return outcomes, nil
	}
}

// TestDifferential compares generated modules with what they are after they
// were rewritten: results, traps, memories, global variables, tables and what
// the host was told. And it sees that they look as often as they should.
//
//	go test ./wapc/meter/metertest -run TestDifferential -duration 60s -seed 1000
func TestDifferential(t *testing.T) {
	count := uint64(200)
	if testing.Short() || race {
		count = 60
	}
	c := wasmtest.Campaign{
		Generate: wasmgen.Options{Proposals: true},
		First:    *firstSeed, Count: count, Duration: *duration, Rewrite: metered(tiny),
	}
	ends := c.Run(t, func() wasmtest.Compare { return newCompare(t) })
	if ends["result"] == 0 || ends["unreachable"] == 0 || ends["out of bounds memory access"] == 0 {
		t.Error("not all kinds of ends were met")
	}
}

// FuzzRewrite is TestDifferential for go test -fuzz.
func FuzzRewrite(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(wasmtest.Choices(seed))
	}
	compare := newCompare(f)
	f.Fuzz(func(t *testing.T, choices []byte) {
		if _, err := compare(wasmgen.Generate(choices, &wasmgen.Options{Proposals: true}), choices); err != nil {
			t.Fatal(err)
		}
	})
}
