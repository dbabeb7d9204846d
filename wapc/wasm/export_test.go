package wasm

// NextFuncRef is nextFuncRef, for the tests that compare it with Next.
func (r *Reader) NextFuncRef() (Instr, bool) { return r.nextFuncRef() }
