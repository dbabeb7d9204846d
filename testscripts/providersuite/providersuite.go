// Package providersuite runs the suites for providers, which package parity has,
// against targets that a user names: what is embedded in waxo, a service in a
// container or at a URL, a plugin. What comes out are the checks of a report, and,
// of two targets, where they differ.
//
// Providers of this module's own are held to more than the rules: to the words of
// their errors, and to the bytes that they write. A plugin is held to the rules.
//
// What the suites write to a service that somebody else keeps has names of the run's
// own, and is removed again; see package parity.
package providersuite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/plugin"
	"github.com/waxosuit/waxo/devhost/connect"
	"github.com/waxosuit/waxo/testscripts/parity"
	"github.com/waxosuit/waxo/testscripts/report"
)

// Options say how suites are run; nil works.
type Options struct {
	// Match chooses cases by the names of their checks, such as "keyvalue: Add".
	// Default: all.
	Match *regexp.Regexp

	// Timeout bounds each case. Default: 1 min.
	Timeout time.Duration

	// Config is added to the configuration of every binding. Default: nothing is.
	Config map[string]string

	// Plugins are how plugins are run. Default: none is trusted.
	Plugins *plugin.Options

	// Containers starts services in containers. Default: a container is an error.
	Containers connect.Containers
}

// Run runs the suites of a target. The error says why they could not be run.
func Run(ctx context.Context, t *Target, opts *Options) (*report.Report, error) {
	return run(ctx, opts, t)
}

// Compare runs the suites of two targets that both offer, and adds a check for each
// case: whether they did the same.
func Compare(ctx context.Context, a, b *Target, opts *Options) (*report.Report, error) {
	return run(ctx, opts, a, b)
}

// outcome is what came of one suite with one target.
type outcome struct {
	*opened
	results []parity.Result
}

func run(ctx context.Context, opts *Options, targets ...*Target) (_ *report.Report, err error) {
	if opts == nil {
		opts = &Options{}
	}
	begun := time.Now()
	var all [][]*opened
	var closing []*opened
	defer func() { err = errors.Join(err, shut(ctx, closing)) }()
	for _, t := range targets {
		one, err := opts.open(ctx, t)
		all, closing = append(all, one), append(closing, one...)
		if err != nil {
			return nil, err
		}
	}
	var names []string
	for _, t := range targets {
		names = append(names, t.name)
	}
	r := &report.Report{Suite: "provider", Subject: strings.Join(names, " against ")}
	if len(all) == 2 {
		if all, err = shared(all); err != nil {
			return nil, err
		}
	}
	if err := probe(ctx, slices.Concat(all...)); err != nil {
		return nil, err
	}
	outcomes, err := opts.play(ctx, all)
	if err != nil {
		return nil, err
	}
	if len(targets) == 1 {
		for _, o := range outcomes[0] {
			r.Checks = append(r.Checks, o.checks("")...)
		}
	} else {
		r.Checks = compared(outcomes, names)
	}
	r.Settle()
	r.Took = time.Since(begun)
	return r, nil
}

// shut closes providers and what is behind them.
func shut(ctx context.Context, all []*opened) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	errs := make([]error, len(all))
	var ending sync.WaitGroup
	for i, one := range all {
		ending.Go(func() { errs[i] = one.close(ctx) })
	}
	ending.Wait()
	return errors.Join(errs...)
}

// probe binds a guest to each provider, so that one that cannot be reached, or that
// lacks a configuration, is told of once.
func probe(ctx context.Context, all []*opened) error {
	var errs []error
	for _, one := range all {
		if one.suite.Capability == capability.HTTPServer {
			continue // it would listen on a port that somebody else may have
		}
		err := one.suite.Probe(ctx, one.target)
		switch {
		case errors.Is(err, &capability.Error{Code: capability.CodeInvalid}):
			errs = append(errs, fmt.Errorf("%s: %s does not take its configuration: %w; --config KEY=VALUE adds to it", one.target.Name, one.suite.Capability, err))
		case err != nil:
			errs = append(errs, fmt.Errorf("%s: %s cannot be bound: %w", one.target.Name, one.suite.Capability, err))
		}
	}
	return errors.Join(errs...)
}

