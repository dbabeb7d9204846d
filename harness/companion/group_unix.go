//go:build unix

package companion

import "syscall"

// ownGroup keeps the terminal's signals from a process.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
