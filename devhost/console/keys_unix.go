//go:build linux || darwin

package console

import (
	"os"

	"golang.org/x/sys/unix"
)

// Keys sends each key that is pressed in a terminal, without waiting for the
// end of a line, until restore is called. Signals from the keyboard stay
// signals. ok is false where f is no terminal, or one in the background.
func Keys(f *os.File) (keys <-chan byte, restore func(), ok bool) {
	fd := int(f.Fd())
	before, err := unix.IoctlGetTermios(fd, getTermios)
	if err != nil {
		return nil, func() {}, false
	}
	if owner, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP); err != nil || owner != unix.Getpgrp() {
		return nil, func() {}, false
	}
	raw := *before
	raw.Lflag &^= unix.ICANON | unix.ECHO
	raw.Cc[unix.VMIN], raw.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(fd, setTermios, &raw); err != nil {
		return nil, func() {}, false
	}
	pressed := make(chan byte)
	stop := make(chan struct{})
	// The read cannot be interrupted: this goroutine ends with the process, or
	// with the next key.
	go func() {
		defer close(pressed)
		var b [1]byte
		for {
			if n, err := f.Read(b[:]); err != nil || n == 0 {
				return
			}
			select {
			case pressed <- b[0]:
			case <-stop:
				return
			}
		}
	}()
	return pressed, func() {
		close(stop)
		unix.IoctlSetTermios(fd, setTermios, before) //nolint:errcheck // the terminal may be gone
	}, true
}
