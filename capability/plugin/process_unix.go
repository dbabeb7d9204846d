//go:build unix

package plugin

import (
	"errors"
	"syscall"
)

// killGroup kills a plugin and the processes that it started.
func killGroup(pid int) { _ = syscall.Kill(-pid, syscall.SIGKILL) }

func isTextBusy(err error) bool { return errors.Is(err, syscall.ETXTBSY) }
