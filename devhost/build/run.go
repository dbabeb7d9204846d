package build

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"
)

const (
	// grace is how long a toolchain that is told to end may take.
	grace = 2 * time.Second

	// maxOutput bounds the words of a toolchain that never stops talking.
	maxOutput = 16 << 20
)

// outcome is how a command ended.
type outcome struct {
	args   []string
	output string
	took   time.Duration
	err    error
	module []byte
}

// run runs a command to its end, or until ctx ends. In both cases, neither the
// command nor what it started is left.
func run(ctx context.Context, dir string, env, args []string) *outcome {
	var out words
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir, cmd.Env = dir, env
	cmd.Stdout, cmd.Stderr = &out, &out // one pipe, so that the order stays
	ownGroup(cmd)
	cmd.Cancel = func() error { return endGroup(cmd.Process) }
	cmd.WaitDelay = grace
	start := time.Now()
	err := cmd.Run()
	took := time.Since(start)
	if cmd.Process != nil {
		killGroup(cmd.Process)
	}
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil // it ended well; something that it had started held its output open
	}
	return &outcome{args: args, output: out.String(), took: took, err: err}
}

func (o *outcome) result(tool string) *Result {
	return &Result{Module: o.module, Tool: tool, Output: o.output, Took: o.took}
}

func (o *outcome) failure(tool, dir string) error {
	return &BuildError{Tool: tool, Args: o.args, Output: o.output, Diagnostics: diagnostics(o.output, dir), Err: o.err}
}

// readModule reads what a toolchain has left.
func readModule(path string) ([]byte, error) {
	module, err := os.ReadFile(path)
	if err == nil && len(module) == 0 {
		err = fmt.Errorf("%w: %s is empty", errNoOutput, path)
	}
	return module, err
}

// words keeps what a toolchain says.
type words struct {
	kept    []byte
	dropped int
}

func (w *words) Write(p []byte) (int, error) {
	n := min(len(p), maxOutput-len(w.kept))
	w.kept = append(w.kept, p[:n]...)
	w.dropped += len(p) - n
	return len(p), nil
}

func (w *words) String() string {
	if w.dropped > 0 {
		return fmt.Sprintf("%s\n(and %d bytes more)\n", w.kept, w.dropped)
	}
	return string(w.kept)
}
