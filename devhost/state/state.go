// Package state carries what a project's embedded servers keep: into one file, out
// of it again, and away.
//
// An archive is a tar file, compressed with gzip, with the folder's files under
// "state/" and before them "waxo-state.json", which says what it is. Nothing is
// ever half done: an archive, and a folder, appear by a rename when they are whole,
// and what was there before is there until then.
//
// The package does not know whether a server is using the folder; its caller does.
package state

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

const (
	headName   = "waxo-state.json"
	filePrefix = "state/"
	format     = 1

	// maxHead bounds what is read to find out what a file is.
	maxHead = 64 << 10
)

// ErrNotState is what an error of Import matches where the file is no archive of
// this package, or is damaged.
var ErrNotState = errors.New("this is not an archive of waxo state export, or a damaged one")

// Head says what an archive is of.
type Head struct {
	Format  int       `json:"format"` // 1
	Project string    `json:"project"`
	Created time.Time `json:"created"`
}

// Export writes the files of the folder dir into a new archive, in the place of one
// that is there. A folder that is not there has no files. It returns how many files
// the archive holds.
func Export(ctx context.Context, dir, archive, project string) (files int, err error) {
	aside, err := os.CreateTemp(filepath.Dir(archive), "."+filepath.Base(archive)+".*")
	if err != nil {
		return 0, fmt.Errorf("state: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, aside.Close(), os.Remove(aside.Name()))
		}
	}()
	if files, err = write(ctx, aside, dir, project); err != nil {
		return 0, fmt.Errorf("state: %w", err)
	}
	if err = errors.Join(aside.Sync(), aside.Close()); err != nil {
		return 0, fmt.Errorf("state: %w", err)
	}
	return files, os.Rename(aside.Name(), archive)
}

// Complete copies into the folder to what the folder from has and to lacks, by the
// names that stand in them directly: what servers that do not run keep.
func Complete(ctx context.Context, from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("state: %w", err)
	}
	for _, entry := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		target := filepath.Join(to, entry.Name())
		if _, err := os.Lstat(target); err == nil || !kept(entry.Name()) {
			continue
		}
		source := filepath.Join(from, entry.Name())
		if entry.IsDir() {
			err = os.CopyFS(target, os.DirFS(source))
		} else {
			err = copyFile(source, target)
		}
		if err != nil {
			return fmt.Errorf("state: %w", err)
		}
	}
	return nil
}

func copyFile(from, to string) error {
	data, err := os.Open(from)
	if err != nil {
		return err
	}
	defer data.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, data)
	return errors.Join(err, out.Close())
}

