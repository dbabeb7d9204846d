package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"time"

	"github.com/spf13/cobra"

	"github.com/waxosuit/waxo/testscripts/report"
)

func (a *app) conformanceCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "conformance",
		Short: "Check guests, hosts and providers against the protocol",
		Long: `Check a guest, a host or a provider against the protocol, rule by rule. A check
that fails says which rule of docs/protocol.md is broken, and what was seen.`,
		Example: "  waxo conformance provider embedded:keyvalue",
		Args:    unknownCommand,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.conformanceProviderCommand())
	return cmd
}

// reportFlags are the flags of commands whose result is a report.
type reportFlags struct {
	run, format, file string
	timeout           time.Duration
}

func (f *reportFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.run, "run", "", "regular expression: only the checks whose names it matches")
	cmd.Flags().StringVar(&f.format, "format", "text", "form of the report: text, json, junit or github")
	cmd.Flags().StringVarP(&f.file, "output", "o", "", "file to write the report to; default: standard output")
	cmd.Flags().DurationVar(&f.timeout, "timeout", time.Minute, "how long one check may take")
}

// match is the expression that chooses checks, nil for all.
func (f *reportFlags) match() (*regexp.Regexp, error) {
	if f.run == "" {
		return nil, nil
	}
	match, err := regexp.Compile(f.run)
	if err != nil {
		return nil, usageError{fmt.Errorf("--run: %w", err)}
	}
	return match, nil
}

// check refuses what makes no sense.
func (f *reportFlags) check() error {
	if _, ok := writers[f.format]; !ok {
		return usageError{fmt.Errorf("there is no form of reports %q; take text, json, junit or github", f.format)}
	}
	if f.timeout <= 0 {
		return usageError{fmt.Errorf("a check cannot take %v; take a time above 0", f.timeout)}
	}
	return nil
}

// writers are those of a report, by what --format calls them.
var writers = map[string]func(*report.Report, io.Writer) error{
	"text": (*report.Report).Text, "json": (*report.Report).JSON, "junit": (*report.Report).JUnit, "github": (*report.Report).GitHub,
}

// write writes a report. The error is there as well where a check has failed.
func (f *reportFlags) write(a *app, r *report.Report) error {
	err := f.writeTo(a.out, r)
	switch failed := r.Count(report.Fail); {
	case err != nil:
		return err
	case len(r.Checks) == 0:
		return errors.New("no check has such a name; without --run, all are made")
	case failed == 1:
		return fmt.Errorf("%s: a check failed", r.Subject)
	case failed > 0:
		return fmt.Errorf("%s: %d checks failed", r.Subject, failed)
	case !r.OK():
		return fmt.Errorf("%s: every check was skipped", r.Subject)
	}
	return nil
}

func (f *reportFlags) writeTo(w io.Writer, r *report.Report) error {
	if f.file == "" {
		return writers[f.format](r, w)
	}
	file, err := os.Create(f.file)
	if err != nil {
		return err
	}
	return errors.Join(writers[f.format](r, file), file.Close())
}
