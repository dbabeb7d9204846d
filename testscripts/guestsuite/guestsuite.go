// Package guestsuite is the conformance suite for guests: it holds a module to
// the rules of docs/protocol.md that bind guests and those who sign them.
//
// Its checks are the scripts in the folder scripts, each about one rule or a few
// of one kind. They run the guest on this repository's own engine, with services
// that are made up: a store in memory, a clock that moves by itself, and so on.
// What a guest does with the requests that it gets is its own affair; the suite
// looks at how it does it. A check that would need something of a module that is
// not there, such as a capability that it does not claim, is skipped with the
// reason.
//
// Nothing that the suite does leaves the process: a guest under test reaches no
// network and no store.
package guestsuite

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/waxosuit/waxo/testscripts/report"
	"github.com/waxosuit/waxo/testscripts/script"
)

//go:embed scripts/*.txtar
var scripts embed.FS

// Options say how a module is checked. nil works.
type Options struct {
	Subject string // what the report calls the module; default "guest"

	// Unsigned leaves out the checks of claims: the module has yet to be signed.
	// Default: a module without claims fails.
	Unsigned bool
	// Capabilities are what a module without claims is taken to claim. Default:
	// nothing, so all that needs a capability is skipped.
	Capabilities []string
	// AllowDev takes a module that was signed with throwaway keys. Default: it
	// fails, as a host would refuse it.
	AllowDev bool

	// Requests are further things that the guest is asked to handle, as a txtar
	// archive in the form of requests.txtar: those of its application. Default: none
	// but the suite's own.
	Requests []byte
	// Scripts are the checks. Default: the suite's own.
	Scripts []*script.Script

	Match       *regexp.Regexp // chooses checks by their names; default all
	Parallel    int            // checks at once; default GOMAXPROCS
	Timeout     time.Duration  // for one check; default 1 minute
	CallTimeout time.Duration  // after which a call hangs; default 10 s

	// CacheDir is where compiled code is kept, as of wapc.EngineOptions. Default:
	// nowhere.
	CacheDir string
}

// Scripts are the checks, in the order of their names.
func Scripts() ([]*script.Script, error) {
	all, err := script.ReadFS(scripts, "scripts")
	slices.SortFunc(all, func(a, b *script.Script) int { return strings.Compare(a.Name, b.Name) })
	return all, err
}

// Run checks a module. Its error is ctx's, or says why nothing could be checked;
// that a module fails is none.
func Run(ctx context.Context, module []byte, opts *Options) (*report.Report, error) {
	if opts == nil {
		opts = &Options{}
	}
	all, err := opts.Scripts, error(nil)
	if all == nil {
		all, err = Scripts()
	}
	if err != nil {
		return nil, fmt.Errorf("guestsuite: %w", err)
	}
	begun := time.Now()
	s, err := newSubject(ctx, module, opts)
	if err != nil {
		return nil, fmt.Errorf("guestsuite: %w", err)
	}
	checks, err := script.Run(ctx, &script.Options{
		Scripts:  all,
		Commands: Commands(),
		Setup:    func(env *testscript.Env) error { return setUp(env, s) },
		Condition: func(name string) (bool, error) {
			if !isNeed(name) {
				return false, fmt.Errorf("there is no such condition; take a capability or one of %s", strings.Join(needs, ", "))
			}
			return s.lacks(name) == "", nil
		},
		Lacks:    s.lacks,
		Match:    opts.Match,
		Parallel: opts.Parallel,
		Timeout:  opts.Timeout,
		Shuffle:  true,
	})
	checks = append(checks, s.runs(opts.Match)...)
	if err = errors.Join(err, s.close(context.WithoutCancel(ctx))); err != nil {
		return nil, fmt.Errorf("guestsuite: %w", err)
	}
	r := &report.Report{Suite: "guest", Subject: cmp.Or(opts.Subject, "guest"), Checks: checks, Took: time.Since(begun)}
	r.Settle()
	return r, nil
}
