//go:build (linux || darwin || freebsd) && (amd64 || arm64)

package wapc

import "syscall"

// reserve takes addresses without memory behind them. Nil: the system has none
// to give.
func reserve(size uint64) []byte {
	if size == 0 {
		return nil
	}
	b, err := syscall.Mmap(-1, 0, int(size), syscall.PROT_NONE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return nil
	}
	return b
}

// commit puts memory behind the first of the reserved addresses. What is new of
// it is zero.
func commit(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	return syscall.Mprotect(b, syscall.PROT_READ|syscall.PROT_WRITE)
}

// unreserve gives everything back. It fails only for what reserve did not
// return.
func unreserve(b []byte) { _ = syscall.Munmap(b) }
