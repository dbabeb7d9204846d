package script_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/waxosuit/waxo/testscripts/report"
	"github.com/waxosuit/waxo/testscripts/script"
)

var scripts = fstest.MapFS{
	"s/good.txtar": {Data: []byte("# All is\n# well.\n# Rule: MOD-1, CALL-2\n# Section: 1. Modules\n# Needs: air\n#\n# More words.\n\ngreet you\nstdout 'hello you'\n")},
	"s/bad.txtar":  {Data: []byte("# Nothing is.\n\ngreet you\n\n# the second phase\ngreet\n")},
	"s/skip.txtar": {Data: []byte("skip 'not today'\n")},
	"s/lack.txtar": {Data: []byte("# Needs: wings\ngreet you\n")},
	"s/bang.txtar": {Data: []byte("bang\n")},
	"s/wait.txtar": {Data: []byte("wait-for-ever\n")},
	"s/note.txt":   {Data: []byte("no script\n")},
}

func TestParse(t *testing.T) {
	all, err := script.ReadFS(scripts, "s")
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(s *script.Script) bool { return s.Name == "good" })
	s := all[i]
	if len(all) != 6 || s.Title != "All is well." || !slices.Equal(s.Rules, []string{"MOD-1", "CALL-2"}) ||
		s.Section != "1. Modules" || !slices.Equal(s.Needs, []string{"air"}) {
		t.Errorf("read %d scripts, and %+v", len(all), s)
	}
}

func options(t *testing.T) *script.Options {
	t.Helper()
	all, err := script.ReadFS(scripts, "s")
	if err != nil {
		t.Fatal(err)
	}
	return &script.Options{
		Scripts: all, Timeout: 3 * time.Second, Shuffle: true,
		Lacks: func(need string) string {
			return map[string]string{"wings": "there are no wings"}[need]
		},
		Commands: []script.Command{
			{Name: "greet", Args: "NAME", Run: func(ts *testscript.TestScript, _ bool, args []string) {
				if len(args) != 1 {
					ts.Fatalf("greet whom?")
				}
				ts.Stdout().Write([]byte("hello " + args[0] + "\n"))
			}},
			{Name: "bang", Run: func(*testscript.TestScript, bool, []string) { panic("at the disco") }},
			{Name: "wait-for-ever", Run: func(ts *testscript.TestScript, _ bool, _ []string) {
				<-script.Context(ts).Done()
				ts.Fatalf("waited too long")
			}},
		},
	}
}

func TestRun(t *testing.T) {
	opts := options(t)
	var ended atomic.Int32
	opts.Ended = func(report.Check) { ended.Add(1) }
	checks, err := script.Run(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]struct {
		status  report.Status
		message string
		line    int
	}{
		"good": {report.Pass, "", 0},
		"bad":  {report.Fail, "greet whom?", 6},
		"skip": {report.Skip, "not today", 0},
		"lack": {report.Skip, "there are no wings", 0},
		"bang": {report.Fail, "failed", 0},
		"wait": {report.Fail, "waited too long", 1},
	}
	for _, c := range checks {
		w := want[c.Name]
		if c.Status != w.status || c.Message != w.message || c.Line != w.line {
			t.Errorf("%s is %q %q in line %d; want %+v\n%s", c.Name, c.Status, c.Message, c.Line, w, c.Log)
		}
		delete(want, c.Name)
		if c.Name == "bad" && !strings.Contains(c.Log, "FAIL: bad.txtar:6: greet whom?") {
			t.Errorf("the log does not say where it failed: %s", c.Log)
		}
		if c.Name == "bang" && !strings.Contains(c.Log, "panic: at the disco") {
			t.Errorf("the log does not tell of the panic: %s", c.Log)
		}
	}
	if len(want) > 0 || int(ended.Load()) != len(checks) {
		t.Errorf("not run: %v; told of %d", want, ended.Load())
	}
}

func TestMatchAndInterruption(t *testing.T) {
	opts := options(t)
	opts.Match = regexp.MustCompile("^(good|wait)$")
	ctx, cancel := context.WithCancel(t.Context())
	opts.Parallel = 2
	opts.Ended = func(c report.Check) {
		if c.Name == "good" {
			cancel()
		}
	}
	checks, err := script.Run(ctx, opts)
	if !errors.Is(err, context.Canceled) || len(checks) != 2 {
		t.Errorf("%v after %d checks", err, len(checks))
	}
}

func TestUpdate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "golden.txtar")
	old := "greet me\ncmp stdout want\n\n-- want --\nhello you\n"
	if err := os.WriteFile(path, []byte(old), 0o600); err != nil {
		t.Fatal(err)
	}
	opts := options(t)
	opts.Scripts = []*script.Script{{Name: "golden", Data: []byte(old), Path: path}}
	opts.Update = true
	checks, err := script.Run(t.Context(), opts)
	if err != nil || checks[0].Status != report.Pass {
		t.Fatalf("%v, %+v", err, checks)
	}
	if got, _ := os.ReadFile(path); !strings.HasSuffix(string(got), "-- want --\nhello me\n") {
		t.Errorf("the script is now %q", got)
	}
	opts.Scripts[0].Path = ""
	if _, err := script.Run(t.Context(), opts); err == nil {
		t.Error("a script that is built in is updated")
	}
}

func TestReference(t *testing.T) {
	got := script.Reference("##", []script.Command{{Name: "b", Short: "B."}, {Name: "a", Args: "X", Short: "A.", Long: "More.", Example: "a 1"}})
	want := "## `a X`\n\nA.\n\nMore.\n\n```\na 1\n```\n\n## `b`\n\nB.\n\n```\n\n```\n\n"
	if got != want {
		t.Errorf("%q", got)
	}
}
