package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/waxosuit/waxo/cmd/internal/cli"
	"github.com/waxosuit/waxo/devhost"
	"github.com/waxosuit/waxo/devhost/control"
	"github.com/waxosuit/waxo/devhost/fault"
	"github.com/waxosuit/waxo/devhost/project"
)

// requestFault is the request of waxo fault.
const requestFault = "fault"

// faultRequest asks for a fault, or for the end of some, or only which there are. It
// is answered by those that there are then.
type faultRequest struct {
	Set   *fault.Fault `json:"set,omitempty"`
	Clear *faultTarget `json:"clear,omitempty"`
}

// faultTarget is what a fault is for; empty: everything.
type faultTarget struct {
	Capability string `json:"capability,omitempty"`
	Binding    string `json:"binding,omitempty"`
}

func (a *app) faultCommand() *cobra.Command {
	f, clear := &fault.Fault{}, false
	cmd := &cobra.Command{
		Use:   "fault [CAPABILITY[/BINDING]]",
		Short: "Have things go wrong on purpose in a running waxo dev",
		Long: `Have calls of a capability, or of one of its bindings, go wrong on purpose while
the guest of the running waxo dev serves: to be late, to fail, to be denied as if
the claims did not grant them, or to find their service cut off. A new fault takes
the place of the one before of the same capability and binding. Without flags, the
faults that there are are listed, those of [[dev.fault]] in waxo.toml too.

A cut is one of connections where the service runs on this machine; other calls get
the error that stands for it.`,
		Example: `  waxo fault wascap:keyvalue --latency 200ms --jitter 50ms
  waxo fault wascap:keyvalue/default --error unavailable --rate 0.1 --for 10s
  waxo fault wascap:keyvalue --cut
  waxo fault --clear`,
		Args: cli.Args(cobra.MaximumNArgs(1)),
	}
	cmd.Flags().DurationVar(&f.Latency, "latency", 0, "how much later calls are")
	cmd.Flags().DurationVar(&f.Jitter, "jitter", 0, "up to how much later still, at random")
	cmd.Flags().StringVar(&f.Error, "error", "", "code of the error that calls fail with, such as unavailable")
	cmd.Flags().BoolVar(&f.Deny, "deny", false, "deny calls")
	cmd.Flags().BoolVar(&f.Cut, "cut", false, "cut the service off")
	cmd.Flags().Float64Var(&f.Rate, "rate", 0, "part of the calls that --error or --deny is for, above 0 and up to 1 (default all)")
	cmd.Flags().IntVar(&f.Times, "times", 0, "how many calls, until it is over (default any number)")
	cmd.Flags().DurationVar(&f.For, "for", 0, "how long, until it is over (default until it is cleared)")
	cmd.Flags().BoolVar(&clear, "clear", false, "end the faults, all or those of the capability or binding")
	format := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkOutput(*format); err != nil {
			return err
		}
		var target faultTarget
		if len(args) == 1 {
			target.Capability, target.Binding, _ = strings.Cut(args[0], "/")
		}
		request, err := newFaultRequest(*f, clear, target)
		if err != nil {
			return err
		}
		list, err := a.askFault(cmd.Context(), request)
		if err != nil {
			return err
		}
		if *format == "json" {
			return writeJSON(a.Out, list)
		}
		return writeFaults(a.Out, list)
	}
	return cmd
}

// newFaultRequest makes of arguments what is asked for.
func newFaultRequest(f fault.Fault, clear bool, target faultTarget) (r faultRequest, err error) {
	asked := f != (fault.Fault{})
	f.Capability, f.Binding = target.Capability, target.Binding
	switch {
	case clear && asked:
		return r, cli.Usage(errors.New("--clear ends faults: give it alone, or leave it out"))
	case clear:
		r.Clear = &target
	case asked && f.Capability == "":
		return r, cli.Usage(errors.New("say what is to go wrong: waxo fault CAPABILITY, such as wascap:keyvalue"))
	case asked || f.Capability != "":
		if err := f.Check(); err != nil {
			return r, cli.Usage(fmt.Errorf("%w; see waxo fault --help", err))
		}
		r.Set = &f
	}
	return r, nil
}

// askFault asks the waxo dev that runs.
func (a *app) askFault(ctx context.Context, request faultRequest) (list []fault.Status, err error) {
	p, err := a.openProject("", &project.Options{})
	if err != nil {
		return nil, err
	}
	running, err := control.Dial(ctx, controlDir(p.Dir()))
	if err != nil {
		return nil, err
	}
	defer running.Close()
	return list, running.Call(ctx, requestFault, request, &list)
}

func writeFaults(out io.Writer, list []fault.Status) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(out, "nothing goes wrong on purpose")
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, s := range list {
		name := s.Capability
		if s.Binding != "" {
			name += "/" + s.Binding
		}
		progress := fmt.Sprintf("%d calls so far", s.Hits)
		if s.Left > 0 {
			progress += fmt.Sprintf(", %v left", s.Left.Round(time.Millisecond))
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", name, s.Fault, progress)
	}
	return w.Flush()
}

// serveFaults answers the requests of waxo fault.
func serveFaults(faults *fault.Injector) control.Handler {
	return control.Typed(func(ctx context.Context, r faultRequest) (any, error) {
		switch {
		case r.Set != nil:
			if err := faults.Set(ctx, *r.Set); err != nil {
				return nil, err
			}
		case r.Clear != nil:
			n, err := faults.Clear(ctx, r.Clear.Capability, r.Clear.Binding)
			if err == nil && n == 0 && r.Clear.Capability != "" {
				err = errors.New("there is no such fault; waxo fault lists those that there are")
			}
			if err != nil {
				return nil, err
			}
		}
		return faults.List(), nil
	})
}

// wrap has things go wrong with the providers of bindings.
func wrap(faults *fault.Injector, binds []devhost.Bind) []devhost.Bind {
	for i := range binds {
		binds[i].Provider = faults.Wrap(binds[i].Provider)
	}
	return binds
}
