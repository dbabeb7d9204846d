package blobstore_test

import (
	"context"
	"crypto/sha256"
	"flag"
	"hash"
	"math/rand/v2"
	"runtime"
	"runtime/metrics"
	"sync"
	"testing"
	"time"

	"github.com/waxosuit/waxo/capability"
	pb "github.com/waxosuit/waxo/capability/payload/blobstorepb"
)

var size = flag.Int("size", 64, "how large the large blob is, in MiB; 1024 is what is promised")

// hasher is a guest that keeps nothing of a blob but its hash.
type hasher struct {
	sum  hash.Hash
	next uint64
	got  int
	want int
	done chan struct{}
	t    *testing.T
}

func (h *hasher) Dispatch(_ context.Context, _ string, payload, into []byte) (capability.Reply, error) {
	var c pb.FileChunk
	if err := c.UnmarshalProto(payload); err != nil || c.SequenceNo != h.next {
		h.t.Errorf("the chunk %d came after %d, %v", c.SequenceNo, h.next, err)
	}
	h.next++
	h.sum.Write(c.ChunkBytes)
	if h.got += len(c.ChunkBytes); h.got == h.want {
		close(h.done)
	}
	return capability.Reply{Payload: into[:0]}, nil
}

// peak is the largest heap while something runs.
func peak(run func()) (bytes uint64) {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	stop := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		ticker := time.NewTicker(5 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-stop:
				return
			case <-ticker.C:
				metrics.Read(sample)
				bytes = max(bytes, sample[0].Value.Uint64())
			}
		}
	})
	run()
	close(stop)
	watch.Wait()
	return bytes
}

// TestLarge: a large blob goes in and out equal by its hash, and neither the
// provider nor the server has more than a part of it in memory.
func TestLarge(t *testing.T) {
	const chunkSize = 1 << 20
	total := *size << 20
	server := start(t, nil)
	c := bind(t, server.URL(), nil)
	h := &hasher{sum: sha256.New(), want: total, done: make(chan struct{}), t: t}
	other := capability.BindingID{Guest: "MGUEST", Name: "hasher"}
	config := map[string]string{"url": server.URL()}
	if err := c.Bind(t.Context(), capability.Binding{BindingID: other, Config: config}, h); err != nil {
		t.Fatal(err)
	}
	call := func(op string, req request) {
		t.Helper()
		if _, err := c.Call(t.Context(), capability.Call{BindingID: other, Operation: op, Payload: req.AppendProto(nil)}); err != nil {
			t.Fatal(err)
		}
	}
	call(capability.OpCreateContainer, &pb.Container{ID: "box"})
	runtime.GC()
	sent := sha256.New()
	highest := peak(func() {
		random, data := rand.NewChaCha8([32]byte{7}), make([]byte, chunkSize)
		call(capability.OpStartUpload, &pb.FileChunk{Container: "box", ID: "k", TotalBytes: uint64(total), ChunkSize: chunkSize})
		for i := range total / chunkSize {
			random.Read(data)
			sent.Write(data)
			call(capability.OpUploadChunk, &pb.FileChunk{Container: "box", ID: "k", SequenceNo: uint64(i), ChunkBytes: data})
		}
		call(capability.OpStartDownload, &pb.StreamRequest{Container: "box", ID: "k", ChunkSize: chunkSize})
		<-h.done
	})
	if got, want := h.sum.Sum(nil), sent.Sum(nil); string(got) != string(want) {
		t.Errorf("another blob came back: %x, not %x", got, want)
	}
	t.Logf("%d MiB in and out: at most %.1f MiB of heap", *size, float64(highest)/(1<<20))
	if highest > 48<<20 {
		t.Errorf("%d MiB take %d MiB of heap", *size, highest>>20)
	}
}
