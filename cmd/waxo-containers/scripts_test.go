package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestWaxoTest: scripts run against real services, one for each script, and nothing is
// left of them: neither at the end, nor where Ctrl-C comes in the middle.
func TestWaxoTest(t *testing.T) {
	engine := needEngine(t)
	containers := build(t)
	dir := filepath.Dir(containers)
	waxo := filepath.Join(dir, "waxo") // its companion is beside it
	for _, args := range [][]string{{"go", "build", "-buildvcs=false", "-o", waxo, "../waxo"}, {waxo, "new", filepath.Join(dir, "counter")}} {
		if output, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, output)
		}
	}
	project, ready := filepath.Join(dir, "counter"), filepath.Join(dir, "counter", "ready")
	const slow = "[embedded] skip\nhttp POST /\n[exec:redis-cli] exec redis-cli -u $WAXO_KEYVALUE_URL GET count\n[exec:redis-cli] stdout ^1$\n" +
		"exec touch $PROJECT/ready\neventually 1h http GET /nowhere\n"
	must(t, os.WriteFile(filepath.Join(project, "testscripts", "slow.txtar"), []byte(slow), 0o600))

	output, err := waxoTest(waxo, project, "--run", "count|trouble").CombinedOutput()
	if err != nil || !strings.Contains(string(output), "counter: 2 passed in") {
		t.Errorf("%v\n%s", err, output)
	}

	var said words
	cmd := waxoTest(waxo, project, "--run", "slow")
	cmd.Stdout, cmd.Stderr = &said, &said
	must(t, cmd.Start())
	eventually(t, 2*time.Minute, func() string {
		if _, err := os.Stat(ready); err != nil {
			return "not ready:\n" + said.String()
		}
		return ""
	})
	p := find(t, containers)
	if len(p) != 1 {
		t.Fatalf("%d companions\n%s", len(p), &said)
	}
	must(t, cmd.Process.Signal(os.Interrupt))
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 130 {
		t.Errorf("the status is %d\n%s", code, &said)
	}
	eventually(t, 90*time.Second, func() string {
		if all := find(t, containers); len(all) != 0 {
			return fmt.Sprintf("process %d", all[0].pid)
		}
		return left(t, engine, p[0].session)
	})
}

func waxoTest(waxo, project string, args ...string) *exec.Cmd {
	cmd := exec.Command(waxo, append([]string{"test", "--providers", "container"}, args...)...)
	cmd.Dir = project
	return cmd
}
