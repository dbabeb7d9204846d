// Carrier is a guest that brings a blob far larger than its memory into the blob
// store, and takes it out again. Any of its instances may take the next chunk, so
// what it knows so far of what came out is in the key-value store.
package main

import (
	"crypto/sha256"
	"encoding"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"strconv"

	waxo "github.com/waxosuit/waxo/guest/go"
	"github.com/waxosuit/waxo/guest/go/blob"
	"github.com/waxosuit/waxo/guest/go/http"
	"github.com/waxosuit/waxo/guest/go/kv"
)

func init() {
	r := &http.Router{}
	r.Handle("POST /in/{size}", in)
	r.Handle("POST /out", out)
	r.Handle("GET /out", came)
	http.Handle(r.Serve)
	blob.OnChunk(take)
}

func main() {}

// in stores as many bytes of noise as it is told, and answers their hash.
func in(r *http.Request) (*http.Response, error) {
	size, err := strconv.ParseUint(r.PathValue("size"), 10, 64)
	if err != nil {
		return http.Text(400, "the size is no number\n"), nil
	}
	if err := blob.CreateContainer("box"); err != nil {
		return nil, err
	}
	w, err := blob.Upload("box", "large", size)
	if err != nil {
		return nil, err
	}
	sum, state, piece := sha256.New(), uint64(1), make([]byte, 1<<20)
	for size > 0 {
		piece = piece[:min(size, uint64(len(piece)))]
		for i := 0; i+8 <= len(piece); i += 8 {
			state ^= state << 13
			state ^= state >> 7
			state ^= state << 17
			binary.LittleEndian.PutUint64(piece[i:], state)
		}
		sum.Write(piece)
		if _, err := w.Write(piece); err != nil {
			return nil, err
		}
		size -= uint64(len(piece))
	}
	return http.Text(200, hex.EncodeToString(sum.Sum(nil))), w.Close()
}

// out has the blob brought.
func out(*http.Request) (*http.Response, error) {
	if err := keep("0", sha256.New()); err != nil {
		return nil, err
	}
	_, err := blob.Download("box", "large", 1<<20)
	return http.Text(202, ""), err
}

// came answers the hash of what came, once all of it has.
func came(*http.Request) (*http.Response, error) {
	sum, ok, err := kv.Get("sum")
	if !ok {
		return http.Text(202, "not yet"), err
	}
	return http.Text(200, sum), err
}

// take takes the next chunk.
func take(c *blob.Chunk) error {
	next, _, err := kv.Get("next")
	if err != nil {
		return err
	}
	if next != strconv.FormatUint(c.Number, 10) {
		return &waxo.Error{Code: "invalid", Message: "another chunk was next"}
	}
	state, _, err := kv.Get("state")
	if err != nil {
		return err
	}
	sum := sha256.New()
	raw, err := hex.DecodeString(state)
	if err == nil {
		err = sum.(encoding.BinaryUnmarshaler).UnmarshalBinary(raw)
	}
	if err != nil {
		return err
	}
	sum.Write(c.Data)
	if c.Last() {
		return kv.Set("sum", hex.EncodeToString(sum.Sum(nil)))
	}
	return keep(strconv.FormatUint(c.Number+1, 10), sum)
}

// keep keeps which chunk is next, and the hash of those before.
func keep(next string, sum hash.Hash) error {
	state, err := sum.(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil {
		return err
	}
	if err := kv.Set("state", hex.EncodeToString(state)); err != nil {
		return err
	}
	return kv.Set("next", next)
}
