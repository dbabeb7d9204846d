// Command waxo-host runs a signed module in production. It does what waxo run does,
// with the same flags and the same code, and holds nothing else: no embedded server,
// no builder, no test.
//
// What a program links is initialised at every start, used or not, so it starts
// sooner than waxo; and an image holds no more than it uses.
package main

import (
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/waxosuit/waxo/cmd/internal/cli"
)

const name = "waxo-host"

func main() { os.Exit(run()) }

func run() int {
	app := &cli.App{Name: name, In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Lookup: os.LookupEnv, Begun: time.Now()}
	return app.Main(root(app), os.Args[1:])
}

// root is the command line: that of waxo run, without a command's name before it.
func root(app *cli.App) *cobra.Command {
	root := app.RunCommand(name)
	root.Long += "\n\nThis is what waxo run does, in a program that holds nothing else. To build, sign and\ninspect modules, take waxo."
	root.CompletionOptions.DisableDefaultCmd = true // a module may be called so
	app.Root(root)
	one := root.Args
	root.Args = func(cmd *cobra.Command, args []string) error {
		if cmd.Flags().Changed("version") {
			return nil // that needs no module
		}
		return one(cmd, args)
	}
	return root
}
