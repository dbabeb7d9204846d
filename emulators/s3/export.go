package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Export writes a copy of the state, as it stands at one moment, into the folder
// dir, which is made where it is not there and must be empty. It is one that
// Options.Dir takes. The server goes on serving. Where there is an error, dir is
// empty again.
func (s *Server) Export(ctx context.Context, dir string) error {
	if !s.enter() {
		return errors.New("emulators/s3: export: the server is closed")
	}
	defer s.requests.Done()
	if err := s.store.export(ctx, dir); err != nil {
		return fmt.Errorf("emulators/s3: export: %w", err)
	}
	return nil
}

func (s *store) export(ctx context.Context, dir string) (err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		return fmt.Errorf("the folder %s is not empty: name another one, or empty it", dir)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, dataName)), os.RemoveAll(filepath.Join(dir, journalName)))
		}
	}()
	if err := os.Mkdir(filepath.Join(dir, dataName), 0o700); err != nil {
		return err
	}
	s.mu.Lock()
	records := s.records()
	var segments []segment
	for file := range s.users {
		segments = append(segments, segment{File: file})
	}
	s.retain(segments)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.release(segments)
	}()
	for _, g := range segments {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := duplicate(s.path(g.File), filepath.Join(dir, dataName, g.File)); err != nil {
			return err
		}
	}
	return writeJournal(filepath.Join(dir, journalName), records)
}

// duplicate gives a file of data, which never changes, a second name, or makes a
// copy where that is not possible.
func duplicate(from, to string) error {
	if os.Link(from, to) == nil {
		return nil
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
