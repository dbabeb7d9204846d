//go:build unix

package build

import (
	"os"
	"os/exec"
	"syscall"
)

// ownGroup puts the command and all that it starts into a process group.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// endGroup asks the group to end.
func endGroup(leader *os.Process) error { return syscall.Kill(-leader.Pid, syscall.SIGTERM) }

// killGroup ends what is left of the group after its leader has ended. Most often
// nothing is, which is no error.
func killGroup(leader *os.Process) { _ = syscall.Kill(-leader.Pid, syscall.SIGKILL) }
