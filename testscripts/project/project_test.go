package project_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waxosuit/waxo/devhost/build"
	devproject "github.com/waxosuit/waxo/devhost/project"
	"github.com/waxosuit/waxo/templates"
	"github.com/waxosuit/waxo/testscripts/project"
	"github.com/waxosuit/waxo/testscripts/report"
	"github.com/waxosuit/waxo/testscripts/script"
	"github.com/waxosuit/waxo/wapc"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// jobs is the guest of testdata/guest, built once, in a folder that ends with the
// tests.
var jobs struct {
	once   sync.Once
	dir    string
	engine *wapc.Engine
	guest  *project.Guest
	err    error
}

func TestMain(m *testing.M) {
	status := m.Run()
	if jobs.engine != nil {
		_ = jobs.engine.Close(context.Background())
	}
	if jobs.dir != "" {
		os.RemoveAll(jobs.dir)
	}
	os.Exit(status)
}

// makeJobs writes the project into a folder.
func makeJobs(dir string) error {
	if _, err := templates.Write(dir, "http", &templates.Options{ProjectName: "jobs"}); err != nil {
		return err
	}
	for _, old := range []string{"main_test.go", "testscripts/api.txtar", "testscripts/form.txtar"} {
		if err := os.Remove(filepath.Join(dir, old)); err != nil {
			return err
		}
	}
	for _, own := range []string{"main.go", "version.go", "waxo.toml"} {
		source, err := os.ReadFile(filepath.Join("testdata/guest", own))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, own), source, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func theJobs(t testing.TB) (*project.Guest, *wapc.Engine) {
	t.Helper()
	jobs.once.Do(func() {
		if jobs.dir, jobs.err = os.MkdirTemp("", "waxo-jobs-"); jobs.err != nil {
			return
		}
		if jobs.err = makeJobs(filepath.Join(jobs.dir, "jobs")); jobs.err != nil {
			return
		}
		var p *devproject.Project
		if p, jobs.err = devproject.Open(filepath.Join(jobs.dir, "jobs"), nil); jobs.err != nil {
			return
		}
		if jobs.engine, jobs.err = wapc.NewEngine(&wapc.EngineOptions{CacheDir: filepath.Join(jobs.dir, "compiled"), InterpretFirst: true}); jobs.err != nil {
			return
		}
		jobs.guest, jobs.err = project.Build(context.Background(), p, build.New(nil), false)
	})
	must(t, jobs.err)
	return jobs.guest, jobs.engine
}

// parse makes scripts of texts, by their names.
func parse(t testing.TB, texts map[string]string) []*script.Script {
	t.Helper()
	var scripts []*script.Script
	for name, text := range texts {
		s, err := script.Parse(name+".txtar", []byte(text))
		must(t, err)
		scripts = append(scripts, s)
	}
	return scripts
}

func run(t testing.TB, texts map[string]string) map[string]report.Check {
	t.Helper()
	guest, engine := theJobs(t)
	r, err := project.Run(t.Context(), &project.Options{
		Guest: guest, Scripts: parse(t, texts), Stand: &project.StandOptions{Engine: engine}, Timeout: 2 * time.Minute,
	})
	must(t, err)
	checks := make(map[string]report.Check)
	for _, c := range r.Checks {
		checks[c.Name] = c
	}
	return checks
}

// TestExamples: the example of each command is a script that passes.
func TestExamples(t *testing.T) {
	texts := make(map[string]string)
	for _, c := range project.Commands() {
		if c.Short == "" || c.Example == "" || !strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s is not documented", c.Name)
		}
		texts[c.Name] = c.Example + "\n"
	}
	for name, c := range run(t, texts) {
		if c.Status != report.Pass {
			t.Errorf("%s: %s\n%s", name, c.Message, c.Log)
		}
	}
}
