package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/waxosuit/waxo/devhost/printable"
	"github.com/waxosuit/waxo/wascap"
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
		Args:    args(cobra.ExactArgs(1)),
	}
	format := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkOutput(*format); err != nil {
			return err
		}
		if isPlugin(args[0]) {
			return a.verifyProvider(cmd, args[0], *format)
		}
		_, claims, err := readModule(args[0])
		if err != nil {
			return err
		}
		if *format == "json" {
			return writeJSON(a.out, describeClaims(claims))
		}
		if quiet(cmd) {
			return nil
		}
		_, err = fmt.Fprintf(a.out, "%s: the claims hold: %s, signed by %s\n", args[0], printable.Line(claims.Name), claims.Issuer)
		return err
	}
	return cmd
}

// readModule reads a module whose claims hold now.
func readModule(file string) ([]byte, *wascap.Claims, error) {
	module, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, err
	}
	token, err := wascap.Verify(module, time.Now())
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", file, plainly(err))
	}
	return module, &token.Claims, nil
}

// plainly takes from an error about claims what is for programmers.
func plainly(err error) error {
	if v := new(wascap.VerifyError); errors.As(err, &v) {
		return v
	}
	return err
}
