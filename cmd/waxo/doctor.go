package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/waxosuit/waxo/capability/httpserver"
	"github.com/waxosuit/waxo/cmd/internal/cli"
	"github.com/waxosuit/waxo/devhost/connect"
	"github.com/waxosuit/waxo/devhost/doctor"
	"github.com/waxosuit/waxo/devhost/manifest"
	"github.com/waxosuit/waxo/devhost/project"
	"github.com/waxosuit/waxo/harness/companion"
)

func (a *app) doctorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Tell what this machine lacks, and what mends it",
		Long: `Look whether this machine has what it takes to build and to run guests: the
toolchain, a container engine and waxo-containers, the folder for compiled code; and
for the project that the working directory belongs to, the toolchain of its language,
whether changes of its files are seen, whether its port is free (unless its waxo dev
runs), and whether somebody listens where waxo.toml or the environment says that
services are, and its plugins are there.

Nothing is built, downloaded or started, and nothing is written but the folder for
compiled code. Each line is ok, a warning (something works less well, or will be missed
later) or a problem; below those that are not ok stands what mends them. The exit status
is 1 where there is a problem.`,
		Example: "  waxo doctor\n  waxo doctor -o json",
		Args:    cli.Args(cobra.NoArgs),
	}
	format := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := checkOutput(*format); err != nil {
			return err
		}
		opts, err := a.doctorOptions(cmd)
		if err != nil {
			return err
		}
		findings := doctor.Examine(cmd.Context(), opts)
		if err := cmd.Context().Err(); err != nil {
			return err
		}
		if *format == "json" {
			err = writeJSON(a.Out, findings)
		} else {
			err = a.writeFindings(a.Out, findings)
		}
		return errors.Join(err, problems(findings))
	}
	return cmd
}

func (a *app) doctorOptions(cmd *cobra.Command) (*doctor.Options, error) {
	o := &doctor.Options{Lookup: a.Lookup, Companion: companion.Locate, Cache: cli.OwnCache}
	dir, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	p, err := a.openProject(dir, nil)
	switch {
	case errors.Is(err, manifest.ErrNotFound):
		return o, nil
	case err != nil:
		o.Mistake = err
		return o, nil
	}
	// As waxo dev has it.
	m := p.Manifest()
	o.Manifest, o.Binds = m, connect.Complete(m.Capabilities, m.Binds, true)
	if v, _ := a.Lookup(project.EnvironmentMarker); v == "" {
		if err := connect.FromEnvironment(o.Binds, a.Lookup); err != nil {
			o.Mistake = err
		}
	}
	switch running, err := dial(cmd.Context(), p.Dir()); {
	case err != nil:
		o.Mistake = err
	case running != nil: // it has the port
		running.Close()
	default:
		o.Listen = httpserver.TryAddress
	}
	return o, nil
}

// colors are those of statuses on a terminal.
var colors = map[doctor.Status]string{doctor.OK: "\x1b[32m", doctor.Warning: "\x1b[33m", doctor.Problem: "\x1b[31m"}

func (a *app) writeFindings(out io.Writer, findings []doctor.Finding) error {
	width := 0
	for _, f := range findings {
		width = max(width, len(f.Check))
	}
	for _, f := range findings {
		mark := fmt.Sprintf("%-7s", f.Status)
		indent := len(mark) + 2 + width
		if a.color(out) {
			mark = colors[f.Status] + mark + "\x1b[0m"
		}
		if _, err := fmt.Fprintf(out, "%s  %-*s  %s\n", mark, width, f.Check, f.Found); err != nil {
			return err
		}
		if f.Fix != "" {
			if _, err := fmt.Fprintf(out, "%*s  -> %s\n", indent, "", f.Fix); err != nil {
				return err
			}
		}
	}
	return nil
}

// problems is the error where there are any.
func problems(findings []doctor.Finding) error {
	n := 0
	for _, f := range findings {
		if f.Status == doctor.Problem {
			n++
		}
	}
	switch n {
	case 0:
		return nil
	case 1:
		return errors.New("there is a problem")
	}
	return fmt.Errorf("there are %d problems", n)
}
