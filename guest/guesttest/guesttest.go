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

	operation, message  string
	response, failure   []byte // of the guest
	answer, answerError []byte // of the host
	console             []string
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

func (g *Guest) export(ctx context.Context, runtime wazero.Runtime) error {
	builder := runtime.NewHostModuleBuilder("wapc")
	for name, f := range map[string]any{
		"__guest_request": func(_ context.Context, m api.Module, operation, message uint32) {
			m.Memory().WriteString(operation, g.operation)
			m.Memory().WriteString(message, g.message)
		},
		"__guest_response": func(_ context.Context, m api.Module, p, n uint32) { g.response = read(m, p, n) },
		"__guest_error":    func(_ context.Context, m api.Module, p, n uint32) { g.failure = read(m, p, n) },
		"__host_call": func(_ context.Context, m api.Module, bp, bn, np, nn, op, on, p, n uint32) uint32 {
			answer, err := g.hostCall(string(read(m, bp, bn)), string(read(m, np, nn)), string(read(m, op, on)), read(m, p, n))
			if err != nil {
				g.answerError = []byte(err.Error())
				return 0
			}
			g.answer = answer
			return 1
		},
		"__host_response_len": func(context.Context, api.Module) uint32 { return uint32(len(g.answer)) },
		"__host_response":     func(_ context.Context, m api.Module, p uint32) { m.Memory().Write(p, g.answer) },
		"__host_error_len":    func(context.Context, api.Module) uint32 { return uint32(len(g.answerError)) },
		"__host_error":        func(_ context.Context, m api.Module, p uint32) { m.Memory().Write(p, g.answerError) },
		"__console_log": func(_ context.Context, m api.Module, p, n uint32) {
			g.console = append(g.console, string(read(m, p, n)))
		},
	} {
		builder.NewFunctionBuilder().WithFunc(f).Export(name)
	}
	_, err := builder.Instantiate(ctx)
	return err
}

// read copies guest memory. A guest that points outside of it fails its test.
func read(m api.Module, p, n uint32) []byte {
	b, ok := m.Memory().Read(p, n)
	if !ok {
		panic("the guest points outside of its memory")
	}
	return append([]byte(nil), b...)
}

// Call has the guest handle an operation. The error is the guest's text, or
// matches ErrTrap.
func (g *Guest) Call(t testing.TB, operation string, payload []byte) ([]byte, error) {
	t.Helper()
	g.operation, g.message, g.response, g.failure = operation, string(payload), nil, nil
	results, err := g.call.Call(t.Context(), uint64(len(operation)), uint64(len(payload)))
	switch {
	case err != nil:
		return nil, errors.Join(ErrTrap, err)
	case results[0] != 1:
		return nil, errors.New(string(g.failure))
	}
	return g.response, nil
}

// Console returns the lines of the console so far.
func (g *Guest) Console() []string { return g.console }

// MemorySize is the size of the guest's memory in bytes, which never shrinks.
func (g *Guest) MemorySize() int { return int(g.module.Memory().Size()) }
