package main

import (
	"os"
	"runtime"
)

// scratch has all temporary files of this process, and of those that it starts, be in
// one folder, which is removed at the end, also where a second interrupt ends the
// process at once.
func (a *app) scratch() error {
	dir, err := os.MkdirTemp("", "waxo-")
	if err != nil {
		return err
	}
	a.OnExit(func() {
		_ = os.RemoveAll(dir) // somebody may still write to it
	})
	name := "TMPDIR"
	if runtime.GOOS == "windows" {
		name = "TMP"
	}
	return os.Setenv(name, dir)
}
