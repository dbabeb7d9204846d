package guest_test

import (
	"bytes"
	"context"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/blobstore"
	pb "github.com/waxosuit/waxo/capability/payload/blobstorepb"
	"github.com/waxosuit/waxo/emulators/s3"
	waxo "github.com/waxosuit/waxo/guest/go"
	"github.com/waxosuit/waxo/guest/go/waxotest"
)

// TestBlobStoresAgree performs the same operations on the blob store of waxotest
// and on the one of production, and compares every answer.
func TestBlobStoresAgree(t *testing.T) {
	waxotest.New(t).Grant(capability.Blobstore)
	provider, id := blobstore.New(nil), capability.BindingID{Guest: "guest", Name: capability.DefaultBinding}
	server, err := s3.Start(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	if err := provider.Bind(t.Context(), capability.Binding{BindingID: id, Config: map[string]string{"url": server.URL()}}, anybody{}); err != nil {
		t.Fatal(err)
	}
	defer provider.Close(t.Context())

	operations := provider.Describe().Operations
	succeeded := make(map[string]int)
	random := rand.New(rand.NewPCG(1, 1))
	for range 4_000 {
		operation := operations[random.IntN(len(operations))]
		payload := randomBlobPayload(operation, random)
		want, err := provider.Call(t.Context(), capability.Call{BindingID: id, Operation: operation, Payload: payload})
		wantCode := ""
		if err != nil {
			wantCode = string(capability.AsError(err).Code)
		}
		if wantCode == string(capability.CodeOverloaded) {
			continue // waxotest has no such limit
		}
		got, gotErr := waxo.Call(id.Name, capability.Blobstore, capability.Blobstore+"!"+operation, payload)
		gotCode := ""
		if gotErr != nil {
			gotCode = waxo.ParseError(gotErr.Error()).Code
		}
		if gotCode != wantCode || !bytes.Equal(got, want) {
			t.Fatalf("%s %q = %q %v, in production %q %v", operation, payload, got, gotErr, want, err)
		}
		if err == nil {
			succeeded[operation]++
		}
	}
	if len(succeeded) != len(operations) {
		t.Errorf("only these ever succeeded: %v", succeeded)
	}
}

// anybody is a guest that takes everything.
type anybody struct{}

func (anybody) Dispatch(context.Context, string, []byte, []byte) (capability.Reply, error) {
	return capability.Reply{}, nil
}

// randomBlobPayload makes a payload out of few names, so that operations meet.
func randomBlobPayload(operation string, random *rand.Rand) []byte {
	pick := func(from ...string) string { return from[random.IntN(len(from))] }
	container := pick("box", "box", "box", "Box", "a", "", strings.Repeat("a", 63), strings.Repeat("a", 64), strings.Repeat("A", 37), strings.Repeat("A", 38), "\x00")
	id := pick("k", "k", "k", "ä/b", "", "..", "a/./b", ".a", "a\x00", strings.Repeat("a", 1025))
	size := func() uint64 { return []uint64{0, 1, 2, 2, 3, 4, math.MaxUint64}[random.IntN(7)] }
	switch operation {
	case capability.OpCreateContainer, capability.OpRemoveContainer, capability.OpListObjects:
		return (&pb.Container{ID: container}).AppendProto(nil)
	case capability.OpRemoveObject, capability.OpGetObjectInfo:
		return (&pb.Blob{Container: container, ID: id}).AppendProto(nil)
	case capability.OpStartDownload:
		return (&pb.StreamRequest{Container: container, ID: id, ChunkSize: size()}).AppendProto(nil)
	case capability.OpStartUpload:
		return (&pb.FileChunk{Container: container, ID: id, TotalBytes: size(), ChunkSize: size()}).AppendProto(nil)
	}
	chunk := pb.FileChunk{Container: container, ID: id, SequenceNo: uint64(random.IntN(3)), ChunkBytes: []byte("abcd"[:random.IntN(4)])}
	if random.IntN(4) == 0 {
		chunk.TotalBytes, chunk.ChunkSize = size(), size()
	}
	return chunk.AppendProto(nil)
}
