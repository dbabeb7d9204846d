package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/waxosuit/waxo/cmd/internal/cli"
	"github.com/waxosuit/waxo/devhost/project"
	"github.com/waxosuit/waxo/wascap"
)

// keysResult is what waxo keys new says.
type keysResult struct {
	File string `json:"file"` // holds the seed, which is secret
	Kind string `json:"kind"`
	Key  string `json:"key"` // the public key
}

func (a *app) keysCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "keys",
		Short:   "Make keys that sign and name modules",
		Example: "  waxo keys new account account.nk\n  waxo keys new module module.nk",
		Args:    cli.Args(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.keysNewCommand())
	return cmd
}

func (a *app) keysNewCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "new KIND FILE",
		Short: "Make a key, write its seed to a file and print the public key",
		Long: `Make a key of the kind account (it signs modules), module (it names one),
service (it names a provider plugin) or operator (it vouches for accounts), write its seed to FILE, which only you can
read, and print the public key. A file that exists is never overwritten. Who has
the seed has the key: keep the file out of version control.`,
		Example: "  waxo keys new account account.nk",
		Args:    cli.Args(cobra.ExactArgs(2)),
	}
	format := outputFlag(cmd)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if err := checkOutput(*format); err != nil {
			return err
		}
		kinds := map[string]wascap.Kind{"account": wascap.Account, "module": wascap.Module, "service": wascap.Service, "operator": wascap.Operator}
		kind, ok := kinds[args[0]]
		if !ok {
			return cli.Usage(fmt.Errorf("there is no kind of key %q; take account, module, service or operator", args[0]))
		}
		if _, err := os.Lstat(args[1]); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s exists already; a key that is overwritten is lost, so name another file", args[1])
		}
		key, err := project.NewKey(args[1], kind)
		if err != nil {
			return err
		}
		if *format == "json" {
			return writeJSON(a.Out, keysResult{File: args[1], Kind: args[0], Key: key.PublicKey().String()})
		}
		_, err = fmt.Fprintln(a.Out, key.PublicKey())
		return err
	}
	return cmd
}
