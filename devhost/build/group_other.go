//go:build !unix

package build

import (
	"os"
	"os/exec"
)

// ownGroup does nothing: there are no process groups here.
func ownGroup(*exec.Cmd) {}

// endGroup ends the command alone.
func endGroup(leader *os.Process) error { return leader.Kill() }

// killGroup does nothing: the leader has ended, and the others are not known.
func killGroup(*os.Process) {}
