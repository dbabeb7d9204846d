package cli

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"
)

// settings are the flags that say the same as an environment variable, and win
// over it.
var settings = []struct{ flag, variable, usage string }{
	{"memory", "WAXO_LIMITS_MEMORY", "memory of one instance of the guest (default 256MiB)"},
	{"call-timeout", "WAXO_LIMITS_CALL_TIMEOUT", "time for one call of the guest (default 30s)"},
	{"instances", "WAXO_LIMITS_INSTANCES", "instances of the guest at once (default 128)"},
	{"total-memory", "WAXO_LIMITS_TOTAL_MEMORY", "memory of all instances, beyond which no further one starts (default 1GiB)"},
	{"queue", "WAXO_LIMITS_QUEUE", "calls that may wait for an instance (default 1000)"},
	{"request-body", "WAXO_LIMITS_REQUEST_BODY", "size of a request's body (default 32MiB)"},
	{"response-body", "WAXO_LIMITS_RESPONSE_BODY", "size of a response's body (default 32MiB)"},
}

// LimitFlags adds the flags of a guest's limits to a command.
func LimitFlags(cmd *cobra.Command) {
	for _, s := range settings {
		cmd.Flags().String(s.flag, "", s.usage)
	}
}

// Environment is the environment with the command's flags on top.
func (a *App) Environment(cmd *cobra.Command) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for _, s := range settings {
			if flag := cmd.Flags().Lookup(s.flag); s.variable == name && flag != nil && flag.Changed {
				return flag.Value.String(), true
			}
		}
		return a.Lookup(name)
	}
}

// Flagged makes an error name the flags that were given instead of the
// variables that they stand for.
func Flagged(cmd *cobra.Command, err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	for _, s := range settings {
		if flag := cmd.Flags().Lookup(s.flag); flag != nil && flag.Changed {
			text = strings.ReplaceAll(text, s.variable, "--"+s.flag)
		}
	}
	if text == err.Error() {
		return err
	}
	return usageError{errors.New(text)}
}
