package seal_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/waxosuit/waxo/devhost/seal"
	"github.com/waxosuit/waxo/wapc/wasm"
)

// indices is a guest that uses every construct in which function indexes
// appear.
func indices(t testing.TB) []byte { return readFile(t, "../../wapc/wasm/testdata/indices.wasm") }

// behaviour runs the checks of the fixture and returns what came out, and what
// was written to standard output.
func behaviour(t *testing.T, r wazero.Runtime, module []byte, stdout *bytes.Buffer) string {
	t.Helper()
	config := wazero.NewModuleConfig().WithStdout(stdout)
	m, err := r.InstantiateWithConfig(t.Context(), module, config)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	call := func(name string, args ...uint64) {
		results, err := m.ExportedFunction(name).Call(t.Context(), args...)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		fmt.Fprintln(&b, name, results)
	}
	for i := range 12 {
		call(fmt.Sprintf("check_%d", i))
	}
	call("yield")
	call("refill", 2)
	call("refill", 7)
	call("__guest_call", 3, 4)
	return b.String()
}

func TestIndicesStillLeadWhereTheyDid(t *testing.T) {
	before, after := new(host), new(host)
	plain := before.runtime(t)
	wasi_snapshot_preview1.MustInstantiate(t.Context(), plain)
	var stdout, none bytes.Buffer
	want := behaviour(t, plain, indices(t), &stdout)
	sealed := mustSeal(t, indices(t), nil)
	got := behaviour(t, after.runtime(t), sealed, &none)
	if got != want {
		t.Errorf("sealed:\n%s\nbefore:\n%s", got, want)
	}
	for i, n := range []int{100, 109, 110, 103, 105, 105, 8, 106, 107, 210, 8} {
		if line := fmt.Sprintf("check_%d [%d]\n", i, n); !strings.Contains(want, line) {
			t.Errorf("the fixture does not give %s, but\n%s", line, want)
		}
	}
	// "refill" writes to standard error, which is kept apart before.
	if lines := strings.Join(after.takeLines(), "\n") + "\n"; lines != stdout.String()+"started\n" || none.Len() != 0 {
		t.Errorf("logged %q, written before %q", lines, stdout.String())
	}
	if !bytes.Equal(before.response, after.response) {
		t.Errorf("responses %x and %x", before.response, after.response)
	}
}

func validate(t *testing.T, module []byte) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "sealed.wasm")
	if err := os.WriteFile(file, module, 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, exec.Command(needTool(t, "wasm-validate"), "--enable-tail-call", "--enable-extended-const", file))
}

func TestSealedModulesAreValid(t *testing.T) {
	validate(t, mustSeal(t, everything(t), nil))
	validate(t, mustSeal(t, indices(t), nil))
	validate(t, sealedGoGuest(t))
}

func TestNamesFollow(t *testing.T) {
	before, err := wasm.Decode(indices(t))
	if err != nil {
		t.Fatal(err)
	}
	after, err := wasm.Decode(mustSeal(t, indices(t), nil))
	if err != nil {
		t.Fatal(err)
	}
	old, now := functionNames(t, before), functionNames(t, after)
	for _, e := range before.Exports {
		if e.Kind != wasm.KindFunc {
			continue
		}
		i := slices.IndexFunc(after.Exports, func(x wasm.Export) bool { return x.Name == e.Name })
		want := old[e.Index]
		switch e.Name {
		case "yield":
			want = "wasi_snapshot_preview1.sched_yield"
		case "write":
			want = "wasi_snapshot_preview1.fd_write"
		}
		if got := now[after.Exports[i].Index]; got != want {
			t.Errorf("the export %q is named %q, want %q", e.Name, got, want)
		}
	}
	// The one function with named parameters is where its locals are, too.
	content, _ := after.Custom(wasm.NameSection)
	names, err := wasm.DecodeNames(content)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range names.Locals {
		if bytes.Contains(l.Names, []byte("operation")) && now[l.Func] != "guest_call" {
			t.Errorf("the locals of guest_call are found at %q", now[l.Func])
		}
	}
	if total := after.ImportedFuncs() + len(after.Funcs); len(now) != total-13 {
		t.Errorf("%d of %d functions have names; 13 had none before", len(now), total)
	}
}

func functionNames(t *testing.T, m *wasm.Module) map[uint32]string {
	t.Helper()
	content, _ := m.Custom(wasm.NameSection)
	names, err := wasm.DecodeNames(content)
	if err != nil {
		t.Fatal(err)
	}
	byIndex := make(map[uint32]string)
	for _, n := range names.Funcs {
		byIndex[n.Func] = n.Name
	}
	return byIndex
}

