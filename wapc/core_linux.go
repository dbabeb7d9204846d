package wapc

import "syscall"

// yieldCore lets another program of the machine have the core, if one waits for it
// (sched_yield(2), which does not fail).
func yieldCore() { _, _, _ = syscall.RawSyscall(syscall.SYS_SCHED_YIELD, 0, 0, 0) }
