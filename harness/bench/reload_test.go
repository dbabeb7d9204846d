//go:build linux

package bench

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/waxosuit/waxo/devhost/workbench"
)

// BenchmarkReload edits the project of the template kvcounter under waxo dev,
// and measures what comes after the toolchain.
func BenchmarkReload(b *testing.B) {
	p := build(b)
	dir := b.TempDir()
	if err := command(dir, p.waxo, "new", "hello"); err != nil {
		b.Fatal(err)
	}
	source := filepath.Join(dir, "hello", "main.go")
	text, err := os.ReadFile(source)
	if err != nil {
		b.Fatal(err)
	}
	d := startDev(b, p.waxo, dir)
	d.wait(b, workbench.KindServing, 1)
	var served, compiled, total []float64
	edits := 0
	for b.Loop() {
		edits++
		edited := strings.Replace(string(text), `{"count":`, `{"edit":`+strconv.Itoa(edits)+`,"count":`, 1)
		if edited == string(text) {
			b.Fatal("the template has no text to edit")
		}
		if err := os.WriteFile(source, []byte(edited), 0o644); err != nil {
			b.Fatal(err)
		}
		s := d.wait(b, workbench.KindServing, edits+1)
		served = append(served, millis(afterToolchain(s)))
		total = append(total, millis(s.Took))
		c := d.wait(b, workbench.KindCompiled, edits+1)
		compiled = append(compiled, millis(c.Took))
	}
	b.ReportMetric(median(served), "ms-after-toolchain")
	b.ReportMetric(median(total), "ms-from-edit")
	b.ReportMetric(median(compiled), "ms-to-compiled")
	b.ReportMetric(0, "ns/op")
}

// afterToolchain is what a reload took after the toolchain's end.
func afterToolchain(e workbench.Event) (d time.Duration) {
	after := false
	for _, p := range e.Phases {
		if after {
			d += p.Took
		}
		after = after || p.Name == "build"
	}
	return d
}

// devProcess is a waxo dev and what it tells.
type devProcess struct{ events chan workbench.Event }

func startDev(b *testing.B, waxo, dir string) *devProcess {
	b.Helper()
	cmd := exec.Command(waxo, "dev", "hello", "--port", "0", "--log-format", "json")
	cmd.Dir, cmd.Env = dir, environment()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	lines, err := cmd.StderrPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	d := &devProcess{events: make(chan workbench.Event, 1000)}
	go func() {
		defer close(d.events)
		s := bufio.NewScanner(lines)
		s.Buffer(nil, 1<<20)
		for s.Scan() {
			var e workbench.Event
			if json.Unmarshal(s.Bytes(), &e) == nil {
				d.events <- e
			}
		}
	}()
	b.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM) //nolint:errcheck // it runs
		for range d.events {                // to its end
		}
		cmd.Wait() //nolint:errcheck // it was told to end
	})
	return d
}

// wait waits for an event of a build.
func (d *devProcess) wait(b *testing.B, kind workbench.Kind, number int) workbench.Event {
	b.Helper()
	timeout := time.After(time.Minute)
	for {
		select {
		case e, ok := <-d.events:
			switch {
			case !ok || e.Kind == workbench.KindFailed:
				b.Fatalf("waxo dev: %+v", e)
			case e.Kind == kind && e.Build == number:
				return e
			}
		case <-timeout:
			b.Fatalf("no event %q of build %d", kind, number)
		}
	}
}
