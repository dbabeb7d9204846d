package plugin

import (
	"runtime"
	"syscall"
)

// attributes put the plugin into a process group of its own, away from the
// terminal's interrupts, and have the kernel kill it when the thread that starts
// it ends: so also with a host that is killed.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// stayOnThread keeps the goroutine on its thread, and the thread alive.
func stayOnThread() (leave func()) {
	runtime.LockOSThread()
	return runtime.UnlockOSThread
}
