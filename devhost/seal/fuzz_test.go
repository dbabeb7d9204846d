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
func checkSeal(t *testing.T, module []byte) bool {
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
	if compile(module) != nil {
		return false
	}
	if err := compile(sealed); err != nil {
		t.Fatalf("a valid module became invalid: %v\n%x", err, module)
	}
	return true
}

func FuzzSeal(f *testing.F) {
	f.Add(indices(f))
	f.Add(everything(f))
	f.Add(bare().Encode())
	f.Fuzz(func(t *testing.T, module []byte) { checkSeal(t, module) })
}

// Each bit of a module that uses everything is changed once.
func TestEverySingleBitChange(t *testing.T) {
	module := indices(t)
	valid := 0
	for i := range module {
		for bit := range 8 {
			module[i] ^= 1 << bit
			if checkSeal(t, module) {
				valid++
			}
			module[i] ^= 1 << bit
		}
	}
	if valid < 1000 {
		t.Errorf("only %d of %d changes were sealed and are valid", valid, 8*len(module))
	}
}

func compile(module []byte) error {
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithCoreFeatures(features))
	defer r.Close(ctx)
	_, err := r.CompileModule(ctx, module)
	return err
}
