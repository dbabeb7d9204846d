//go:build unix

package filelock

import (
	"errors"
	"os"
	"syscall"
)

// openLocked opens and locks a file. With errTaken comes the file, to be read.
func openLocked(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	switch err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return f, errTaken
	case err != nil:
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
