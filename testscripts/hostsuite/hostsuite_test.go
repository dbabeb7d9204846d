package hostsuite_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waxosuit/waxo/testscripts/hostsuite"
	"github.com/waxosuit/waxo/testscripts/report"
)

// built is a folder for programs that the tests build.
var built string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "waxo-hostsuite-test-")
	if err != nil {
		panic(err)
	}
	built = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// waxo builds the command, with the race detector where the tests have it.
var waxo = sync.OnceValues(func() (string, error) { return program("waxo") })

// program builds one of this module's commands.
func program(name string) (string, error) {
	out := filepath.Join(built, name)
	if runtime.GOOS == "windows" {
		out += ".exe"
	}
	build := exec.Command("go", "build", fmt.Sprintf("-race=%v", raceEnabled), "-o", out, "github.com/waxosuit/waxo/cmd/"+name)
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	return out, build.Run()
}

// check runs the suite, and tells of every check that does not pass but for those
// that need what is not there.
func check(t *testing.T, opts *hostsuite.Options, missing ...string) *report.Report {
	t.Helper()
	// A host in which there is a race ends, and so fails its check.
	opts.Env, opts.Timeout = append(os.Environ(), "GORACE=halt_on_error=1"), time.Minute
	r, err := hostsuite.Run(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	scripts, err := hostsuite.Scripts()
	if err != nil {
		t.Fatal(err)
	}
	needs := make(map[string][]string)
	for _, s := range scripts {
		needs[s.Name] = s.Needs
	}
	for _, c := range r.Checks {
		skips := slices.ContainsFunc(missing, func(need string) bool { return slices.Contains(needs[c.Name], need) })
		if want := map[bool]report.Status{true: report.Skip, false: report.Pass}[skips]; c.Status != want {
			c.Text(t.Output())
			t.Errorf("%s: %s: %s", c.Name, c.Status, c.Message)
		}
	}
	t.Logf("%d of %d checks passed, in %v", r.Count(report.Pass), len(r.Checks), r.Took)
	return r
}

func TestWaxoRun(t *testing.T) {
	t.Parallel()
	program, err := waxo()
	if err != nil {
		t.Fatal(err)
	}
	check(t, &hostsuite.Options{
		Command: []string{program, "run", "{module}", "--live-update", "--cache", filepath.Join(built, "cache")},
	}, "library", "no liveupdate")
}

// The checks that a host which takes live updates, and is told its port by PORT,
// cannot be held to.
func TestWaxoRunWithoutUpdates(t *testing.T) {
	t.Parallel()
	program, err := waxo()
	if err != nil {
		t.Fatal(err)
	}
	r := check(t, &hostsuite.Options{
		Command: []string{program, "run", "{module}", "--port", "{port}", "--cache", filepath.Join(built, "cache")},
		Match:   regexp.MustCompile("^(update-off|update-good|host-port|serve)$"),
	}, "liveupdate", "PORT")
	if len(r.Checks) != 4 || r.Count(report.Pass) != 2 {
		t.Errorf("%d checks, of which %d passed", len(r.Checks), r.Count(report.Pass))
	}
}

func TestUsage(t *testing.T) {
	for _, c := range []struct {
		command []string
		want    string
	}{
		{nil, "either a command or an engine"},
		{[]string{"true"}, "write {module} in its place"},
		{[]string{"no-such-program", "{module}"}, "no-such-program"},
	} {
		_, err := hostsuite.Run(t.Context(), &hostsuite.Options{Command: c.command})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.command, err, c.want)
		}
	}
}

// Of a command that serves nothing, it is said once, and no check passes.
func TestNoHost(t *testing.T) {
	for _, command := range [][]string{{"sh", "-c", "echo who am I; exit 3", "{module}"}, {"sh", "-c", "exit 0", "{module}"}} {
		r, err := hostsuite.Run(t.Context(), &hostsuite.Options{Command: command})
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Checks) != 1 || r.Checks[0].Status != report.Fail || r.OK() {
			t.Errorf("%q: %+v", command, r.Checks)
		}
		t.Log(r.Checks[0].Message)
	}
}
