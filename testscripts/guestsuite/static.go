package guestsuite

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/waxosuit/waxo/capability/payload/registry"
	"github.com/waxosuit/waxo/testscripts/script"
	"github.com/waxosuit/waxo/wapc"
	"github.com/waxosuit/waxo/wapc/wasm"
	"github.com/waxosuit/waxo/wascap"
)

// staticCommands look at the module without running it.
func staticCommands() []script.Command {
	return []script.Command{
		{
			Name: "valid", Run: valid,
			Short:   "Expects that the bytes are a WebAssembly module, whatever it imports, exports and uses.",
			Example: "valid",
		},
		{
			Name: "features", Run: features,
			Short:   "Prints what the module uses beyond WebAssembly 2.0, a line each.",
			Example: "features\n! stdout .",
		},
		{
			Name: "imports", Args: "among FILE | typed FILE | once NAME | used", Run: imports,
			Short: "Looks at what the module imports.",
			Long: `With "among", each import must be a function that FILE names, a line each, such as
"wapc.__host_call (i32, i32, i32, i32) -> (i32)"; with "typed", those that are named there must have a type that
is given there. With "once", no name of the module wapc may be imported with two types, and with "used", each
function that is imported must be used.`,
			Example: "imports once __host_call",
		},
		{
			Name: "exports", Args: "[-optional] NAME function TYPE | NAME memory", Run: exports,
			Short:   "Expects an export of a kind and, if it is a function, of a type.",
			Example: "exports __guest_call function '(i32, i32) -> (i32)'\nexports -optional _start function '() -> ()'",
		},
		{
			Name: "memories", Args: "[within BYTES]", Run: memories,
			Short:   "Prints the memories that the module has, a line each, or expects that none starts with more than that.",
			Example: "memories\nstdout -count=1 bytes\nstdout '^defined, 32 bits, exported as memory, [0-9]+ bytes$'",
		},
		{
			Name: "claims", Args: "PROBLEM...", Run: claims,
			Short: "Expects that the claims have one of some problems; mostly they are not to.",
			Long: `A problem is a reason for which a module is refused, as waxo verify has them, or one of these:

` + problemList(),
			Example: "! claims signature\n! claims expired not-yet-valid",
		},
	}
}

func (s *session) mustHaveParts(ts *testscript.TestScript) *wasm.Module {
	ts.Check(s.broken)
	return s.parts
}

func valid(ts *testscript.TestScript, not bool, args []string) {
	if not || len(args) > 0 {
		usage(ts, "valid")
	}
	s := sessionOf(ts)
	if format := new(wapc.FormatError); errors.As(s.refused, &format) && s.beyond() == nil {
		ts.Fatalf("the engine refuses the module: %v", format.Err)
	}
}

func imports(ts *testscript.TestScript, not bool, args []string) {
	m := sessionOf(ts).mustHaveParts(ts)
	var wrong []string
	switch {
	case not:
		usage(ts, "imports")
	case len(args) == 2 && (args[0] == "among" || args[0] == "typed"):
		wrong = compareImports(m, ts.ReadFile(args[1]), args[0] == "typed")
	case len(args) == 2 && args[0] == "once":
		wrong = twoTypes(m, args[1])
	case len(args) == 1 && args[0] == "used":
		unused, err := unusedImports(m)
		ts.Check(err)
		wrong = unused
	default:
		usage(ts, "imports")
	}
	if wrong != nil {
		ts.Fatalf("%s", strings.Join(wrong, "\n"))
	}
}

func compareImports(m *wasm.Module, table string, typed bool) (wrong []string) {
	types := make(map[string][]string)
	for line := range strings.Lines(table) {
		name, signature, _ := strings.Cut(strings.TrimSpace(line), " ")
		types[name] = append(types[name], signature)
	}
	for _, i := range m.Imports {
		name := i.Module + "." + i.Name
		known := types[name]
		switch {
		case !typed && i.Type.Kind != wasm.KindFunc:
			wrong = append(wrong, fmt.Sprintf("%s %s is imported", i.Type.Kind, name))
		case !typed && known == nil:
			wrong = append(wrong, name+" is imported")
		case typed && known != nil && i.Type.Kind == wasm.KindFunc && !slices.Contains(known, i.Type.Func.String()):
			wrong = append(wrong, fmt.Sprintf("%s is imported with the type %v; it has %s", name, i.Type.Func, strings.Join(known, ", or ")))
		}
	}
	return wrong
}

func twoTypes(m *wasm.Module, name string) (wrong []string) {
	var first *wasm.FuncType
	for _, i := range m.Imports {
		if i.Module != "wapc" || i.Name != name || i.Type.Kind != wasm.KindFunc {
			continue
		}
		if first != nil && !first.Equal(i.Type.Func) {
			wrong = append(wrong, fmt.Sprintf("%s is imported as %v and as %v", name, *first, i.Type.Func))
		}
		first = &i.Type.Func
	}
	return wrong
}

