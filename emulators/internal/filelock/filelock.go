// Package filelock keeps two servers from using the same state.
package filelock

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// errTaken is what the system-dependent half answers where another one holds
// the lock.
var errTaken = errors.New("taken")

// TakenError says that another one holds the lock.
type TakenError struct {
	PID int // of its process; 0 where that is not known
}

func (e *TakenError) Error() string { return "is in use by " + e.Holder() }

// Holder names the process that holds the lock, for messages.
func (e *TakenError) Holder() string {
	if e.PID == 0 {
		return "another process"
	}
	return fmt.Sprintf("the process %d", e.PID)
}

// Lock is held until Unlock. The system frees it when the process ends, however
// it ends; the file stays.
type Lock struct{ f *os.File }

// File locks a file, which is made if it is absent and tells the process. The
// error is a *TakenError where another one holds it.
func File(name string) (*Lock, error) {
	f, err := openLocked(name)
	if errors.Is(err, errTaken) {
		pid := 0
		if f != nil {
			text, _ := io.ReadAll(io.LimitReader(f, 32)) // for the message alone
			pid, _ = strconv.Atoi(strings.TrimSpace(string(text)))
			f.Close()
		}
		return nil, &TakenError{PID: pid}
	}
	if err != nil {
		return nil, err
	}
	pid := strconv.Itoa(os.Getpid()) + "\n"
	if err = f.Truncate(0); err == nil {
		_, err = f.WriteAt([]byte(pid), 0)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &Lock{f}, nil
}

// Unlock frees the lock.
func (l *Lock) Unlock() error { return l.f.Close() }
