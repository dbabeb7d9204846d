package guests

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/waxosuit/waxo/capability/payload/httppb"
	"github.com/waxosuit/waxo/capability/payload/keyvaluepb"
	"github.com/waxosuit/waxo/wapc"
)

// signature is a function's type as the specification writes it.
func signature(f api.FunctionDefinition) string {
	name := func(types []api.ValueType) string {
		var names []string
		for _, t := range types {
			names = append(names, api.ValueTypeName(t))
		}
		return "(" + strings.Join(names, " ") + ")"
	}
	return name(f.ParamTypes()) + "->" + name(f.ResultTypes())
}

func TestWaxosuitRustHasTheFaceOfAGuest(t *testing.T) {
	ctx := context.Background()
	runtime := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	defer runtime.Close(ctx)
	module, err := runtime.CompileModule(ctx, WaxosuitRust(t))
	if err != nil {
		t.Fatal(err)
	}

	var imports []string
	for _, f := range module.ImportedFunctions() {
		from, name, _ := f.Import()
		imports = append(imports, from+"."+name+" "+signature(f))
	}
	slices.Sort(imports)
	// The SDK of 2019 passes the operation as one string, with its namespace in
	// front, so that __host_call has four parameters here.
	want := []string{
		"wapc.__console_log (i32 i32)->()",
		"wapc.__guest_error (i32 i32)->()",
		"wapc.__guest_request (i32 i32)->()",
		"wapc.__guest_response (i32 i32)->()",
		"wapc.__host_call (i32 i32 i32 i32)->(i32)",
		"wapc.__host_error (i32)->()",
		"wapc.__host_error_len ()->(i32)",
		"wapc.__host_response (i32)->()",
		"wapc.__host_response_len ()->(i32)",
	}
	if !slices.Equal(imports, want) {
		t.Errorf("imports:\n%s\nwant:\n%s", strings.Join(imports, "\n"), strings.Join(want, "\n"))
	}
	if n := len(module.ImportedMemories()); n != 0 {
		t.Errorf("%d imported memories, want none", n)
	}

	call, ok := module.ExportedFunctions()["__guest_call"]
	if !ok || signature(call) != "(i32 i32)->(i32)" {
		t.Errorf("export __guest_call: %v, want (i32 i32)->(i32)", call)
	}
	if _, ok := module.ExportedMemories()["memory"]; !ok {
		t.Error("no exported memory")
	}
}

// counter is a host whose key-value store holds one number.
type counter struct {
	value int32
	used  bool
	lines []string
}

func (c *counter) HostCall(_ context.Context, call wapc.HostCall) ([]byte, error) {
	switch call.Operation {
	case "wascap:keyvalue!Get":
		return (&keyvaluepb.GetResponse{Value: strconv.Itoa(int(c.value)), Exists: c.used}).AppendProto(nil), nil
	case "wascap:keyvalue!Add":
		var request keyvaluepb.AddRequest
		if err := request.UnmarshalProto(call.Payload); err != nil {
			return nil, err
		}
		c.value, c.used = c.value+request.Value, true
		return (&keyvaluepb.AddResponse{Value: c.value}).AppendProto(nil), nil
	}
	return nil, errors.New("no such operation: " + call.Operation)
}

func (c *counter) ConsoleLog(_ context.Context, line string) { c.lines = append(c.lines, line) }

func TestWaxosuitRustCounts(t *testing.T) {
	ctx := t.Context()
	module := WaxosuitRust(t)
	engine, err := wapc.NewEngine(&wapc.EngineOptions{Interpreter: true})
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close(context.WithoutCancel(ctx))
	compiled, err := engine.Compile(ctx, module)
	if err != nil {
		t.Fatal(err)
	}
	host := &counter{}
	pool, err := compiled.NewPool(&wapc.PoolOptions{Host: host})
	if err != nil {
		t.Fatal(err)
	}

	steps := []struct {
		method string
		status uint32
		body   string
	}{
		{"GET", 200, `{"count":0}`},
		{"POST", 200, `{"counter":1}`},
		{"POST", 200, `{"counter":2}`},
		{"GET", 200, `{"count":2}`},
		{"PUT", 405, ""},
	}
	for _, step := range steps {
		request := &httppb.Request{Method: step.method, Path: "/"}
		answer, err := pool.Call(ctx, "wascap:httpserver!HandleRequest", request.AppendProto(nil))
		if err != nil {
			t.Fatalf("%s: %v", step.method, err)
		}
		var response httppb.Response
		if err := response.UnmarshalProto(answer); err != nil {
			t.Fatal(err)
		}
		if response.StatusCode != step.status || string(response.Body) != step.body {
			t.Errorf("%s: %d %s, want %d %s", step.method, response.StatusCode, response.Body, step.status, step.body)
		}
	}
	if !slices.Contains(host.lines, "POST /") {
		t.Errorf("the guest logged %q, want a line for each request", host.lines)
	}

	if answer, err := pool.Call(ctx, "wascap:httpsrv!HealthRequest", nil); err != nil || len(answer) != 0 {
		t.Errorf("HealthRequest: %q, %v", answer, err)
	}
	var refused *wapc.GuestError
	if _, err := pool.Call(ctx, "wascap:httpserver!Nonsense", nil); !errors.As(err, &refused) {
		t.Errorf("an unknown operation: %v, want a guest error", err)
	}
}

// script is the source of a guest whose build.sh is the given one.
func script(text string) fstest.MapFS {
	return fstest.MapFS{"build.sh": {Data: []byte(text)}}
}

func TestBuildKeepsTheModule(t *testing.T) {
	needSh(t)
	cache, runs := t.TempDir(), filepath.Join(t.TempDir(), "runs")
	source := script("echo run >>'" + runs + "'; echo module >\"$1\"")
	for range 2 {
		module, err := build(source, cache)
		if err != nil || string(module) != "module\n" {
			t.Fatalf("build: %q, %v", module, err)
		}
	}
	if got, _ := os.ReadFile(runs); string(got) != "run\n" {
		t.Errorf("build.sh ran as %q, want once", got)
	}
	other := script("echo another >\"$1\"")
	if module, err := build(other, cache); err != nil || string(module) != "another\n" {
		t.Errorf("build of other sources: %q, %v", module, err)
	}
}

func TestBuildTellsTheMachineFromTheGuest(t *testing.T) {
	needSh(t)
	tests := map[string]struct {
		script  string
		machine bool
	}{
		"no toolchain":   {"echo no Rust >&2; exit 3", true},
		"no crates":      {"echo no crates >&2; exit 4", true},
		"compiler error": {"echo broken >&2; exit 1", false},
		"no module":      {"exit 0", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := build(script(test.script), t.TempDir())
			if err == nil {
				t.Fatal("no error")
			}
			if errors.Is(err, errCannotBuild) != test.machine {
				t.Errorf("error %q: blames the machine: %t, want %t", err, !test.machine, test.machine)
			}
			if said, _, ok := strings.Cut(strings.TrimPrefix(test.script, "echo "), " >&2"); ok && !strings.Contains(err.Error(), said) {
				t.Errorf("error %q does not pass on %q", err, said)
			}
		})
	}
}

// needSh skips where there is no POSIX shell to run build scripts.
func needSh(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("/bin/sh"); err != nil && os.Getenv("CI") == "" {
		t.Skipf("no POSIX shell: %v", err)
	}
}
