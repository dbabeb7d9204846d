package wapc

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"
)

// EngineOptions configures an Engine.
type EngineOptions struct {
	// CacheDir is the directory in which compiled code is kept between runs,
	// keyed by content. It is made if it does not exist, and must be writable by
	// nobody who is not trusted with this process. Default: none, compiled code
	// is kept in memory only.
	CacheDir string
	// CacheLimit bounds what is kept in CacheDir, in bytes: beyond it, what was
	// not used for longest goes first. It may be exceeded while compiling is under
	// way. Several processes may share a directory. Negative: no bound. Default:
	// 512 MiB.
	CacheLimit int64
	// Interpreter runs guests in the interpreter: they start many times sooner
	// and run some twenty times slower. A module is refused that has a function
	// of which a call takes more than 32 KiB for its variables and operands: the
	// calls of a recursion could take too much memory. Default: machine code,
	// where the platform has it.
	Interpreter bool
	// InterpretFirst runs a guest in the interpreter while its machine code is
	// being compiled, unless that is in the cache: it answers many times sooner.
	// See Module.Compiled. What Interpreter refuses is not interpreted. Default:
	// Compile returns with machine code.
	InterpretFirst bool
	// Traced makes PoolOptions.Trace work. Guests run slower. Default: they do
	// not.
	Traced bool
}

// Engine compiles modules. It may be used from several goroutines at once.
type Engine struct {
	tier   Tier // the best that there is
	first  bool // interpret first
	traced bool
	config [tiers]wazero.RuntimeConfig
	disk   *diskCache // nil: compiled code is kept in memory only
	turns  *turns

	mu      sync.Mutex
	closed  bool
	modules map[*Module]struct{}
	codes   map[moduleKey]known // those that modules have
}

// known is what the engine need not find out again while a module has it.
type known struct {
	facts
	code *code
}

// compiles tells whether there is a compiler for this processor. Where there is
// none, wazero interprets without a word.
const compiles = runtime.GOARCH == "amd64" || runtime.GOARCH == "arm64"

// NewEngine returns an engine. Close releases it.
func NewEngine(opts *EngineOptions) (*Engine, error) {
	if opts == nil {
		opts = &EngineOptions{}
	}
	e := &Engine{
		tier:    TierCompiled,
		first:   opts.InterpretFirst,
		traced:  opts.Traced,
		turns:   newTurns(),
		modules: map[*Module]struct{}{},
		codes:   map[moduleKey]known{},
	}
	// Reading debug information takes longer than all else of a warm start. The
	// names of functions, which traps tell, come from the name section.
	e.config[TierInterpreted] = wazero.NewRuntimeConfigInterpreter().WithDebugInfoEnabled(false)
	e.config[TierCompiled] = wazero.NewRuntimeConfig().WithDebugInfoEnabled(false)
	if opts.Interpreter || !compiles {
		e.tier = TierInterpreted
		return e, nil // there is nothing to keep
	}
	if opts.CacheDir != "" {
		var err error
		if e.disk, err = newDiskCache(opts.CacheDir, opts.CacheLimit); err != nil {
			return nil, fmt.Errorf("wapc: open the cache of compiled code: %w", err)
		}
	}
	return e, nil
}

// Compile checks and compiles a module. Its errors are a *FormatError, an
// *ImportError, an *ExportError, ErrClosed, or ctx's.
func (e *Engine) Compile(ctx context.Context, module []byte) (*Module, error) {
	if e.isClosed() {
		return nil, ErrClosed
	}
	l := &loading{engine: e}
	if err := l.run(ctx, module); err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("wapc: compile: %w", ctx.Err())
		}
		return nil, err
	}
	m := newModule(l)
	if err := e.adopt(m); err != nil {
		return nil, errors.Join(err, m.Close(context.WithoutCancel(ctx)))
	}
	return m, nil
}

// loading is the way of a module's bytes to code that runs.
type loading struct {
	engine *Engine
	key    moduleKey
	facts  facts
	code   *code
	stats  CompileStats
	rest   *prepared // what is still to be compiled; nil: nothing
}

// run fills in the rest. Its errors are those of Compile.
func (l *loading) run(ctx context.Context, module []byte) (err error) {
	watch := stopwatch{time.Now()}
	l.key, err = keyOf(module, l.engine.traced)
	watch.lap(&l.stats.Hash)
	if err != nil {
		return &FormatError{err}
	}
	found := l.find(ctx)
	watch.lap(&l.stats.Lookup)
	if found {
		l.stats.Cached = true
		return nil
	}
	p, err := prepare(module, l.key, l.engine.traced)
	watch.lap(&l.stats.Prepare)
	if err != nil {
		return err
	}
	im := newImage(p.spans)
	defer im.drop()
	if l.engine.tier == TierInterpreted && p.deep != nil {
		return &FormatError{fmt.Errorf("it cannot be interpreted: %w", p.deep)}
	}
	if l.facts = p.facts; l.engine.tier == TierInterpreted || l.engine.first && p.deep == nil {
		l.code, err = build(ctx, p, im, l.engine.building(TierInterpreted))
		watch.lap(&l.stats.Interpret)
		if l.engine.tier == TierCompiled {
			l.rest = p
		}
	} else {
		l.code, err = l.engine.compile(ctx, l.key, p, im)
		watch.lap(&l.stats.Compile)
	}
	if err != nil {
		return &FormatError{err}
	}
	return nil
}

// find looks for code among that of other modules, and in the cache.
func (l *loading) find(ctx context.Context) bool {
	e := l.engine
	e.mu.Lock()
	k, ok := e.codes[l.key]
	ok = ok && k.code.take()
	e.mu.Unlock()
	if ok {
		l.facts, l.code = k.facts, k.code
		return true
	}
	if e.disk == nil {
		return false
	}
	var err error
	l.code, l.facts, err = e.disk.load(ctx, l.key, e.building(TierCompiled))
	return err == nil
}

func (e *Engine) building(t Tier) building {
	return building{tier: t, config: e.config[t], traced: e.traced}
}

// compile has the engine make machine code, and keeps it in the cache.
func (e *Engine) compile(ctx context.Context, key moduleKey, p *prepared, im *image) (*code, error) {
	b := e.building(TierCompiled)
	if e.disk == nil {
		return build(ctx, p, im, b)
	}
	s, cache := e.disk.begin(key, b.config)
	if s == nil {
		return build(ctx, p, im, b)
	}
	kept := b
	kept.cache = cache
	c, err := build(ctx, p, im, kept)
	if err == nil {
		s.keep(p)
		return c, nil
	}
	s.abandon()
	if ctx.Err() != nil {
		return nil, err
	}
	// A full disk must not keep a good module from running.
	return build(ctx, p, im, b)
}

// know keeps in mind that there is code for a module, until that is released.
// The caller uses the code.
func (e *Engine) know(key moduleKey, f facts, c *code) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.codes[key].code == c {
		return
	}
	e.codes[key] = known{f, c}
	c.released = func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.codes[key].code == c {
			delete(e.codes, key)
		}
	}
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
		e.disk.trim() // what other processes have left, too
		e.disk.close()
	}
	e.turns.close()
	return errors.Join(errs...)
}
