package s3

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/waxosuit/waxo/emulators/internal/filelock"
)

// LockedError says that another server has the folder of state.
type LockedError struct {
	Dir string
	PID int // of its process; 0 where that is not known
}

func (e *LockedError) Error() string {
	taken := filelock.TakenError{PID: e.PID}
	return fmt.Sprintf("emulators/s3: the state in %s %s: end that one, or use another folder", e.Dir, taken.Error())
}

func lockDir(dir string) (*filelock.Lock, error) {
	lock, err := filelock.File(filepath.Join(dir, "lock"))
	var taken *filelock.TakenError
	switch {
	case errors.As(err, &taken):
		return nil, &LockedError{Dir: dir, PID: taken.PID}
	case err != nil:
		return nil, fmt.Errorf("emulators/s3: lock the state: %w", err)
	}
	return lock, nil
}
