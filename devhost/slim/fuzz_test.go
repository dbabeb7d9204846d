package slim_test

import (
	"bytes"
	"context"
	"slices"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"

	"github.com/waxosuit/waxo/devhost/seal"
	"github.com/waxosuit/waxo/devhost/slim"
	"github.com/waxosuit/waxo/wapc/wasm"
)

// checkSlim checks what holds for all modules that can be sealed: each choice of
// steps succeeds, gives the same twice, and what was valid stays valid and does
// the same. It tells whether the module was valid.
func checkSlim(t *testing.T, module []byte) bool {
	t.Helper()
	module, _, err := seal.Seal(module, nil)
	if err != nil {
		return false
	}
	want, valid, late := brief(t, module)
	for _, steps := range [][]slim.Step{{slim.Merge}, {slim.Snapshot}, {slim.Dead}, slim.Steps()} {
		var after [2][]byte
		for i := range after {
			m := decode(t, module)
			// Long before the time-out of brief, so that a slow start is no snapshot.
			opts := &slim.Options{Steps: steps, MemoryLimit: 16 << 20, StartTimeout: 50 * time.Millisecond}
			report, err := slim.Slim(t.Context(), m, opts)
			if err != nil {
				t.Fatalf("%v: %v", steps, err)
			}
			late = late || slices.ContainsFunc(report.Steps, func(r slim.Result) bool { return r.Detail == "the guest takes too long to start" })
			after[i] = m.Encode()
		}
		if !bytes.Equal(after[0], after[1]) && !late {
			t.Fatalf("%v give one module and another", steps)
		}
		got, stillValid, late2 := brief(t, after[0])
		if valid && !stillValid {
			t.Fatalf("after %v the module is invalid: %v", steps, got)
		}
		if valid && !late && !late2 && !slices.Equal(got, want) {
			t.Fatalf("%v: %q became %q", steps, want, got)
		}
	}
	return valid
}

// brief runs a module for a short time and returns what a host can notice, but
// for the words of traps: those tell of functions by number. late tells that the
// time ran out.
func brief(t *testing.T, module []byte) (transcript []string, valid, late bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithCoreFeatures(features).
		WithMemoryLimitPages(256).WithCloseOnContextDone(true))
	defer r.Close(context.WithoutCancel(ctx))
	h := &host{answers: noAnswer, operation: "operation", payload: "payload"}
	if err := h.offer(ctx, r, module); err != nil {
		return []string{err.Error()}, false, false
	}
	compiled, err := r.CompileModule(ctx, module)
	if err != nil {
		return []string{err.Error()}, false, false
	}
	guest, err := r.InstantiateModule(ctx, compiled, wazero.NewModuleConfig().WithName("").WithStartFunctions("_start", "_initialize", "wapc_init"))
	if err != nil {
		return append(h.transcript, "does not start"), true, ctx.Err() != nil
	}
	for range 2 {
		results, err := guest.ExportedFunction("__guest_call").Call(ctx, 9, 7)
		if err != nil {
			h.note("traps")
			break
		}
		h.note("returns %d with %d bytes", results[0], guest.Memory().Size())
	}
	view, _ := guest.Memory().Read(0, guest.Memory().Size())
	h.note("memory %q", bytes.TrimRight(view, "\x00"))
	return h.transcript, true, ctx.Err() != nil
}

// seeds are modules of all that the steps look at.
func seeds(t testing.TB) [][]byte {
	all := [][]byte{readFile(t, "../../wapc/wasm/testdata/indices.wasm")}
	for _, test := range unsound {
		if test.name == "huge table" || test.name == "much memory" {
			continue // they cost much and show little
		}
		m := newModule(test.init)
		if test.change != nil {
			test.change(m)
		}
		all = append(all, m.Encode())
	}
	m := newModule(func(c *wasm.Code) {
		c.I32(1).Index(opMemoryGrow, 0).SetGlobal(0)
		index(c.I32(30).I32(0).I32(3).Index(misc(8), 1), 0)
		store8(c, 100, 'x')
	})
	m.Data = []wasm.Data{data(90, "a"), {Form: 1, Init: []byte("one")}, data(92, "b"), data(91, "cdef")}
	setDataCount(m)
	addFunc(m, "unknown", nothing, wasm.NewCode(0).Call(fnInit))
	addTable(m, fnInit, fnInit)
	return append(all, m.Encode())
}

// FuzzSlim changes bytes of modules that have something for each step: three
// bytes of edits are a place and what is added there. So most of them decode.
func FuzzSlim(f *testing.F) {
	modules := seeds(f)
	for i := range modules {
		f.Add(uint8(i), []byte{})
	}
	f.Fuzz(func(t *testing.T, which uint8, edits []byte) {
		module := slices.Clone(modules[int(which)%len(modules)])
		for ; len(edits) >= 3; edits = edits[3:] {
			module[(int(edits[0])<<8|int(edits[1]))%len(module)] += edits[2]
		}
		checkSlim(t, module)
	})
}

// Each byte of a module that has something for each step is changed in several
// ways.
func TestEveryByteChanged(t *testing.T) {
	t.Parallel()
	all := seeds(t)
	module := all[len(all)-1]
	valid := 0
	for i := range module {
		for _, flip := range [...]byte{0x01, 0x02, 0x10, 0x80} {
			module[i] ^= flip
			if checkSlim(t, module) {
				valid++
			}
			module[i] ^= flip
		}
	}
	if valid < len(module)/4 {
		t.Errorf("only %d of %d changes are valid", valid, 4*len(module))
	}
}
