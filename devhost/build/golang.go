package build

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// minGo is the minor version of the first Go that has //go:wasmexport and builds
// reactors for wasip1.
const minGo = 24

// InstallGo is how a Go that builds guests comes onto a machine.
const InstallGo = "install Go 1.24 or newer from https://go.dev/dl and put its bin folder into PATH"

// goFlags build a reactor with the same bytes in any folder. The names of the
// functions stay, for traps; -s would remove them.
var goFlags = []string{
	"-buildmode=c-shared",
	"-trimpath",
	"-buildvcs=false",
	"-ldflags=-buildid=",
}

func (b *Builder) buildGo(ctx context.Context, dir, scratch string) (*Result, error) {
	command, err := b.findGo()
	if err != nil {
		return nil, &ToolchainError{Tool: "go", Hint: InstallGo, Err: err}
	}
	output := filepath.Join(scratch, "guest.wasm")
	args := append([]string{command, "build"}, goFlags...)
	args = append(args, "-o", output, ".")
	env := b.goEnv(dir, scratch)
	done := run(ctx, dir, env, args)
	if done.err == nil {
		done.module, done.err = readModule(output)
	}
	if done.err == nil {
		return done.result("go"), nil
	}
	// Not asked before: that would cost each build what it takes to start the go
	// command.
	if version, err := goVersion(ctx, command, dir, env); err == nil {
		if err := tooOld(command, version); err != nil {
			return nil, err
		}
	}
	return nil, done.failure("go", dir)
}

// findGo returns the go command's path.
func (b *Builder) findGo() (string, error) {
	if b.goCommand != "" {
		return exec.LookPath(b.goCommand)
	}
	path, err := exec.LookPath("go")
	if err == nil || !errors.Is(err, exec.ErrNotFound) {
		return path, err
	}
	for _, variable := range b.env {
		if root, ok := strings.CutPrefix(variable, "GOROOT="); ok {
			if path, err := exec.LookPath(filepath.Join(root, "bin", "go")); err == nil {
				return path, nil
			}
		}
	}
	return "", errors.New("the Go toolchain is not installed, or not in PATH")
}

// goEnv overrides what would let a build depend on its surroundings: settings
// that are meant for the user's other projects, and workspaces that happen to lie
// above. Caches, proxies and the choice of the toolchain stay the user's own.
func (b *Builder) goEnv(dir, scratch string) []string {
	workspace := filepath.Join(dir, "go.work")
	if _, err := os.Stat(workspace); err != nil {
		workspace = "off"
	}
	return append(append([]string(nil), b.env...),
		"PWD="+dir,
		"GOOS=wasip1",
		"GOARCH=wasm",
		"GOWASM=satconv,signext", // what every engine can do since 2020; newer Go always does
		"CGO_ENABLED=0",
		"GO111MODULE=on",
		"GOFLAGS=-trimpath", // an empty one would let that of "go env -w" through
		"GOWORK="+workspace,
		"GOEXPERIMENT=",
		"GOTMPDIR="+scratch, // a compiler that is killed does not clean up
	)
}

// goVersion asks the go command, such as "go1.26.1". It may be another one in a folder
// whose go.mod asks for that. Around its answer there may be warnings.
func goVersion(ctx context.Context, command, dir string, env []string) (string, error) {
	done := run(ctx, dir, env, []string{command, "env", "GOVERSION"})
	if err := errors.Join(ctx.Err(), done.err); err != nil {
		return "", fmt.Errorf("%w %s", err, strings.TrimSpace(done.output))
	}
	for line := range strings.Lines(done.output) {
		if version := strings.TrimSpace(line); strings.HasPrefix(version, "go1") && !strings.Contains(version, " ") {
			return version, nil
		}
	}
	return "", fmt.Errorf("it says %.80q", done.output)
}

// tooOld is the error for a Go that cannot build guests yet.
func tooOld(command, version string) error {
	_, number, _ := strings.Cut(version, "go1.")
	end := strings.IndexFunc(number, func(c rune) bool { return c < '0' || c > '9' })
	if end >= 0 {
		number = number[:end]
	}
	minor, err := strconv.Atoi(number)
	if err != nil || minor >= minGo {
		return nil
	}
	return &ToolchainError{
		Tool: "go", Hint: InstallGo,
		Err: fmt.Errorf("%s is %s, which cannot build guests yet", command, version),
	}
}
