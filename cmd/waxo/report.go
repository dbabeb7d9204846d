package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/waxosuit/waxo/cmd/internal/cli"
	"github.com/waxosuit/waxo/devhost/project"
	"github.com/waxosuit/waxo/testscripts/report"
)

// reportFlags say where a report goes, and in which form.
type reportFlags struct {
	format string
	file   string
}

var reportFormats = []string{"text", "json", "junit"}

func (f *reportFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.format, "format", "text", "form of the report: text, json or junit (XML)")
	cmd.Flags().StringVarP(&f.file, "output", "o", "", "file to write the report to; what happens is then told on the terminal, too")
}

func (f *reportFlags) check() error {
	if !slices.Contains(reportFormats, f.format) {
		return cli.Usage(fmt.Errorf("there is no format %q; take %s", f.format, strings.Join(reportFormats, ", ")))
	}
	return nil
}

// errFailed ends a command whose report tells of failures.
var errFailed = errors.New("there are failures")

// reporter tells of checks as they end, and then of the whole report.
type reporter struct {
	app   *app
	flags *reportFlags
	quiet bool // tells of failures alone
	told  bool // checks were told of as they ended
}

// telling says whether people are told of checks: not where their place is taken by
// another form of the report.
func (r *reporter) telling() bool { return r.flags.file != "" || r.flags.format == "text" }

// ended tells of a check.
func (r *reporter) ended(c report.Check) {
	r.told = true
	if bad := c.Status == report.Fail || c.Status == report.Warn; r.telling() && (bad || !r.quiet) {
		_ = c.Text(r.app.Out) // a terminal that is gone
	}
}

// finish writes the report. Its error is errFailed where the report tells of
// failures.
func (r *reporter) finish(all *report.Report) error {
	if !r.told {
		for _, c := range all.Checks {
			r.ended(c)
		}
	}
	if r.telling() {
		if err := all.Summary(r.app.Out); err != nil {
			return err
		}
	}
	if err := r.write(all); err != nil {
		return err
	}
	if v, _ := r.app.Lookup("GITHUB_ACTIONS"); v == "true" {
		// Not where a report may be.
		if err := r.inWorkspace(all).GitHub(r.app.Err); err != nil {
			return err
		}
	}
	if !all.OK() {
		return errFailed
	}
	return nil
}

// write writes the report in its form, unless people were told already.
func (r *reporter) write(all *report.Report) error {
	var b bytes.Buffer
	var out io.Writer = &b
	if r.flags.file == "" {
		out = r.app.Out
	}
	var err error
	switch r.flags.format {
	case "json":
		err = all.JSON(out)
	case "junit":
		err = all.JUnit(out)
	default:
		if r.flags.file != "" {
			err = all.Text(out)
		}
	}
	if err != nil || r.flags.file == "" {
		return err
	}
	return project.WriteFile(r.flags.file, b.Bytes(), 0o644)
}

// inWorkspace has the files of checks named as a workflow's annotations need it:
// from the root of the repository on.
func (r *reporter) inWorkspace(all *report.Report) *report.Report {
	root, _ := r.app.Lookup("GITHUB_WORKSPACE")
	changed := *all
	changed.Checks = slices.Clone(all.Checks)
	for i := range changed.Checks {
		c := &changed.Checks[i]
		if path, err := filepath.Abs(c.Path); c.Path != "" && root != "" && err == nil {
			c.Path = below(root, path)
		}
	}
	return &changed
}

// below is a path relative to a folder, if it is in that folder.
func below(dir, path string) string {
	if rel, err := filepath.Rel(dir, path); err == nil && filepath.IsLocal(rel) {
		return filepath.ToSlash(rel)
	}
	return path
}

// shorten has the files of checks named from the working directory on.
func shorten(path string) string {
	if dir, err := os.Getwd(); err == nil {
		return below(dir, path)
	}
	return path
}
