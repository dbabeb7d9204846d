package s3

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// errTaken is what the system-dependent half answers where another one holds
// the lock.
var errTaken = errors.New("taken")

// LockedError says that another server has the folder of state.
type LockedError struct {
	Dir string
	PID int // of its process; 0 where that is not known
}

func (e *LockedError) Error() string {
	who := "another process"
	if e.PID != 0 {
		who = fmt.Sprintf("the process %d", e.PID)
	}
	return fmt.Sprintf("emulators/s3: the state in %s is in use by %s: end that one, or use another folder", e.Dir, who)
}

// fileLock is held while a server has a folder of state. The system frees it
// when the process ends, however it ends; the file in the folder stays.
type fileLock struct{ f *os.File }

func lockDir(dir string) (*fileLock, error) {
	f, err := openLocked(filepath.Join(dir, "lock"))
	if errors.Is(err, errTaken) {
		pid := 0
		if f != nil {
			text, _ := io.ReadAll(io.LimitReader(f, 32)) // for the message alone
			pid, _ = strconv.Atoi(strings.TrimSpace(string(text)))
			f.Close()
		}
		return nil, &LockedError{Dir: dir, PID: pid}
	}
	if err != nil {
		return nil, fmt.Errorf("emulators/s3: lock the state: %w", err)
	}
	pid := strconv.Itoa(os.Getpid()) + "\n"
	if err = f.Truncate(0); err == nil {
		_, err = f.WriteAt([]byte(pid), 0)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("emulators/s3: lock the state: %w", err), f.Close())
	}
	return &fileLock{f}, nil
}

func (l *fileLock) unlock() error { return l.f.Close() }
