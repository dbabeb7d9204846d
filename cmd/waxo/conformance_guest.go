package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/waxosuit/waxo/cmd/internal/cli"
	"github.com/waxosuit/waxo/devhost/build"
	"github.com/waxosuit/waxo/devhost/project"
	"github.com/waxosuit/waxo/testscripts/guestsuite"
	"github.com/waxosuit/waxo/testscripts/script"
)

// guestFlags are the flags of waxo conformance guest.
type guestFlags struct {
	list     bool
	run      string
	requests string
	suite    guestsuite.Options
	report   reportFlags
}

const conformanceGuestHelp = `Hold a module to the rules of the protocol that bind guests and those who sign
them: its imports, exports, memory and claims; how it starts, answers and fails;
what it makes of empty, large and malformed payloads, of operations that it does
not know, and of host calls that fail; whether it goes on for 100,000 calls
without growing, and answers equal calls equally; whether what it sends is well
formed, and granted. What the module does not claim is not asked of it: such
checks are skipped. docs/conformance.md of waxo has more, and the commands of
the checks, which are scripts.

The guest runs in this process, on services that are made up: it reaches no
store and no network. It is asked what guests of its capabilities are asked; to
have it asked what its application is about, write requests to a file, as JSON
below the operation that they are for, and name it by --requests:

  -- HandleRequest/add --
  {"method": "POST", "path": "/items", "body": {"text": "{\"name\": \"a\"}"}}

Without MODULE, the project that the working directory belongs to is built as by
waxo build, with its throwaway keys.

The status is 0 where no check failed, and 1 where one did. A rule that says
SHOULD, and is broken, is a warning. In a workflow of GitHub Actions, failures and
warnings become annotations.`

func (a *app) conformanceGuestCommand() *cobra.Command {
	f := &guestFlags{}
	cmd := &cobra.Command{
		Use:   "guest [MODULE]",
		Short: "Check a guest against the protocol",
		Long:  conformanceGuestHelp,
		Example: "  waxo conformance guest hello.wasm\n  waxo conformance guest --run 'claims|imports' hello.wasm\n" +
			"  waxo conformance guest --unsigned --claim wascap:http_server hello.wasm\n  waxo conformance guest --format junit -o results.xml hello.wasm",
		Args: cli.Args(cobra.MaximumNArgs(1)),
	}
	cmd.Flags().BoolVar(&f.list, "list", false, "list the checks, and make none")
	cmd.Flags().StringVar(&f.run, "run", "", "make only the checks whose names match this regular expression")
	cmd.Flags().StringVar(&f.requests, "requests", "", "file with further requests, in the txtar format")
	cmd.Flags().BoolVar(&f.suite.Unsigned, "unsigned", false, "leave the checks of claims out")
	cmd.Flags().StringArrayVar(&f.suite.Capabilities, "claim", nil, "capability that a module without claims is taken to claim; may be repeated")
	cmd.Flags().BoolVar(&f.suite.AllowDev, "allow-dev", false, "take a module that was signed with throwaway keys")
	cmd.Flags().IntVar(&f.suite.Parallel, "parallel", 0, "checks at once (default as many as there are cores)")
	cmd.Flags().DurationVar(&f.suite.Timeout, "timeout", time.Minute, "time for one check")
	cmd.Flags().DurationVar(&f.suite.CallTimeout, "call-timeout", 10*time.Second, "time for one call of the guest, after which it hangs")
	f.report.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, files []string) error {
		if err := f.check(); err != nil {
			return err
		}
		if f.list {
			return listChecks(a.Out, guestsuite.Scripts)
		}
		return a.conformanceGuest(cmd, f, files)
	}
	return cmd
}

func (f *guestFlags) check() error {
	if f.suite.Timeout <= 0 || f.suite.CallTimeout <= 0 {
		return cli.Usage(errors.New("--timeout and --call-timeout must be above 0"))
	}
	for _, c := range f.suite.Capabilities {
		if vendor, name, _ := strings.Cut(c, ":"); vendor == "" || name == "" {
			return cli.Usage(fmt.Errorf("--claim: %q is no capability; take one such as wascap:http_server", c))
		}
	}
	if f.run != "" {
		match, err := regexp.Compile(f.run)
		if err != nil {
			return cli.Usage(fmt.Errorf("--run: %w", err))
		}
		f.suite.Match = match
	}
	return f.report.check()
}

func (a *app) conformanceGuest(cmd *cobra.Command, f *guestFlags, files []string) error {
	if err := a.scratch(); err != nil {
		return err
	}
	opts := f.suite
	if f.requests != "" {
		var err error
		if opts.Requests, err = os.ReadFile(f.requests); err != nil {
			return err
		}
	}
	module, err := a.moduleToCheck(cmd, &opts, files)
	if err != nil {
		return err
	}
	opts.CacheDir = cli.UsableCache()
	r, err := guestsuite.Run(cmd.Context(), module, &opts)
	if err != nil {
		return err
	}
	if len(r.Checks) == 0 {
		return cli.Usage(fmt.Errorf("--run: no check has a name that matches %q; see --list", f.run))
	}
	return (&reporter{app: a, flags: &f.report, quiet: cli.Quiet(cmd)}).finish(r)
}

// moduleToCheck reads the file that was named, or builds the project's module.
func (a *app) moduleToCheck(cmd *cobra.Command, opts *guestsuite.Options, files []string) ([]byte, error) {
	if len(files) > 0 {
		opts.Subject = files[0]
		return os.ReadFile(files[0])
	}
	p, err := a.openProject("", nil)
	if err != nil {
		return nil, fmt.Errorf("%w; or name the module to check", err)
	}
	opts.Subject = p.Manifest().Name
	keys, err := p.Keys()
	if err != nil {
		return nil, err
	}
	made, err := p.Make(cmd.Context(), build.New(nil), &project.MakeOptions{Account: keys.Account, Module: keys.Module, Dev: true})
	if err != nil {
		return nil, toolchainWords(err)
	}
	fmt.Fprint(a.Err, made.Output)
	opts.AllowDev = true // they are this project's own
	return made.Signed, nil
}

// listChecks lists the checks of a suite.
func listChecks(w io.Writer, suite func() ([]*script.Script, error)) error {
	scripts, err := suite()
	if err != nil {
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, s := range scripts {
		fmt.Fprintf(t, "%s\t%s\t%s\n", s.Name, strings.Join(s.Rules, ", "), s.Title)
	}
	return t.Flush()
}
