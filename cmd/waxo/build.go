package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/waxosuit/waxo/cmd/internal/cli"
	"github.com/waxosuit/waxo/devhost/build"
	"github.com/waxosuit/waxo/devhost/manifest"
	"github.com/waxosuit/waxo/devhost/project"
	"github.com/waxosuit/waxo/devhost/slim"
	"github.com/waxosuit/waxo/wascap"
)

// buildFlags are the flags of waxo build.
type buildFlags struct {
	output             string
	unsigned           bool
	accountKey, module string
	optimize           string
	revision           int
}

// buildResult is what waxo build says.
type buildResult struct {
	File      string  `json:"file"`
	Bytes     int     `json:"bytes"`
	Tool      string  `json:"tool"`      // what compiled it
	Signed    bool    `json:"signed"`    // it carries claims
	Throwaway bool    `json:"throwaway"` // signed with the keys of waxo dev
	Seconds   float64 `json:"seconds"`

	Optimizations []optimization `json:"optimizations"` // that were asked for, in their order
}

// optimization is what came of one.
type optimization struct {
	Name   string `json:"name"`
	Done   bool   `json:"done"`
	Detail string `json:"detail"` // what was done, or why it was not
	Saved  int    `json:"saved"`  // bytes; negative: the module grew
}

func optimizations(r *slim.Report) []optimization {
	list := make([]optimization, 0, len(r.Steps))
	for _, s := range r.Steps {
		list = append(list, optimization{Name: string(s.Step), Done: s.Done, Detail: s.Detail, Saved: s.Saved})
	}
	return list
}

// String gives a line such as "strip: 5 custom sections removed, 1200 bytes
// less".
func (o optimization) String() string {
	switch {
	case !o.Done:
		return fmt.Sprintf("%s: not done: %s", o.Name, o.Detail)
	case o.Saved == 0:
		return fmt.Sprintf("%s: %s", o.Name, o.Detail)
	case o.Saved < 0:
		return fmt.Sprintf("%s: %s, %d bytes more", o.Name, o.Detail, -o.Saved)
	}
	return fmt.Sprintf("%s: %s, %d bytes less", o.Name, o.Detail, o.Saved)
}

const buildHelp = `Build the module of the project that the working directory belongs to, seal it
(every system call that the toolchain left in is replaced, inside the module,
by one that touches nothing outside) and sign it with the capabilities that
waxo.toml names. In between it is made smaller and quicker to load. What it does
stays the same; an optimization that cannot promise that for a module is left
out, and the reason is told:

  strip     removes debug information and the like; functions keep their names
  merge     lays neighbouring data segments together; the file may grow, but
            loads sooner
  snapshot  runs the start functions now, and stores the state that they leave
  dead      removes exports that no host looks at, and functions that nothing
            can reach

All are done unless --optimize, or optimize in the section [build] of waxo.toml,
names those that are wanted. waxo dev does strip and merge alone: the others
take longer than a module that is soon replaced gains by them.

Without keys it is signed with the project's throwaway keys, for a day: waxo run
takes that with --allow-dev alone. Real keys are files that hold a seed: an
account's (it starts with SA) and the module's (SM), as
waxo keys new makes them.`

func (a *app) buildCommand() *cobra.Command {
	flags := &buildFlags{}
	var format string
	cmd := &cobra.Command{
		Use:     "build",
		Short:   "Build, seal and sign the project's module",
		Long:    buildHelp,
		Example: "  waxo build\n  waxo build --account-key account.nk --module-key module.nk -o hello.wasm\n  waxo build --unsigned --format json\n  waxo build --optimize strip,merge",
		Args:    cli.Args(cobra.NoArgs),
	}
	cmd.Flags().StringVarP(&flags.output, "output", "o", "", "file to write; default: NAME.wasm beside waxo.toml")
	cmd.Flags().BoolVar(&flags.unsigned, "unsigned", false, "leave the claims out")
	cmd.Flags().StringVar(&flags.accountKey, "account-key", "", "file with the seed of the account that signs")
	cmd.Flags().StringVar(&flags.module, "module-key", "", "file with the seed of the module's own key")
	cmd.Flags().StringVar(&flags.optimize, "optimize", "", "what to do to the module, such as strip,merge; all, or none (default: optimize in waxo.toml, or all)")
	cmd.Flags().IntVar(&flags.revision, "revision", 0, "a number that grows with each release: a lower one than runs is no live update")
	cmd.Flags().StringVar(&format, "format", "text", "form of the result: text or json")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := errors.Join(checkOutput(format), flags.check()); err != nil {
			return err
		}
		p, err := a.openProject("", nil)
		if err != nil {
			return err
		}
		begun := time.Now()
		made, throwaway, err := flags.make(cmd, p)
		if err != nil {
			return toolchainWords(err)
		}
		r := &buildResult{File: flags.output, Tool: made.Tool, Signed: made.Signed != nil, Throwaway: throwaway}
		if r.File == "" {
			r.File = filepath.Join(p.Dir(), p.Manifest().Name+".wasm")
		}
		module := made.Sealed
		if r.Signed {
			module = made.Signed
		}
		r.Optimizations = optimizations(made.Slimmed)
		r.Bytes, r.Seconds = len(module), time.Since(begun).Seconds()
		if err := project.WriteFile(r.File, module, 0o644); err != nil {
			return err
		}
		return a.printBuild(cmd, format, r, made.Output)
	}
	return cmd
}

