package seal_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/tetratelabs/wazero"

	"github.com/waxosuit/waxo/devhost/seal"
	"github.com/waxosuit/waxo/wapc/wasm"
)

// checkSeal checks what holds for all bytes. What is sealed imports nothing but
// the call protocol, needs no more sealing, and is valid if it was valid
// before. What is refused is refused with a reason. It tells whether a valid
// module was sealed.
func checkSeal(t *testing.T, r wazero.Runtime, module []byte) bool {
	t.Helper()
	sealed, report, err := seal.Seal(module, nil)
	if err != nil {
		var e *seal.Error
		if !errors.As(err, &e) || e.Reason == "" || sealed != nil || report != nil {
			t.Fatalf("error %#v", err)
		}
		return false
	}
	imports, err := wasm.Imports(sealed)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range imports {
		if i.Module != "wapc" || i.Type.Kind != wasm.KindFunc {
			t.Fatalf("import %+v", i)
		}
	}
	again, report, err := seal.Seal(sealed, nil)
	if err != nil || !bytes.Equal(sealed, again) || report.Replaced != nil {
		t.Fatalf("sealed again: error %v, report %+v", err, report)
	}
	if compile(r, module) != nil {
		return false
	}
	if err := compile(r, sealed); err != nil {
		t.Fatalf("a valid module became invalid: %v\n%x", err, module)
	}
	return true
}

func FuzzSeal(f *testing.F) {
	f.Add(indices(f))
	f.Add(everything(f))
	f.Add(bare().Encode())
	r := validator(f)
	f.Fuzz(func(t *testing.T, module []byte) { checkSeal(t, r, module) })
}

// Each byte of a module that uses everything is changed in several ways.
func TestEveryByteChanged(t *testing.T) {
	module := indices(t)
	r := validator(t)
	valid := 0
	for i := range module {
		for _, flip := range [...]byte{0x01, 0x02, 0x10, 0x80} {
			module[i] ^= flip
			if checkSeal(t, r, module) {
				valid++
			}
			module[i] ^= flip
		}
	}
	if valid < len(module)/2 {
		t.Errorf("only %d of %d changes were sealed and are valid", valid, 4*len(module))
	}
}

// validator is an engine that compiles fast and runs nothing.
func validator(t testing.TB) wazero.Runtime {
	t.Helper()
	r := wazero.NewRuntimeWithConfig(t.Context(), wazero.NewRuntimeConfigInterpreter().WithCoreFeatures(features))
	t.Cleanup(func() { r.Close(context.Background()) })
	return r
}

func compile(r wazero.Runtime, module []byte) error {
	compiled, err := r.CompileModule(context.Background(), module)
	if err == nil {
		err = compiled.Close(context.Background())
	}
	return err
}
