// Package blob is the blob store of a guest, the capability "wascap:blobstore":
// containers that hold blobs of any size, far larger than the guest's memory.
//
// Small blobs are stored with Put. A larger one is written in pieces:
//
//	w, err := blob.Upload("pictures", "cat.png", size)
//	for err == nil && more() {
//		_, err = w.Write(next())
//	}
//	if err == nil {
//		err = w.Close()
//	}
//
// It appears with its last byte, whole. An upload belongs to the guest and not to
// the instance that began it: StartUpload and UploadChunk let several calls of
// the guest bring one blob, chunk by chunk.
//
// A blob comes back in chunks, each as a call of the guest, in order and one after
// another, to the handler that OnChunk registers:
//
//	func init() { blob.OnChunk(take) }
//
// Download asks for them. They may reach another instance than the one that
// asked, and the first may come before Download returns, so what a handler gathers
// belongs into a capability such as key-value, not into a variable.
//
// Ids are UTF-8 text. The functions of the package use the default binding; Open
// names another. Every error is a *waxo.Error.
package blob

import (
	"strconv"

	waxo "github.com/waxosuit/waxo/guest/go"
	"github.com/waxosuit/waxo/guest/go/internal/abi"
	pb "github.com/waxosuit/waxo/guest/go/internal/blobstorepb"
)

// Capability is the name under which a manifest asks for the store.
const Capability = "wascap:blobstore"

const op = Capability + "!" // leads every operation's name

// DefaultChunkSize is the size of the chunks of Put and Upload, in bytes.
const DefaultChunkSize = 256 << 10

// Store is a blob store under one binding.
type Store struct{ binding string }

// Open returns the store that is bound to the guest under the given name. It
// calls nothing: a binding that is missing is the error of the first operation.
func Open(binding string) *Store { return &Store{binding} }

var std = Open(waxo.DefaultBinding)

// Blob is what is known of a blob.
type Blob struct {
	Container string
	ID        string
	Size      uint64 // bytes
}

// call performs an operation. The answer is valid until x.End.
func (s *Store) call(x *abi.Exchange, operation string) ([]byte, error) {
	answer, failure, ok := x.Call(s.binding, Capability, operation)
	if !ok {
		return nil, waxo.ParseError(failure)
	}
	return answer, nil
}

// malformed returns the error for an answer that could not be read.
func malformed(operation string, err error) error {
	return &waxo.Error{Code: "internal", Message: "blob: the answer to " + operation + ": " + err.Error()}
}

func invalid(message string) error {
	return &waxo.Error{Code: "invalid", Message: "blob: " + message}
}

// onContainer performs an operation on a container whose answer tells nothing new.
func (s *Store) onContainer(operation, id string) error {
	x := abi.Begin()
	defer x.End()
	x.Request = (&pb.Container{ID: id}).AppendProto(x.Request)
	_, err := s.call(x, operation)
	return err
}

// CreateContainer makes a container. It is no error if it exists already.
func (s *Store) CreateContainer(id string) error { return s.onContainer(op+"CreateContainer", id) }

// RemoveContainer removes a container, which must be empty: one that is not is a
// waxo.ErrConflict, one that does not exist a waxo.ErrNotFound.
func (s *Store) RemoveContainer(id string) error { return s.onContainer(op+"RemoveContainer", id) }

// List returns the blobs of a container, sorted by the bytes of their ids.
func (s *Store) List(container string) ([]Blob, error) {
	x := abi.Begin()
	defer x.End()
	x.Request = (&pb.Container{ID: container}).AppendProto(x.Request)
	answer, err := s.call(x, op+"ListObjects")
	if err != nil {
		return nil, err
	}
	var list pb.BlobList
	if err := list.UnmarshalProto(answer); err != nil {
		return nil, malformed(op+"ListObjects", err)
	}
	blobs := make([]Blob, len(list.Blobs))
	for i, b := range list.Blobs {
		blobs[i] = Blob{Container: b.Container, ID: b.ID, Size: b.ByteSize}
	}
	return blobs, nil
}

