package wapc

import (
	"context"
	"fmt"
	"slices"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/waxosuit/waxo/wapc/meter"
	"github.com/waxosuit/waxo/wapc/wasm"
)

// Names of the call protocol.
const (
	importModule = "wapc"

	exportCall   = "__guest_call"
	exportMemory = "memory"

	fnGuestRequest    = "__guest_request"
	fnGuestResponse   = "__guest_response"
	fnGuestError      = "__guest_error"
	fnHostCall        = "__host_call"
	fnHostResponseLen = "__host_response_len"
	fnHostResponse    = "__host_response"
	fnHostErrorLen    = "__host_error_len"
	fnHostError       = "__host_error"
	fnConsoleLog      = "__console_log"
)

// startExports are called once, in this order, each that exists.
var startExports = [...]string{"_start", "_initialize", "wapc_init"}

// callForm is a form of __host_call, told by the number of its parameters.
type callForm int

const (
	formPrefixed  callForm = 4 // operation, payload: the first SDK; the operation carries the namespace
	formNamespace callForm = 6 // namespace, operation, payload: 2019 and early 2020
	formBinding   callForm = 8 // binding, namespace, operation, payload
)

var forms = [...]callForm{formBinding, formNamespace, formPrefixed}

// hostFunction is a function of the import module.
type hostFunction struct {
	name            string
	params, results int // all i32
	call            api.GoFunction
}

// hostFunc implements api.GoFunction. It needs no api.Module: an instance knows
// its memory.
type hostFunc func(in *instance, stack []uint64)

func (f hostFunc) Call(ctx context.Context, stack []uint64) {
	f((*instance)(ctx.(*engineContext)), stack)
}

// hostFunctions are all but __host_call, whose type depends on the form.
var hostFunctions = [...]hostFunction{
	{fnGuestRequest, 2, 0, hostFunc((*instance).guestRequest)},
	{fnGuestResponse, 2, 0, hostFunc((*instance).guestResponse)},
	{fnGuestError, 2, 0, hostFunc((*instance).guestError)},
	{fnHostResponseLen, 0, 1, hostFunc((*instance).hostResponseLen)},
	{fnHostResponse, 1, 0, hostFunc((*instance).hostResponse)},
	{fnHostErrorLen, 0, 1, hostFunc((*instance).hostErrorLen)},
	{fnHostError, 1, 0, hostFunc((*instance).hostError)},
	{fnConsoleLog, 2, 0, hostFunc((*instance).consoleLog)},
}

func (f callForm) function() hostFunction {
	return hostFunction{fnHostCall, int(f), 1, f}
}

// Call implements api.GoFunction.
func (f callForm) Call(ctx context.Context, stack []uint64) {
	(*instance)(ctx.(*engineContext)).hostCall(f, stack)
}

// hostModule builds the import module with what a guest imports of it: the engine
// compiles a way to each function, at every start.
func hostModule(r wazero.Runtime, guest facts, traced bool) wazero.HostModuleBuilder {
	b := r.NewHostModuleBuilder(importModule)
	for _, f := range append(hostFunctions[:len(hostFunctions):len(hostFunctions)], guest.Form.function()) {
		if !slices.Contains(guest.Imports, importModule+"."+f.name) {
			continue
		}
		if traced {
			f.call = tracer{f.name, f.call}
		}
		types := slices.Repeat([]api.ValueType{api.ValueTypeI32}, max(f.params, f.results))
		b.NewFunctionBuilder().WithGoFunction(f.call, types[:f.params], types[:f.results]).Export(f.name)
	}
	return b
}

// tracer tells of a host function before it is served.
type tracer struct {
	name string
	call api.GoFunction
}

// Call implements api.GoFunction.
func (t tracer) Call(ctx context.Context, stack []uint64) {
	if trace := (*instance)(ctx.(*engineContext)).pool.opts.Trace; trace != nil {
		trace(t.name)
	}
	t.call.Call(ctx, stack)
}

