package metertest

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/waxosuit/waxo/wapc/wasm/wasmgen"
)

var (
	duration  = flag.Duration("duration", 0, "how long to compare generated modules; 0: some hundred of them")
	firstSeed = flag.Uint64("seed", 1, "the first seed of the generated modules")
)

// fewSeeds is how many modules the tests compare without -duration.
const fewSeeds = 300

const allFeatures = api.CoreFeaturesV2 | experimental.CoreFeaturesTailCall | experimental.CoreFeaturesExtendedConst

// bench runs programs on two engines, in each as they are and rewritten.
type bench struct{ sides []*side }

func newBench(t testing.TB) *bench {
	t.Helper()
	return &bench{[]*side{
		newSide(t, sideConfig{features: allFeatures}),
		newSide(t, sideConfig{features: allFeatures, interpreter: true}),
	}}
}

// intervals are those that a program is run with: the smallest, the default,
// and one between that depends on the program.
func intervals(choices []byte) []int {
	between := 2
	for _, c := range choices[:min(len(choices), 8)] {
		between += int(c)
	}
	return []int{tiny, between, 0}
}

// compare runs a program in all ways. It returns how it went as it is, compiled
// and interpreted, and what differed.
func (b *bench) compare(choices []byte) (outcomes []*outcome, err error) {
	p := wasmgen.Generate(choices, &wasmgen.Options{Proposals: true})
	for _, s := range b.sides {
		plain, err := s.run(p, unmetered)
		if err != nil {
			return nil, err
		}
		outcomes = append(outcomes, plain)
		for _, interval := range intervals(choices) {
			metered, err := s.run(p, interval)
			if err != nil {
				return nil, fmt.Errorf("%v: %w", s.sideConfig, err)
			}
			if d := plain.difference(metered); d != "" {
				return outcomes, fmt.Errorf("%v: as it is and metered:\n         %s", s.sideConfig, d)
			}
		}
	}
	return outcomes, nil
}

// choicesOf makes the bytes of a seed.
func choicesOf(seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 0x77617870))
	b := make([]byte, 40+r.IntN(1<<(5+r.IntN(8))))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// TestDifferential compares generated modules with what they are after they
// were rewritten: results, traps, memories, global variables, tables and what
// the host was told.
//
//	go test ./wapc/meter/metertest -run TestDifferential -duration 60s -seed 1000
func TestDifferential(t *testing.T) {
	var (
		wg    sync.WaitGroup
		next  atomic.Uint64
		mu    sync.Mutex
		ends  = tally{}
		start = time.Now()
	)
	for range runtime.GOMAXPROCS(0) {
		b := newBench(t)
		wg.Go(func() {
			for !t.Failed() {
				n := next.Add(1) - 1
				if *duration == 0 && n >= fewSeeds || *duration != 0 && time.Since(start) > *duration {
					return
				}
				choices := choicesOf(*firstSeed + n)
				outcomes, err := b.compare(choices)
				if err != nil {
					t.Errorf("seed %d: %v\n%s", *firstSeed+n, err, b.report(choices))
					return
				}
				mu.Lock()
				for _, o := range outcomes {
					ends.add(o.traps)
				}
				ends["modules"]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	var lines []string
	for _, kind := range slices.Sorted(maps.Keys(ends)) {
		lines = append(lines, fmt.Sprintf("%7d %s", ends[kind], kind))
	}
	t.Logf("%v\n%s", time.Since(start).Round(time.Millisecond), strings.Join(lines, "\n"))
}

// report makes the choices of a failure as few as it can, saves what comes of
// them, and tells where.
func (b *bench) report(choices []byte) string {
	fails := func(c []byte) bool {
		_, err := b.compare(c)
		return err != nil
	}
	choices = shrink(choices, fails)
	_, err := b.compare(choices)
	dir, e := os.MkdirTemp("", "metertest-")
	if e != nil {
		return fmt.Sprintf("of %x: %v; it could not be saved: %v", choices, err, e)
	}
	p := wasmgen.Generate(choices, &wasmgen.Options{Proposals: true})
	var calls strings.Builder
	for _, c := range p.Calls {
		fmt.Fprintf(&calls, "%s %#x with fuel %d\n", c.Func, c.Args, c.Fuel)
	}
	b.sides[0].interval = tiny
	rewritten, _ := b.sides[0].rewrite(p.Module)
	for name, content := range map[string][]byte{
		"module.wasm": p.Module, "rewritten.wasm": rewritten, "calls.txt": []byte(calls.String()),
		"corpus": fmt.Appendf(nil, "go test fuzz v1\n[]byte(%q)\n", choices),
	} {
		if e := os.WriteFile(filepath.Join(dir, name), content, 0o644); e != nil {
			return e.Error()
		}
	}
	return fmt.Sprintf("made smaller: %v\nsee %s; its corpus belongs into testdata/fuzz/FuzzRewrite", err, dir)
}

// shrink makes choices shorter and simpler as long as they fail.
func shrink(choices []byte, fails func([]byte) bool) []byte {
	tries := 3000
	try := func(candidate []byte) bool {
		if tries <= 0 || !fails(candidate) {
			tries--
			return false
		}
		tries--
		choices = candidate
		return true
	}
	for size := len(choices); size > 0; size /= 2 {
		for at := 0; at+size <= len(choices); {
			if !try(slices.Delete(slices.Clone(choices), at, at+size)) {
				at += size
			}
		}
	}
	for size := len(choices); size > 0; size /= 2 {
		for at := 0; at+size <= len(choices); at += size {
			zeroed := slices.Clone(choices)
			clear(zeroed[at : at+size])
			if !slices.Equal(zeroed, choices) {
				try(zeroed)
			}
		}
	}
	return choices
}

// FuzzRewrite is TestDifferential for go test -fuzz.
func FuzzRewrite(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(choicesOf(seed))
	}
	b := newBench(f)
	f.Fuzz(func(t *testing.T, choices []byte) {
		if _, err := b.compare(choices); err != nil {
			t.Fatal(err)
		}
	})
}
