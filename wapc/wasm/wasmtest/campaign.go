package wasmtest

import (
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

	"github.com/waxosuit/waxo/wapc/wasm/wasmgen"
)

// Choices makes the bytes of a seed, from which a program is generated.
func Choices(seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 0x77617870))
	b := make([]byte, 40+r.IntN(1<<(5+r.IntN(8))))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// Campaign compares many programs.
type Campaign struct {
	// Generate says what programs are generated.
	Generate wasmgen.Options
	// First is the seed of the first program; the others follow.
	First uint64
	// Count is how many programs are compared, unless there is a Duration.
	Count uint64
	// Duration is for how long programs are compared.
	Duration time.Duration
	// Rewrite is how the program is saved beside what it was, when they differ.
	Rewrite Rewrite
}

// Compare runs a program in several ways. It returns outcomes to be counted,
// and how they differ. The choices are those that it was made from.
type Compare func(p *wasmgen.Program, choices []byte) ([]*Outcome, error)

// Run runs the campaign, on all cores: newCompare is called for each. It
// returns how many calls ended how, and under "programs", how many programs
// there were.
func (c *Campaign) Run(t *testing.T, newCompare func() Compare) map[string]int {
	t.Helper()
	var (
		wg    sync.WaitGroup
		next  atomic.Uint64
		mu    sync.Mutex // guards ends
		ends  = map[string]int{}
		start = time.Now()
	)
	for range runtime.GOMAXPROCS(0) {
		compare := newCompare()
		wg.Go(func() {
			for !t.Failed() {
				n := next.Add(1) - 1
				if c.Duration == 0 && n >= c.Count || c.Duration != 0 && time.Since(start) > c.Duration {
					return
				}
				choices := Choices(c.First + n)
				outcomes, err := compare(wasmgen.Generate(choices, &c.Generate), choices)
				if err != nil {
					t.Errorf("seed %d: %v\n%s", c.First+n, err, c.report(choices, compare))
					return
				}
				mu.Lock()
				for _, o := range outcomes {
					for end, n := range o.Ends {
						ends[end] += n
					}
				}
				ends["programs"]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	lines := []string{time.Since(start).Round(time.Millisecond).String()}
	for _, end := range slices.Sorted(maps.Keys(ends)) {
		lines = append(lines, fmt.Sprintf("%7d %s", ends[end], end))
	}
	t.Log(strings.Join(lines, "\n"))
	return ends
}

// report makes the choices of a difference as few as it can, saves what comes
// of them, and tells where.
func (c *Campaign) report(choices []byte, compare Compare) string {
	differs := func(choices []byte) error {
		_, err := compare(wasmgen.Generate(choices, &c.Generate), choices)
		return err
	}
	choices = shrink(choices, func(choices []byte) bool { return differs(choices) != nil })
	dir, err := os.MkdirTemp("", "waxo-difference-")
	if err != nil {
		return fmt.Sprintf("made smaller, but not saved: %v: %x", err, choices)
	}
	p := wasmgen.Generate(choices, &c.Generate)
	rewritten, _ := c.Rewrite(p.Module) // nothing where that is what failed
	var calls strings.Builder
	for _, call := range p.Calls {
		fmt.Fprintf(&calls, "%s %#x with fuel %d\n", call.Func, call.Args, call.Fuel)
	}
	for name, content := range map[string][]byte{
		"module.wasm": p.Module, "rewritten.wasm": rewritten, "calls.txt": []byte(calls.String()),
		"corpus": fmt.Appendf(nil, "go test fuzz v1\n[]byte(%q)\n", choices),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return err.Error()
		}
	}
	return fmt.Sprintf("made smaller: %v\nsaved in %s; the corpus there is for testdata/fuzz", differs(choices), dir)
}

// shrinkTime bounds how long a failure is made smaller.
const shrinkTime = 20 * time.Second

// shrink makes choices fewer and simpler as long as they fail.
func shrink(choices []byte, fails func([]byte) bool) []byte {
	start := time.Now()
	try := func(candidate []byte) bool {
		if time.Since(start) > shrinkTime || !fails(candidate) {
			return false
		}
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
			simpler := slices.Clone(choices)
			clear(simpler[at : at+size])
			if !slices.Equal(simpler, choices) {
				try(simpler)
			}
		}
	}
	return choices
}
