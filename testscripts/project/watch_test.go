package project_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waxosuit/waxo/devhost/build"
	devproject "github.com/waxosuit/waxo/devhost/project"
	"github.com/waxosuit/waxo/testscripts/project"
	"github.com/waxosuit/waxo/testscripts/report"
	"github.com/waxosuit/waxo/testscripts/script"
)

// ended is what came of a run.
type ended struct {
	changed []string
	report  *report.Report
	err     error
}

// watched watches a project with one script.
type watched struct {
	t    *testing.T
	dir  string
	ends chan ended
}

const countScript = "# It counts.\nhttp POST /\njson .count 1\n"

func watchJobs(t *testing.T) *watched {
	t.Helper()
	_, engine := theJobs(t)
	w := &watched{t: t, dir: filepath.Join(t.TempDir(), "jobs"), ends: make(chan ended, 100)}
	must(t, makeJobs(w.dir))
	w.write("testscripts/count.txtar", countScript)
	p, err := devproject.Open(w.dir, nil)
	must(t, err)
	var changed []string
	watch := &project.Watch{
		Project: p, Builder: build.New(nil), Options: project.Options{Stand: &project.StandOptions{Engine: engine}},
		Find:   func() ([]*script.Script, error) { return project.Find(w.dir, nil) },
		Begins: func(paths []string) { changed = paths },
		Ends: func(r *report.Report, err error) {
			w.ends <- ended{changed, r, err}
			changed = nil
		},
		Notice: func(text string) { t.Log(text) },
	}
	over := make(chan error, 1)
	go func() { over <- watch.Run(t.Context()) }()
	t.Cleanup(func() {
		if err := <-over; err != nil { // t.Context has ended
			t.Error(err)
		}
	})
	return w
}

func (w *watched) write(name, text string) {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	must(w.t, os.MkdirAll(filepath.Dir(path), 0o700))
	must(w.t, os.WriteFile(path, []byte(text), 0o600))
}

func (w *watched) next() ended {
	w.t.Helper()
	select {
	case e := <-w.ends:
		return e
	case <-time.After(2 * time.Minute):
		w.t.Fatal("no run ends")
		return ended{}
	}
}

// passes waits for a run for these changes that passes.
func (w *watched) passes(changed ...string) {
	w.t.Helper()
	e := w.next()
	if e.err != nil || !e.report.OK() || !slices.Equal(e.changed, changed) {
		w.t.Fatalf("for %q, want %q: %+v, %v", e.changed, changed, e.report, e.err)
	}
}

func TestWatch(t *testing.T) {
	w := watchJobs(t)
	w.passes()
	w.write("version.go", "package main\n\nconst version = \"2\"\n")
	w.passes("version.go")

	// A script alone: the guest is not built again.
	w.write("testscripts/count.txtar", countScript+"json .count 2\n")
	if e := w.next(); e.err != nil || e.report.Count(report.Fail) != 1 || !slices.Equal(e.changed, []string{"testscripts/count.txtar"}) {
		t.Fatalf("%+v", e)
	}
	w.write("testscripts/count.txtar", countScript+"header x-version 2\n")
	w.passes("testscripts/count.txtar")

	// A build that fails is told once, whatever else changes.
	w.write("version.go", "package main\n\nconst version = \n")
	if e := w.next(); e.err == nil || e.report != nil {
		t.Fatalf("%+v", e)
	}
	w.write("notes.txt", "what the terminal said")
	w.write("version.go", "package main\n\nconst version = \"2\"\n")
	if e := w.next(); e.err != nil || !e.report.OK() || !slices.Contains(e.changed, "version.go") {
		t.Fatalf("%+v", e)
	}

	// What changes nothing begins no run; the manifest does, and may have the scripts
	// skip.
	w.write("README.md", "nothing that the guest reads")
	manifest, err := os.ReadFile(filepath.Join(w.dir, "waxo.toml"))
	must(t, err)
	w.write("waxo.toml", strings.Replace(string(manifest), `"wascap:blobstore",`, "", 1))
	if e := w.next(); e.err != nil || !e.report.OK() || !slices.Contains(e.changed, "waxo.toml") {
		t.Fatalf("%+v", e)
	}
	w.write("testscripts/count.txtar", "# Needs: wascap:blobstore\n")
	if e := w.next(); e.err != nil || e.report.Count(report.Skip) != 1 {
		t.Fatalf("%+v", e)
	}
}
