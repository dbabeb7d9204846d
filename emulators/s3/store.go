package s3

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/waxosuit/waxo/emulators/internal/filelock"
)

// The names within a folder of state.
const (
	journalName = "journal"
	dataName    = "data"
)

// staleUpload is the age from which an upload that nobody completed is dropped
// when a server starts.
const staleUpload = 7 * 24 * time.Hour

// object is what is known of an object. It never changes.
type object struct {
	Segments []segment         `json:"segments,omitempty"`
	Size     int64             `json:"size"`
	ETag     string            `json:"etag"` // without its quotes
	Modified time.Time         `json:"modified"`
	Headers  map[string]string `json:"headers,omitempty"`  // that come back with the object, by their canonical names
	Checksum *checksum         `json:"checksum,omitempty"` // that came with it
}

// segment is a file of data, which never changes.
type segment struct {
	File string `json:"file"`
	Size int64  `json:"size"`
}

// checksum is a further one, by its header.
type checksum struct {
	Header string `json:"header"`
	Value  string `json:"value"`
}

// part is a part of a multipart upload. It never changes.
type part struct {
	Segments []segment `json:"segments,omitempty"`
	Size     int64     `json:"size"`
	MD5      string    `json:"md5"`
	Modified time.Time `json:"modified"`
}

type bucket struct {
	created time.Time
	objects map[string]*object
	keys    []string // sorted
}

type upload struct {
	bucket, key string
	started     time.Time
	object      object // its headers
	parts       map[int]*part
}

// store is the state: an index in memory, which a journal keeps on the disk, and
// the data in files.
type store struct {
	dir   string
	log   *slog.Logger
	lock  *filelock.Lock
	spare sync.Pool // of *copyBuffer

	mu      sync.Mutex
	journal journal
	buckets map[string]*bucket
	uploads map[string]*upload
	users   map[string]int // of each file of data: objects, parts, readers
	loading bool           // files are not removed
}

func openStore(dir string, log *slog.Logger) (*store, error) {
	if err := os.MkdirAll(filepath.Join(dir, dataName), 0o700); err != nil {
		return nil, fmt.Errorf("emulators/s3: %w", err)
	}
	s := &store{dir: dir, log: log, buckets: make(map[string]*bucket), uploads: make(map[string]*upload), users: make(map[string]int)}
	var err error
	if s.lock, err = lockDir(dir); err != nil {
		return nil, err
	}
	if err := s.load(); err != nil {
		return nil, errors.Join(&StateError{Dir: dir, Err: err}, s.lock.Unlock())
	}
	return s, nil
}

// load reads the state, drops what is of no use any more, and opens the journal.
func (s *store) load() error {
	name := filepath.Join(s.dir, journalName)
	s.loading = true
	_, err := replay(name, s.apply)
	if err != nil {
		return err
	}
	lost, err := s.sweep()
	if err != nil {
		return err
	}
	s.loading = false
	if lost > 0 {
		s.log.Error("the data of some objects was not written before the machine stopped; they are gone", "objects", lost, "dir", s.dir)
	}
	if err := writeJournal(name, s.records()); err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	s.journal = journal{f: f, size: info.Size()}
	return nil
}

// sweep compares the index with the data, drops objects and uploads whose data
// is not whole, old uploads, and data that nobody has.
func (s *store) sweep() (lost int, err error) {
	entries, err := os.ReadDir(filepath.Join(s.dir, dataName))
	if err != nil {
		return 0, err
	}
	sizes := make(map[string]int64, len(entries))
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return 0, err
		}
		sizes[e.Name()] = info.Size()
	}
	broken := func(segments []segment) bool {
		return slices.ContainsFunc(segments, func(g segment) bool { size, ok := sizes[g.File]; return !ok || size != g.Size })
	}
	for name, b := range s.buckets {
		for _, key := range slices.Clone(b.keys) {
			if broken(b.objects[key].Segments) {
				lost++
				err = errors.Join(err, s.apply(&record{Op: opDelete, Bucket: name, Key: key}))
			}
		}
	}
	for id, u := range s.uploads {
		gone := time.Since(u.started) > staleUpload
		for _, p := range u.parts {
			gone = gone || broken(p.Segments)
		}
		if gone {
			err = errors.Join(err, s.apply(&record{Op: opAbort, Upload: id}))
		}
	}
	for file := range sizes {
		if s.users[file] == 0 {
			err = errors.Join(err, os.Remove(s.path(file)))
		}
	}
	return lost, err
}

