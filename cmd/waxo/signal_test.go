//go:build unix

package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/waxosuit/waxo/cmd/internal/cli"
	"github.com/waxosuit/waxo/templates"
)

// says waits until a process has printed something.
func (p *process) says(text string) {
	p.t.Helper()
	p.until(func() bool { return strings.Contains(p.all.String(), text) }, "it does not say "+text)
}

// until waits for something while a process runs.
func (p *process) until(true func() bool, message string) {
	p.t.Helper()
	deadline := time.After(patience)
	for !true() {
		select {
		case <-p.ended:
			p.t.Fatalf("%s, and ended: %s", message, p.all)
		case <-deadline:
			p.t.Fatal(message)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// scratched makes a project in a folder, and has temporary files be in another one,
// which it checks at the end.
func scratched(t *testing.T, scripts map[string]string) (project string) {
	t.Helper()
	project, temp := filepath.Join(t.TempDir(), "counter"), t.TempDir()
	if _, err := templates.Write(project, "kvcounter", nil); err != nil {
		t.Fatal(err)
	}
	for name, text := range scripts {
		if err := os.WriteFile(filepath.Join(project, "testscripts", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("TMPDIR", temp)
	t.Cleanup(func() {
		left, err := filepath.Glob(filepath.Join(temp, "*"))
		for _, path := range left {
			if filepath.Base(path) != "waxo-test-cache" {
				t.Errorf("left behind: %s", path)
			}
		}
		if err != nil {
			t.Error(err)
		}
	})
	return project
}

func TestExecGivesSignalsToTheCommand(t *testing.T) {
	dir := scratched(t, nil)
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		const command = `trap 'echo got TERM; exit 3' TERM; trap 'echo got INT; exit 4' INT; trap 'echo got HUP; exit 5' HUP; echo ready; while :; do sleep 0.1; done`
		p := waxo(t, dir, "exec", "--", "sh", "-c", command)
		p.says("ready")
		want := map[syscall.Signal]int{syscall.SIGTERM: 3, syscall.SIGINT: 4, syscall.SIGHUP: 5}[s]
		if status := p.stop(s); status != want || !strings.Contains(p.all.String(), "got ") {
			t.Errorf("after %v the status is %d, want %d", s, status, want)
		}
	}
	p := waxo(t, dir, "exec", "--", "sh", "-c", `trap 'echo no' INT; echo ready; while :; do :; done`)
	p.says("ready")
	for range 2 {
		before := strings.Count(p.all.String(), "no\n")
		if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		p.until(func() bool { return strings.Count(p.all.String(), "no\n") > before }, "the command does not hear of it")
	}
	if status := p.stop(os.Interrupt); status != 128+int(syscall.SIGKILL) {
		t.Errorf("after three signals the status is %d", status)
	}
}

func TestInterruptedTests(t *testing.T) {
	dir := scratched(t, map[string]string{"slow.txtar": "http GET /\nexec touch $PROJECT/ready\neventually 1h http GET /nowhere\n"})
	ready := filepath.Join(dir, "ready")
	for _, args := range [][]string{{"test", "--run", "slow"}, {"test", "--run", "slow", "--watch"}} {
		if err := os.Remove(ready); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		p := waxo(t, dir, args...)
		p.until(func() bool { _, err := os.Stat(ready); return err == nil }, "the script does not run")
		if status := p.stop(os.Interrupt); status != cli.ExitInterrupted {
			t.Errorf("%v: the status is %d", args, status)
		}
		if said := p.all.String(); strings.Contains(said, "FAIL") || len(args) == 3 && !strings.Contains(said, "skip  slow  interrupted") {
			t.Errorf("%v: it said %s", args, said)
		}
	}
}

func TestInterruptedBuild(t *testing.T) {
	dir := scratched(t, nil)
	manifest := "name = \"slow\"\nlanguage = \"custom\"\n\n[build]\ncommand = [\"sh\", \"-c\", \"touch ready; sleep 3600\"]\noutput = \"slow.wasm\"\n"
	if err := os.WriteFile(filepath.Join(dir, "waxo.toml"), []byte(manifest), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"test"}, {"test", "--watch"}, {"exec", "--", "echo", "ran"}} {
		if err := os.Remove(filepath.Join(dir, "ready")); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		p := waxo(t, dir, args...)
		p.until(func() bool { _, err := os.Stat(filepath.Join(dir, "ready")); return err == nil }, "it does not build")
		if status := p.stop(os.Interrupt); status != cli.ExitInterrupted || strings.Contains(p.all.String(), "ran") {
			t.Errorf("%v: the status is %d: %s", args, status, p.all)
		}
	}
}
