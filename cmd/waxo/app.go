package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/waxosuit/waxo/cmd/internal/cli"
)

// app is the world of the commands.
type app struct{ *cli.App }

// main runs one command line and returns the exit status.
func (a *app) main(args []string) int { return a.Main(a.root(args), args) }

// color tells whether what goes to w may have colours.
func (a *app) color(w io.Writer) bool {
	if v, set := a.Lookup("NO_COLOR"); set && v != "" {
		return false
	}
	if v, _ := a.Lookup("TERM"); v == "dumb" {
		return false
	}
	return isTerminal(w)
}

// root is the command line for the arguments.
func (a *app) root(args []string) *cobra.Command {
	root := &cobra.Command{
		Use:   "waxo",
		Short: "Write, run and ship WebAssembly guests that touch only what they were signed for",
		Long: `waxo is the workbench and the host for WebAssembly guests that can touch
nothing but the capabilities they were signed for.

The shortest way in, from an empty folder to a guest that serves and reloads:

  waxo dev hello`,
		Example: "  waxo dev hello",
		Args:    unknownCommand,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	a.Root(root)
	if len(args) > 0 && args[0] == "run" { // which is to start fast, and has no use for the others
		root.CompletionOptions.DisableDefaultCmd = true
		root.AddCommand(a.RunCommand("waxo run"))
		return root
	}
	root.AddCommand(a.newCommand(), a.devCommand(), a.buildCommand(), a.testCommand(), a.execCommand(), a.invokeCommand(), a.conformanceCommand(), a.generateCommand(), a.RunCommand("waxo run"),
		a.inspectCommand(), a.verifyCommand(), a.signCommand(), a.keysCommand(), a.stateCommand(), a.providersCommand(), a.faultCommand(), a.doctorCommand(), a.versionCommand())
	return root
}

func unknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := "see waxo --help"
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = "did you mean " + near[0] + "?"
	}
	return cli.Usage(fmt.Errorf("there is no command %q; %s", args[0], hint))
}
