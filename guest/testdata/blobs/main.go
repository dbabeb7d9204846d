// A guest that stores a blob larger than its memory, and takes it back.
package main

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash"

	waxo "github.com/waxosuit/waxo/guest/go"
	"github.com/waxosuit/waxo/guest/go/blob"
)

func init() {
	waxo.Handle("waxo:test!Store", store)
	waxo.Handle("waxo:test!Fetch", fetch)
	waxo.Handle("waxo:test!Sum", func([]byte) ([]byte, error) {
		return []byte(hex.EncodeToString(sum.Sum(nil))), nil
	})
	waxo.Handle("waxo:test!Tidy", tidy)
	blob.OnChunk(take)
}

func main() {}

// sum is that of what came in. It is here and not in a capability because the test
// has one instance.
var (
	sum  hash.Hash = sha256.New()
	next uint64
)

// store writes as many bytes of noise as the payload says, and answers their hash.
func store(payload []byte) ([]byte, error) {
	size := binary.LittleEndian.Uint64(payload)
	if err := blob.CreateContainer("box"); err != nil {
		return nil, err
	}
	w, err := blob.Upload("box", "large", size)
	if err != nil {
		return nil, err
	}
	written := sha256.New()
	state := uint64(1)
	piece := make([]byte, 100_000)
	for size > 0 {
		piece = piece[:min(size, uint64(len(piece)))]
		for i := 0; i+8 <= len(piece); i += 8 {
			state ^= state << 13
			state ^= state >> 7
			state ^= state << 17
			binary.LittleEndian.PutUint64(piece[i:], state)
		}
		written.Write(piece)
		if _, err := w.Write(piece); err != nil {
			return nil, err
		}
		size -= uint64(len(piece))
	}
	return []byte(hex.EncodeToString(written.Sum(nil))), w.Close()
}

// fetch has the blob brought, and answers in how many chunks it comes.
func fetch([]byte) ([]byte, error) {
	t, err := blob.Download("box", "large", 1<<20)
	return binary.LittleEndian.AppendUint64(nil, t.Chunks), err
}

func take(c *blob.Chunk) error {
	if c.Number != next {
		return &waxo.Error{Code: "invalid", Message: "a chunk is missing"}
	}
	next++
	sum.Write(c.Data)
	return nil
}

// tidy looks at what is there, and removes it.
func tidy([]byte) ([]byte, error) {
	info, ok, err := blob.Info("box", "large")
	if err != nil || !ok {
		return nil, errors.Join(errors.New("the blob is not there"), err)
	}
	if err := blob.RemoveContainer("box"); !errors.Is(err, waxo.ErrConflict) {
		return nil, errors.Join(errors.New("a container with a blob in it was removed"), err)
	}
	if err := blob.Put("box", "ä small one", []byte("x")); err != nil {
		return nil, err
	}
	list, err := blob.List("box")
	if err != nil || len(list) != 2 || list[0] != info || list[1].ID != "ä small one" || list[1].Size != 1 {
		return nil, errors.Join(errors.New("the list is another one"), err)
	}
	for _, b := range list {
		if err := blob.Remove(b.Container, b.ID); err != nil {
			return nil, err
		}
	}
	if _, ok, err := blob.Info("box", "large"); ok || err != nil {
		return nil, errors.Join(errors.New("the blob is still there"), err)
	}
	return nil, blob.RemoveContainer("box")
}