// shared leaves what two targets both offer, in the same order. Words of errors are
// compared where both have those of this module.
func shared(all [][]*opened) ([][]*opened, error) {
	kept := make([][]*opened, 2)
	for _, a := range all[0] {
		i := slices.IndexFunc(all[1], func(b *opened) bool { return b.suite.Capability == a.suite.Capability })
		if i < 0 {
			continue
		}
		b := all[1][i]
		a.target.Terse = !a.target.Exact || !b.target.Exact
		b.target.Terse = a.target.Terse
		kept[0], kept[1] = append(kept[0], a), append(kept[1], b)
	}
	if len(kept[0]) == 0 {
		return nil, badTarget("the two targets offer no capability both")
	}
	return kept, nil
}

// play runs the suites of different capabilities side by side, and those of different
// targets one after another.
func (o *Options) play(ctx context.Context, all [][]*opened) ([][]outcome, error) {
	var outcomes [][]outcome
	for _, target := range all {
		played := make([]outcome, len(target))
		errs := make([]error, len(target))
		var running sync.WaitGroup
		for i, one := range target {
			running.Go(func() {
				one.target.Timeout = o.Timeout
				suite := o.chosen(one.suite)
				var results []parity.Result
				results, errs[i] = suite.Run(ctx, one.target)
				played[i] = outcome{one, results}
			})
		}
		running.Wait()
		if err := errors.Join(errs...); err != nil {
			return nil, err
		}
		outcomes = append(outcomes, played)
	}
	return outcomes, nil
}

// chosen is a suite with the cases that were asked for.
func (o *Options) chosen(suite parity.Suite) parity.Suite {
	if o.Match == nil {
		return suite
	}
	suite.Cases = slices.DeleteFunc(slices.Clone(suite.Cases), func(c parity.Case) bool {
		return !o.Match.MatchString(checkName("", suite.Capability, c.Name))
	})
	return suite
}

// checkName is that of a case, unique in a report. Of two targets, it begins with
// which of them it is.
func checkName(target, capability, name string) string {
	text := shortName(capability) + ": " + name
	if target != "" {
		text = target + " " + text
	}
	return text
}

// checks are those of one suite.
func (o outcome) checks(target string) []report.Check {
	checks := make([]report.Check, 0, len(o.results))
	for _, r := range o.results {
		c := report.Check{Name: checkName(target, o.suite.Capability, r.Case), Rules: r.Rules, Status: report.Pass, Took: r.Took}
		switch {
		case len(r.Failures) > 0:
			c.Status, c.Message = report.Fail, firstLine(r.Failures[0])
			c.Log = strings.Join(r.Failures, "\n") + "\n"
		case r.Skipped != "":
			c.Status, c.Message = report.Skip, firstLine(r.Skipped)
		}
		checks = append(checks, c)
	}
	return checks
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// compared are the checks of two targets, and of whether they did the same.
func compared(outcomes [][]outcome, names []string) []report.Check {
	var checks []report.Check
	if names[0] == names[1] {
		names = []string{names[0] + " (first)", names[1] + " (second)"}
	}
	for i, a := range outcomes[0] {
		b := outcomes[1][i]
		checks = append(checks, a.checks(names[0])...)
		checks = append(checks, b.checks(names[1])...)
		different := make(map[string]parity.Difference)
		for _, d := range parity.Compare(a.results, b.results) {
			different[d.Case] = d
		}
		for j, r := range a.results {
			c := report.Check{Name: checkName("both", a.suite.Capability, r.Case), Status: report.Pass, Took: r.Took + b.results[j].Took}
			d, differ := different[r.Case]
			switch {
			case r.Skipped != "" || b.results[j].Skipped != "":
				c.Status, c.Message = report.Skip, firstLine(cmp.Or(r.Skipped, b.results[j].Skipped))
			case differ:
				c.Status, c.Message = report.Fail, fmt.Sprintf("they differ from line %d of the conversation on", d.Line)
				c.Log = fmt.Sprintf("%s\n%s:\n  %s\n%s:\n  %s\n", c.Message, names[0], ended(d.A), names[1], ended(d.B))
			}
			checks = append(checks, c)
		}
	}
	return checks
}

// ended is a line of a conversation, or says that there is none.
func ended(line string) string { return cmp.Or(line, "(the conversation has ended)") }
