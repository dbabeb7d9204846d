package wapc

import (
	"context"
	"fmt"
	"time"
)

// Tier is what runs a guest.
type Tier int

// The tiers, from the one that is ready first to the one that runs fastest.
const (
	TierInterpreted Tier = iota
	TierCompiled
	tiers int = iota
)

func (t Tier) String() string {
	if t == TierInterpreted {
		return "interpreted"
	}
	return "compiled"
}

// CompileStats tells where the time of Engine.Compile went. What was not done
// is zero.
type CompileStats struct {
	Hash      time.Duration // naming the module by its content
	Lookup    time.Duration // looking for machine code, and loading it
	Prepare   time.Duration // decoding, checking and changing the module
	Interpret time.Duration // making it ready for the interpreter
	Compile   time.Duration // compiling it to machine code, after Compile returned where it is interpreted first
	Cached    bool          // the machine code was there already
}

// stopwatch measures one thing after the other.
type stopwatch struct{ last time.Time }

func (w *stopwatch) lap(d *time.Duration) {
	now := time.Now()
	*d, w.last = now.Sub(w.last), now
}

// Tier tells what runs in new instances.
func (m *Module) Tier() Tier {
	if c := m.code.Load(); c != nil {
		return c.tier
	}
	return m.engine.tier
}

// CompileStats tells what it took to get here.
func (m *Module) CompileStats() CompileStats {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stats
}

// Compiled waits until compiling in the background has come to its end. If it
// failed, the module stays interpreted, and the error tells why; it is ErrClosed
// if the module was closed before, and wraps ctx's if that ended. Where nothing
// is compiled in the background it returns nil at once.
func (m *Module) Compiled(ctx context.Context) error {
	select {
	case <-m.settled:
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.unsettled
	case <-ctx.Done():
		return fmt.Errorf("wapc: wait for machine code: %w", ctx.Err())
	}
}

// promote compiles the rest of a module and lets its pools go over to it.
func (m *Module) promote(ctx context.Context, l *loading, im *image) {
	defer close(m.settled)
	defer im.drop()
	watch := stopwatch{time.Now()}
	c, err := m.engine.compile(ctx, l.key, l.rest, im)
	var took time.Duration
	watch.lap(&took)
	if err == nil {
		m.engine.know(l.key, l.facts, c)
	}
	m.mu.Lock()
	if m.closed {
		m.unsettled = ErrClosed
		m.mu.Unlock()
		if err == nil {
			_ = c.drop(context.Background())
		}
		return
	}
	if err != nil {
		m.unsettled = fmt.Errorf("wapc: compile to machine code: %w", err)
		m.mu.Unlock()
		return
	}
	m.stats.Compile = took
	old := m.code.Swap(c)
	pools := m.poolList()
	m.mu.Unlock()
	for _, p := range pools {
		p.upgrade()
	}
	_ = old.drop(context.Background())
}
