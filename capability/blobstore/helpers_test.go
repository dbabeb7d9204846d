package blobstore_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/blobstore"
	pb "github.com/waxosuit/waxo/capability/payload/blobstorepb"
	"github.com/waxosuit/waxo/emulators/s3"
)

var id = capability.BindingID{Guest: "MGUEST", Name: capability.DefaultBinding}

func start(t testing.TB, opts *s3.Options) *s3.Server {
	t.Helper()
	server, err := s3.Start(context.WithoutCancel(t.Context()), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return server
}

// guest is one that takes the chunks of its downloads.
type guest struct {
	chunks chan pb.FileChunk
	fail   error
}

func newGuest() *guest { return &guest{chunks: make(chan pb.FileChunk)} }

func (g *guest) Dispatch(ctx context.Context, operation string, payload, into []byte) (capability.Reply, error) {
	if operation != capability.OpReceiveChunk || g.fail != nil {
		return capability.Reply{}, &capability.Error{Code: capability.CodeGuest, Message: "the guest does not want " + operation}
	}
	var c pb.FileChunk
	if err := c.UnmarshalProto(bytes.Clone(payload)); err != nil {
		return capability.Reply{}, capability.AsError(err)
	}
	select {
	case g.chunks <- c:
		return capability.Reply{Payload: append(into[:0], "what a guest answers means nothing"...)}, nil
	case <-ctx.Done():
		return capability.Reply{}, capability.AsError(ctx.Err())
	}
}

// client is a provider that is bound for a guest.
type client struct {
	t testing.TB
	*blobstore.Provider
	*guest
}

func bind(t testing.TB, url string, opts *blobstore.Options) *client {
	t.Helper()
	c := &client{t, blobstore.New(opts), newGuest()}
	if err := c.Bind(t.Context(), capability.Binding{BindingID: id, Config: map[string]string{"url": url}}, c.guest); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		c.Close(ctx)
	})
	return c
}

type request interface{ AppendProto([]byte) []byte }

func (c *client) call(op string, req request) error {
	return c.callIn(c.t.Context(), op, req)
}

func (c *client) callIn(ctx context.Context, op string, req request) error {
	_, err := c.Call(ctx, capability.Call{BindingID: id, Operation: op, Payload: req.AppendProto(nil), Into: []byte("room")})
	return err
}

func (c *client) must(op string, req request) {
	c.t.Helper()
	if err := c.call(op, req); err != nil {
		c.t.Fatal(err)
	}
}

// stat returns the size of the blob k, -1 for none.
func (c *client) stat() int {
	c.t.Helper()
	answer, err := c.Call(c.t.Context(), capability.Call{BindingID: id, Operation: capability.OpGetObjectInfo, Payload: (&pb.Blob{Container: "box", ID: "k"}).AppendProto(nil)})
	var b pb.Blob
	if err = errors.Join(err, b.UnmarshalProto(answer)); err != nil {
		c.t.Fatal(err)
	}
	if b.ID == "" {
		return -1
	}
	return int(b.ByteSize)
}

func (c *client) begin(total, size int) error {
	return c.call(capability.OpStartUpload, &pb.FileChunk{Container: "box", ID: "k", TotalBytes: uint64(total), ChunkSize: uint64(size)})
}

func (c *client) send(number int, data []byte) error {
	return c.call(capability.OpUploadChunk, &pb.FileChunk{Container: "box", ID: "k", SequenceNo: uint64(number), ChunkBytes: data})
}

// put stores the blob k.
func (c *client) put(data []byte, size int) {
	c.t.Helper()
	if err := c.begin(len(data), size); err != nil {
		c.t.Fatal(err)
	}
	for i, chunk := range enumerate(data, size) {
		if err := c.send(i, chunk); err != nil {
			c.t.Fatal(err)
		}
	}
}

func enumerate(data []byte, size int) [][]byte { return slices.Collect(slices.Chunk(data, size)) }

func (c *client) download(size int) error {
	return c.call(capability.OpStartDownload, &pb.StreamRequest{Container: "box", ID: "k", ChunkSize: uint64(size)})
}

// receive returns the next chunk that the guest gets.
func (c *client) receive() pb.FileChunk {
	c.t.Helper()
	select {
	case chunk := <-c.chunks:
		return chunk
	case <-time.After(30 * time.Second):
		c.t.Fatal("no chunk has come")
		panic("unreachable")
	}
}

// get downloads n bytes of the blob k.
func (c *client) get(n, size int) []byte {
	c.t.Helper()
	if err := c.download(size); err != nil {
		c.t.Fatal(err)
	}
	return c.rest(nil, n)
}

func (c *client) rest(data []byte, n int) []byte {
	for len(data) < n {
		data = append(data, c.receive().ChunkBytes...)
	}
	return data
}

func noise(n int) []byte {
	data := make([]byte, n)
	random := rand.NewChaCha8([32]byte{byte(n)})
	random.Read(data)
	return data
}

func code(err error) capability.Code {
	if err == nil {
		return ""
	}
	var e *capability.Error
	if !errors.As(err, &e) {
		return "no *capability.Error"
	}
	return e.Code
}
