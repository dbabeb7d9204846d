package devhost

import (
	"context"
	"slices"
	"time"

	"github.com/waxosuit/waxo/wapc"
)

// Phase is one step of what makes a guest serve, and how long it took.
type Phase struct {
	Name string        `json:"name"`
	Took time.Duration `json:"took_ns"`
}

// phaseCompile is the phase of Prepare that CompileStats take apart.
const phaseCompile = "compile"

// Detail puts what the time to compile was spent on in the place of the phase
// that stands for all of it.
func Detail(phases []Phase, stats wapc.CompileStats, tier wapc.Tier) []Phase {
	i := slices.IndexFunc(phases, func(p Phase) bool { return p.Name == phaseCompile })
	if i < 0 {
		return phases
	}
	detail := []Phase{{"hash", stats.Hash}, {"cache", stats.Lookup}, {"prepare", stats.Prepare}, {"interpret", stats.Interpret}}
	if tier == wapc.TierCompiled {
		detail = append(detail, Phase{phaseCompile, stats.Compile})
	}
	detail = slices.DeleteFunc(detail, func(p Phase) bool { return p.Took == 0 })
	return slices.Concat(phases[:i], detail, phases[i+1:])
}

// Tier tells what runs the guest's calls now.
func (g *Guest) Tier() wapc.Tier { return g.module.Tier() }

// CompileStats tells what compiling has cost.
func (g *Guest) CompileStats() wapc.CompileStats { return g.module.CompileStats() }

// Compiled waits until compiled code runs the guest. Its errors are those of
// wapc.Module.Compiled.
func (g *Guest) Compiled(ctx context.Context) error { return g.module.Compiled(ctx) }
