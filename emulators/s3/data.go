package s3

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
)

// copyBuffer is how much of an object is in memory at once.
type copyBuffer [128 << 10]byte

// copyData copies all of r, whatever the two offer to do by themselves.
func (s *store) copyData(w io.Writer, r io.Reader) (int64, error) {
	b, ok := s.spare.Get().(*copyBuffer)
	if !ok {
		b = new(copyBuffer)
	}
	defer s.spare.Put(b)
	return io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{r}, b[:])
}

// ingest writes what r brings into a file of data, and to the others, as it
// comes: however much it is, there is one buffer of it in memory. Where nothing
// comes, there is no file. Nobody has the file yet: it is to be committed or
// dropped.
func (s *store) ingest(r io.Reader, others ...io.Writer) (segments []segment, size int64, err error) {
	var name [16]byte
	rand.Read(name[:]) // never fails
	g := segment{File: hex.EncodeToString(name[:])}
	f, err := os.OpenFile(s.path(g.File), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, 0, err
	}
	g.Size, err = s.copyData(io.MultiWriter(append([]io.Writer{f}, others...)...), r)
	if err = errors.Join(err, f.Close()); err != nil || g.Size == 0 {
		return nil, 0, errors.Join(err, os.Remove(s.path(g.File)))
	}
	return []segment{g}, g.Size, nil
}

// drop removes files that were not committed.
func (s *store) drop(segments []segment) {
	for _, g := range segments {
		if err := os.Remove(s.path(g.File)); err != nil {
			s.log.Warn("a file of data could not be removed; the next start tries again", "error", err)
		}
	}
}

// content reads an object. Its files stay until Close, also where the object is
// replaced or removed.
type content struct {
	s        *store
	segments []segment
	size     int64
	offset   int64
	file     *os.File // the open one, nil for none
	start    int64    // of that one
	end      int64
}

// open returns the content of segments. s.mu is held.
func (s *store) open(segments []segment, size int64) *content {
	s.retain(segments)
	return &content{s: s, segments: segments, size: size}
}

func (c *content) Read(p []byte) (int, error) {
	if c.offset >= c.size {
		return 0, io.EOF
	}
	if c.file == nil || c.offset < c.start || c.offset >= c.end {
		if err := c.turn(); err != nil {
			return 0, err
		}
	}
	n, err := c.file.ReadAt(p[:min(int64(len(p)), c.end-c.offset, c.size-c.offset)], c.offset-c.start)
	c.offset += int64(n)
	if n > 0 {
		err = nil
	}
	return n, err
}

// turn opens the file in which the offset lies.
func (c *content) turn() error {
	if c.file != nil {
		c.file.Close() // it was only read
		c.file = nil
	}
	c.start = 0
	for _, g := range c.segments {
		if c.end = c.start + g.Size; c.offset < c.end {
			f, err := os.Open(c.s.path(g.File))
			c.file = f
			return err
		}
		c.start = c.end
	}
	return fmt.Errorf("the object has no data at %d: %w", c.offset, io.ErrUnexpectedEOF)
}

// Seek implements io.Seeker.
func (c *content) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += c.offset
	case io.SeekEnd:
		offset += c.size
	}
	if offset < 0 {
		return c.offset, errors.New("a negative position")
	}
	c.offset = offset
	return offset, nil
}

// Close implements io.Closer. It may be called once.
func (c *content) Close() error {
	c.s.mu.Lock()
	c.s.release(c.segments)
	c.s.mu.Unlock()
	if c.file == nil {
		return nil
	}
	return c.file.Close()
}
