package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/waxosuit/waxo/capability/httpserver"
	"github.com/waxosuit/waxo/cmd/internal/cli"
	"github.com/waxosuit/waxo/devhost/doctor"
	"github.com/waxosuit/waxo/devhost/manifest"
	"github.com/waxosuit/waxo/harness/companion"
)

func (a *app) doctorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Tell what this machine lacks, and what mends it",
		Long: `Look whether this machine has what it takes to build and to run guests: the
toolchain, a container engine and waxo-containers, the folder for compiled code; and
for the project that the working directory belongs to, the toolchain of its language,
whether the system reports changes of its files, whether its port is free, and whether
the services and plugins that waxo.toml names are there.

Nothing is built, started or changed. Each line is ok, a warning (something works less
well, or will be missed later) or a problem, and says what mends it. The exit status is
1 where there is a problem.`,
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
	if _, err := manifest.Find(dir); errors.Is(err, manifest.ErrNotFound) {
		return o, nil
	}
	p, err := a.openProject(dir, nil)
	if err != nil {
		return nil, err // its words are those of each other command
	}
	o.Manifest = p.Manifest()
	running, err := dial(cmd.Context(), p.Dir())
	if err != nil {
		return nil, err
	}
	if running != nil { // it has the port
		running.Close()
		return o, nil
	}
	o.Listen = httpserver.TryAddress
	return o, nil
}

// marks lead lines, by their status.
var marks = map[doctor.Status]struct{ text, color string }{
	doctor.OK:      {"ok     ", "\x1b[32m"},
	doctor.Warning: {"warning", "\x1b[33m"},
	doctor.Problem: {"problem", "\x1b[31m"},
}

func (a *app) writeFindings(out io.Writer, findings []doctor.Finding) error {
	width := 0
	for _, f := range findings {
		width = max(width, len(f.Check))
	}
	for _, f := range findings {
		mark := marks[f.Status].text
		if a.color(out) {
			mark = marks[f.Status].color + mark + "\x1b[0m"
		}
		if _, err := fmt.Fprintf(out, "%s  %-*s  %s\n", mark, width, f.Check, f.Found); err != nil {
			return err
		}
		if f.Fix != "" {
			if _, err := fmt.Fprintf(out, "%*s  -> %s\n", len(marks[f.Status].text)+2+width, "", f.Fix); err != nil {
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
		return errors.New("there is a problem, see above")
	}
	return fmt.Errorf("there are %d problems, see above", n)
}
