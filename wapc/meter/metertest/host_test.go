package metertest

import (
	"context"
	"fmt"

	"github.com/tetratelabs/wazero/api"

	"github.com/waxosuit/waxo/wapc/wasm"
	"github.com/waxosuit/waxo/wapc/wasm/wasmgen"
)

// host is what generated modules call: it remembers what it was told, and
// answers the same each time.
type host struct {
	log   []string
	calls uint64
}

// maxLog bounds what is remembered; what comes after is still counted.
const maxLog = 10_000

func (h *host) call(name string, stack []uint64) {
	h.calls++
	switch name {
	case "next":
		stack[0] = uint64(uint32(h.calls * 0x9e3779b1))
		return
	case "mix":
		stack[0], stack[1] = stack[0]*0x9e3779b97f4a7c15+h.calls, stack[1]&0xff
	case "fail":
		if uint32(stack[0])%16 == 0 {
			panic(fmt.Errorf("the host failed with %d", uint32(stack[0])))
		}
	}
	if len(h.log) < maxLog {
		h.log = append(h.log, fmt.Sprintf("%s %#x", name, stack))
	}
}

// provide puts the functions of the host into the side's engine.
func (s *side) provide() error {
	b := s.runtime.NewHostModuleBuilder(wasmgen.HostModule)
	for _, f := range wasmgen.HostFuncs {
		call := api.GoFunc(func(_ context.Context, stack []uint64) { s.host.call(f.Name, stack) })
		b.NewFunctionBuilder().WithGoFunction(call, apiTypes(f.Type.Params), apiTypes(f.Type.Results)).Export(f.Name)
	}
	_, err := b.Instantiate(s.ctx)
	return err
}

func apiTypes(types []wasm.ValType) []api.ValueType {
	list := make([]api.ValueType, len(types))
	for i, t := range types {
		list[i] = api.ValueType(t)
	}
	return list
}
