package wapc_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/waxosuit/waxo/wapc"
)

// answering is a Host that answers with what it was given.
type answering struct{}

func (answering) HostCall(_ context.Context, c wapc.HostCall) ([]byte, error) {
	return append(c.Into, c.Payload...), nil
}
func (answering) ConsoleLog(context.Context, string) {}

// bare is the least that one can do with the engine: one instance, one call at
// a time, the request and the response where they are.
type bare struct {
	call            api.Function
	stack           [2]uint64
	operation       string
	payload, answer []byte
	response        []byte
}

// newBare returns a guest on the bare engine.
func newBare(b *testing.B, module []byte, config wazero.RuntimeConfig) *bare {
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, config)
	b.Cleanup(func() { _ = r.Close(ctx) })
	g := &bare{}
	i32 := []api.ValueType{api.ValueTypeI32, api.ValueTypeI32, api.ValueTypeI32, api.ValueTypeI32,
		api.ValueTypeI32, api.ValueTypeI32, api.ValueTypeI32, api.ValueTypeI32}
	host := r.NewHostModuleBuilder("wapc")
	add := func(name string, params, results int, f api.GoModuleFunc) {
		host.NewFunctionBuilder().WithGoModuleFunction(f, i32[:params], i32[:results]).Export(name)
	}
	add("__guest_request", 2, 0, func(_ context.Context, m api.Module, s []uint64) {
		m.Memory().WriteString(uint32(s[0]), g.operation)
		m.Memory().Write(uint32(s[1]), g.payload)
	})
	add("__guest_response", 2, 0, func(_ context.Context, m api.Module, s []uint64) {
		v, _ := m.Memory().Read(uint32(s[0]), uint32(s[1]))
		g.response = append(g.response[:0], v...)
	})
	add("__host_call", 8, 1, func(_ context.Context, m api.Module, s []uint64) {
		v, _ := m.Memory().Read(uint32(s[6]), uint32(s[7]))
		g.answer = append(g.answer[:0], v...)
		s[0] = 1
	})
	add("__host_response_len", 0, 1, func(_ context.Context, _ api.Module, s []uint64) { s[0] = uint64(len(g.answer)) })
	add("__host_response", 1, 0, func(_ context.Context, m api.Module, s []uint64) { m.Memory().Write(uint32(s[0]), g.answer) })
	add("__host_error_len", 0, 1, func(_ context.Context, _ api.Module, s []uint64) { s[0] = 0 })
	add("__host_error", 1, 0, func(context.Context, api.Module, []uint64) {})
	add("__guest_error", 2, 0, func(context.Context, api.Module, []uint64) {})
	add("__console_log", 2, 0, func(context.Context, api.Module, []uint64) {})
	if _, err := host.Instantiate(ctx); err != nil {
		b.Fatal(err)
	}
	m, err := r.InstantiateWithConfig(ctx, module, wazero.NewModuleConfig().WithName("").WithStartFunctions("_initialize"))
	if err != nil {
		b.Fatal(err)
	}
	g.call = m.ExportedFunction("__guest_call")
	return g
}

func (g *bare) Call(ctx context.Context, operation string, payload []byte) ([]byte, error) {
	g.operation, g.payload = operation, payload
	g.stack = [2]uint64{uint64(len(operation)), uint64(len(payload))}
	err := g.call.CallWithStack(ctx, g.stack[:])
	return g.response, err
}

// closing is the bare engine with its own deadlines.
type closing struct{ *bare }

func (c closing) Call(ctx context.Context, operation string, payload []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return c.bare.Call(ctx, operation, payload)
}

// appending is a pool that is called with room for the response.
type appending struct {
	*wapc.Pool
	buf []byte
}

func (a *appending) Call(ctx context.Context, operation string, payload []byte) (_ []byte, err error) {
	a.buf, err = a.CallAppend(ctx, a.buf[:0], operation, payload)
	return a.buf, err
}

// caller is what BenchmarkCall compares.
type caller interface {
	Call(ctx context.Context, operation string, payload []byte) ([]byte, error)
}

// BenchmarkCall measures calls, with deadlines enforced, and how many times the
// bare engine's cost without deadlines on the same module that is: of Call
// (x-bare), of CallAppend with room (x-bare-append), and of the bare engine with
// its own deadlines (x-bare-closing). They take turns, and good times are
// compared (one in ten is better), so that the machine's moods even out.
//
// The guest of echo and host is a few instructions long, and makes a host call
// or none; that of go is in Go, with the SDK.
func BenchmarkCall(b *testing.B) {
	small := callers(b, guest(b, "echo"))
	for _, operation := range []string{"echo", "host"} {
		for _, size := range []int{64, 4 << 10, 256 << 10} {
			b.Run(fmt.Sprintf("%s/%d", operation, size), func(b *testing.B) { compare(b, small, operation, size) })
		}
	}
	withSDK := callers(b, goGuest(b, "../guest/testdata/bench"))
	for _, size := range []int{64, 4 << 10} {
		b.Run(fmt.Sprintf("go/%d", size), func(b *testing.B) { compare(b, withSDK, "bench:x!Echo", size) })
	}
}

// callers returns the bare engine first.
func callers(b *testing.B, module []byte) []caller {
	m, err := engine(b, nil).Compile(b.Context(), module)
	if err != nil {
		b.Fatal(err)
	}
	p, err := m.NewPool(&wapc.PoolOptions{Host: answering{}})
	if err != nil {
		b.Fatal(err)
	}
	return []caller{
		newBare(b, module, wazero.NewRuntimeConfig()), p, &appending{Pool: p},
		closing{newBare(b, module, wazero.NewRuntimeConfig().WithCloseOnContextDone(true))},
	}
}

func compare(b *testing.B, callers []caller, operation string, size int) {
	const turn = 50
	ctx, payload := b.Context(), make([]byte, size)
	times := make([][]time.Duration, len(callers))
	for b.Loop() {
		for i, c := range callers {
			begin := time.Now()
			for range turn {
				if out, err := c.Call(ctx, operation, payload); err != nil || len(out) != size {
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
	b.ReportMetric(good(1), "ns/call")
	for i, name := range []string{"x-bare", "x-bare-append", "x-bare-closing"} {
		b.ReportMetric(good(i+1)/good(0), name)
	}
}
