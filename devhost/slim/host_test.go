package slim_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/waxosuit/waxo/devhost/slim"
	"github.com/waxosuit/waxo/wapc/wasm"
)

const features = api.CoreFeaturesV2 | experimental.CoreFeaturesTailCall | experimental.CoreFeaturesExtendedConst

// exchange is one call of a guest.
type exchange struct{ operation, payload string }

// talk has a guest through a conversation and returns all that a host can
// notice: how the start went, each response and error, trap, host call and log
// line, in their order, and the size of the memory. A trap ends an instance; the
// conversation goes on with another.
func talk(t testing.TB, module []byte, conversation []exchange, answer func(n int) (string, error)) []string {
	t.Helper()
	ctx := t.Context()
	r := newEngine(t)
	h := &host{answers: answer}
	if err := h.offer(ctx, r, module); err != nil {
		t.Fatal(err)
	}
	compiled, err := r.CompileModule(ctx, module)
	if err != nil {
		t.Fatal(err)
	}
	config := wazero.NewModuleConfig().WithName("").WithStartFunctions("_start", "_initialize", "wapc_init")
	var guest api.Module
	for _, e := range conversation {
		if guest == nil {
			if guest, err = r.InstantiateModule(ctx, compiled, config); err != nil {
				return append(h.transcript, "does not start: "+err.Error())
			}
			h.note("starts with %d bytes", guest.Memory().Size())
		}
		h.operation, h.payload = e.operation, e.payload
		results, err := guest.ExportedFunction("__guest_call").Call(ctx, uint64(len(e.operation)), uint64(len(e.payload)))
		if err != nil {
			h.note("%s traps: %v", e.operation, err)
			guest = nil
			continue
		}
		h.note("%s returns %d with %d bytes", e.operation, results[0], guest.Memory().Size())
	}
	return h.transcript
}

func newEngine(t testing.TB) wazero.Runtime {
	r := wazero.NewRuntimeWithConfig(t.Context(), wazero.NewRuntimeConfigInterpreter().WithCoreFeatures(features).WithMemoryLimitPages(4096))
	t.Cleanup(func() { r.Close(context.Background()) })
	return r
}

// host offers the imports of the call protocol and takes down what it sees.
type host struct {
	operation, payload string
	answers            func(n int) (string, error) // to the n-th host call
	calls              int
	answer, failure    string
	transcript         []string
}

func (h *host) note(format string, args ...any) {
	h.transcript = append(h.transcript, fmt.Sprintf(format, args...))
}

// offer defines each import of the module with the type that it asks for.
func (h *host) offer(ctx context.Context, r wazero.Runtime, module []byte) error {
	imports, err := wasm.Imports(module)
	if err != nil || len(imports) == 0 {
		return err
	}
	b := r.NewHostModuleBuilder("wapc")
	for _, i := range imports {
		f := api.GoModuleFunc(func(_ context.Context, m api.Module, stack []uint64) {
			h.serve(i.Name, m.Memory(), stack[:max(len(i.Type.Func.Params), len(i.Type.Func.Results))])
		})
		b.NewFunctionBuilder().WithGoModuleFunction(f, types(i.Type.Func.Params), types(i.Type.Func.Results)).Export(i.Name)
	}
	_, err = b.Instantiate(ctx)
	return err
}

func types(list []wasm.ValType) []api.ValueType {
	var all []api.ValueType
	for _, t := range list {
		all = append(all, api.ValueType(t))
	}
	return all
}

func (h *host) serve(name string, m api.Memory, stack []uint64) {
	read := func(at int) string {
		b, ok := m.Read(uint32(stack[at]), uint32(stack[at+1]))
		if !ok {
			panic("the guest points outside of its memory")
		}
		return string(b)
	}
	switch name {
	case "__guest_request":
		m.WriteString(uint32(stack[0]), h.operation)
		m.WriteString(uint32(stack[1]), h.payload)
	case "__guest_response", "__guest_error", "__console_log":
		h.note("%s: %q", name, read(0))
	case "__host_call":
		var parts []string
		for at := 0; at < len(stack); at += 2 {
			parts = append(parts, read(at))
		}
		h.note("%s: %q", name, parts)
		stack[0] = 1
		h.calls++
		answer, err := h.answers(h.calls)
		if h.answer = answer; err != nil {
			h.failure, stack[0] = err.Error(), 0
		}
	case "__host_response_len":
		stack[0] = uint64(len(h.answer))
	case "__host_response":
		m.WriteString(uint32(stack[0]), h.answer)
	case "__host_error_len":
		stack[0] = uint64(len(h.failure))
	case "__host_error":
		m.WriteString(uint32(stack[0]), h.failure)
	}
}

func noAnswer(int) (string, error) { return "", errors.New("no host call was expected") }

// slimmed returns the module after some steps, and what the last of them said.
func slimmed(t testing.TB, module []byte, steps ...slim.Step) ([]byte, slim.Result) {
	t.Helper()
	m, err := wasm.Decode(module)
	if err != nil {
		t.Fatal(err)
	}
	before := m.Encode()
	report, err := slim.Slim(t.Context(), m, &slim.Options{Steps: steps, Measure: true})
	if err != nil {
		t.Fatal(err)
	}
	after := m.Encode()
	saved := 0
	for _, r := range report.Steps {
		saved += r.Saved
		if r.Detail == "" {
			t.Errorf("%s says nothing", r.Step)
		}
	}
	if report.Before != len(before) || report.After != len(after) || saved != len(before)-len(after) {
		t.Errorf("the report says %+v of %d bytes that became %d", report, len(before), len(after))
	}
	return after, report.Steps[len(report.Steps)-1]
}

// sameConversation checks that no host can tell the module from what any choice
// of steps makes of it.
func sameConversation(t *testing.T, module []byte, conversation []exchange, answer func(int) (string, error)) {
	t.Helper()
	want := talk(t, module, conversation, answer)
	all := slim.Steps()
	choices := [][]slim.Step{all, {slim.Strip, slim.Merge}}
	for _, step := range all {
		choices = append(choices, []slim.Step{step})
	}
	for _, steps := range choices {
		after, _ := slimmed(t, module, steps...)
		got := talk(t, after, conversation, answer)
		for i := range max(len(got), len(want)) {
			if i >= len(got) || i >= len(want) || got[i] != want[i] {
				t.Errorf("after %v, from line %d on:\n%s\nbefore:\n%s", steps, i, shown(got, i), shown(want, i))
				break
			}
		}
	}
}

func shown(lines []string, from int) string {
	text := strings.Join(lines[min(from, len(lines)):min(from+3, len(lines))], "\n")
	return text[:min(len(text), 2000)]
}

// buildGo compiles a Go guest of this repository.
func buildGo(t testing.TB, dir string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "guest.wasm")
	cmd := exec.Command("go", "build", "-buildmode=c-shared", "-o", out, dir)
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=")
	run(t, cmd)
	return readFile(t, out)
}

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func run(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
}

// missing ends a test whose tool is missing: with CI=true that is a failure.
func missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("this test needs "+format, args...)
	}
	t.Skipf("this test needs "+format, args...)
}
