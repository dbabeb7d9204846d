//go:build !unix

package hostsuite

import (
	"os"
	"os/exec"
)

func group(*exec.Cmd) {}

// terminate asks for an end where the system knows such a thing.
func terminate(cmd *exec.Cmd) error { return cmd.Process.Signal(os.Interrupt) }

// killGroup ends a command. That it has ended already is fine.
func killGroup(cmd *exec.Cmd) { _ = cmd.Process.Kill() }
