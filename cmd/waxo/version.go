package main

import (
	"github.com/spf13/cobra"

	"github.com/waxosuit/waxo/cmd/internal/cli"
)

func (a *app) versionCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Show which waxo this is",
		Example: "  waxo version -o json",
		Args:    cli.Args(cobra.NoArgs),
	}
	format := outputFlag(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		if err := checkOutput(*format); err != nil {
			return err
		}
		if *format == "json" {
			return writeJSON(a.Out, cli.Version())
		}
		return a.PrintVersion()
	}
	return cmd
}
