package wapc

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
)

// Module is a compiled module. It may be used from several goroutines at once.
type Module struct {
	engine    *Engine
	name      string // its own, as traps tell it
	imports   []string
	memoryMin int64 // bytes

	code atomic.Pointer[code] // nil: closed

	mu     sync.Mutex
	closed bool
	pools  map[*Pool]struct{}
}

func newModule(e *Engine, i *inspection, c *code) *Module {
	m := &Module{engine: e, name: c.compiled.Name(), imports: i.imports, memoryMin: i.memoryMin, pools: map[*Pool]struct{}{}}
	m.code.Store(c)
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

// Close closes the module's pools as Pool.Close does, and releases its code.
// It may be called twice.
func (m *Module) Close(ctx context.Context) error {
	m.mu.Lock()
	first := !m.closed
	m.closed = true
	pools := make([]*Pool, 0, len(m.pools))
	for p := range m.pools {
		pools = append(pools, p)
	}
	m.mu.Unlock()
	var errs []error
	for _, p := range pools {
		errs = append(errs, p.Close(ctx))
	}
	if first {
		errs = append(errs, m.code.Swap(nil).drop(ctx))
		m.engine.mu.Lock()
		delete(m.engine.modules, m)
		m.engine.mu.Unlock()
	}
	return errors.Join(errs...)
}

func (m *Module) forget(p *Pool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.pools, p)
}
