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

// newBare returns the echo guest on the bare engine, without deadlines.
func newBare(b *testing.B) *bare {
	ctx := context.Background()
	r := wazero.NewRuntime(ctx)
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
	if _, err := host.Instantiate(ctx); err != nil {
		b.Fatal(err)
	}
	m, err := r.InstantiateWithConfig(ctx, guest(b, "echo"), wazero.NewModuleConfig().WithName(""))
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

// appending is a pool that is called with room for the response.
type appending struct {
	*wapc.Pool
	buf []byte
}

func (a *appending) Call(ctx context.Context, operation string, payload []byte) (_ []byte, err error) {
	a.buf, err = a.CallAppend(ctx, a.buf[:0], operation, payload)
	return a.buf, err
}

// BenchmarkCall measures an echo, and how many times the bare engine's cost on
// the same module it is (x-bare), without deadlines there: of Call, and of
// CallAppend with room (x-bare-append). They take turns, and the medians are
// compared, so that the machine's moods even out.
func BenchmarkCall(b *testing.B) {
	ctx := b.Context()
	const turn = 50
	p := pool(b, "echo", &wapc.PoolOptions{Host: answering{}})
	contenders := []interface {
		Call(context.Context, string, []byte) ([]byte, error)
	}{newBare(b), p, &appending{Pool: p}}
	for _, operation := range []string{"echo", "host"} {
		for _, size := range []int{64, 4 << 10, 256 << 10} {
			b.Run(fmt.Sprintf("%s/%d", operation, size), func(b *testing.B) {
				payload := make([]byte, size)
				turns := make([][]time.Duration, len(contenders))
				for b.Loop() {
					for i, c := range contenders {
						begin := time.Now()
						for range turn {
							if _, err := c.Call(ctx, operation, payload); err != nil {
								b.Fatal(err)
							}
						}
						turns[i] = append(turns[i], time.Since(begin))
					}
				}
				median := func(i int) float64 {
					slices.Sort(turns[i])
					return float64(turns[i][len(turns[i])/2]) / turn
				}
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(median(1), "ns/call")
				b.ReportMetric(median(1)/median(0), "x-bare")
				b.ReportMetric(median(2)/median(0), "x-bare-append")
			})
		}
	}
}
