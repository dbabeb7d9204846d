package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/waxosuit/waxo/testscripts/project"
	"github.com/waxosuit/waxo/testscripts/report"
)

// watch runs the scripts again at each change, until ctx ends.
func (t *tests) watch(ctx context.Context) error {
	told := &reporter{app: t.app, flags: &t.flags.report, quiet: true, told: true} // failures, and the sum
	w := &project.Watch{
		Project: t.project, Builder: t.builder, Find: t.scripts, Options: t.options(told),
		Begins: t.begins,
		Ends:   func(r *report.Report, err error) { t.ends(told, r, err) },
		Notice: func(text string) { fmt.Fprintln(t.app.Err, text) },
	}
	return w.Run(ctx)
}

// begins clears the screen and says what a run is for.
func (t *tests) begins(changed []string) {
	if t.app.color(t.app.Out) {
		fmt.Fprint(t.app.Out, "\x1b[H\x1b[2J\x1b[3J")
	}
	const most = 5
	what := strings.Join(changed[:min(most, len(changed))], ", ")
	switch {
	case len(changed) == 0:
		return
	case len(changed) > most:
		what += fmt.Sprintf(" and %d more", len(changed)-most)
	}
	fmt.Fprintf(t.app.Out, "%s %s changed\n", time.Now().Format(time.TimeOnly), what)
}

// ends tells how a run ended. That scripts failed is told already.
func (t *tests) ends(told *reporter, r *report.Report, err error) {
	if err != nil {
		fmt.Fprintf(t.app.Err, "waxo: %v\n", toolchainWords(err))
		return
	}
	_ = told.finish(r)
	if !t.quiet {
		fmt.Fprintln(t.app.Err, "waiting for changes; Ctrl-C ends")
	}
}
