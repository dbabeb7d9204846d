package wapc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// EngineOptions configures an Engine.
type EngineOptions struct {
	// CacheDir is the directory in which compiled code is kept between runs,
	// keyed by content. It is made if it does not exist, and must be writable by
	// nobody who is not trusted with this process. Default: none, compiled code
	// is kept in memory only.
	CacheDir string
	// CacheLimit bounds the files in CacheDir, in bytes: beyond it, the oldest go
	// first. They may exceed it while compiling is under way. Several processes
	// may share a directory. Negative: no bound. Default: 512 MiB.
	CacheLimit int64
	// Interpreter runs guests in the interpreter: they start many times sooner
	// and run some twenty times slower. Default: machine code, where the
	// platform has it.
	Interpreter bool
}

// Engine compiles modules. It may be used from several goroutines at once.
type Engine struct {
	config wazero.RuntimeConfig // without a cache
	cache  wazero.CompilationCache
	disk   *diskCache // nil: compiled code is kept in memory only

	mu      sync.Mutex
	closed  bool
	modules map[*Module]struct{}
}

// NewEngine returns an engine. Close releases it.
func NewEngine(opts *EngineOptions) (*Engine, error) {
	if opts == nil {
		opts = &EngineOptions{}
	}
	config := wazero.NewRuntimeConfig()
	if opts.Interpreter {
		config = wazero.NewRuntimeConfigInterpreter()
	}
	// Reading debug information takes longer than all else of a warm start. The
	// names of functions, which traps tell, come from the name section.
	config = config.WithDebugInfoEnabled(false)
	e := &Engine{config: config, modules: map[*Module]struct{}{}}
	if opts.CacheDir == "" {
		e.cache = wazero.NewCompilationCache()
		return e, nil
	}
	cache, err := wazero.NewCompilationCacheWithDir(opts.CacheDir)
	if err != nil {
		return nil, fmt.Errorf("wapc: open the cache of compiled code: %w", err)
	}
	e.cache, e.disk = cache, &diskCache{dir: opts.CacheDir, limit: cmp.Or(opts.CacheLimit, defaultCacheLimit)}
	e.disk.trim() // what other processes have left
	return e, nil
}

// Compile checks and compiles a module. Its errors are a *FormatError, an
// *ImportError, an *ExportError, ErrClosed, or ctx's.
func (e *Engine) Compile(ctx context.Context, module []byte) (*Module, error) {
	i, err := inspect(module)
	if err != nil {
		return nil, err
	}
	if e.isClosed() {
		return nil, ErrClosed
	}
	m, err := e.build(ctx, i, e.config.WithCompilationCache(e.cache))
	if err != nil && e.disk != nil && ctx.Err() == nil {
		// A damaged file in the cache must not keep a good module from running.
		m, err = e.build(ctx, i, e.config)
	}
	if err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("wapc: compile: %w", ctx.Err())
		}
		return nil, &FormatError{err}
	}
	m.engine, m.imports, m.memoryMin = e, i.imports, i.memoryMin
	if e.disk != nil {
		e.disk.trim()
	}
	if err := e.adopt(m); err != nil {
		return nil, errors.Join(err, m.release(context.WithoutCancel(ctx)))
	}
	return m, nil
}

// build compiles the module and the host functions that it imports. Each module
// has a runtime of its own: modules that use different forms of __host_call
// must not meet in one.
func (e *Engine) build(ctx context.Context, i *inspection, config wazero.RuntimeConfig) (m *Module, err error) {
	ctx = experimental.WithCompilationWorkers(ctx, runtime.GOMAXPROCS(0))
	m = &Module{pools: map[*Pool]struct{}{}, runtime: wazero.NewRuntimeWithConfig(ctx, config)}
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the compiler failed: %v", v)
		}
		if err != nil {
			err = errors.Join(err, m.release(context.WithoutCancel(ctx)))
			m = nil
		}
	}()
	if m.hostCode, err = hostModule(m.runtime, i.form).Compile(ctx); err != nil {
		return m, err
	}
	if _, err = m.runtime.InstantiateModule(ctx, m.hostCode, wazero.NewModuleConfig().WithName(importModule)); err != nil {
		return m, err
	}
	if _, err = meterModule(m.runtime).Instantiate(ctx); err != nil {
		return m, err
	}
	m.compiled, err = m.runtime.CompileModule(ctx, i.code)
	return m, err
}

// adopt makes the engine responsible for m.
func (e *Engine) adopt(m *Module) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return ErrClosed
	}
	e.modules[m] = struct{}{}
	return nil
}

func (e *Engine) isClosed() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.closed
}

// Close closes all modules of the engine and their pools, as Module.Close does.
// It may be called twice.
func (e *Engine) Close(ctx context.Context) error {
	e.mu.Lock()
	e.closed = true
	modules := make([]*Module, 0, len(e.modules))
	for m := range e.modules {
		modules = append(modules, m)
	}
	e.mu.Unlock()
	var errs []error
	for _, m := range modules {
		errs = append(errs, m.Close(ctx))
	}
	if e.disk != nil {
		e.disk.wait()
	}
	return errors.Join(append(errs, e.cache.Close(ctx))...)
}

// Module is a compiled module. It may be used from several goroutines at once.
type Module struct {
	engine    *Engine
	runtime   wazero.Runtime
	hostCode  wazero.CompiledModule
	compiled  wazero.CompiledModule
	imports   []string
	memoryMin int64 // bytes

	mu     sync.Mutex
	closed bool
	pools  map[*Pool]struct{}
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
		errs = append(errs, m.release(ctx))
		m.engine.mu.Lock()
		delete(m.engine.modules, m)
		m.engine.mu.Unlock()
	}
	return errors.Join(errs...)
}

// release gives back the runtime and the code. Closing a runtime leaves code in
// a shared cache: that is released by itself.
func (m *Module) release(ctx context.Context) error {
	errs := []error{m.runtime.Close(ctx)}
	for _, c := range []api.Closer{m.compiled, m.hostCode} {
		if c != nil {
			errs = append(errs, c.Close(ctx))
		}
	}
	return errors.Join(errs...)
}

func (m *Module) forget(p *Pool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.pools, p)
}
