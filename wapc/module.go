package wapc

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
)

// Module is a compiled module. It may be used from several goroutines at once.
type Module struct {
	engine    *Engine
	name      string // its own, as traps tell it
	imports   []string
	memoryMin int64                // bytes
	code      atomic.Pointer[code] // nil: closed

	cancel  context.CancelFunc // ends compiling in the background
	settled chan struct{}      // closed when nothing more is compiled

	mu        sync.Mutex
	closed    bool
	pools     map[*Pool]struct{}
	stats     CompileStats
	unsettled error // why there is no machine code
}

// newModule takes the code over that loading has found, and begins to compile
// in the background what is still to be compiled.
func newModule(l *loading) *Module {
	m := &Module{
		engine:    l.engine,
		name:      l.code.compiled.Name(),
		imports:   l.facts.Imports,
		memoryMin: l.facts.MemoryMin,
		cancel:    func() {},
		settled:   make(chan struct{}),
		pools:     map[*Pool]struct{}{},
		stats:     l.stats,
	}
	m.code.Store(l.code)
	if l.rest == nil {
		l.engine.know(l.key, l.facts, l.code)
		close(m.settled)
		return m
	}
	ctx, cancel := context.WithCancel(context.Background())
	m.cancel = cancel
	go m.promote(ctx, l, l.code.image.take())
	return m
}

// best returns the code that new instances run. Its caller is a user of it and
// drops it in the end. Nil: the module is closed.
func (m *Module) best() *code {
	for {
		c := m.code.Load()
		if c == nil || c.take() {
			return c
		}
	}
}

// Imports lists what the module imports, in its order: "wapc.__host_call".
func (m *Module) Imports() []string { return append([]string(nil), m.imports...) }

// NewPool returns a pool of instances of the module. It starts none: Warm does.
// Its errors are ErrClosed, and a *MemoryError if the module needs more memory
// from the start than the limit allows.
func (m *Module) NewPool(opts *PoolOptions) (*Pool, error) {
	p := newPool(m, opts)
	if m.memoryMin > p.opts.MemoryLimit {
		return nil, &MemoryError{Limit: p.opts.MemoryLimit, Wanted: m.memoryMin}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, ErrClosed
	}
	m.pools[p] = struct{}{}
	go p.sweep()
	return p, nil
}

// Close ends compiling in the background, closes the module's pools as
// Pool.Close does, and releases its code. It may be called twice.
func (m *Module) Close(ctx context.Context) error {
	m.mu.Lock()
	first := !m.closed
	m.closed = true
	pools := m.poolList()
	m.mu.Unlock()
	m.cancel()
	var errs []error
	for _, p := range pools {
		errs = append(errs, p.Close(ctx))
	}
	select {
	case <-m.settled:
	default:
		select {
		case <-m.settled:
		case <-ctx.Done():
			errs = append(errs, fmt.Errorf("wapc: close: it still compiles: %w", ctx.Err()))
		}
	}
	if first {
		errs = append(errs, m.code.Swap(nil).drop(ctx))
		m.engine.mu.Lock()
		delete(m.engine.modules, m)
		m.engine.mu.Unlock()
	}
	return errors.Join(errs...)
}

// poolList lists the pools. The caller holds mu.
func (m *Module) poolList() []*Pool { return slices.Collect(maps.Keys(m.pools)) }

func (m *Module) forget(p *Pool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.pools, p)
}
