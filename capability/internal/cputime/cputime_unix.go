//go:build unix

package cputime

import (
	"syscall"
	"time"
)

// Used is the CPU time that this process has used, in the kernel too; ok tells
// whether the system says.
func Used() (used time.Duration, ok bool) {
	var u syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), err == nil
}
