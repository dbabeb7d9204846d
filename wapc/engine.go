package wapc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/tetratelabs/wazero"
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
	turns  *turns

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
	e := &Engine{config: config, turns: newTurns(), modules: map[*Module]struct{}{}}
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
	c, err := build(ctx, i, e.config.WithCompilationCache(e.cache))
	if err != nil && e.disk != nil && ctx.Err() == nil {
		// A damaged file in the cache must not keep a good module from running.
		c, err = build(ctx, i, e.config)
	}
	if err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("wapc: compile: %w", ctx.Err())
		}
		return nil, &FormatError{err}
	}
	if e.disk != nil {
		e.disk.trim()
	}
	m := newModule(e, i, c)
	if err := e.adopt(m); err != nil {
		return nil, errors.Join(err, c.drop(context.WithoutCancel(ctx)))
	}
	return m, nil
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
	e.turns.close()
	return errors.Join(append(errs, e.cache.Close(ctx))...)
}
