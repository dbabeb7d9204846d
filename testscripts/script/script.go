// Package script runs test scripts: files in the txtar format, in the language
// of rogpeppe/go-internal/testscript with further commands that a suite brings
// along. It needs no go test to run in: what comes out are the checks of a
// report.
//
// Each script has a folder of its own and whatever its suite sets up for it, so
// that scripts run side by side and in any order. None runs longer than its
// timeout: commands that wait use Context.
//
// The package knows no guest, no host and no provider.
package script

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/waxosuit/waxo/testscripts/report"
)

// Options say which scripts run, and what they can do.
type Options struct {
	Scripts  []*Script
	Commands []Command // in addition to testscript's own

	// Setup prepares a script's environment. Default: nothing.
	Setup func(env *testscript.Env) error

	// Condition decides a [condition] that testscript does not know. Default: none.
	Condition func(name string) (bool, error)

	// Lacks says why a script cannot run that needs something ("Needs:" in its
	// header), or returns "". Default: nothing is lacking.
	Lacks func(need string) string

	// Match chooses scripts by their names. Default: all.
	Match *regexp.Regexp

	Parallel int           // scripts at once; default GOMAXPROCS
	Timeout  time.Duration // for one script; default 1 minute
	Shuffle  bool          // run them in random order

	// Update has a cmp that fails rewrite the golden in its script. The scripts
	// must have a Path. Default: it fails.
	Update bool

	// Verbose keeps the log of scripts that pass, too.
	Verbose bool

	// Ended is told of each check as it ends, one at a time. Default: nobody is.
	Ended func(report.Check)
}

// Run runs the scripts and returns a check for each that was chosen, in the order
// of Options.Scripts. Its error is ctx's, or says why nothing could be run; that a
// script fails is none.
func Run(ctx context.Context, opts *Options) ([]report.Check, error) {
	r := &runner{opts: opts, commands: commands(opts.Commands)}
	dir, err := os.MkdirTemp("", "waxo-scripts-")
	if err != nil {
		return nil, fmt.Errorf("script: %w", err)
	}
	defer os.RemoveAll(dir)
	var chosen []*Script
	for _, s := range opts.Scripts {
		if opts.Match != nil && !opts.Match.MatchString(s.Name) {
			continue
		}
		if chosen = append(chosen, s); opts.Update && s.Path == "" {
			return nil, fmt.Errorf("script: %s is built in: its goldens cannot be rewritten", s.Name)
		}
	}
	checks := make([]report.Check, len(chosen))
	order := make([]int, len(chosen))
	for i := range order {
		order[i] = i
	}
	if opts.Shuffle {
		rand.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	}
	parallel := opts.Parallel
	if parallel <= 0 {
		parallel = runtime.GOMAXPROCS(0)
	}
	var running sync.WaitGroup
	free := make(chan struct{}, parallel)
	for _, i := range order {
		free <- struct{}{}
		running.Go(func() {
			defer func() { <-free }()
			checks[i] = r.run(ctx, chosen[i], dir)
			r.ended(checks[i])
		})
	}
	running.Wait()
	return checks, ctx.Err()
}

type runner struct {
	opts     *Options
	commands map[string]func(ts *testscript.TestScript, neg bool, args []string)

	mu sync.Mutex // for Options.Ended
}

func (r *runner) ended(c report.Check) {
	if r.opts.Ended == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.opts.Ended(c)
}

// run runs one script; dir is where those that are in no file get one.
func (r *runner) run(ctx context.Context, s *Script, dir string) report.Check {
	check := report.Check{Name: s.Name, Title: s.Title, Rules: s.Rules, Path: s.Path}
	if reason := r.lacks(s); reason != "" {
		check.Status, check.Message = report.Skip, reason
		return check
	}
	if err := ctx.Err(); err != nil {
		check.Status, check.Message = report.Skip, "interrupted"
		return check
	}
	file := s.Path
	if file == "" {
		file = filepath.Join(dir, s.Name+".txtar")
		if err := os.WriteFile(file, s.Data, 0o600); err != nil {
			check.Status, check.Message = report.Fail, err.Error()
			return check
		}
	}
	begun := time.Now()
	t := &scriptT{verbose: r.opts.Verbose}
	t.Run(s.Name, func(testscript.T) { r.play(ctx, t, file) })
	check.Took = time.Since(begun)
	t.settle(&check)
	check.Log = strings.ReplaceAll(check.Log, dir+string(filepath.Separator), "") // a folder that is soon gone
	if check.Status == report.Fail && ctx.Err() != nil {
		check.Status, check.Message, check.Log = report.Skip, "interrupted", ""
	}
	return check
}

func (r *runner) lacks(s *Script) string {
	if r.opts.Lacks == nil {
		return ""
	}
	for _, need := range s.Needs {
		if reason := r.opts.Lacks(need); reason != "" {
			return reason
		}
	}
	return ""
}

func (r *runner) play(ctx context.Context, t *scriptT, file string) {
	timeout := r.opts.Timeout
	if timeout <= 0 {
		timeout = time.Minute
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	deadline, _ := ctx.Deadline()
	testscript.RunT(t, testscript.Params{
		Files: []string{file}, Cmds: r.commands, Condition: r.condition, UpdateScripts: r.opts.Update,
		RequireUniqueNames: true, Deadline: deadline,
		Setup: func(env *testscript.Env) error {
			env.Values[contextKey{}] = ctx
			if r.opts.Setup == nil {
				return nil
			}
			return r.opts.Setup(env)
		},
	})
}

func (r *runner) condition(name string) (bool, error) {
	if r.opts.Condition == nil {
		return false, errors.New("there is no such condition")
	}
	return r.opts.Condition(name)
}

type contextKey struct{}

// Context ends with the time that a script may take, and when the run is
// interrupted: for the commands of a script that wait.
func Context(ts *testscript.TestScript) context.Context {
	return ts.Value(contextKey{}).(context.Context)
}

// ContextOf is Context for a Setup.
func ContextOf(env *testscript.Env) context.Context {
	return env.Values[contextKey{}].(context.Context)
}

// failure is the line that testscript writes where a script fails.
var failure = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?m)^FAIL: .*?:(\d+): (.*)$`) })

// settle makes a check of what testscript has told t.
func (t *scriptT) settle(c *report.Check) {
	log := t.log.String()
	if t.verbose {
		_, log, _ = strings.Cut(log, "\n\n") // without the environment
	}
	switch {
	case t.skipped != nil:
		c.Status, c.Message = report.Skip, *t.skipped
	case !t.failed:
		c.Status = report.Pass
		if t.verbose {
			c.Log = log
		}
	default:
		c.Status, c.Log, c.Message = report.Fail, log, "failed"
		if all := failure().FindAllStringSubmatch(log, -1); all != nil {
			last := all[len(all)-1]
			c.Line, _ = strconv.Atoi(last[1])
			c.Message = last[2]
		}
	}
}
