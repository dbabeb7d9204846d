//go:build linux

package bench

import (
	"os"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/wapc/wasm"
	"github.com/waxosuit/waxo/wascap"
)

// writeSmallGuest writes and signs a guest that was written by hand: it answers
// every operation with an HTTP response of status 200.
func writeSmallGuest(file string) error {
	const answer = "\x08\xc8\x01\x22\x03ok\n" // http.Response: 1 status_code, 4 body
	m := &wasm.Module{Memories: []wasm.Limits{{Min: 1}}}
	give := m.AddType(wasm.FuncType{Params: []wasm.ValType{wasm.I32, wasm.I32}})
	serve := m.AddType(wasm.FuncType{Params: []wasm.ValType{wasm.I32, wasm.I32}, Results: []wasm.ValType{wasm.I32}})
	m.Imports = []wasm.Import{{
		Module: "wapc", Name: "__guest_response",
		Type: wasm.ExternType{Kind: wasm.KindFunc, TypeIndex: give, Func: m.Types[give]},
	}}
	m.Funcs = []uint32{serve}
	m.Code = []wasm.Body{wasm.NewCode(2).I32(0).I32(int32(len(answer))).Call(0).I32(1).Body()}
	m.Data = []wasm.Data{{Offset: []byte{byte(wasm.OpI32Const), 0, byte(wasm.OpEnd)}, Init: []byte(answer)}}
	m.Exports = []wasm.Export{
		{Name: "memory", Kind: wasm.KindMemory},
		{Name: "__guest_call", Kind: wasm.KindFunc, Index: 1},
	}
	account, err := wascap.Generate(wascap.Account)
	if err != nil {
		return err
	}
	module, err := wascap.Generate(wascap.Module)
	if err != nil {
		return err
	}
	signed, err := wascap.Sign(m.Encode(), wascap.Claims{
		Subject: module.PublicKey().String(), Name: "small", Capabilities: []string{capability.HTTPServer},
	}, account, nil)
	if err != nil {
		return err
	}
	return os.WriteFile(file, signed, 0o644)
}
