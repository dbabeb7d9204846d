package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/waxosuit/waxo/cmd/internal/cli"
	"github.com/waxosuit/waxo/devhost/build"
	"github.com/waxosuit/waxo/devhost/connect"
	devproject "github.com/waxosuit/waxo/devhost/project"
	"github.com/waxosuit/waxo/harness/companion"
	"github.com/waxosuit/waxo/testscripts/project"
	"github.com/waxosuit/waxo/testscripts/script"
)

// testFlags are the flags of waxo test.
type testFlags struct {
	providers string
	run       string
	parallel  int
	timeout   time.Duration
	update    bool
	watch     bool
	verbose   bool
	report    reportFlags
	plugins   cli.PluginFlags

	match *regexp.Regexp
}

func (a *app) testCommand() *cobra.Command {
	f := &testFlags{}
	cmd := &cobra.Command{
		Use:   "test [SCRIPT...]",
		Short: "Run the project's test scripts against its guest",
		Long: `Build the guest of the project that the working directory belongs to, and run the
scripts in its folder testscripts, or the SCRIPTs that are named: each against a
guest and stores of its own, side by side. The guest is sealed, optimized, signed
(with keys of this run) and verified as in production; neither the project's keys
nor its data are used.

Scripts send requests, call operations, look into stores, await messages, change
claims, move the clock and have providers fail. docs/testscripts.md of waxo has the
commands; the templates' projects have scripts that show them:

  # A count is kept.
  http POST /
  json .count 1

The services behind capabilities are embedded, or with --providers container real
ones. In a workflow of GitHub Actions, failures become annotations.`,
		Example: "  waxo test\n  waxo test --watch\n  waxo test --run count --update\n  waxo test --providers container --format junit -o results.xml",
	}
	cmd.Flags().StringVar(&f.providers, "providers", "embedded", "what the services behind capabilities are: embedded or container")
	cmd.Flags().StringVar(&f.run, "run", "", "run only the scripts whose names match this regular expression")
	cmd.Flags().IntVar(&f.parallel, "parallel", 0, "scripts at once (default as many as there are cores)")
	cmd.Flags().DurationVar(&f.timeout, "timeout", 0, "time for one script (default 1m, or 5m with containers, whose images may have to be fetched)")
	cmd.Flags().BoolVar(&f.update, "update", false, "where cmp finds a difference, rewrite the golden in the script")
	cmd.Flags().BoolVarP(&f.watch, "watch", "w", false, "run again at each change, until Ctrl-C")
	cmd.Flags().BoolVar(&f.verbose, "verbose", false, "tell what scripts that pass did, too")
	f.report.add(cmd)
	f.plugins.Add(cmd)
	cmd.RunE = func(cmd *cobra.Command, files []string) error {
		if !cmd.Flags().Changed("timeout") {
			f.timeout = scriptTimeouts[f.providers]
		}
		if err := f.check(); err != nil {
			return err
		}
		return a.test(cmd, f, files)
	}
	return cmd
}

// scriptTimeouts are how long a script may take, by its providers.
var scriptTimeouts = map[string]time.Duration{"embedded": time.Minute, "container": 5 * time.Minute}

func (f *testFlags) check() (err error) {
	switch {
	case f.providers != "embedded" && f.providers != "container":
		return cli.Usage(fmt.Errorf("there are no providers %q; take embedded or container", f.providers))
	case f.timeout <= 0:
		return cli.Usage(fmt.Errorf("--timeout is %v; it must be above 0", f.timeout))
	case f.parallel < 0:
		return cli.Usage(fmt.Errorf("--parallel is %d; it is a number of scripts", f.parallel))
	case f.watch && (f.report.file != "" || f.report.format != "text"):
		return cli.Usage(errors.New("--watch tells on the terminal alone: leave --format and --output out"))
	}
	if f.match, err = regexp.Compile(f.run); err != nil {
		return cli.Usage(fmt.Errorf("--run: %w", err))
	}
	return f.report.check()
}

func (a *app) test(cmd *cobra.Command, f *testFlags, files []string) (err error) {
	ctx := cmd.Context()
	p, err := a.openProject("", nil)
	if err != nil {
		return err
	}
	if err := a.scratch(); err != nil {
		return err
	}
	s, closing, err := a.stand(cmd, f.providers, &f.plugins)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cli.Within(ctx, closing)) }()
	t := &tests{app: a, flags: f, project: p, files: files, stand: s, builder: build.New(nil), quiet: cli.Quiet(cmd)}
	if f.watch {
		return t.watch(ctx)
	}
	scripts, err := t.scripts()
	if err != nil {
		return err
	}
	guest, err := t.build(ctx)
	if err != nil {
		return toolchainWords(err)
	}
	return t.run(ctx, guest, scripts)
}