func (f *buildFlags) check() error {
	switch keys := f.accountKey != "" || f.module != ""; {
	case f.unsigned && keys:
		return cli.Usage(errors.New("--unsigned takes no keys"))
	case f.unsigned && f.revision != 0:
		return cli.Usage(errors.New("--unsigned takes no revision: it is one of the claims"))
	case f.revision < 0 || f.revision > math.MaxInt32:
		return cli.Usage(fmt.Errorf("there is no revision %d; take 0 to %d", f.revision, math.MaxInt32))
	case keys && (f.accountKey == "" || f.module == ""):
		return cli.Usage(errors.New("--account-key and --module-key go together: the account signs, the module's key names the module"))
	}
	for _, name := range f.optimizations() {
		if err := manifest.CheckOptimization(name); err != nil {
			return cli.Usage(fmt.Errorf("--optimize: %w (all and none are possible too)", err))
		}
	}
	return nil
}

// optimizations are those that the flag names; nil: it names none, and the
// manifest decides.
func (f *buildFlags) optimizations() []string {
	switch f.optimize {
	case "":
		return nil
	case "all":
		return manifest.Optimizations()
	case "none":
		return []string{}
	}
	return strings.Split(f.optimize, ",")
}

func (f *buildFlags) make(cmd *cobra.Command, p *project.Project) (made *project.Made, throwaway bool, err error) {
	opts := &project.MakeOptions{Optimize: f.optimizations(), Measure: true, Revision: f.revision}
	switch {
	case f.unsigned:
	case f.accountKey != "":
		if opts.Account, err = project.ReadKey(f.accountKey, wascap.Account); err != nil {
			return nil, false, err
		}
		if opts.Module, err = project.ReadKey(f.module, wascap.Module); err != nil {
			return nil, false, err
		}
		if p.Throwaway(opts.Account) || p.Throwaway(opts.Module) {
			return nil, false, errors.New("these are the project's throwaway keys: leave the flags out to sign with them, or make real keys with waxo keys new")
		}
	default:
		keys, err := p.Keys()
		if err != nil {
			return nil, false, err
		}
		opts.Account, opts.Module, opts.Dev, throwaway = keys.Account, keys.Module, true, true
	}
	made, err = p.Make(cmd.Context(), build.New(nil), opts)
	return made, throwaway, err
}

func (a *app) printBuild(cmd *cobra.Command, format string, r *buildResult, words string) error {
	fmt.Fprint(a.Err, words)
	if r.Throwaway && !cli.Quiet(cmd) {
		fmt.Fprintln(a.Err, "signed with throwaway keys for a day; waxo run takes it with --allow-dev")
	}
	if format == "json" {
		return writeJSON(a.Out, r)
	}
	if !cli.Quiet(cmd) {
		for _, o := range r.Optimizations {
			fmt.Fprintln(a.Err, o)
		}
	}
	_, err := fmt.Fprintln(a.Out, r.File)
	return err
}

// toolchainWords puts the toolchain's own words below its error.
func toolchainWords(err error) error {
	if b := new(build.BuildError); errors.As(err, &b) && b.Output != "" {
		return fmt.Errorf("the build failed: %s: %w\n%s", b.Tool, b.Err, strings.TrimRight(b.Output, "\n"))
	}
	return err
}

// openProject opens the project at dir, or the one that the working directory
// belongs to.
func (a *app) openProject(dir string, opts *project.Options) (*project.Project, error) {
	if dir == "" {
		var err error
		if dir, err = os.Getwd(); err != nil {
			return nil, err
		}
	}
	if opts == nil {
		opts = &project.Options{Lookup: a.Lookup}
	}
	return project.Open(dir, opts)
}
