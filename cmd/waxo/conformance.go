package main

import "github.com/spf13/cobra"

func (a *app) conformanceCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "conformance",
		Short: "Check guests, hosts and providers against the protocol",
		Long: `Check a guest, a host or a provider against the protocol, rule by rule. A check
that fails says which rule of docs/protocol.md is broken, and what was seen.`,
		Example: "  waxo conformance guest hello.wasm\n  waxo conformance host -- waxo run {module}\n  waxo conformance provider embedded:keyvalue",
		Args:    unknownCommand,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.conformanceGuestCommand(), a.conformanceHostCommand(), a.conformanceProviderCommand())
	return cmd
}
