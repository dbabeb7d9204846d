package wapc

import (
	"context"
	"fmt"
	"slices"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
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
	call            func(in *instance, ctx *invocation, mem api.Memory, stack []uint64)
}

// hostFunctions are all but __host_call, whose type depends on the form.
var hostFunctions = [...]hostFunction{
	{fnGuestRequest, 2, 0, (*instance).guestRequest},
	{fnGuestResponse, 2, 0, (*instance).guestResponse},
	{fnGuestError, 2, 0, (*instance).guestError},
	{fnHostResponseLen, 0, 1, (*instance).hostResponseLen},
	{fnHostResponse, 1, 0, (*instance).hostResponse},
	{fnHostErrorLen, 0, 1, (*instance).hostErrorLen},
	{fnHostError, 1, 0, (*instance).hostError},
	{fnConsoleLog, 2, 0, (*instance).consoleLog},
}

func (f callForm) function() hostFunction {
	return hostFunction{fnHostCall, int(f), 1,
		func(in *instance, ctx *invocation, mem api.Memory, stack []uint64) { in.hostCall(ctx, f, mem, stack) }}
}

// hostModule builds the import module with one form of __host_call.
func hostModule(r wazero.Runtime, form callForm) wazero.HostModuleBuilder {
	b := r.NewHostModuleBuilder(importModule)
	for _, f := range append(hostFunctions[:len(hostFunctions):len(hostFunctions)], form.function()) {
		types := slices.Repeat([]api.ValueType{api.ValueTypeI32}, max(f.params, f.results))
		b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(
			func(ctx context.Context, guest api.Module, stack []uint64) {
				run := ctx.(*invocation)
				f.call(run.instance, run, guest.Memory(), stack)
			}), types[:f.params], types[:f.results]).Export(f.name)
	}
	return b
}

// checkImports tells which form of __host_call the module imports, or names
// every import that is not served.
func (s *summary) checkImports() (callForm, error) {
	var bad []BadImport
	form := callForm(0)
	for _, i := range s.imports {
		problem := s.importProblem(i)
		if problem == "" && i.name == fnHostCall {
			sig, _ := s.typeAt(i.typ)
			f := callForm(len(sig.params))
			if form != 0 && f != form {
				problem = fmt.Sprintf("it is imported with %d parameters as well", form)
			}
			form = f
		}
		if problem != "" {
			bad = append(bad, BadImport{Module: i.module, Name: i.name, Kind: kinds[i.kind], Problem: problem})
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

func (s *summary) importProblem(i importDecl) string {
	if i.module != importModule {
		return fmt.Sprintf("a guest may import functions of %q only", importModule)
	}
	if i.kind != kindFunction {
		return fmt.Sprintf("%q has functions only", importModule)
	}
	sig, ok := s.typeAt(i.typ)
	if !ok {
		return fmt.Sprintf("there is no type %d", i.typ)
	}
	if i.name == fnHostCall {
		if slices.ContainsFunc(forms[:], func(f callForm) bool { return sig.equal(i32s(int(f), 1)) }) {
			return ""
		}
		return fmt.Sprintf("it has the type %v, not 8, 6 or 4 parameters i32 and a result i32", sig)
	}
	for _, f := range hostFunctions {
		if f.name != i.name {
			continue
		}
		if want := i32s(f.params, f.results); !sig.equal(want) {
			return fmt.Sprintf("it has the type %v, not %v", sig, want)
		}
		return ""
	}
	return fmt.Sprintf("%q has no such function", importModule)
}

// checkExports checks what the protocol needs of the module.
func (s *summary) checkExports() error {
	var problems []string
	note := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	function := func(name string, want signature) {
		e := s.exports[name]
		if e.kind != kindFunction {
			note("%s is no function", name)
		} else if sig, ok := s.signatureOf(e.index); !ok || !sig.equal(want) {
			note("%s has the type %v, not %v", name, sig, want)
		}
	}
	if _, ok := s.exports[exportCall]; !ok {
		note("%s is missing: the module is no waPC guest", exportCall)
	} else {
		function(exportCall, i32s(2, 1))
	}
	if e, ok := s.exports[exportMemory]; !ok {
		note("%s is missing", exportMemory)
	} else if e.kind != kindMemory {
		note("%s is no memory", exportMemory)
	}
	for _, name := range startExports {
		if _, ok := s.exports[name]; ok {
			function(name, signature{})
		}
	}
	if problems != nil {
		return &ExportError{problems}
	}
	return nil
}

func (s *summary) importNames() []string {
	names := make([]string, len(s.imports))
	for i, imp := range s.imports {
		names[i] = imp.module + "." + imp.name
	}
	return names
}