// Info returns what is known of a blob, and whether there is one.
func (s *Store) Info(container, id string) (b Blob, ok bool, err error) {
	x := abi.Begin()
	defer x.End()
	x.Request = (&pb.Blob{Container: container, ID: id}).AppendProto(x.Request)
	answer, err := s.call(x, op+"GetObjectInfo")
	if err != nil {
		return Blob{}, false, err
	}
	var info pb.Blob
	if err := info.UnmarshalProto(answer); err != nil {
		return Blob{}, false, malformed(op+"GetObjectInfo", err)
	}
	if info.ID == "" {
		return Blob{}, false, nil
	}
	return Blob{Container: info.Container, ID: info.ID, Size: info.ByteSize}, true, nil
}

// Remove removes a blob, and gives up an upload of it that is under way. It is no
// error if there is none.
func (s *Store) Remove(container, id string) error {
	x := abi.Begin()
	defer x.End()
	x.Request = (&pb.Blob{Container: container, ID: id}).AppendProto(x.Request)
	_, err := s.call(x, op+"RemoveObject")
	return err
}

// Put stores a blob, in place of one with its id.
func (s *Store) Put(container, id string, data []byte) error {
	w, err := s.Upload(container, id, uint64(len(data)))
	if err != nil {
		return err
	}
	if _, err := w.Write(data); err != nil {
		return err
	}
	return w.Close()
}

// Transfer is an upload or a download that has begun. It can be kept as text or in
// another capability: its fields are all that there is.
type Transfer struct {
	Blob
	ChunkSize uint64 // bytes of each chunk but the last, which has what is left
	Chunks    uint64 // how many there are
}

// transfer performs an operation that begins one.
func (s *Store) transfer(x *abi.Exchange, operation string) (Transfer, error) {
	defer x.End()
	answer, err := s.call(x, operation)
	if err != nil {
		return Transfer{}, err
	}
	var t pb.Transfer
	if err := t.UnmarshalProto(answer); err != nil {
		return Transfer{}, malformed(operation, err)
	}
	return Transfer{Blob: Blob{Container: t.Container, ID: t.BlobID, Size: t.TotalSize}, ChunkSize: t.ChunkSize, Chunks: t.TotalChunks}, nil
}

// StartUpload begins to store a blob of size bytes, which will come in chunks of
// chunkSize. A blob of 0 bytes is stored already. An upload of the same blob that
// is under way is a waxo.ErrConflict; one that gets no chunk for a minute, or as
// long as the host allows, is given up.
func (s *Store) StartUpload(container, id string, size uint64, chunkSize int) (Transfer, error) {
	if chunkSize < 1 {
		return Transfer{}, invalid("a chunk cannot have " + strconv.Itoa(chunkSize) + " bytes: give at least 1")
	}
	x := abi.Begin()
	x.Request = (&pb.FileChunk{Container: container, ID: id, TotalBytes: size, ChunkSize: uint64(chunkSize)}).AppendProto(x.Request)
	return s.transfer(x, op+"StartUpload")
}

// UploadChunk brings a chunk of an upload, which must be the next one: they count
// from 0. A wrong one is a waxo.ErrInvalid and leaves the upload as it was. With
// the last one the blob is stored.
func (s *Store) UploadChunk(t Transfer, number uint64, data []byte) error {
	x := abi.Begin()
	defer x.End()
	chunk := pb.FileChunk{SequenceNo: number, Container: t.Container, ID: t.ID, TotalBytes: t.Size, ChunkSize: t.ChunkSize, ChunkBytes: data}
	x.Request = chunk.AppendProto(x.Request)
	_, err := s.call(x, op+"UploadChunk")
	return err
}

// Download has the host deliver a blob to the guest's OnChunk handler, in chunks
// of about chunkSize bytes; 0 leaves the size to the host. The Transfer says what
// comes. A blob of 0 bytes comes in no chunk.
func (s *Store) Download(container, id string, chunkSize int) (Transfer, error) {
	if chunkSize < 0 {
		return Transfer{}, invalid("a chunk cannot have " + strconv.Itoa(chunkSize) + " bytes: give 0 for what the host likes")
	}
	x := abi.Begin()
	x.Request = (&pb.StreamRequest{Container: container, ID: id, ChunkSize: uint64(chunkSize)}).AppendProto(x.Request)
	return s.transfer(x, op+"StartDownload")
}
