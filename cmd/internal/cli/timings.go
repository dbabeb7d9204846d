package cli

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/waxosuit/waxo/devhost"
	"github.com/waxosuit/waxo/wapc"
)

// timings measures the steps from the begin of the process to serving.
type timings struct {
	begun  time.Time
	phases []devhost.Phase
}

// phase begins a step; what it returns ends it.
func (t *timings) phase(name string) (ended func()) {
	begun := time.Now()
	return func() { t.phases = append(t.phases, devhost.Phase{Name: name, Took: time.Since(begun)}) }
}

// log says where the time went until the guest g was served.
func (t *timings) log(log *slog.Logger, g *devhost.Guest) {
	total := time.Since(t.begun)
	tier := g.Tier()
	attrs := []any{"tier", tier.String()}
	for _, p := range devhost.Detail(t.phases, g.CompileStats(), tier) {
		attrs = append(attrs, p.Name+"_ms", millis(p.Took))
	}
	log.Info("started", append(attrs, "total_ms", millis(total))...)
}

// millis gives milliseconds with three decimals: a number, in JSON too.
func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// follow tells when compiled code takes over from the interpreter, which ends
// with the guest.
func follow(ctx context.Context, log *slog.Logger, g *devhost.Guest, begun time.Time) {
	switch err := g.Compiled(context.WithoutCancel(ctx)); {
	case err == nil:
		log.Info("compiled code runs the guest", "after_ms", millis(time.Since(begun)))
	case !errors.Is(err, wapc.ErrClosed):
		log.Warn("the guest stays interpreted, and slow", "reason", err)
	}
}
