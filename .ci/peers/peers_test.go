// Package peers measures other ways to call a guest from Go: the same echo, with
// deadlines. It is apart from the rest for what it needs: cgo, and 200 MB.
//
//	cd .ci/peers && go test -bench .
package peers

import (
	"context"
	_ "embed"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/bytecodealliance/wasmtime-go/v39"
	extism "github.com/extism/go-sdk"

	"github.com/waxosuit/waxo/wapc"
)

//go:embed extism.wasm
var extismEcho []byte

// echo reads the guest that the benchmarks of package wapc call.
func echo(b *testing.B) []byte {
	module, err := os.ReadFile("../../wapc/testdata/echo.wasm")
	if err != nil {
		b.Fatal(err)
	}
	return module
}

// call is an echo of one of the peers.
type call func(payload []byte) ([]byte, error)

// BenchmarkPeers measures calls with 64 bytes, and how many times waxo's cost
// the others' is. They take turns, and good times are compared (one in ten is
// better).
func BenchmarkPeers(b *testing.B) {
	const turn = 20
	payload := make([]byte, 64)
	calls := []call{newWaxo(b), newExtism(b), newWasmtime(b)}
	times := make([][]time.Duration, len(calls))
	for b.Loop() {
		for i, call := range calls {
			begin := time.Now()
			for range turn {
				if out, err := call(payload); err != nil || len(out) != len(payload) {
					b.Fatalf("%d bytes, %v", len(out), err)
				}
			}
			times[i] = append(times[i], time.Since(begin))
		}
	}
	good := func(i int) float64 {
		slices.Sort(times[i])
		return float64(times[i][len(times[i])/10]) / turn
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(good(0), "ns/call")
	b.ReportMetric(good(1)/good(0), "x-extism")
	b.ReportMetric(good(2)/good(0), "x-wasmtime")
}

func newWaxo(b *testing.B) call {
	ctx := context.Background()
	e, err := wapc.NewEngine(nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = e.Close(ctx) })
	m, err := e.Compile(ctx, echo(b))
	if err != nil {
		b.Fatal(err)
	}
	p, err := m.NewPool(nil)
	if err != nil {
		b.Fatal(err)
	}
	return func(payload []byte) ([]byte, error) { return p.Call(ctx, "echo", payload) }
}

// newExtism has a guest that copies nothing.
func newExtism(b *testing.B) call {
	ctx := context.Background()
	p, err := extism.NewPlugin(ctx, extism.Manifest{
		Wasm:    []extism.Wasm{extism.WasmData{Data: extismEcho}},
		Timeout: uint64(time.Minute.Milliseconds()),
	}, extism.PluginConfig{}, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = p.Close(ctx) })
	return func(payload []byte) ([]byte, error) {
		_, out, err := p.CallWithContext(ctx, "echo", payload)
		return out, err
	}
}

// newWasmtime bounds calls by epochs, the cheapest way that there is.
func newWasmtime(b *testing.B) call {
	cfg := wasmtime.NewConfig()
	cfg.SetEpochInterruption(true)
	e := wasmtime.NewEngineWithConfig(cfg)
	m, err := wasmtime.NewModule(e, echo(b))
	if err != nil {
		b.Fatal(err)
	}
	s := wasmtime.NewStore(e)
	l := wasmtime.NewLinker(e)
	s.SetEpochDeadline(1)
	var request, response []byte
	var memory *wasmtime.Memory
	const operation = "echo"
	for name, f := range map[string]any{
		"__guest_request": func(op, at int32) {
			data := memory.UnsafeData(s)
			copy(data[op:], operation)
			copy(data[at:], request)
		},
		"__guest_response": func(at, size int32) {
			response = append([]byte(nil), memory.UnsafeData(s)[at:at+size]...)
		},
		"__host_call":         func(_, _, _, _, _, _, _, _ int32) int32 { return 0 },
		"__host_response_len": func() int32 { return 0 },
		"__host_response":     func(int32) {},
	} {
		if err := l.FuncWrap("wapc", name, f); err != nil {
			b.Fatal(err)
		}
	}
	in, err := l.Instantiate(s, m)
	if err != nil {
		b.Fatal(err)
	}
	memory = in.GetExport(s, "memory").Memory()
	call := in.GetFunc(s, "__guest_call")
	return func(payload []byte) ([]byte, error) {
		request = payload
		s.SetEpochDeadline(1)
		_, err := call.Call(s, int32(len(operation)), int32(len(payload)))
		return response, err
	}
}
