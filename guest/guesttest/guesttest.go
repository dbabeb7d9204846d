// Package guesttest builds Go guests and runs them, for the tests of the SDK and
// of the templates.
//
// It is a waPC host as small as can be: it offers a guest WASI, so the guest need
// not be sealed, trusts it, and serves one call at a time. Package wapc is what
// serves in earnest.
package guesttest

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// memoryPages is a host's usual limit, 256 MiB.
const memoryPages = 256 << 20 >> 16

// Build compiles the guest in a folder and returns the module's path. It builds
// offline.
func Build(t testing.TB, dir string) string {
	t.Helper()
	module := filepath.Join(t.TempDir(), "guest.wasm")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-buildmode=c-shared", "-o", module, ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOPROXY=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", dir, err, out)
	}
	return module
}

// HostCall answers a guest's call of a capability.
type HostCall func(binding, namespace, operation string, payload []byte) ([]byte, error)

// Guest is one instance of a guest.
type Guest struct {
	module   api.Module
	call     api.Function
	hostCall HostCall

	stack               [2]uint64
	operation           string
	message             []byte
	response, failure   []byte // of the guest
	answer, answerError []byte // of the host
	console             []string

	// What the last host call named: the same names are not made anew.
	binding, namespace, hostOperation string
	payload                           []byte
}

// ErrTrap is what Call's error matches where the guest crashed.
var ErrTrap = errors.New("trap")

// Run instantiates the module at a path until the test ends.
func Run(t testing.TB, path string, host HostCall) *Guest {
	t.Helper()
	code, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	runtime := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithMemoryLimitPages(memoryPages))
	t.Cleanup(func() { runtime.Close(context.Background()) })
	wasi_snapshot_preview1.MustInstantiate(ctx, runtime)
	g := &Guest{hostCall: host}
	if err := g.export(ctx, runtime); err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	config := wazero.NewModuleConfig().WithStartFunctions("_initialize").WithStderr(&stderr).
		WithSysNanotime().WithSysWalltime()
	g.module, err = runtime.InstantiateWithConfig(ctx, code, config)
	if err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	if g.call = g.module.ExportedFunction("__guest_call"); g.call == nil {
		t.Fatal("the module does not export __guest_call")
	}
	return g
}

// export offers the functions of wapc. They take their parameters from the stack of
// the call, because what wazero does by reflection would drown what is measured.
func (g *Guest) export(ctx context.Context, runtime wazero.Runtime) error {
	builder := runtime.NewHostModuleBuilder("wapc")
	for _, f := range []struct {
		name            string
		params, results int
		do              func(m api.Memory, stack []uint64)
	}{
		{"__guest_request", 2, 0, func(m api.Memory, stack []uint64) {
			m.WriteString(uint32(stack[0]), g.operation)
			m.Write(uint32(stack[1]), g.message)
		}},
		{"__guest_response", 2, 0, func(m api.Memory, stack []uint64) { g.response = append(g.response[:0], view(m, stack)...) }},
		{"__guest_error", 2, 0, func(m api.Memory, stack []uint64) { g.failure = append(g.failure[:0], view(m, stack)...) }},
		{"__host_call", 8, 1, func(m api.Memory, stack []uint64) {
			g.payload = append(g.payload[:0], view(m, stack[6:])...)
			answer, err := g.hostCall(name(&g.binding, view(m, stack)), name(&g.namespace, view(m, stack[2:])), name(&g.hostOperation, view(m, stack[4:])), g.payload)
			stack[0] = 1
			if g.answer = answer; err != nil {
				stack[0], g.answerError = 0, []byte(err.Error())
			}
		}},
		{"__host_response_len", 0, 1, func(_ api.Memory, stack []uint64) { stack[0] = uint64(len(g.answer)) }},
		{"__host_response", 1, 0, func(m api.Memory, stack []uint64) { m.Write(uint32(stack[0]), g.answer) }},
		{"__host_error_len", 0, 1, func(_ api.Memory, stack []uint64) { stack[0] = uint64(len(g.answerError)) }},
		{"__host_error", 1, 0, func(m api.Memory, stack []uint64) { m.Write(uint32(stack[0]), g.answerError) }},
		{"__console_log", 2, 0, func(m api.Memory, stack []uint64) { g.console = append(g.console, string(view(m, stack))) }},
	} {
		function := api.GoModuleFunc(func(_ context.Context, m api.Module, stack []uint64) { f.do(m.Memory(), stack) })
		builder.NewFunctionBuilder().WithGoModuleFunction(function, integers(f.params), integers(f.results)).Export(f.name)
	}
	_, err := builder.Instantiate(ctx)
	return err
}

func integers(n int) []api.ValueType { return slices.Repeat([]api.ValueType{api.ValueTypeI32}, n) }

// view shows guest memory, whose address and length lead the stack. A guest that
// points outside of it fails its test.
func view(m api.Memory, stack []uint64) []byte {
	b, ok := m.Read(uint32(stack[0]), uint32(stack[1]))
	if !ok {
		panic("the guest points outside of its memory")
	}
	return b
}

// name returns b as a string, the last one where they are the same.
func name(last *string, b []byte) string {
	if *last != string(b) {
		*last = string(b)
	}
	return *last
}

// Call has the guest handle an operation. The error is the guest's text, or
// matches ErrTrap.
func (g *Guest) Call(t testing.TB, operation string, payload []byte) ([]byte, error) {
	t.Helper()
	response, err := g.View(t.Context(), operation, payload)
	if err != nil {
		return nil, err
	}
	return bytes.Clone(response), nil
}

// View is Call without an allocation, for benchmarks: the response is valid until
// the next call.
func (g *Guest) View(ctx context.Context, operation string, payload []byte) ([]byte, error) {
	g.operation, g.message, g.response, g.failure = operation, payload, g.response[:0], g.failure[:0]
	g.stack = [2]uint64{uint64(len(operation)), uint64(len(payload))}
	switch err := g.call.CallWithStack(ctx, g.stack[:]); {
	case err != nil:
		return nil, errors.Join(ErrTrap, err)
	case uint32(g.stack[0]) != 1:
		return nil, errors.New(string(g.failure))
	}
	return g.response, nil
}

// Console returns the lines of the console so far.
func (g *Guest) Console() []string { return g.console }

// MemorySize is the size of the guest's memory in bytes, which never shrinks.
func (g *Guest) MemorySize() int { return int(g.module.Memory().Size()) }
