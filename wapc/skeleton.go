package wapc

import (
	"context"

	"github.com/waxosuit/waxo/wapc/wasm"
)

// Where the engine finds a module's machine code in its cache, it has decoded
// and validated the module all the same, every function of it: most of a warm
// start. So it is given a skeleton: the same module with nothing in its
// functions. What the engine keeps of a module besides the machine code - types,
// imports, exports, globals, tables, names - is the same in both, and the
// machine code is put where the engine looks for the skeleton's.
//
// A skeleton that was compiled for itself would do nothing but trap. So it is
// given to the engine with a context that has ended: the engine takes machine
// code that is there, and makes none.

// skeletonSection names a custom section with the key of the module that a
// skeleton stands for: no two modules may have the same skeleton.
const skeletonSection = "waxo.of"

// skeletonOf returns the skeleton of a module. "unreachable end" is a function
// of any type.
func skeletonOf(m *wasm.Module, key moduleKey) []byte {
	skeleton := *m
	skeleton.Code = make([]wasm.Body, len(m.Code))
	for i := range skeleton.Code {
		skeleton.Code[i].Code = []byte{byte(wasm.OpUnreachable), byte(wasm.OpEnd)}
	}
	skeleton.Customs = append([]wasm.Custom{{Name: skeletonSection, Content: key[:]}}, m.Customs...)
	return skeleton.Encode()
}

// ended returns a context that has ended, with ctx's values.
func ended(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	return ctx
}
