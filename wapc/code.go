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

// code is what instances of a module run. It is counted who uses it: each
// module that has it, and each instance from its start to its end. The last one
// releases it.
type code struct {
	tier     Tier
	image    *image // what an instance's memory holds at the start
	cache    wazero.CompilationCache
	runtime  wazero.Runtime
	compiled wazero.CompiledModule

	released func() // is told of the end; nil: nobody
	users    atomic.Int64
}

// building says how code is built.
type building struct {
	tier   Tier
	config wazero.RuntimeConfig
	cache  wazero.CompilationCache // nil: none; else the code's own from now on
	traced bool
}

// build has the engine compile a module, or, where there is its skeleton alone,
// find its machine code in the cache. Each has a runtime of its own: modules
// that use different forms of __host_call must not meet in one. The code has
// one user.
func build(ctx context.Context, p *prepared, im *image, b building) (c *code, err error) {
	c = &code{tier: b.tier, image: im.take(), cache: b.cache}
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
	config := b.config
	if b.cache != nil {
		config = config.WithCompilationCache(b.cache)
	}
	// With one worker the engine would not look at the context.
	ctx = experimental.WithCompilationWorkers(ctx, max(2, runtime.GOMAXPROCS(0)))
	c.runtime = wazero.NewRuntimeWithConfig(ctx, config)
	for _, host := range []wazero.HostModuleBuilder{hostModule(c.runtime, p.facts, b.traced), meterModule(c.runtime)} {
		if _, err = host.Instantiate(ctx); err != nil {
			return c, err
		}
	}
	if p.code == nil {
		c.compiled, err = c.runtime.CompileModule(ended(ctx), p.skeleton)
	} else {
		c.compiled, err = c.runtime.CompileModule(ctx, p.code)
	}
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

// drop ends what take or build began.
func (c *code) drop(ctx context.Context) error {
	if c == nil || c.users.Add(-1) > 0 {
		return nil
	}
	var errs []error
	if c.runtime != nil {
		errs = append(errs, c.runtime.Close(ctx))
	}
	for _, part := range []api.Closer{c.compiled, c.cache} {
		if part != nil {
			errs = append(errs, part.Close(ctx))
		}
	}
	c.image.drop()
	if c.released != nil {
		c.released()
	}
	return errors.Join(errs...)
}
