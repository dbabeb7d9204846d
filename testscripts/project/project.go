// Package project runs the test scripts of a guest's project: each against a
// guest, a host and stores of its own, with commands that call the guest, look at
// what it did, and have things go wrong. Commands documents them.
//
// The guest is built once for all scripts and takes the way that it takes in
// production: it is sealed, optimized, signed (with keys of this run), verified,
// and reaches what its claims grant and nothing else. Neither the project's keys
// nor its data in .waxo are used or changed.
//
// A Stand is what a script's guest stands on; it also serves those who run other
// tests against a guest.
package project

//go:generate go run ./reference ../../docs/testscripts.md

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/waxosuit/waxo/devhost/build"
	"github.com/waxosuit/waxo/devhost/manifest"
	"github.com/waxosuit/waxo/devhost/project"
	"github.com/waxosuit/waxo/testscripts/report"
	"github.com/waxosuit/waxo/testscripts/script"
	"github.com/waxosuit/waxo/wascap"
)

// Guest is a guest that was built, to be tested.
type Guest struct {
	Signed   []byte             // the module
	Output   string             // the toolchain's words, such as warnings
	Manifest *manifest.Manifest // what it was built by

	sealed  []byte
	claims  wascap.Claims
	account *wascap.KeyPair
	module  *wascap.KeyPair
	builder *build.Builder
}

// Build builds, seals, optimizes and signs the guest of a project, with keys that
// nobody has afterwards. Brief leaves out the optimizations that take long. Its
// errors are those of project.Project's Make.
func Build(ctx context.Context, p *project.Project, b *build.Builder, brief bool) (*Guest, error) {
	account, err := wascap.Generate(wascap.Account)
	if err != nil {
		return nil, err
	}
	module, err := wascap.Generate(wascap.Module)
	if err != nil {
		return nil, err
	}
	g := &Guest{account: account, module: module, builder: b}
	return g.build(ctx, p, brief)
}

// again builds a guest with the same keys.
func (g *Guest) again(ctx context.Context, p *project.Project) (*Guest, error) {
	return (&Guest{account: g.account, module: g.module, builder: g.builder}).build(ctx, p, true)
}

func (g *Guest) build(ctx context.Context, p *project.Project, brief bool) (*Guest, error) {
	made, err := p.Make(ctx, g.builder, &project.MakeOptions{Account: g.account, Module: g.module, Dev: true, Brief: brief})
	if err != nil {
		return nil, err
	}
	token, err := wascap.Extract(made.Signed)
	if err != nil {
		return nil, err
	}
	g.Signed, g.Output, g.Manifest = made.Signed, made.Output, p.Manifest()
	g.sealed, g.claims = made.Sealed, token.Claims
	return g, nil
}

// Options say which scripts run, and on what.
type Options struct {
	Guest   *Guest           // required
	Scripts []*script.Script // see Find

	// Stand is what the guests stand on. Its Log, Console and Now are each script's
	// own.
	Stand *StandOptions

	Match    *regexp.Regexp // chooses scripts by their names; default all
	Parallel int            // scripts at once; default GOMAXPROCS
	Timeout  time.Duration  // for one script; default 1 minute
	Update   bool           // rewrite the goldens that differ
	Verbose  bool           // tell all that scripts did that passed, too

	// Ended is told of each check as it ends, one at a time. Default: nobody is.
	Ended func(report.Check)
}

// Run runs scripts and reports what came of them. Its error says why nothing could
// be run, or is ctx's; the report is what there is of it then.
func Run(ctx context.Context, opts *Options) (*report.Report, error) {
	begun := time.Now()
	r := &report.Report{Suite: opts.Guest.Manifest.Name, Subject: opts.Guest.Manifest.Name}
	// As long as somebody has the code, it is compiled once.
	module, err := opts.Stand.Engine.Compile(ctx, opts.Guest.sealed)
	if err != nil {
		return r, err
	}
	defer func() { _ = module.Close(context.WithoutCancel(ctx)) }()
	providers := opts.Stand.providers()
	r.Checks, err = script.Run(ctx, &script.Options{
		Scripts: opts.Scripts, Commands: Commands(), Match: opts.Match, Parallel: opts.Parallel, Timeout: opts.Timeout,
		Update: opts.Update, Verbose: opts.Verbose, Ended: opts.Ended,
		Setup: func(env *testscript.Env) error { return setup(env, opts) },
		Condition: func(name string) (bool, error) {
			switch name {
			case manifest.ProviderEmbedded, manifest.ProviderContainer:
				return name == providers, nil
			}
			return false, fmt.Errorf("there is no such condition; besides those of testscript there are %s and %s", manifest.ProviderEmbedded, manifest.ProviderContainer)
		},
		Lacks: func(need string) string { return lacks(opts.Guest, providers, need) },
	})
	r.Settle()
	r.Took = time.Since(begun)
	return r, err
}

// lacks says why a script cannot run that needs something: a kind of providers, or
// a capability of the guest.
func lacks(g *Guest, providers, need string) string {
	switch need {
	case manifest.ProviderEmbedded, manifest.ProviderContainer:
		if need != providers {
			return fmt.Sprintf("it needs --providers %s", need)
		}
		return ""
	}
	if err := manifest.CheckCapability(need); err != nil {
		return fmt.Sprintf("it needs %q, which is no capability, and neither embedded nor container", need)
	}
	if slices.Contains(g.Manifest.Capabilities, need) {
		return ""
	}
	return "the guest does not claim " + need
}
