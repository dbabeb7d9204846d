package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/waxosuit/waxo/wascap"
)

func (a *app) verifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify MODULE",
		Short: "Check a module's claims as the host does",
		Long: `Check a module's claims as the host does before it runs the module: one claims
section at the end, signature, hash, period of validity, kinds of keys.

The status is 0 for a module whose claims hold and 1 for any other; the reason
is on stderr.`,
		Example: "  waxo verify hello.wasm",
		Args:    args(cobra.ExactArgs(1)),
	}
	format := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkOutput(*format); err != nil {
			return err
		}
		module, err := os.ReadFile(args[0])
		if err != nil {
			return err
		}
		token, err := wascap.Verify(module, time.Now())
		if err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		if *format == "json" {
			return writeJSON(a.out, describeClaims(&token.Claims))
		}
		if quiet(cmd) {
			return nil
		}
		_, err = fmt.Fprintf(a.out, "%s: the claims hold: %s, signed by %s\n", args[0], token.Claims.Name, token.Claims.Issuer)
		return err
	}
	return cmd
}
