//go:build unix && !linux

package plugin

import "syscall"

// attributes put the plugin into a process group of its own, away from the
// terminal's interrupts.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func stayOnThread() (leave func()) { return func() {} }