// meterModule builds the import module that a metered guest looks into.
func meterModule(r wazero.Runtime) wazero.HostModuleBuilder {
	look := hostFunc(func(in *instance, _ []uint64) { in.look() })
	return r.NewHostModuleBuilder(meter.ImportModule).NewFunctionBuilder().WithGoFunction(look, nil, nil).
		Export(meter.ImportName)
}

// i32s is a function type of i32 alone.
func i32s(params, results int) wasm.FuncType {
	all := slices.Repeat([]wasm.ValType{wasm.I32}, max(params, results))
	return wasm.FuncType{Params: all[:params], Results: all[:results]}
}

// checkImports tells which form of __host_call the module imports, or names
// every import that is not served.
func checkImports(m *wasm.Module) (callForm, error) {
	var bad []BadImport
	form := callForm(0)
	for _, i := range m.Imports {
		problem := importProblem(i)
		if problem == "" && i.Name == fnHostCall {
			f := callForm(len(i.Type.Func.Params))
			if form != 0 && f != form {
				problem = fmt.Sprintf("it is imported with %d parameters as well", form)
			}
			form = f
		}
		if problem != "" {
			bad = append(bad, BadImport{Module: i.Module, Name: i.Name, Kind: i.Type.Kind.String(), Problem: problem})
		}
	}
	if bad != nil {
		return 0, &ImportError{bad}
	}
	if form == 0 {
		form = formBinding
	}
	return form, nil
}

func importProblem(i wasm.Import) string {
	if i.Module != importModule {
		return fmt.Sprintf("a guest may import functions of %q only", importModule)
	}
	if i.Type.Kind != wasm.KindFunc {
		return fmt.Sprintf("%q has functions only", importModule)
	}
	is := i.Type.Func
	if i.Name == fnHostCall {
		if slices.ContainsFunc(forms[:], func(f callForm) bool { return is.Equal(i32s(int(f), 1)) }) {
			return ""
		}
		return fmt.Sprintf("it has the type %v, not 8, 6 or 4 parameters i32 and a result i32", is)
	}
	for _, f := range hostFunctions {
		if f.name != i.Name {
			continue
		}
		if want := i32s(f.params, f.results); !is.Equal(want) {
			return fmt.Sprintf("it has the type %v, not %v", is, want)
		}
		return ""
	}
	return fmt.Sprintf("%q has no such function", importModule)
}

// checkExports checks what the protocol needs of the module, and returns the
// limits of its memory.
func checkExports(m *wasm.Module) (memory wasm.Limits, err error) {
	var problems []string
	check := func(name string, want wasm.ExternType, needed bool) (is wasm.ExternType) {
		at := slices.IndexFunc(m.Exports, func(e wasm.Export) bool { return e.Name == name })
		if at < 0 {
			if needed {
				problems = append(problems, name+" is missing")
			}
			return is
		}
		is, err := m.ExternType(m.Exports[at].Kind, m.Exports[at].Index)
		switch {
		case err != nil:
			problems = append(problems, name+": "+err.Error())
		case is.Kind != want.Kind:
			problems = append(problems, fmt.Sprintf("%s is a %v, not a %v", name, is.Kind, want.Kind))
		case is.Kind == wasm.KindFunc && !is.Func.Equal(want.Func):
			problems = append(problems, fmt.Sprintf("%s has the type %v, not %v", name, is.Func, want.Func))
		}
		return is
	}
	check(exportCall, wasm.ExternType{Kind: wasm.KindFunc, Func: i32s(2, 1)}, true)
	memory = check(exportMemory, wasm.ExternType{Kind: wasm.KindMemory}, true).Memory
	for _, name := range startExports {
		check(name, wasm.ExternType{Kind: wasm.KindFunc}, false)
	}
	if problems != nil {
		return memory, &ExportError{problems}
	}
	return memory, nil
}
