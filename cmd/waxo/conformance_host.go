package main

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"time"

	"github.com/spf13/cobra"

	"github.com/waxosuit/waxo/cmd/internal/cli"
	"github.com/waxosuit/waxo/testscripts/hostsuite"
)

const conformanceHostHelp = `Hold a host to the rules of the protocol: the sandbox, the call protocol in its
three forms, claims and grants, isolation, deadlines and limits, health, live
update, and what its HTTP server makes of requests and responses. COMMAND starts
the host, a hundred times and more, each time with a small guest made for one check
and signed with keys of this run. In its arguments,

  {module}  is the file of the module, and must be there,
  {port}    is the port to serve HTTP on, at 127.0.0.1.

The environment names the port too (PORT), and what the check has started for the
guest: REDIS_URL, NATS_URL, NATS_SUBSCRIPTION. Limits that a check sets are in
WAXO_LIMITS_CALL_TIMEOUT (such as 300ms), _MEMORY, _REQUEST_BODY, _RESPONSE_BODY
(such as 64KiB), _INSTANCES and _QUEUE. Where your host is told in another way, let
COMMAND be a script that passes them on.

A host serves once the port accepts connections. One that refuses a module ends with
an exit status other than 0, and what it says on stdout or stderr is the reason. It
is ended by SIGTERM where a check is about that, and killed otherwise.

What a host does not offer (a capability, live update) is reported as skipped, with
the reason. Where {port} is in COMMAND, the check of PORT is skipped, too.

The status is 0 where no check failed, 1 where one did. A rule that says SHOULD, and
is broken, is a warning. In a workflow of GitHub Actions, failures and warnings
become annotations. docs/conformance.md of waxo has more, and the commands of the
checks, which are scripts.`

func (a *app) conformanceHostCommand() *cobra.Command {
	f := &reportFlags{}
	opts := &hostsuite.Options{}
	var run string
	var list bool
	cmd := &cobra.Command{
		Use:   "host [flags] -- COMMAND [ARG...]",
		Short: "Check a host, which a command starts, against the protocol",
		Long:  conformanceHostHelp,
		Example: "  waxo conformance host -- waxo run {module} --live-update\n" +
			"  waxo conformance host --run '^(mod|clm)-' -- ./myhost --listen 127.0.0.1:{port} {module}\n" +
			"  waxo conformance host --format junit -o results.xml -- sh -c './myhost --timeout ${WAXO_LIMITS_CALL_TIMEOUT:-30s} \"$0\"' {module}",
	}
	cmd.Flags().BoolVar(&list, "list", false, "list the checks, and make none")
	cmd.Flags().StringVar(&run, "run", "", "make only the checks whose names match this regular expression")
	cmd.Flags().DurationVar(&opts.Timeout, "timeout", time.Minute, "time for one check")
	f.add(cmd)
	cmd.Flags().SetInterspersed(false) // the command's own flags are its
	cmd.RunE = func(cmd *cobra.Command, command []string) error {
		if list {
			return listChecks(a.Out, hostsuite.Scripts)
		}
		if opts.Timeout <= 0 {
			return cli.Usage(fmt.Errorf("--timeout is %v; it must be above 0", opts.Timeout))
		}
		var err error
		if opts.Match, err = regexp.Compile(run); err != nil {
			return cli.Usage(fmt.Errorf("--run: %w", err))
		}
		if err := errors.Join(f.check(), hostsuite.CheckCommand(command)); err != nil {
			return cli.Usage(err)
		}
		opts.Command = command
		return a.conformanceHost(cmd, f, opts)
	}
	return cmd
}

func (a *app) conformanceHost(cmd *cobra.Command, f *reportFlags, opts *hostsuite.Options) error {
	opts.Env = os.Environ() // before it is changed for this process
	if err := a.scratch(); err != nil {
		return err
	}
	r := &reporter{app: a, flags: f, quiet: cli.Quiet(cmd)}
	opts.Ended = r.ended
	all, err := hostsuite.Run(cmd.Context(), opts)
	if err != nil {
		return err
	}
	if len(all.Checks) == 0 {
		return cli.Usage(fmt.Errorf("--run: no check has a name that matches %q", opts.Match))
	}
	return r.finish(all)
}
