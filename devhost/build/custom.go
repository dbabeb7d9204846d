package build

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/waxosuit/waxo/devhost/manifest"
)

// buildCustom runs the project's own command. The module of an earlier build is
// put aside meanwhile: what is there afterwards is new for certain, whether the
// command copies, links or decides that all is up to date. It comes back where the
// command fails.
func (b *Builder) buildCustom(ctx context.Context, dir, scratch string, m *manifest.Build, env []string) (*Result, error) {
	args, err := resolve(dir, m.Command)
	if err != nil {
		return nil, err
	}
	output := filepath.Join(dir, filepath.FromSlash(m.Output))
	aside := filepath.Join(scratch, "earlier.wasm")
	if err := putAside(output, aside); err != nil {
		return nil, fmt.Errorf("build: put the earlier module aside: %w", err)
	}
	done := run(ctx, dir, append(slices.Concat(b.env, env), "PWD="+dir), args)
	if done.err == nil {
		done.module, done.err = readModule(output)
		if errors.Is(done.err, fs.ErrNotExist) {
			done.err = fmt.Errorf("%w: %s was not written; see [build] output in %s", errNoOutput, m.Output, manifest.FileName)
		}
	}
	if done.err == nil {
		return done.result(m.Command[0]), nil
	}
	_ = os.Rename(aside, output) // there may have been none
	return nil, done.failure(m.Command[0], dir)
}

// putAside moves a file, if there is one; anything but a file is not a module
// that a build has left, and is better not touched.
func putAside(from, to string) error {
	info, err := os.Lstat(from)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.IsDir():
		return fmt.Errorf("%s is a folder", from)
	}
	return os.Rename(from, to)
}

// resolve finds the program: by PATH, or from the project's folder where its name
// holds a slash.
func resolve(dir string, command []string) ([]string, error) {
	name := command[0]
	if strings.ContainsAny(name, `/\`) && !filepath.IsAbs(name) {
		name = filepath.Join(dir, filepath.FromSlash(name))
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return nil, &ToolchainError{
			Tool: command[0], Err: err,
			Hint: "install it, or correct [build] command in " + manifest.FileName,
		}
	}
	return append([]string{path}, command[1:]...), nil
}