func exports(ts *testscript.TestScript, not bool, args []string) {
	m := sessionOf(ts).mustHaveParts(ts)
	optional := len(args) > 0 && args[0] == "-optional"
	if optional {
		args = args[1:]
	}
	if not || len(args) < 2 || args[1] != "memory" && (args[1] != "function" || len(args) != 3) {
		usage(ts, "exports")
	}
	at := slices.IndexFunc(m.Exports, func(e wasm.Export) bool { return e.Name == args[0] })
	if at < 0 {
		if !optional {
			ts.Fatalf("there is no export %s", args[0])
		}
		return
	}
	is, err := m.ExternType(m.Exports[at].Kind, m.Exports[at].Index)
	ts.Check(err)
	switch {
	case is.Kind.String() != args[1]:
		ts.Fatalf("the export %s is a %v, not a %s", args[0], is.Kind, args[1])
	case is.Kind == wasm.KindFunc && is.Func.String() != args[2]:
		ts.Fatalf("the export %s has the type %v, not %s", args[0], is.Func, args[2])
	}
}

func memories(ts *testscript.TestScript, not bool, args []string) {
	m := sessionOf(ts).mustHaveParts(ts)
	most := uint64(math.MaxUint64)
	switch {
	case !not && len(args) == 2 && args[0] == "within":
		most = uint64(number(ts, args[1]))
	case not || len(args) > 0:
		usage(ts, "memories")
	}
	index := uint32(0)
	show := func(how string, l wasm.Limits) {
		bits := 32
		if l.Is64 {
			bits = 64
		}
		names := []string{}
		for _, e := range m.Exports {
			if e.Kind == wasm.KindMemory && e.Index == index {
				names = append(names, "exported as "+e.Name+", ")
			}
		}
		fmt.Fprintf(ts.Stdout(), "%s, %d bits, %s%d bytes\n", how, bits, strings.Join(names, ""), l.Min<<16)
		index++
		if l.Min<<16 > most {
			ts.Fatalf("the memory starts with %d bytes, more than %d", l.Min<<16, most)
		}
	}
	for _, i := range m.Imports {
		if i.Type.Kind == wasm.KindMemory {
			show("imported", i.Type.Memory)
		}
	}
	for _, l := range m.Memories {
		show("defined", l)
	}
}

// problems are what may be wrong with claims that hold.
var problems = []struct {
	name, what string
	has        func(s *subject) string // what it is; empty: nothing
}{
	{"unknown-capability", "a capability of the standard's vendors that the protocol does not know", func(s *subject) string {
		return first(s.claims.Capabilities, func(c string) bool {
			vendor, _, _ := strings.Cut(standard(c), ":")
			return (vendor == "wascap" || vendor == "waxo") && !isStandard(standard(c))
		})
	}},
	{"nameless-capability", "a capability that is not of the form vendor:name", func(s *subject) string {
		return first(s.claims.Capabilities, func(c string) bool {
			vendor, name, _ := strings.Cut(c, ":")
			return vendor == "" || name == ""
		})
	}},
	{"mixed-generations", "capabilities of both generations", func(s *subject) string {
		prefixed := func(p string) string {
			return first(s.claims.Capabilities, func(c string) bool { return strings.HasPrefix(c, p) })
		}
		if a, b := prefixed("wascap:"), prefixed("wascc:"); a != "" && b != "" {
			return a + " and " + b
		}
		return ""
	}},
	{"throwaway", "the tag of throwaway keys", func(s *subject) string {
		if s.claims.HasTag(wascap.DevTag) && !s.opts.AllowDev {
			return wascap.DevTag
		}
		return ""
	}},
}

func first(list []string, is func(string) bool) string {
	if i := slices.IndexFunc(list, is); i >= 0 {
		return fmt.Sprintf("%q", list[i])
	}
	return ""
}

func isStandard(id string) bool {
	return slices.ContainsFunc(registry.Operations(), func(o registry.Operation) bool { return o.Capability == id })
}

func problemList() string {
	var b strings.Builder
	for _, p := range problems {
		fmt.Fprintf(&b, "- `%s`: %s\n", p.name, p.what)
	}
	return b.String()
}

func claims(ts *testscript.TestScript, not bool, args []string) {
	s := sessionOf(ts)
	if len(args) == 0 {
		usage(ts, "claims")
	}
	var has []string
	for _, name := range args {
		if s.refusal != nil && string(s.refusal.Reason) == name {
			has = append(has, s.refusal.Error())
		}
		for _, p := range problems {
			if p.name != name || s.claims == nil {
				continue
			}
			if what := p.has(s.subject); what != "" {
				has = append(has, fmt.Sprintf("the claims have %s: %s", p.what, what))
			}
		}
	}
	switch {
	case not && has != nil:
		ts.Fatalf("%s", strings.Join(has, "\n"))
	case !not && has == nil:
		ts.Fatalf("the claims have none of these problems: %s", strings.Join(args, ", "))
	}
}