func write(ctx context.Context, out io.Writer, dir, project string) (files int, err error) {
	zipped := gzip.NewWriter(out)
	t := tar.NewWriter(zipped)
	head, err := json.Marshal(Head{Format: format, Project: project, Created: time.Now().UTC().Truncate(time.Second)})
	if err != nil {
		return 0, err
	}
	if err := t.WriteHeader(&tar.Header{Name: headName, Mode: 0o600, Size: int64(len(head)), ModTime: time.Now()}); err != nil {
		return 0, err
	}
	if _, err := t.Write(head); err != nil {
		return 0, err
	}
	err = filepath.WalkDir(dir, func(file string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && file == dir {
			return nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || entry.IsDir() || !kept(file) {
			return err
		}
		if !entry.Type().IsRegular() {
			return fmt.Errorf("%s is no regular file, and no server here has made it: move it away", file)
		}
		files++
		return add(t, dir, file)
	})
	return files, errors.Join(err, t.Close(), zipped.Close())
}

// kept tells whether a file is data: locks and what was being written are not.
func kept(file string) bool {
	ending := filepath.Ext(file)
	return ending != ".lock" && ending != ".tmp"
}

func add(t *tar.Writer, dir, file string) error {
	name, err := filepath.Rel(dir, file)
	if err != nil {
		return err
	}
	in, err := os.Open(file)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	header := &tar.Header{Name: filePrefix + filepath.ToSlash(name), Mode: 0o600, Size: info.Size(), ModTime: info.ModTime()}
	if err := t.WriteHeader(header); err != nil {
		return err
	}
	_, err = io.Copy(t, in)
	return err
}

// Import puts the files of an archive in the place of those of the folder dir, all
// of them or none. It returns what the archive says of itself.
func Import(ctx context.Context, archive, dir string) (Head, error) {
	aside, err := os.MkdirTemp(filepath.Dir(dir), "."+filepath.Base(dir)+".*")
	if err != nil {
		return Head{}, fmt.Errorf("state: %w", err)
	}
	head, err := extract(ctx, archive, aside)
	if err == nil {
		err = replace(dir, aside)
	}
	if err != nil {
		return Head{}, errors.Join(fmt.Errorf("state: import %s: %w", archive, err), os.RemoveAll(aside))
	}
	return head, nil
}

func extract(ctx context.Context, archive, dir string) (head Head, err error) {
	file, err := os.Open(archive)
	if err != nil {
		return head, err
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		return head, fmt.Errorf("%w: %w", ErrNotState, err)
	}
	t := tar.NewReader(unzipped)
	if head, err = readHead(t); err != nil {
		return head, err
	}
	for {
		header, err := t.Next()
		if errors.Is(err, io.EOF) {
			return head, drained(unzipped)
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return head, damaged(err)
		}
		if err := extractFile(t, header, dir); err != nil {
			return head, err
		}
	}
}

func readHead(t *tar.Reader) (head Head, err error) {
	header, err := t.Next()
	if err != nil || header.Name != headName || header.Size > maxHead {
		return head, ErrNotState
	}
	data, err := io.ReadAll(t)
	if err == nil {
		err = json.Unmarshal(data, &head)
	}
	switch {
	case err != nil:
		return head, damaged(err)
	case head.Format != format:
		return head, fmt.Errorf("the archive has format %d, and this version knows %d: take the version of waxo that wrote it", head.Format, format)
	}
	return head, nil
}

// extractFile writes one file below dir. What an archive of ours would not hold is
// refused: it could lead out of the folder.
func extractFile(t *tar.Reader, header *tar.Header, dir string) error {
	name, ok := strings.CutPrefix(header.Name, filePrefix)
	if !ok || header.Typeflag != tar.TypeReg || path.Clean(name) != name || !filepath.IsLocal(filepath.FromSlash(name)) {
		return fmt.Errorf("%w: it holds %q", ErrNotState, header.Name)
	}
	file := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	out, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, t); err != nil {
		return errors.Join(damaged(err), out.Close())
	}
	return errors.Join(out.Sync(), out.Close())
}

// drained reads what follows the archive, so that its checksum is looked at.
func drained(r io.Reader) error {
	if _, err := io.Copy(io.Discard, r); err != nil {
		return damaged(err)
	}
	return nil
}

// damaged is an error of reading, as far as the archive is to blame.
func damaged(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrNotState, err)
}

// replace puts the folder fresh in the place of dir.
func replace(dir, fresh string) error {
	before := fresh + ".before"
	err := os.Rename(dir, before)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	was := err == nil
	if err := os.Rename(fresh, dir); err != nil {
		if was {
			err = errors.Join(err, os.Rename(before, dir))
		}
		return err
	}
	return os.RemoveAll(before)
}

// Reset removes what the folder dir keeps, all of it at once.
func Reset(dir string) error {
	empty, err := os.MkdirTemp(filepath.Dir(dir), "."+filepath.Base(dir)+".*")
	if err != nil {
		return fmt.Errorf("state: %w", err)
	}
	if err := replace(dir, empty); err != nil {
		return errors.Join(fmt.Errorf("state: reset: %w", err), os.RemoveAll(empty))
	}
	return nil
}
