package s3

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// version is that of the journal; FORMAT.md describes it.
const version = 1

// What a record of the journal does.
const (
	opBucket   = "bucket"   // makes a bucket
	opUnbucket = "unbucket" // removes one
	opPut      = "put"      // makes or replaces an object
	opDelete   = "delete"   // removes one
	opUpload   = "upload"   // begins a multipart upload
	opPart     = "part"     // adds or replaces a part of it
	opAbort    = "abort"    // ends it without an object
	opComplete = "complete" // ends it with one
)

// record is one line of the journal.
type record struct {
	Version int       `json:"waxo_s3,omitempty"` // of the first line alone
	Op      string    `json:"op,omitempty"`
	Bucket  string    `json:"bucket,omitempty"`
	Key     string    `json:"key,omitempty"`
	Upload  string    `json:"upload,omitempty"`
	Time    time.Time `json:"time,omitzero"`
	Object  *object   `json:"object,omitempty"`
	Number  int       `json:"number,omitempty"`
	Part    *part     `json:"part,omitempty"`
}

func (r *record) line() ([]byte, error) {
	b, err := json.Marshal(r)
	return append(b, '\n'), err
}

// StateError says why a folder of state cannot be used. The folder is as it was.
type StateError struct {
	Dir string
	Err error
}

func (e *StateError) Error() string {
	return fmt.Sprintf("emulators/s3: the state in %s cannot be used: %s; it was left as it is: put a good copy in its place, or move it away to start empty", e.Dir, e.Err)
}

func (e *StateError) Unwrap() error { return e.Err }

// journal is the file that the records are appended to.
type journal struct {
	f    *os.File
	size int64 // of the whole lines in it
}

// add appends a record. A record that could not be written as a whole is not
// there.
func (j *journal) add(r *record) error {
	line, err := r.line()
	if err != nil {
		return err
	}
	if _, err := j.f.WriteAt(line, j.size); err != nil {
		return errors.Join(err, j.f.Truncate(j.size))
	}
	j.size += int64(len(line))
	return nil
}

// replay reads the journal and hands each record on. A last line that is not
// whole was being written when the process or the machine ended, and counts for
// nothing.
func replay(name string, apply func(*record) error) (records int, err error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 64<<10)
	for ; ; records++ {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return records, nil
		}
		if err != nil {
			return records, err
		}
		if err := replayLine(line, records == 0, apply); err != nil {
			if _, last := in.Peek(1); records > 0 && errors.Is(last, io.EOF) {
				return records, nil
			}
			return records, fmt.Errorf("line %d of %s: %w", records+1, name, err)
		}
	}
}

func replayLine(line []byte, first bool, apply func(*record) error) error {
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.DisallowUnknownFields()
	var r record
	if err := decoder.Decode(&r); err != nil {
		return err
	}
	if !first {
		return apply(&r)
	}
	if r.Version != version {
		return fmt.Errorf("version %d is not known here, only %d: use the waxo that wrote it", r.Version, version)
	}
	return nil
}

// writeJournal puts a journal of these records in its place at once.
func writeJournal(name string, records []*record) error {
	aside := name + ".tmp"
	f, err := os.OpenFile(aside, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(f)
	for _, r := range slices.Concat([]*record{{Version: version}}, records) {
		var line []byte
		if line, err = r.line(); err != nil {
			break
		}
		out.Write(line) // Flush tells
	}
	if err == nil {
		err = out.Flush()
	}
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

// records are those that make up what is there now.
func (s *store) records() []*record {
	var all []*record
	for name, b := range s.buckets {
		all = append(all, &record{Op: opBucket, Bucket: name, Time: b.created})
		for key, o := range b.objects {
			all = append(all, &record{Op: opPut, Bucket: name, Key: key, Object: o})
		}
	}
	for id, u := range s.uploads {
		all = append(all, &record{Op: opUpload, Bucket: u.bucket, Key: u.key, Upload: id, Time: u.started, Object: &u.object})
		for number, p := range u.parts {
			all = append(all, &record{Op: opPart, Upload: id, Number: number, Part: p})
		}
	}
	rank := map[string]int{opBucket: 0, opPut: 1, opUpload: 2, opPart: 3}
	slices.SortFunc(all, func(a, b *record) int {
		if a.Op != b.Op {
			return rank[a.Op] - rank[b.Op]
		}
		for _, order := range []int{strings.Compare(a.Bucket, b.Bucket), strings.Compare(a.Key, b.Key), strings.Compare(a.Upload, b.Upload)} {
			if order != 0 {
				return order
			}
		}
		return a.Number - b.Number
	})
	return all
}
