package hostsuite_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
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

// waxo builds the command.
var waxo = sync.OnceValues(func() (string, error) {
	out := filepath.Join(built, "waxo")
	if runtime.GOOS == "windows" {
		out += ".exe"
	}
	build := exec.Command("go", "build", "-o", out, "github.com/waxosuit/waxo/cmd/waxo")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	return out, build.Run()
})

func TestWaxoRun(t *testing.T) {
	t.Parallel()
	program, err := waxo()
	if err != nil {
		t.Fatal(err)
	}
	r, err := hostsuite.Run(t.Context(), &hostsuite.Options{
		Command: []string{program, "run", "{module}", "--live-update", "--cache", filepath.Join(built, "cache")},
		Env:     os.Environ(), Timeout: 20 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range r.Checks {
		if c.Status != report.Pass {
			c.Text(t.Output())
			t.Errorf("%s: %s", c.Name, c.Message)
		}
	}
	t.Logf("%d checks in %v", len(r.Checks), r.Took)
}
