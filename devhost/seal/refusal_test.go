package seal_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/waxosuit/waxo/devhost/seal"
	"github.com/waxosuit/waxo/wapc/wasm"
)

// Each of these is done to a guest that imports sched_yield, and refused for
// the reason and with the words that stand behind it.
func TestRefusals(t *testing.T) {
	i32 := []wasm.ValType{wasm.I32}
	foreign := func(module, name string, x wasm.ExternType) func(*wasm.Module) {
		return func(m *wasm.Module) {
			m.Imports = append(m.Imports, wasm.Import{Module: module, Name: name, Type: x})
		}
	}
	code := func(code ...byte) func(*wasm.Module) {
		return func(m *wasm.Module) { m.Code[0].Code = append(code, 0x0b) }
	}
	tests := []struct {
		name   string
		spoil  func(*wasm.Module)
		reason seal.Reason
		words  []string
	}{
		{"other modules", func(m *wasm.Module) {
			addImport(m, "env", "abort", wasm.FuncType{})
			addImport(m, "gojs", "now", wasm.FuncType{})
		}, seal.ReasonImport, []string{"env.abort", "gojs.now"}},
		{"old WASI", func(m *wasm.Module) { addImport(m, "wasi_unstable", "fd_write", wasm.FuncType{}) }, seal.ReasonImport, []string{"wasi_unstable.fd_write", "wasip1"}},
		{"unknown WASI", func(m *wasm.Module) { addImport(m, preview1, "fd_sing", wasm.FuncType{}) }, seal.ReasonImport, []string{"wasi_snapshot_preview1.fd_sing"}},
		{"threads", func(m *wasm.Module) { addImport(m, "wasi", "thread-spawn", wasm.FuncType{}) }, seal.ReasonImport, []string{"wasi.thread-spawn"}},
		{"WASI of the wrong type", func(m *wasm.Module) {
			addImport(m, preview1, "proc_exit", wasm.FuncType{})
			addImport(m, preview1, "fd_close", wasm.FuncType{Params: i32})
		}, seal.ReasonImportType, []string{"proc_exit is imported as () -> () and is (i32) -> ()", "fd_close is imported as (i32) -> () and is (i32) -> (i32)"}},
		{"console log of the wrong type", func(m *wasm.Module) { addImport(m, "wapc", "__console_log", wasm.FuncType{Params: i32}) }, seal.ReasonImportType, []string{"wapc.__console_log"}},
		{"imported memory", foreign("env", "memory", wasm.ExternType{Kind: wasm.KindMemory}), seal.ReasonImport, []string{"env.memory (a memory)"}},
		{"imported table", foreign("wapc", "t", wasm.ExternType{Kind: wasm.KindTable, Table: wasm.TableType{Elem: wasm.FuncRef}}), seal.ReasonImport, []string{"wapc.t (a table)"}},
		{"imported global", foreign("wapc", "g", wasm.ExternType{Kind: wasm.KindGlobal, Global: wasm.GlobalType{Type: wasm.I32}}), seal.ReasonImport, []string{"wapc.g (a global)"}},
		{"imported tag", foreign("wapc", "e", wasm.ExternType{Kind: wasm.KindTag}), seal.ReasonImport, []string{"wapc.e (a tag)"}},
		{"global under a WASI name", foreign(preview1, "fd_write", wasm.ExternType{Kind: wasm.KindGlobal, Global: wasm.GlobalType{Type: wasm.I32}}), seal.ReasonImport, []string{"fd_write (a global)"}},
		{"no memory", func(m *wasm.Module) { m.Memories, m.Exports = nil, m.Exports[:1] }, seal.ReasonMemory, []string{"0 memories"}},
		{"two memories", func(m *wasm.Module) { m.Memories = append(m.Memories, wasm.Limits{}) }, seal.ReasonMemory, []string{"2 memories"}},
		{"shared memory", func(m *wasm.Module) { m.Memories[0] = wasm.Limits{Max: 1, HasMax: true, Shared: true} }, seal.ReasonMemory, []string{"shared", "threads"}},
		{"memory64", func(m *wasm.Module) { m.Memories[0].Is64 = true }, seal.ReasonMemory, []string{"64 bits"}},
		{"memory that is not exported", func(m *wasm.Module) { m.Exports = m.Exports[:1] }, seal.ReasonMemory, []string{"not exported"}},
		{"memory of another name", func(m *wasm.Module) { m.Exports[1].Name = "mem" }, seal.ReasonMemory, []string{"not exported"}},
		{"function called memory", func(m *wasm.Module) { m.Exports[1].Kind = wasm.KindFunc }, seal.ReasonMemory, []string{"not exported"}},
		{"no guest call", func(m *wasm.Module) { m.Exports = m.Exports[1:] }, seal.ReasonGuestCall, []string{"__guest_call", "//go:wasmexport"}},
		{"guest call of the wrong type", func(m *wasm.Module) { m.Types[m.Funcs[0]].Results = nil }, seal.ReasonGuestCall, []string{"(i32, i32) -> ()", "(i32, i32) -> (i32)"}},
		{"guest call that is a memory", func(m *wasm.Module) { m.Exports[0].Kind = wasm.KindMemory }, seal.ReasonGuestCall, []string{"a memory"}},
		{"guest call that leads nowhere", func(m *wasm.Module) { m.Exports[0].Index = 77 }, seal.ReasonMalformed, []string{"no function 77"}},
		{"call that leads nowhere", code(0x10, 77), seal.ReasonMalformed, []string{"no function 77", "code of function 1"}},
		{"exceptions", code(0x06, 0x40, 0x0b), seal.ReasonUnsupported, []string{"code of function 1", "0x06"}},
		{"garbage collection", code(0xfb, 0x00, 0x00), seal.ReasonUnsupported, []string{"0xfb"}},
		{"atomic operations", code(0xfe, 0x03, 0x00), seal.ReasonUnsupported, []string{"0xfe"}},
		{"claims", func(m *wasm.Module) { m.SetCustom("jwt", nil) }, seal.ReasonSigned, []string{"jwt", "seal first"}},
		{"later claims", func(m *wasm.Module) { m.SetCustom("wasmcloud_jwt", nil) }, seal.ReasonSigned, []string{"wasmcloud_jwt"}},
		{"dynamic library", func(m *wasm.Module) { m.SetCustom("dylink.0", nil) }, seal.ReasonDynamic, []string{"dylink.0"}},
		{"old dynamic library", func(m *wasm.Module) { m.SetCustom("dylink", nil) }, seal.ReasonDynamic, []string{"dylink"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m := bare()
			preview1Import(t, m, "sched_yield")
			m.Types = slices.Clone(m.Types)
			test.spoil(m)
			refused(t, m.Encode(), test.reason, test.words...)
		})
	}
}

