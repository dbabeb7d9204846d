package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/waxosuit/waxo/cmd/internal/cli"
	"github.com/waxosuit/waxo/devhost/printable"
)

func (a *app) verifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify FILE",
		Short: "Check a module's or a plugin's claims as the host does",
		Long: `Check a module's claims as the host does before it runs the module: one claims
section at the end, signature, hash, period of validity, kinds of keys. Of a
provider plugin, name the plugin or the file of its claims beside it, which ends
in .jwt; it is checked for this platform.

The status is 0 for a file whose claims hold and 1 for any other; the reason
is on stderr.`,
		Example: "  waxo verify hello.wasm\n  waxo verify plugins/kv",
		Args:    cli.Args(cobra.ExactArgs(1)),
	}
	format := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkOutput(*format); err != nil {
			return err
		}
		if isPlugin(args[0]) {
			return a.verifyProvider(cmd, args[0], *format)
		}
		_, claims, err := cli.ReadModule(args[0])
		if err != nil {
			return err
		}
		if *format == "json" {
			return writeJSON(a.Out, describeClaims(claims))
		}
		if cli.Quiet(cmd) {
			return nil
		}
		_, err = fmt.Fprintf(a.Out, "%s: the claims hold: %s, signed by %s\n", args[0], printable.Line(claims.Name), claims.Issuer)
		return err
	}
	return cmd
}
