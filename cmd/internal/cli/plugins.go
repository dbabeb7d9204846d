package cli

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/waxosuit/waxo/capability/plugin"
	"github.com/waxosuit/waxo/wascap"
)

// PluginFlags are the flags of commands that run plugins.
type PluginFlags struct {
	Caps  string   // the folder of plugins
	Trust []string // public keys of accounts
}

// Add adds them to a command.
func (f *PluginFlags) Add(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.Caps, "caps", "c", "", "folder of provider plugins; each serves the capability that it offers")
	cmd.Flags().StringArrayVar(&f.Trust, "trust", nil, "public key of an account whose plugins are run; may be repeated")
}

// pluginEnvironment are the variables that plugins get: what programs need to
// find their way, and no secrets. What else one needs stands in its bindings.
var pluginEnvironment = []string{
	"PATH", "HOME", "TMPDIR", "TZ", "LANG", "LC_ALL", "LC_CTYPE", "SSL_CERT_FILE", "SSL_CERT_DIR",
	"SYSTEMROOT", "USERPROFILE", "TEMP", "TMP", // on Windows
}

// Options are how plugins are run.
func (f *PluginFlags) Options(lookup func(name string) (string, bool), log *slog.Logger, development bool) (*plugin.Options, error) {
	opts := &plugin.Options{Trust: f.Trust, Development: development, Log: log}
	for _, key := range f.Trust {
		if kind, err := wascap.KindOf(key); err != nil || kind != wascap.Account || key[0] == 'S' {
			return nil, usageError{errors.New("--trust takes the public key of an account, which starts with A; waxo inspect shows that of a plugin or a module")}
		}
	}
	for _, name := range pluginEnvironment {
		if v, ok := lookup(name); ok {
			opts.Env = append(opts.Env, fmt.Sprintf("%s=%s", name, v))
		}
	}
	return opts, nil
}

// TrustHint adds what to do about a plugin that is not trusted.
func TrustHint(err error) error {
	switch {
	case errors.Is(err, plugin.ErrUntrusted):
		return fmt.Errorf("%w; with --trust ACCOUNT, it is run", err)
	case errors.Is(err, plugin.ErrUnsigned):
		return fmt.Errorf("%w; see waxo sign provider --help", err)
	}
	return err
}
