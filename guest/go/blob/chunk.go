package blob

import (
	waxo "github.com/waxosuit/waxo/guest/go"
	"github.com/waxosuit/waxo/guest/go/internal/abi"
	pb "github.com/waxosuit/waxo/guest/go/internal/blobstorepb"
)

// Chunk is a piece of a blob on its way to the guest.
type Chunk struct {
	Blob
	Number    uint64 // counting from 0
	ChunkSize uint64 // bytes of each chunk but the last
	Data      []byte // valid until the handler returns
}

// Offset is where in the blob the chunk begins.
func (c *Chunk) Offset() uint64 { return c.Number * c.ChunkSize }

// Last reports whether the blob ends with this chunk.
func (c *Chunk) Last() bool { return c.Offset()+uint64(len(c.Data)) >= c.Size }

// OnChunk has handler take the chunks of the blobs that the guest downloads. An
// error ends the download. Call it in func init; like waxo.Handle it panics where
// that cannot be meant.
func OnChunk(handler func(*Chunk) error) {
	if handler == nil {
		panic("blob: the handler of chunks is nil")
	}
	abi.Register(op+"ReceiveChunk", func(payload []byte) ([]byte, error) {
		var m pb.FileChunk
		if err := m.UnmarshalProto(payload); err != nil {
			return nil, &waxo.Error{Code: "invalid", Message: "blob: the chunk cannot be read: " + err.Error()}
		}
		return nil, handler(&Chunk{
			Blob:   Blob{Container: m.Container, ID: m.ID, Size: m.TotalBytes},
			Number: m.SequenceNo, ChunkSize: m.ChunkSize, Data: m.ChunkBytes,
		})
	})
}
