// Package slim makes a sealed guest smaller and quicker to load without
// changing what it does. It works between sealing and signing.
//
// There are four steps, each of which can be left out. Done in this order:
//
//   - [Strip] removes custom sections that nobody needs who runs the guest:
//     debug information, producers, target features, source maps. The names of
//     functions stay, because traps tell them; those of locals, labels, types
//     and the like go. Sections that it does not know stay.
//   - [Merge] lays neighbouring data segments together: a Go guest has over
//     twenty thousand, and each costs more to decode and to keep than the zeros
//     between it and the next. So the module may grow, and still loads sooner.
//   - [Snapshot] runs the guest's start functions and writes the state that they
//     leave into the module, in their place. Every instance then begins where it
//     would have been after its start.
//   - [Dead] removes exports that the call protocol gives no meaning, and then
//     the functions that nothing can reach. Imports stay: they are what the
//     guest asks for.
//
// # What holds
//
// An instance of the module that comes out answers every call as one that went
// in would have: the same responses, errors, host calls and log lines, in the
// same order, the same traps. A step that cannot promise that for a module is
// not done, and the report says why. So is a snapshot that would make the module
// larger than is reasonable. The same module and options give the same result,
// on every machine that gets through the guest's start before StartTimeout.
//
// What a snapshot promises rests on what a sealed guest is: nothing but its
// input and the host's answers can make a difference to it. So a guest that
// calls the host while it starts, were it only to log a line, is left as it is.
// Memory that it grew to at its start is memory that it has from the beginning;
// a host whose limit is lower refuses it then, as it would have refused the
// start.
package slim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/waxosuit/waxo/wapc/wasm"
)

// Step is something that Slim does to a module.
type Step string

// The steps.
const (
	Strip    Step = "strip"
	Merge    Step = "merge"
	Snapshot Step = "snapshot"
	Dead     Step = "dead"
)

// Steps lists all steps in the order in which they are done.
func Steps() []Step { return []Step{Strip, Merge, Snapshot, Dead} }

// The defaults of Options.
const (
	DefaultMemoryLimit  = 256 << 20
	DefaultStartTimeout = 10 * time.Second
)

// Options say what is done. The zero value and nil do all.
type Options struct {
	// Steps are those to be done; their order makes no difference. Default, for
	// nil: all of them. A slice that is not nil and empty stands for none.
	Steps []Step
	// MemoryLimit bounds the guest's memory while it starts for a snapshot, in
	// bytes. Default: DefaultMemoryLimit.
	MemoryLimit int64
	// StartTimeout bounds that start, which happens in an interpreter. Default:
	// DefaultStartTimeout.
	StartTimeout time.Duration
	// Measure has the report tell sizes. Each takes the time of encoding the
	// module. Default: sizes are 0.
	Measure bool
}

// Report tells what Slim did.
type Report struct {
	Changed       bool     // the module is another
	Before, After int      // bytes, if measured
	Steps         []Result // of the steps that were asked for, in their order
}

// Result tells what came of a step.
type Result struct {
	Step    Step
	Done    bool   // else Detail says why not
	Detail  string // such as "23730 data segments became 6"
	Saved   int    // bytes, if measured; negative: the module grew
	changed bool
}

// ErrUnknownStep is what Slim's error matches for a step that does not exist.
var ErrUnknownStep = errors.New("unknown step")

// Slim changes the module in place. What the module aliases is left alone.
//
// Its errors match ErrUnknownStep, wasm.ErrMalformed or wasm.ErrUnsupported, or
// ctx's error; the module is of no use then. Slim does not validate: a module
// that was invalid before stays so, and is for the engine to refuse.
func Slim(ctx context.Context, m *wasm.Module, opts *Options) (*Report, error) {
	if opts == nil {
		opts = &Options{}
	}
	steps, err := opts.steps()
	if err != nil {
		return nil, err
	}
	report := new(Report)
	size := func() int { return 0 }
	if opts.Measure {
		size = func() int { return len(m.Encode()) }
	}
	report.Before = size()
	report.After = report.Before
	for _, step := range steps {
		r, err := opts.do(ctx, m, step)
		if err != nil {
			return nil, fmt.Errorf("slim: %s: %w", step, err)
		}
		r.Step = step
		if r.changed {
			report.Changed = true
			after := size()
			r.Saved, report.After = report.After-after, after
		}
		report.Steps = append(report.Steps, r)
	}
	return report, nil
}

// steps are those to be done, in order, each once.
func (o *Options) steps() ([]Step, error) {
	all := Steps()
	for _, s := range o.Steps {
		if !slices.Contains(all, s) {
			return nil, fmt.Errorf("slim: %w %q", ErrUnknownStep, s)
		}
	}
	if o.Steps == nil {
		return all, nil
	}
	return slices.DeleteFunc(all, func(s Step) bool { return !slices.Contains(o.Steps, s) }), nil
}

func (o *Options) do(ctx context.Context, m *wasm.Module, step Step) (Result, error) {
	if isSigned(m) {
		return Result{Detail: "the module is signed, and claims hold for its bytes as they are"}, nil
	}
	switch step {
	case Strip:
		return strip(m), nil
	case Dead:
		return removeDead(m)
	case Snapshot:
		return o.snapshot(ctx, m)
	default:
		return merge(m)
	}
}

func isSigned(m *wasm.Module) bool {
	return slices.ContainsFunc(m.Customs, func(c wasm.Custom) bool { return c.Name == "jwt" || c.Name == "wasmcloud_jwt" })
}

// aboutCode tells whether a custom section is about offsets or numbers in the
// code, in a form that is not rewritten here.
func aboutCode(name string) bool {
	return name == "external_debug_info" || strings.HasPrefix(name, ".debug_") || strings.HasPrefix(name, "metadata.code.")
}

// aboutLayout tells whether a custom section is about where something stands in
// the file or its data, in a form that is not rewritten here.
func aboutLayout(name string) bool {
	return name == "linking" || name == "sourceMappingURL" || strings.HasPrefix(name, "reloc.")
}

// dropCustoms removes the custom sections that a change of other sections makes
// wrong.
func dropCustoms(m *wasm.Module, wrong ...func(name string) bool) {
	m.Customs = slices.DeleteFunc(slices.Clone(m.Customs), func(c wasm.Custom) bool {
		return slices.ContainsFunc(wrong, func(is func(string) bool) bool { return is(c.Name) })
	})
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