// tests are those of a project.
type tests struct {
	app     *app
	flags   *testFlags
	project *devproject.Project
	files   []string
	stand   *project.StandOptions
	builder *build.Builder
	quiet   bool
}

// scripts reads the scripts that are to be run.
func (t *tests) scripts() ([]*script.Script, error) {
	scripts, err := project.Find(t.project.Dir(), t.files)
	if err != nil {
		return nil, err
	}
	var names []string
	chosen := false
	for _, s := range scripts {
		s.Path = shorten(s.Path)
		chosen = chosen || t.flags.match.MatchString(s.Name)
		names = append(names, s.Name)
	}
	if !chosen {
		return nil, cli.Usage(fmt.Errorf("--run %s matches none of the scripts %s", t.flags.run, strings.Join(names, ", ")))
	}
	return scripts, nil
}

// slowBuild is when a user wants to know that a build has not stopped.
const slowBuild = 3 * time.Second

func (t *tests) build(ctx context.Context) (*project.Guest, error) {
	return t.app.buildGuest(ctx, t.project, t.builder, t.quiet)
}

// buildGuest builds a project's guest for this run alone, and passes the toolchain's
// words on.
func (a *app) buildGuest(ctx context.Context, p *devproject.Project, b *build.Builder, quiet bool) (*project.Guest, error) {
	if !quiet {
		waiting := time.AfterFunc(slowBuild, func() {
			fmt.Fprintln(a.Err, "still building: a toolchain's first build for WebAssembly compiles its standard library too")
		})
		defer waiting.Stop()
	}
	guest, err := project.Build(ctx, p, b, false)
	if err == nil {
		fmt.Fprint(a.Err, guest.Output)
	}
	return guest, err
}

// run runs the scripts once and reports.
func (t *tests) run(ctx context.Context, guest *project.Guest, scripts []*script.Script) error {
	told := &reporter{app: t.app, flags: &t.flags.report, quiet: t.quiet, told: true}
	o := t.options(told)
	o.Guest, o.Scripts = guest, scripts
	r, err := project.Run(ctx, &o)
	if ctx.Err() == nil && err != nil {
		return err
	}
	return errors.Join(err, told.finish(r))
}

func (t *tests) options(told *reporter) project.Options {
	return project.Options{
		Stand: t.stand, Match: t.flags.match, Parallel: t.flags.parallel,
		Timeout: t.flags.timeout, Update: t.flags.update, Verbose: t.flags.verbose, Ended: told.ended,
	}
}

// stand is what guests of tests stand on; closing ends what they share.
func (a *app) stand(cmd *cobra.Command, providers string, plugins *cli.PluginFlags) (s *project.StandOptions, closing func(context.Context) error, err error) {
	log, err := a.Logger("text", true)
	if err != nil {
		return nil, nil, err
	}
	plug, err := plugins.Options(a.Lookup, log, true)
	if err != nil {
		return nil, nil, err
	}
	engine, err := cli.NewEngine("", log)
	if err != nil {
		return nil, nil, err
	}
	companions := companion.NewClient(&companion.Options{Progress: func(line string) {
		if !cli.Quiet(cmd) {
			fmt.Fprintln(a.Err, line)
		}
	}})
	s = &project.StandOptions{
		Engine: engine, Providers: providers, Lookup: a.Lookup, Proxy: http.ProxyFromEnvironment, Plugins: plug, Caps: plugins.Caps,
		Containers: func(ctx context.Context, capability, _, image string) (connect.Server, error) {
			s, err := companions.Start(ctx, companion.Request{Capability: capability, Image: image})
			if err != nil {
				return nil, err // and no interface that holds a nil
			}
			return s, nil
		},
	}
	return s, func(ctx context.Context) error {
		return errors.Join(companions.Close(ctx), engine.Close(ctx))
	}, nil
}

// newStand makes a stand for guests that are called by people or by programs of
// theirs: what is logged is told if it is a warning or an error, or if verbose.
func (a *app) newStand(opts *project.StandOptions, verbose bool) (*project.Stand, error) {
	log, err := a.Logger("text", !verbose)
	if err != nil {
		return nil, err
	}
	opts.Log = log
	if verbose {
		opts.Console = func(line string) { log.Info(line) }
	}
	return project.NewStand(opts)
}
