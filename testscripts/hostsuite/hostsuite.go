// Package hostsuite checks hosts against docs/protocol.md: any host that can be
// started as a command with a module and a port, and, by the interface Engine,
// any that is a library.
//
// The checks are the scripts in the folder scripts, in the language of package
// script with the commands that Commands lists. The guests in them are
// WebAssembly text (package wat), signed with throwaway keys of the run; what
// the guests' capabilities need, such as a Redis server, is started for each
// script, and the host is told of it by the environment variables that
// docs/conformance.md lists.
//
// A host is looked at from outside alone. What it does not offer, such as live
// updates, is reported as skipped with the reason, and never as passed. What no
// host can be seen to do from outside is left to the tests of the host itself.
package hostsuite

import (
	"context"
	"embed"
	"errors"
	"regexp"
	"slices"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/waxosuit/waxo/testscripts/report"
	"github.com/waxosuit/waxo/testscripts/script"
)

// Options say which host is checked. One of Command and Engine is required.
type Options struct {
	// Command starts the host. In its arguments, {module} stands for the module's
	// file and {port} for the port to serve HTTP on at 127.0.0.1, which the
	// environment variable PORT also names.
	Command []string

	// Env is the environment of the command, in the form of os.Environ. The
	// variables that scripts set are left out of it.
	Env []string

	// Engine is the host as a library, in place of Command.
	Engine Engine

	Match    *regexp.Regexp     // of the names of the scripts to run; default: all
	Timeout  time.Duration      // for one script; default 1 minute
	Parallel int                // scripts at once; default: 4 for each core, as they wait a lot
	Ended    func(report.Check) // is told of each check as it ends, one at a time
}

//go:embed scripts probe.wat
var files embed.FS

// first is the script without which the others would say nothing.
const first = "serve"

// Scripts are the scripts of the suite.
func Scripts() ([]*script.Script, error) { return script.ReadFS(files, "scripts") }

// Run checks a host. Its error says why it could not be checked, or is ctx's; that
// the host fails is in the report. Scripts run side by side and in random order.
func Run(ctx context.Context, opts *Options) (*report.Report, error) {
	switch {
	case (opts.Engine == nil) == (opts.Command == nil):
		return nil, errors.New("hostsuite: either a command or an engine is to be checked")
	case opts.Engine != nil:
		return check(ctx, library{opts.Engine}, opts)
	}
	p, err := newProcesses(opts.Command, opts.Env)
	if err != nil {
		return nil, err
	}
	return check(ctx, p, opts)
}

func check(ctx context.Context, subject subject, opts *Options) (*report.Report, error) {
	begun := time.Now()
	s := &suite{subject: subject}
	var err error
	if s.survey, err = newSurvey(ctx, s); err != nil {
		return nil, err
	}
	defer s.close()
	all, err := Scripts()
	if err != nil {
		return nil, err
	}
	r := &report.Report{Suite: "host", Subject: subject.name()}
	base := slices.IndexFunc(all, func(s *script.Script) bool { return s.Name == first })
	begin := *opts
	wanted := opts.Match == nil || opts.Match.MatchString(first)
	if !wanted {
		begin.Ended = nil
	}
	if r.Checks, err = s.run(ctx, &begin, all[base:base+1], nil); err != nil {
		return r, err
	}
	if r.Checks[0].Status == report.Pass {
		var more []report.Check
		more, err = s.run(ctx, opts, slices.Delete(all, base, base+1), opts.Match)
		if !wanted {
			r.Checks = nil
		}
		r.Checks = append(r.Checks, more...)
	}
	r.Took = time.Since(begun)
	r.Settle()
	return r, err
}

// suite is one run.
type suite struct {
	subject subject
	keys    keys
	survey  *survey
}

func (s *suite) close() { s.survey.close() }

func (s *suite) run(ctx context.Context, opts *Options, scripts []*script.Script, match *regexp.Regexp) ([]report.Check, error) {
	parallel := opts.Parallel
	if parallel <= 0 {
		parallel = defaultParallel()
	}
	return script.Run(ctx, &script.Options{
		Scripts: scripts, Commands: Commands(), Lacks: s.survey.lacks, Match: match,
		Parallel: parallel, Timeout: opts.Timeout, Shuffle: true, Ended: opts.Ended,
		Setup: func(env *testscript.Env) error {
			w := newWorld(s, env)
			env.Values[worldKey{}] = w
			env.Defer(w.close)
			return nil
		},
	})
}
