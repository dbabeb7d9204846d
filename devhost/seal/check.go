package seal

import (
	"fmt"
	"strings"

	"github.com/waxosuit/waxo/wapc/wasm"
)

// What a guest's border is made of.
const (
	moduleWAPC     = "wapc"
	modulePreview1 = "wasi_snapshot_preview1"
	consoleLog     = "__console_log"
	guestCall      = "__guest_call"
	memory         = "memory"
)

var (
	consoleLogType = wasm.FuncType{Params: []wasm.ValType{wasm.I32, wasm.I32}}
	guestCallType  = wasm.FuncType{Params: []wasm.ValType{wasm.I32, wasm.I32}, Results: []wasm.ValType{wasm.I32}}
)

// decode takes the module apart if it is a guest, sealed or to be sealed.
func decode(module []byte) (*wasm.Module, error) {
	if isComponent(module) {
		return nil, refuse(ReasonComponent, "this is a component, not a core module: build the guest for wasip1 (GOOS=wasip1, wasm32-wasip1), without turning it into a component")
	}
	m, err := wasm.Decode(module)
	if err != nil {
		return nil, unreadable(err)
	}
	for _, check := range [...]func(*wasm.Module) error{checkImports, checkMemory, checkGuestCall, checkCustoms} {
		if err := check(m); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// isComponent looks at the preamble: behind the magic stand a version and a
// layer of 16 bits each, and the layer of core modules is 0.
func isComponent(module []byte) bool {
	return len(module) >= 8 && string(module[:4]) == string(wasm.Magic[:4]) && (module[6] != 0 || module[7] != 0)
}

func checkImports(m *wasm.Module) error {
	var foreign, mistyped []string
	for _, i := range m.Imports {
		name := i.Module + "." + i.Name
		want, known := importType(i)
		switch t := i.Type; {
		case t.Kind != wasm.KindFunc:
			foreign = append(foreign, fmt.Sprintf("%s (a %v)", name, t.Kind))
		case !known:
			foreign = append(foreign, name)
		case want != nil && !t.Func.Equal(*want):
			mistyped = append(mistyped, fmt.Sprintf("%s is imported as %v and is %v", name, t.Func, *want))
		}
	}
	if foreign != nil {
		return refuse(ReasonImport, "imports that no sealed guest can have: %s%s", strings.Join(foreign, ", "), importHint(m))
	}
	if mistyped != nil {
		return refuse(ReasonImportType, "imports of the wrong type: %s", strings.Join(mistyped, "; "))
	}
	return nil
}

// importType gives the type that a function must be imported with; nil if that
// is for the host to say. It tells whether a guest may import it at all.
func importType(i wasm.Import) (want *wasm.FuncType, known bool) {
	switch i.Module {
	case moduleWAPC:
		if i.Name == consoleLog {
			want = &consoleLogType
		}
		return want, true
	case modulePreview1:
		if f, ok := preview1[i.Name]; ok {
			t := signature(f.sig)
			return &t, true
		}
	}
	return nil, false
}

func importHint(m *wasm.Module) string {
	for _, i := range m.Imports {
		if i.Module == "wasi_unstable" {
			return " (wasi_unstable is the WASI of 2019: build with a toolchain that knows wasip1)"
		}
	}
	return ""
}

func checkMemory(m *wasm.Module) error {
	if len(m.Memories) != 1 {
		return refuse(ReasonMemory, "the module has %d memories; a guest has one", len(m.Memories))
	}
	switch l := m.Memories[0]; {
	case l.Shared:
		return refuse(ReasonMemory, "the memory is shared between threads; build the guest without threads")
	case l.Is64:
		return refuse(ReasonMemory, "the memory is addressed by 64 bits; build the guest for wasm32")
	}
	for _, e := range m.Exports {
		if e.Name == memory && e.Kind == wasm.KindMemory && e.Index == 0 {
			return nil
		}
	}
	return refuse(ReasonMemory, "the memory is not exported as %q", memory)
}

func checkGuestCall(m *wasm.Module) error {
	for _, e := range m.Exports {
		if e.Name != guestCall {
			continue
		}
		if e.Kind != wasm.KindFunc {
			return refuse(ReasonGuestCall, "the export %s is a %v, not a function", guestCall, e.Kind)
		}
		t, err := m.ExternType(e.Kind, e.Index)
		if err != nil {
			return unreadable(err)
		}
		if !t.Func.Equal(guestCallType) {
			return refuse(ReasonGuestCall, "the export %s is %v and must be %v", guestCall, t.Func, guestCallType)
		}
		return nil
	}
	return refuse(ReasonGuestCall, "the module does not export %s: it is no waPC guest (in Go: //go:wasmexport %[1]s, built with -buildmode=c-shared)", guestCall)
}

func checkCustoms(m *wasm.Module) error {
	for _, c := range m.Customs {
		if c.Name == "dylink" || strings.HasPrefix(c.Name, "dylink.") {
			return refuse(ReasonDynamic, "the section %q says that this is a dynamic library, to be linked at run time", c.Name)
		}
	}
	return nil
}

// checkUnsigned refuses claims in a module that is about to be changed: they
// hold for its bytes as they are. Whoever wants to seal it all the same takes
// them off knowingly.
func checkUnsigned(m *wasm.Module) error {
	for _, c := range m.Customs {
		if c.Name == "jwt" || c.Name == "wasmcloud_jwt" {
			return refuse(ReasonSigned, "the module is signed (section %q), and sealing would break its signature: seal first, then sign", c.Name)
		}
	}
	return nil
}
