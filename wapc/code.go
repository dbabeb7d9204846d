package wapc

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// code is what a module's instances run. It is counted who uses it: the module
// while it is the best that there is, and each instance from its start to its
// end. The last one releases it.
type code struct {
	runtime  wazero.Runtime
	hostCode wazero.CompiledModule
	compiled wazero.CompiledModule

	users atomic.Int64
}

// build compiles the module and the host functions that it imports. Each module
// has a runtime of its own: modules that use different forms of __host_call
// must not meet in one. The code that it returns has one user.
func build(ctx context.Context, i *inspection, config wazero.RuntimeConfig) (c *code, err error) {
	ctx = experimental.WithCompilationWorkers(ctx, runtime.GOMAXPROCS(0))
	c = &code{runtime: wazero.NewRuntimeWithConfig(ctx, config)}
	c.users.Store(1)
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the compiler failed: %v", v)
		}
		if err != nil {
			err = errors.Join(err, c.drop(context.WithoutCancel(ctx)))
			c = nil
		}
	}()
	if c.hostCode, err = hostModule(c.runtime, i.form).Compile(ctx); err != nil {
		return c, err
	}
	if _, err = c.runtime.InstantiateModule(ctx, c.hostCode, wazero.NewModuleConfig().WithName(importModule)); err != nil {
		return c, err
	}
	if _, err = meterModule(c.runtime).Instantiate(ctx); err != nil {
		return c, err
	}
	c.compiled, err = c.runtime.CompileModule(ctx, i.code)
	return c, err
}

// take makes the caller a user of the code. It fails when the code has none any
// more.
func (c *code) take() bool {
	for {
		n := c.users.Load()
		if n == 0 {
			return false
		}
		if c.users.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// drop ends what take or build began. Closing a runtime leaves code in a shared
// cache: that is released by itself.
func (c *code) drop(ctx context.Context) error {
	if c.users.Add(-1) > 0 {
		return nil
	}
	errs := []error{c.runtime.Close(ctx)}
	for _, part := range []api.Closer{c.compiled, c.hostCode} {
		if part != nil {
			errs = append(errs, part.Close(ctx))
		}
	}
	return errors.Join(errs...)
}
