package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/waxosuit/waxo/cmd/internal/cli"
	"github.com/waxosuit/waxo/devhost/connect"
	"github.com/waxosuit/waxo/devhost/console"
	"github.com/waxosuit/waxo/harness/companion"
	"github.com/waxosuit/waxo/testscripts/providersuite"
	"github.com/waxosuit/waxo/testscripts/report"
)

// providerFlags are the flags of waxo conformance provider.
type providerFlags struct {
	report       reportFlags
	run          string
	timeout      time.Duration
	against      string
	capabilities []string
	config       []string
	trust        []string
}

func (a *app) conformanceProviderCommand() *cobra.Command {
	f := &providerFlags{}
	cmd := &cobra.Command{
		Use:   "provider TARGET",
		Short: "Check a provider against the protocol, or compare two",
		Long: `Have the conversations of the provider suites with a provider, and check each
against the rules of the protocol. TARGET is one of

  embedded                  the providers and servers inside of waxo
  embedded:keyvalue         one of them, as with --capability keyvalue
  container:keyvalue        the provider on a real service in a container; behind
                            a comma, of that image: container:keyvalue,redis:7
  redis://127.0.0.1:6379/0  the provider on a service that runs already: redis://
                            and rediss:// for keyvalue, nats:// and tls:// for
                            messaging and eventstreams, s3:// (with TLS), https://
                            and http:// with KEY:SECRET@ for blobstore
  ./plugins/my-provider     a plugin, its claims, or a folder of plugins

The capabilities are keyvalue, messaging, eventstreams, blobstore, http_client,
http_server, logging, extras and clock. A plugin for another one is held to what is
asked of every provider. Of an operation that a plugin does not offer, or of a
configuration key that it does not know, the checks that need it are skipped.

With --against, the same conversations are held with a second target, and each
difference is reported: what waxo dev embeds against what production runs, for
example. The words of errors are compared where both are waxo's own providers.

A service that runs already is not harmed: what is written there are keys, subjects,
containers and streams whose names begin with "p" and ten hexadecimal digits of this
run's own, and they are removed at the end. A run that is killed leaves them. Of a
plugin's event streams, no operation removes what was written.

The exit status is 0 where everything passes, 1 where a check fails, 2 where the
command is wrong. A broken rule that says SHOULD is a warning and fails nothing.`,
		Example: "  waxo conformance provider embedded:keyvalue\n" +
			"  waxo conformance provider embedded --against container\n" +
			"  waxo conformance provider ./plugins/my-provider --config max_keys=100 --format junit -o report.xml",
		Args: cli.Args(cobra.ExactArgs(1)),
	}
	f.report.add(cmd)
	cmd.Flags().StringVar(&f.run, "run", "", "make only the checks whose names match this regular expression")
	cmd.Flags().DurationVar(&f.timeout, "timeout", time.Minute, "time for one check")
	cmd.Flags().StringVar(&f.against, "against", "", "second target, which the first one is compared with")
	cmd.Flags().StringArrayVar(&f.capabilities, "capability", nil, "capability to check, where a target offers several; may be repeated")
	cmd.Flags().StringArrayVar(&f.config, "config", nil, "KEY=VALUE for the configuration of every binding; may be repeated")
	cmd.Flags().StringArrayVar(&f.trust, "trust", nil, "public key of an account whose plugins are run without a warning; may be repeated")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return a.conformProvider(cmd, f, args[0]) }
	return cmd
}

func (a *app) conformProvider(cmd *cobra.Command, f *providerFlags, name string) (err error) {
	ctx := cmd.Context()
	show := console.New(&console.Options{Out: a.Out, Err: a.Err, Color: a.color(a.Err), Quiet: cli.Quiet(cmd)})
	log := slog.New(show.Handler(slog.LevelWarn))
	opts, err := f.options(a, log)
	if err != nil {
		return err
	}
	companions := companion.NewClient(&companion.Options{Progress: func(line string) { log.Warn(line) }})
	defer func() { err = errors.Join(err, cli.Within(ctx, companions.Close)) }()
	opts.Containers = func(ctx context.Context, capability, _, image string) (connect.Server, error) {
		service, err := companions.Start(ctx, companion.Request{Capability: capability, Image: image})
		if err != nil {
			return nil, err // no server, rather than one that is nil
		}
		return service, nil
	}
	r, err := f.suites(ctx, name, opts)
	if errors.Is(err, providersuite.ErrTarget) {
		return cli.Usage(err)
	}
	if err != nil {
		return cli.TrustHint(err)
	}
	if len(r.Checks) == 0 {
		return cli.Usage(fmt.Errorf("--run: no check has a name that matches %q", f.run))
	}
	return (&reporter{app: a, flags: &f.report, quiet: cli.Quiet(cmd)}).finish(r)
}

// options are how the suites are run.
func (f *providerFlags) options(a *app, log *slog.Logger) (*providersuite.Options, error) {
	if err := f.report.check(); err != nil {
		return nil, err
	}
	if f.timeout <= 0 {
		return nil, cli.Usage(fmt.Errorf("--timeout is %v; it must be above 0", f.timeout))
	}
	match, err := regexp.Compile(f.run)
	if err != nil {
		return nil, cli.Usage(fmt.Errorf("--run: %w", err))
	}
	plugins, err := (&cli.PluginFlags{Trust: f.trust}).Options(a.Lookup, log, true)
	if err != nil {
		return nil, err
	}
	config := make(map[string]string)
	for _, pair := range f.config {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return nil, cli.Usage(fmt.Errorf("--config takes KEY=VALUE, and not %q", pair))
		}
		config[key] = value
	}
	return &providersuite.Options{Match: match, Timeout: f.timeout, Config: config, Plugins: plugins}, nil
}

// suites runs the suites of one target, or of two.
func (f *providerFlags) suites(ctx context.Context, name string, opts *providersuite.Options) (*report.Report, error) {
	target, err := providersuite.ParseTarget(name, f.capabilities)
	if err != nil {
		return nil, err
	}
	if f.against == "" {
		return providersuite.Run(ctx, target, opts)
	}
	other, err := providersuite.ParseTarget(f.against, f.capabilities)
	if err != nil {
		return nil, err
	}
	return providersuite.Compare(ctx, target, other, opts)
}