func (s *store) path(file string) string { return filepath.Join(s.dir, dataName, file) }

// close ends the store. Nobody uses it any more.
func (s *store) close() error {
	return errors.Join(s.journal.f.Sync(), s.journal.f.Close(), s.lock.Unlock())
}

// commit writes a change down and makes it. s.mu is held, and the change can be
// made.
func (s *store) commit(r *record) error {
	if err := s.journal.add(r); err != nil {
		return fmt.Errorf("the journal: %w", err)
	}
	return s.apply(r)
}

// apply makes a change in memory. The error says that it cannot be made. s.mu is
// held, or nobody else has the store.
func (s *store) apply(r *record) error {
	switch r.Op {
	case opBucket:
		if s.buckets[r.Bucket] != nil {
			return fmt.Errorf("the bucket %q exists already", r.Bucket)
		}
		s.buckets[r.Bucket] = &bucket{created: r.Time, objects: make(map[string]*object)}
		return nil
	case opPart, opAbort, opComplete:
		return s.applyUpload(r)
	}
	b := s.buckets[r.Bucket]
	if b == nil {
		return fmt.Errorf("there is no bucket %q", r.Bucket)
	}
	switch {
	case r.Op == opUnbucket:
		s.removeBucket(r.Bucket, b)
	case r.Op == opPut && r.Object != nil:
		s.put(b, r.Key, r.Object)
	case r.Op == opDelete && b.objects[r.Key] != nil:
		s.release(b.objects[r.Key].Segments)
		delete(b.objects, r.Key)
		if i, ok := slices.BinarySearch(b.keys, r.Key); ok {
			b.keys = slices.Delete(b.keys, i, i+1)
		}
	case r.Op == opUpload && r.Object != nil && s.uploads[r.Upload] == nil:
		s.uploads[r.Upload] = &upload{bucket: r.Bucket, key: r.Key, started: r.Time, object: *r.Object, parts: make(map[int]*part)}
	default:
		return fmt.Errorf("the record %q makes no sense", r.Op)
	}
	return nil
}

func (s *store) applyUpload(r *record) error {
	u := s.uploads[r.Upload]
	if u == nil || r.Op == opPart && r.Part == nil || r.Op == opComplete && (r.Object == nil || s.buckets[u.bucket] == nil) {
		return fmt.Errorf("the record %q of the upload %q makes no sense", r.Op, r.Upload)
	}
	if r.Op == opPart {
		s.retain(r.Part.Segments)
		if old := u.parts[r.Number]; old != nil {
			s.release(old.Segments)
		}
		u.parts[r.Number] = r.Part
		return nil
	}
	if r.Op == opComplete {
		s.put(s.buckets[u.bucket], u.key, r.Object)
	}
	delete(s.uploads, r.Upload)
	for _, p := range u.parts {
		s.release(p.Segments)
	}
	return nil
}

// put makes o the object of key.
func (s *store) put(b *bucket, key string, o *object) {
	s.retain(o.Segments)
	if old := b.objects[key]; old != nil {
		s.release(old.Segments)
	} else {
		i, _ := slices.BinarySearch(b.keys, key)
		b.keys = slices.Insert(b.keys, i, key)
	}
	b.objects[key] = o
}

// removeBucket removes a bucket with all that is in it.
func (s *store) removeBucket(name string, b *bucket) {
	for _, o := range b.objects {
		s.release(o.Segments)
	}
	for id, u := range s.uploads {
		if u.bucket == name {
			delete(s.uploads, id)
			for _, p := range u.parts {
				s.release(p.Segments)
			}
		}
	}
	delete(s.buckets, name)
}

// retain keeps files from being removed, until release.
func (s *store) retain(segments []segment) {
	for _, g := range segments {
		s.users[g.File]++
	}
}

func (s *store) release(segments []segment) {
	for _, g := range segments {
		if s.users[g.File]--; s.users[g.File] > 0 {
			continue
		}
		delete(s.users, g.File)
		if s.loading {
			continue // sweep removes it
		}
		if err := os.Remove(s.path(g.File)); err != nil {
			s.log.Warn("a file of data could not be removed; the next start tries again", "error", err)
		}
	}
}