func refused(t *testing.T, module []byte, reason seal.Reason, words ...string) {
	t.Helper()
	sealed, report, err := seal.Seal(module, nil)
	var e *seal.Error
	if !errors.As(err, &e) || e.Reason != reason || sealed != nil || report != nil {
		t.Fatalf("error %v of the type %T, want one for the reason %q", err, err, reason)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("error %q does not say %q", err, word)
		}
	}
}

func TestRefusesWhatIsNoModule(t *testing.T) {
	refused(t, nil, seal.ReasonMalformed, "preamble")
	refused(t, []byte("\x7fELF\x02\x01\x01\x00"), seal.ReasonMalformed, "preamble")
	refused(t, []byte("\x00asm\x0d\x00\x01\x00\x00"), seal.ReasonComponent, "component", "wasip1")
	refused(t, indices(t)[:900], seal.ReasonMalformed)
	_, _, err := seal.Seal(nil, nil)
	if !errors.Is(err, wasm.ErrMalformed) {
		t.Errorf("error %v hides its cause", err)
	}
}

// A module without WASI is looked at in the same way.
func TestRefusalsWithoutWASI(t *testing.T) {
	m := bare()
	m.Code[0].Code = []byte{0x06, 0x40, 0x0b, 0x0b}
	refused(t, m.Encode(), seal.ReasonUnsupported, "0x06")
	m = bare()
	m.Exports = m.Exports[:1]
	refused(t, m.Encode(), seal.ReasonMemory)
	m = bare()
	m.SetCustom("dylink.0", nil)
	refused(t, m.Encode(), seal.ReasonDynamic)
}
