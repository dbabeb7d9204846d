//go:build unix

package build

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestCancelLeavesNoProcess: every process of the build holds the writing end of
// a named pipe, so its reading end says when the last one has gone.
func TestCancelLeavesNoProcess(t *testing.T) {
	goPath, err := exec.LookPath("go")
	if err != nil {
		t.Fatal(err)
	}
	// A compiler reports when it starts to compile, not when it is asked who it is.
	const tool = `case "$*" in *-V=full*) ;; *) echo started >&3 ;; esac; exec "$@"`
	const hold = `exec 3>"$FIFO"; echo started >&3; `
	for name, test := range map[string]struct {
		shell  string
		within time.Duration
	}{
		"a child that waits":          {hold + `sleep 600 & wait`, grace},
		"a child that refuses to end": {hold + `(trap "" TERM; sleep 600; sleep 600) & wait`, 3 * grace},
		"a real compiler":             {`exec 3>"$FIFO"; GOFLAGS="-toolexec=` + script(t, tool) + `" exec ` + goPath + ` "$@"`, grace},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			fifo := filepath.Join(t.TempDir(), "fifo")
			if err := syscall.Mkfifo(fifo, 0o600); err != nil {
				t.Fatal(err)
			}
			r := project(t, dir)
			b := New(&Options{Go: script(t, test.shell), Env: append(os.Environ(), "FIFO="+fifo, "GOCACHE="+t.TempDir())})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			done := make(chan error, 1)
			go func() {
				_, err := b.Build(ctx, r)
				done <- err
			}()
			pipe, err := os.Open(fifo)
			if err != nil {
				t.Fatal(err)
			}
			defer pipe.Close()
			if _, err := io.ReadFull(pipe, make([]byte, len("started\n"))); err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			cancel()
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
			if took := time.Since(start); took > test.within+time.Second {
				t.Errorf("it took %v", took)
			}
			if err := pipe.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
				t.Fatal(err)
			}
			if rest, err := io.ReadAll(pipe); err != nil {
				t.Errorf("a process is left: %q, %v", rest, err)
			}
			if got := leftovers(t, dir); got != ".waxo .waxo/tmp" {
				t.Errorf("left behind: %s", got)
			}
		})
	}
}

// TestBackgroundChild: a command that ends well and leaves a child behind which
// holds its output open does not hang the build, and the child ends.
func TestBackgroundChild(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	pipe, err := os.OpenFile(fifo, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	result := build(t, custom(t, dir, `mkdir out; echo m >out/c.wasm; sleep 600 3>"$FIFO" & exit 0`), "FIFO="+fifo)
	if string(result.Module) != "m\n" {
		t.Errorf("module %q", result.Module)
	}
	if err := pipe.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(pipe); err != nil {
		t.Errorf("the child is left: %v", err)
	}
}
