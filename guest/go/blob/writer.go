package blob

import (
	"strconv"

	waxo "github.com/waxosuit/waxo/guest/go"
)

// Writer writes a blob of a size that is known. It is for one goroutine.
type Writer struct {
	store    *Store
	transfer Transfer
	next     uint64 // number of the next chunk
	sent     uint64 // bytes
	rest     []byte // of a chunk that is not full yet
	err      error  // why nothing can be written any more
}

// Upload begins to store a blob of size bytes, in place of one with its id.
func (s *Store) Upload(container, id string, size uint64) (*Writer, error) {
	t, err := s.StartUpload(container, id, size, DefaultChunkSize)
	if err != nil {
		return nil, err
	}
	return &Writer{store: s, transfer: t}, nil
}

// Write implements io.Writer. It is an error to write more than the size.
func (w *Writer) Write(p []byte) (n int, err error) {
	if w.err == nil && w.sent+uint64(len(w.rest)+len(p)) > w.transfer.Size {
		return 0, invalid("more is written to " + strconv.Quote(w.transfer.ID) + " than the " + strconv.FormatUint(w.transfer.Size, 10) + " bytes that it was begun with")
	}
	for len(p) > n && w.err == nil {
		size := w.chunk()
		if data := p[n:]; len(w.rest) == 0 && len(data) >= size {
			w.send(data[:size]) // without a copy
			n += size
			continue
		}
		if w.rest == nil {
			w.rest = make([]byte, 0, size)
		}
		taken := min(size-len(w.rest), len(p)-n)
		w.rest = append(w.rest, p[n:n+taken]...)
		n += taken
		if len(w.rest) == size {
			w.send(w.rest)
			w.rest = w.rest[:0]
		}
	}
	return n, w.err
}

// chunk is the size of the next chunk.
func (w *Writer) chunk() int {
	return int(min(w.transfer.ChunkSize, w.transfer.Size-w.sent))
}

func (w *Writer) send(data []byte) {
	if w.err = w.store.UploadChunk(w.transfer, w.next, data); w.err == nil {
		w.next++
		w.sent += uint64(len(data))
	}
}

// errClosed is that of a Writer that was closed.
var errClosed = &waxo.Error{Code: "invalid", Message: "blob: the upload was closed already"}

// Close tells whether the blob was stored: it is an error if less than its size
// was written. The host gives such an upload up after a while; Store.Remove does so
// at once, and removes an older blob of that id too. A second Close does nothing.
func (w *Writer) Close() error {
	if w.err == errClosed {
		return nil
	}
	err := w.err
	if err == nil && w.sent < w.transfer.Size {
		err = invalid("only " + strconv.FormatUint(w.sent+uint64(len(w.rest)), 10) + " of the " + strconv.FormatUint(w.transfer.Size, 10) + " bytes of " + strconv.Quote(w.transfer.ID) + " were written; it was not stored")
	}
	w.err, w.rest = errClosed, nil
	return err
}
