package redis

import (
	"errors"
	"fmt"

	"github.com/waxosuit/waxo/emulators/internal/filelock"
)

// LockedError says that another server has the file of state.
type LockedError struct {
	File string
	PID  int // of its process; 0 where that is not known
}

func (e *LockedError) Error() string {
	who := (&filelock.TakenError{PID: e.PID}).Holder()
	return fmt.Sprintf("emulators/redis: the state in %s is in use by %s: end that one, or use another file", e.File, who)
}

// lockFile locks a file of state, through the file beside it.
func lockFile(file string) (*filelock.Lock, error) {
	lock, err := filelock.File(file + ".lock")
	var taken *filelock.TakenError
	switch {
	case errors.As(err, &taken):
		return nil, &LockedError{File: file, PID: taken.PID}
	case err != nil:
		return nil, fmt.Errorf("emulators/redis: lock the state: %w", err)
	}
	return lock, nil
}