func TestReport(t *testing.T) {
	_, report, err := seal.Seal(indices(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"wasi_snapshot_preview1.sched_yield", "wasi_snapshot_preview1.fd_prestat_get", "wasi_snapshot_preview1.fd_write"}
	if !slices.Equal(report.Replaced, want) || !report.AddedConsoleLog || report.Dropped != nil {
		t.Errorf("the report is %+v, want %v replaced", report, want)
	}
}

var i32x2 = wasm.FuncType{Params: []wasm.ValType{wasm.I32, wasm.I32}}

func preview1Import(t testing.TB, m *wasm.Module, name string) {
	addImport(m, preview1, name, preview1Types(t)[name])
}

func TestConsoleLogIsImportedOnceAndOnlyIfNeeded(t *testing.T) {
	for _, test := range []struct {
		name    string
		has     bool
		wasi    string
		want    int
		reports bool
	}{
		{"needed and missing", false, "fd_write", 1, true},
		{"needed and there", true, "fd_write", 1, false},
		{"missing and not needed", false, "sched_yield", 0, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := bare()
			if test.has {
				addImport(m, "wapc", "__guest_response", i32x2)
				addImport(m, "wapc", "__console_log", i32x2)
			}
			preview1Import(t, m, test.wasi)
			m.Exports = append(m.Exports, wasm.Export{Name: "replaced", Index: uint32(m.ImportedFuncs() - 1)})
			sealed, report, err := seal.Seal(m.Encode(), nil)
			if err != nil {
				t.Fatal(err)
			}
			imports, err := wasm.Imports(sealed)
			if err != nil {
				t.Fatal(err)
			}
			count := 0
			for _, i := range imports {
				if i.Name == "__console_log" {
					count++
				}
			}
			if count != test.want || report.AddedConsoleLog != test.reports {
				t.Errorf("%d imports, report %+v", count, report)
			}
			if test.wasi == "fd_write" {
				s := &sandbox{t: t, host: new(host)}
				s.mod = s.start(t, sealed)
				s.write(0, []byte{8, 0, 0, 0, 3, 0, 0, 0, 'h', 'i', '\n'})
				s.expect(0, "replaced", 1, 0, 1, 100)
				if got := s.takeLines(); !slices.Equal(got, []string{"hi"}) {
					t.Errorf("lines %q", got)
				}
			}
		})
	}
}

func TestCustomSections(t *testing.T) {
	m := bare()
	preview1Import(t, m, "sched_yield")
	for _, name := range []string{
		"producers", ".debug_info", "target_features", "name", "reloc.CODE", "linking", "name", "mine",
		"sourceMappingURL", "external_debug_info", "metadata.code.branch_hint", ".debug_line", "go:buildid",
	} {
		m.SetCustom("x", []byte{0, 2, 1, 'm'})
		m.Customs[len(m.Customs)-1].Name = name
	}
	sealed, report, err := seal.Seal(m.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		".debug_info", "reloc.CODE", "linking", "name", "sourceMappingURL",
		"external_debug_info", "metadata.code.branch_hint", ".debug_line",
	}
	if !slices.Equal(report.Dropped, want) {
		t.Errorf("dropped %q\nwant    %q", report.Dropped, want)
	}
	sections, err := wasm.Sections(sealed)
	if err != nil {
		t.Fatal(err)
	}
	var kept []string
	for _, s := range sections {
		if s.ID == 0 {
			kept = append(kept, s.Name)
		}
	}
	if want := []string{"producers", "target_features", "name", "mine", "go:buildid"}; !slices.Equal(kept, want) {
		t.Errorf("kept %q\nwant %q", kept, want)
	}
}

func TestMalformedNamesAreReplaced(t *testing.T) {
	m := bare()
	preview1Import(t, m, "sched_yield")
	m.SetCustom("name", []byte{1, 200})
	sealed, report, err := seal.Seal(m.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	after, err := wasm.Decode(sealed)
	if err != nil {
		t.Fatal(err)
	}
	if got := functionNames(t, after)[1]; got != "wasi_snapshot_preview1.sched_yield" || !slices.Equal(report.Dropped, []string{"name"}) {
		t.Errorf("the added function is named %q, dropped %q", got, report.Dropped)
	}
}

func TestWithoutWASINothingChanges(t *testing.T) {
	m := bare()
	addImport(m, "wapc", "__guest_response", i32x2)
	m.SetCustom(".debug_info", []byte("x"))
	m.SetCustom("jwt", []byte("claims"))
	module := m.Encode()
	sealed, report, err := seal.Seal(module, nil)
	if err != nil || !bytes.Equal(sealed, module) || report.Replaced != nil || report.Dropped != nil || report.AddedConsoleLog {
		t.Errorf("error %v, report %+v, %d bytes became %d", err, report, len(module), len(sealed))
	}
	// What was sealed needs no more sealing.
	once := mustSeal(t, indices(t), nil)
	if twice := mustSeal(t, once, nil); !bytes.Equal(once, twice) {
		t.Error("sealing twice changes the module")
	}
}

func TestSealingIsDeterministic(t *testing.T) {
	for _, module := range [][]byte{everything(t), indices(t)} {
		kept := bytes.Clone(module)
		first := mustSeal(t, module, nil)
		for range 5 {
			if again := mustSeal(t, module, nil); !bytes.Equal(first, again) {
				t.Fatal("the same module was sealed in two ways")
			}
		}
		if !bytes.Equal(module, kept) {
			t.Error("Seal changed what it was given")
		}
	}
}
