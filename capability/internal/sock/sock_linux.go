//go:build !race

package sock

import (
	"syscall"
	"unsafe"
)

// most is what is copied at once, in bytes, without the scheduler's knowledge.
const most = 16 << 10

// Read reads from a socket that does not block, as syscall.Read does.
func Read(fd uintptr, b []byte) (int, error) {
	if len(b) == 0 || len(b) > most {
		return syscall.Read(int(fd), b)
	}
	n, _, errno := syscall.RawSyscall(syscall.SYS_READ, fd, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	return result(n, errno)
}

// Write writes to a socket that does not block, as syscall.Write does.
func Write(fd uintptr, b []byte) (int, error) {
	if len(b) == 0 || len(b) > most {
		return syscall.Write(int(fd), b)
	}
	n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, fd, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	return result(n, errno)
}

func result(n uintptr, errno syscall.Errno) (int, error) {
	if errno != 0 {
		return -1, errno
	}
	return int(n), nil
}
