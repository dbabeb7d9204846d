//go:build unix && (!linux || race)

package sock

import "syscall"

// The race detector takes a write to a socket and the read at its other end for an
// order of things, and learns of both from package syscall.

// Read reads from a socket that does not block, as syscall.Read does.
func Read(fd uintptr, b []byte) (int, error) { return syscall.Read(int(fd), b) }

// Write writes to a socket that does not block, as syscall.Write does.
func Write(fd uintptr, b []byte) (int, error) { return syscall.Write(int(fd), b) }
