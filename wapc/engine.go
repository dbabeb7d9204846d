package wapc

import "context"

// EngineOptions configures an Engine.
type EngineOptions struct {
	// CacheDir is the directory in which compiled code is kept between runs,
	// keyed by content. It is made if it does not exist, and must be writable by
	// nobody who is not trusted with this process. Default: none, compiled code
	// is kept in memory only.
	CacheDir string
	// Interpreter runs guests in the interpreter: they start many times sooner
	// and run some twenty times slower. Default: machine code, where the
	// platform has it.
	Interpreter bool
}

// Engine compiles modules. It may be used from several goroutines at once.
type Engine struct{}

// NewEngine returns an engine. Close releases it.
func NewEngine(opts *EngineOptions) (*Engine, error) { panic("not written yet") }

// Compile checks and compiles a module. Its errors are a *FormatError, an
// *ImportError, an *ExportError, ErrClosed, or ctx's.
func (e *Engine) Compile(ctx context.Context, module []byte) (*Module, error) {
	panic("not written yet")
}

// Close closes all modules of the engine and their pools. It may be called
// twice.
func (e *Engine) Close(ctx context.Context) error { panic("not written yet") }

// Module is a compiled module. It may be used from several goroutines at once.
type Module struct{}

// Imports lists what the module imports, in its order: "wapc.__host_call".
func (m *Module) Imports() []string { panic("not written yet") }

// NewPool returns a pool of instances of the module. It starts none: Warm does.
// Its errors are ErrClosed, and a *MemoryError if the module needs more memory
// from the start than the limit allows.
func (m *Module) NewPool(opts *PoolOptions) (*Pool, error) { panic("not written yet") }

// Close closes the module's pools as Pool.Close does, and releases its code.
// It may be called twice.
func (m *Module) Close(ctx context.Context) error { panic("not written yet") }
