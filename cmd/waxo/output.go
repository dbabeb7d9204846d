package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/waxosuit/waxo/cmd/internal/cli"
)

// outputFlag adds -o to a command that has a result.
func outputFlag(cmd *cobra.Command) *string {
	format := cmd.Flags().StringP("output", "o", "text", "form of the result: text or json")
	return format
}

// checkOutput refuses a form that nobody writes.
func checkOutput(format string) error {
	if format != "text" && format != "json" {
		return cli.Usage(fmt.Errorf("there is no output form %q; take text or json", format))
	}
	return nil
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
