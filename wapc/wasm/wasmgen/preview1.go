package wasmgen

import "github.com/waxosuit/waxo/wapc/wasm"

func (g *generator) importPreview1()                                                     {}
func (g *generator) exportProtocol(define func(name string, t wasm.FuncType, code *asm)) {}
func (f *body) callPreview1(i uint32, callee *function)                                  {}
