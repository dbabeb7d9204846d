package redis

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waxosuit/waxo/emulators/internal/filelock"
)

// How long a change may wait to be written, and how long after a failure the
// next try is made.
const (
	saveDelay  = time.Second
	retryDelay = 5 * time.Second
)

// state keeps a server's data in a file.
type state struct {
	server *Server
	file   string
	log    *slog.Logger
	lock   *filelock.Lock

	dirty   atomic.Bool
	kick    chan struct{} // holds one when there is something to write
	quit    chan struct{}
	saver   sync.WaitGroup
	written [sha256.Size]byte // what the file holds; the saver's until it has ended
}

// StateError says why a file of state cannot be used. The file is as it was.
type StateError struct {
	File string
	Err  error
}

func (e *StateError) Error() string {
	return fmt.Sprintf("emulators/redis: the state in %s cannot be used: %s; the file was left as it is: put a good copy in its place, or move it away to start empty", e.File, e.Err)
}

func (e *StateError) Unwrap() error { return e.Err }

// openState locks the file, loads what it holds into the server, and starts to
// save what changes.
func openState(server *Server, opts *Options) (*state, error) {
	log := cmp.Or(opts.Log, slog.New(slog.DiscardHandler))
	s := &state{server: server, file: opts.File, log: log, kick: make(chan struct{}, 1), quit: make(chan struct{})}
	var err error
	if s.lock, err = lockFile(opts.File); err != nil {
		return nil, err
	}
	if err := s.load(); err != nil {
		return nil, errors.Join(&StateError{File: opts.File, Err: err}, s.lock.Unlock())
	}
	s.saver.Go(s.run)
	return s, nil
}

func (s *state) load() error {
	data, err := os.ReadFile(s.file)
	if errors.Is(err, fs.ErrNotExist) {
		s.written = sha256.Sum256(encode(nil)) // an empty state needs no file
		return nil
	}
	if err != nil {
		return err
	}
	records, err := decode(data)
	if err != nil {
		return err
	}
	for i, r := range records {
		if err := s.server.restore(r); err != nil {
			return fmt.Errorf("line %d: %w", i+2, err)
		}
	}
	s.server.clock.next.Store(unknown)
	s.written = sha256.Sum256(data)
	return nil
}

// changed is called after every command that may have changed something.
func (s *state) changed() {
	s.dirty.Store(true)
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// run saves what changes until the server closes.
func (s *state) run() {
	delay := saveDelay
	for {
		select {
		case <-s.quit:
			return
		case <-s.kick:
		}
		select {
		case <-s.quit:
			return
		case <-time.After(delay):
		}
		paused, err := s.save()
		// However large the state, clients are kept waiting for a twentieth of
		// the time at most.
		delay = max(saveDelay, 20*paused)
		if err != nil {
			s.log.Error("the key-value state could not be written; the next try follows", "file", s.file, "error", err)
			delay = retryDelay
			s.changed()
		}
	}
}

// save writes the state if it changed. It tells for how long commands had to
// wait: while the state is copied in memory, not while it is written.
func (s *state) save() (paused time.Duration, err error) {
	if !s.dirty.Swap(false) {
		return 0, nil
	}
	start := time.Now()
	records := s.server.snapshot(start)
	paused = time.Since(start)

	data := encode(records)
	sum := sha256.Sum256(data)
	if sum == s.written {
		return paused, nil
	}
	if err := replaceFile(s.file, data); err != nil {
		return paused, err
	}
	s.written = sum
	return paused, nil
}

// close saves for the last time; no command runs any more.
func (s *state) close() error {
	close(s.quit)
	s.saver.Wait()
	_, err := s.save()
	if err != nil {
		err = fmt.Errorf("emulators/redis: the last changes are lost: %w", err)
	}
	return errors.Join(err, s.lock.Unlock())
}

// replaceFile puts data in the place of a file at once: a reader, and a machine
// that loses its power, has either the old content or the new.
func replaceFile(name string, data []byte) error {
	aside := name + ".tmp"
	f, err := os.OpenFile(aside, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(aside, name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(aside))
	}
	return syncDir(filepath.Dir(name))
}

// Export writes a copy of the state into a file, in the form of Options.File,
// while the server serves. The file appears when it is whole, in the place of one
// that is there. Commands wait while the state is copied in memory.
func (s *Server) Export(ctx context.Context, file string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := replaceFile(file, encode(s.snapshot(time.Now()))); err != nil {
		return fmt.Errorf("emulators/redis: export: %w", err)
	}
	return nil
}
