package plugin

import (
	"os"
	"syscall"
)

// attributes keep the terminal's interrupts away from the plugin.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}

func stayOnThread() (leave func()) { return func() {} }

// killGroup kills a plugin.
func killGroup(pid int) {
	if p, err := os.FindProcess(pid); err == nil {
		_ = p.Kill()
		_ = p.Release()
	}
}

func isTextBusy(error) bool { return false }
