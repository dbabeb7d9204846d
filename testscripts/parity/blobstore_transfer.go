package parity

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waxosuit/waxo/capability"
	pb "github.com/waxosuit/waxo/capability/payload/blobstorepb"
)

// named is a blob as errors name it.
func (b *blobs) named(id string) string {
	return fmt.Sprintf("the blob %q in the container %q", id, b.box)
}

func startUploads(b *blobs) {
	b.make()
	for _, c := range []struct{ total, size uint64 }{{5, 2}, {4, 2}, {1, 1}, {1, 100}, {100, 1}, {20 << 20, 1 << 20}, {20<<20 + 1, 1 << 20}} {
		id := fmt.Sprint("k", c.total, "-", c.size)
		b.Want(startUp, announce(b.box, id, c.total, c.size), transfer(b.box, id, c.total, c.size))
	}
	b.lists(b.box)
}

func outOfOrder(b *blobs) {
	k := "of " + b.named("k")
	b.make()
	b.perform(startUp, announce(b.box, "k", 5, 2), nil)
	b.WantError(upPut, chunk(2, b.box, "k", "e"), "invalid: the chunk 2 "+k+" does not come next: chunk 0 does; it was not stored")
	b.WantError(upPut, chunk(1, b.box, "k", "cd"), "invalid: the chunk 1 "+k+" does not come next: chunk 0 does; it was not stored")
	b.WantError(upPut, chunk(0, b.box, "k", "a"), "invalid: the chunk 0 "+k+" has 1 bytes instead of 2; it was not stored")
	b.WantError(upPut, chunk(0, b.box, "k", "abc"), "invalid: the chunk 0 "+k+" has 3 bytes instead of 2; it was not stored")
	b.WantError(upPut, chunk(0, b.box, "k", ""), "invalid: the chunk 0 "+k+" has 0 bytes instead of 2; it was not stored")
	b.Want(upPut, chunk(0, b.box, "k", "ab"), nil)
	b.WantError(upPut, chunk(0, b.box, "k", "ab"), "invalid: the chunk 0 "+k+" does not come next: chunk 1 does; it was not stored")
	b.WantError(upPut, chunk(2, b.box, "k", "e"), "invalid: the chunk 2 "+k+" does not come next: chunk 1 does; it was not stored")
	other := chunk(1, b.box, "k", "cd")
	if b.target.Exact {
		other.TotalBytes = 6
		b.WantError(upPut, other, "invalid: the chunk 1 "+k+" is one of 6 bytes in all, but the upload was begun for 5; it was not stored")
		other.TotalBytes, other.ChunkSize = 5, 3
		b.WantError(upPut, other, "invalid: the chunk 1 "+k+" is one of chunks of 3 bytes, but the upload was begun with 2; it was not stored")
	}
	other.TotalBytes, other.ChunkSize = 5, 2
	b.Want(upPut, other, nil)
	b.WantError(upPut, chunk(2, b.box, "k", "ef"), "invalid: the chunk 2 "+k+" has 2 bytes instead of 1; it was not stored")
	b.Want(upPut, chunk(2, b.box, "k", "e"), nil)
	b.holds(b.box, "k", "abcde")
}

func wholeBlobs(b *blobs) {
	b.make()
	b.perform(startUp, announce(b.box, "k", 5, 2), nil)
	for i, part := range []string{"ab", "\x00\xff", "e"} {
		b.Want(info, blob(b.box, "k"), blob("", ""))
		b.lists(b.box)
		b.Want(upPut, chunk(uint64(i), b.box, "k", part), nil)
	}
	b.Want(info, blob(b.box, "k"), sized(b.box, "k", 5))
	b.lists(b.box, sized(b.box, "k", 5))
	b.holds(b.box, "k", "ab\x00\xffe")
}

func replacedBlobs(b *blobs) {
	b.make()
	b.store(b.box, "k", []byte("the old one"), 3)
	b.perform(startUp, announce(b.box, "k", 4, 2), nil)
	b.Want(upPut, chunk(0, b.box, "k", "ne"), nil)
	b.holds(b.box, "k", "the old one") // until the new one is whole
	b.Want(upPut, chunk(1, b.box, "k", "w!"), nil)
	b.holds(b.box, "k", "new!")
	b.Want(info, blob(b.box, "k"), sized(b.box, "k", 4))
}

func emptyBlob(b *blobs) {
	b.make()
	b.Want(startUp, announce(b.box, "k", 0, 0), &pb.Transfer{BlobID: "k", Container: b.box})
	b.Want(info, blob(b.box, "k"), sized(b.box, "k", 0))
	b.lists(b.box, sized(b.box, "k", 0))
	var t pb.Transfer
	b.perform(startDown, &pb.StreamRequest{Container: b.box, ID: "k", ChunkSize: 7}, &t)
	if t.TotalSize != 0 || t.TotalChunks != 0 {
		b.Errorf("the transfer of nothing is %s", show(&t))
	}
	b.store(b.box, "l", []byte("v"), 1) // whose chunk comes after those of nothing
	b.perform(startDown, &pb.StreamRequest{Container: b.box, ID: "l", ChunkSize: 7}, nil)
	if c := Receive(b.Session, b.chunks, "a chunk"); c.ID != "l" {
		b.Errorf("of a blob of 0 bytes came the chunk %s", show(c))
	}
}

func oneAtATime(b *blobs) {
	b.make()
	b.perform(startUp, announce(b.box, "k", 4, 2), nil)
	b.WantError(startUp, announce(b.box, "k", 4, 2), "conflict: an upload of "+b.named("k")+" is under way already...")
	b.perform(startUp, announce(b.box, "l", 4, 2), nil)
	b.Want(upPut, chunk(0, b.box, "k", "ab"), nil)
	b.Want(upPut, chunk(0, b.box, "l", "xy"), nil)
	b.WantError(startUp, announce(b.box, "k", 4, 2), "conflict: an upload of "+b.named("k")+" is under way already...")
	b.Want(upPut, chunk(1, b.box, "l", "z!"), nil)
	b.Want(upPut, chunk(1, b.box, "k", "cd"), nil)
	b.holds(b.box, "k", "abcd")
	b.holds(b.box, "l", "xyz!")
	b.perform(startUp, announce(b.box, "k", 4, 2), nil) // that one is over
}

func noUpload(b *blobs) {
	b.make()
	want := "not_found: no upload of " + b.named("k") + " is under way: begin it with StartUpload..."
	b.WantError(upPut, chunk(0, b.box, "k", "ab"), want)
	b.store(b.box, "k", []byte("abc"), 2)
	b.WantError(upPut, chunk(2, b.box, "k", "d"), want)
	b.holds(b.box, "k", "abc")
}

func givenUp(b *blobs) {
	b.make()
	for _, total := range []uint64{4, 20 << 20} { // in one piece, and in parts
		b.perform(startUp, announce(b.box, "k", total, total/2), nil)
		b.perform(upPut, &pb.FileChunk{Container: b.box, ID: "k", ChunkBytes: make([]byte, total/2)}, nil)
		b.Want(remove, blob(b.box, "k"), nil)
		b.WantError(upPut, chunk(1, b.box, "k", "ab"), "not_found: no upload of "+b.named("k")+" is under way...")
		b.lists(b.box)
		b.store(b.box, "k", []byte("new"), 3)
		b.Want(info, blob(b.box, "k"), sized(b.box, "k", 3))
		b.Want(remove, blob(b.box, "k"), nil)
	}
	b.perform(startUp, announce(b.box, "k", 20<<20, 10<<20), nil)
	b.perform(upPut, &pb.FileChunk{Container: b.box, ID: "k", ChunkBytes: make([]byte, 10<<20)}, nil)
	b.Want(remove, blob(b.box, "k"), nil)
	b.Want(rmdir, container(b.box), nil)
}

func badUploads(b *blobs) {
	k := b.named("k")
	b.make()
	b.WantError(startUp, announce(b.box, "k", 1, 0), "invalid: the upload of "+k+" has chunks of 0 bytes: say in chunk_size how many each has")
	b.WantError(startUp, chunk(0, b.box, "k", "ab"), "invalid: StartUpload carries no bytes of "+k+": UploadChunk does, from the first on")
	if b.target.Exact { // others may take more
		b.WantError(startUp, announce(b.box, "k", 10_000*16<<20+1, 1), "too_large: "+k+" has 167772160001 bytes: 167772160000 are the limit")
		b.WantError(startUp, announce(b.box, "k", math.MaxUint64, math.MaxUint64), "too_large: "+k+" has 18446744073709551615 bytes: 167772160000 are the limit")
	}
	b.lists(b.box)
}

// download has a blob come, and checks every chunk with f.
func (b *blobs) download(id string, size, total uint64, f func(number uint64, c *pb.FileChunk)) {
	b.Want(startDown, &pb.StreamRequest{Container: b.box, ID: id, ChunkSize: size}, transfer(b.box, id, total, size))
	for number := range (total-1)/size + 1 {
		f(number, Receive(b.Session, b.chunks, fmt.Sprintf("chunk %d", number)))
	}
}

func downloads(b *blobs) {
	b.make()
	data := make([]byte, 1000)
	rand.NewChaCha8([32]byte{2}).Read(data)
	b.store(b.box, "k", data, 1000)
	for _, size := range []uint64{1, 7, 100, 333, 999, 1000, 1001} {
		var got []byte
		b.download("k", size, 1000, func(number uint64, c *pb.FileChunk) {
			if want := min(size, 1000-uint64(len(got))); uint64(len(c.ChunkBytes)) != want {
				b.Errorf("of chunks of %d bytes, the one in place %d has %d instead of %d", size, number, len(c.ChunkBytes), want)
			}
			got = append(got, c.ChunkBytes...)
		})
		if !bytes.Equal(got, data) {
			b.Errorf("in chunks of %d, another blob came back", size)
		}
	}
}

func numberedChunks(b *blobs) {
	b.make()
	b.store(b.box, "k", []byte("hello"), 5)
	b.download("k", 2, 5, func(number uint64, c *pb.FileChunk) {
		want := announce(b.box, "k", 5, 2)
		want.SequenceNo = number
		if c.ChunkBytes = nil; show(c) != show(want) {
			b.Errorf("the chunk in place %d is %s; want %s", number, show(c), show(want))
		}
	})
}

// largeBlobs: what takes several parts on the server is one blob, with whatever
// chunks it comes and goes.
func largeBlobs(b *blobs) {
	b.make()
	data := make([]byte, 17<<20+12345)
	rand.NewChaCha8([32]byte{1}).Read(data)
	for i, size := range []int{1 << 20, 3<<20 + 1, len(data)} {
		id := fmt.Sprint("large", i)
		b.store(b.box, id, data, size)
		b.Want(info, blob(b.box, id), sized(b.box, id, len(data)))
		if got := b.fetch(b.box, id, size, len(data)); !bytes.Equal(got, data) {
			b.Errorf("in chunks of %d, another blob came back", size)
		}
	}
	for _, size := range []int{5<<20 - 1, 5 << 20, 5<<20 + 1, 10 << 20} { // about the size of a part
		b.store(b.box, "edge", data[:size], 1<<20)
		if got := b.fetch(b.box, "edge", 4<<20, size); !bytes.Equal(got, data[:size]) {
			b.Errorf("of %d bytes, another blob came back", size)
		}
	}
}

// changedBlob: what has come of a blob that is replaced on the way is all of one
// version, whether or not the rest comes.
func changedBlob(b *blobs) {
	b.make()
	old, young := bytes.Repeat([]byte("o"), 8<<20), bytes.Repeat([]byte("n"), 8<<20)
	b.store(b.box, "k", old, 4<<20)
	b.perform(startDown, &pb.StreamRequest{Container: b.box, ID: "k", ChunkSize: 1 << 20}, nil)
	got := Receive(b.Session, b.chunks, "a chunk").ChunkBytes
	b.store(b.box, "k", young, 4<<20)
	for more := true; more && len(got) < len(old); {
		select {
		case c := <-b.chunks:
			got = append(got, c.ChunkBytes...)
		case <-time.After(10 * moment):
			more = false
		}
	}
	if i := bytes.IndexByte(got, 'n'); i >= 0 {
		b.Errorf("the blob that came is of another version from byte %d on", i)
	}
}

func noBlobs(b *blobs) {
	b.make()
	b.WantError(startDown, &pb.StreamRequest{Container: b.box, ID: "k", ChunkSize: 1}, fmt.Sprintf("not_found: there is no blob %q in the container %q", "k", b.box))
}

func chunkSizes(b *blobs) {
	b.make()
	b.store(b.box, "k", make([]byte, 600<<10), 100<<10)
	for _, size := range []uint64{0, 1 << 20, 17 << 20, math.MaxUint64} {
		var t pb.Transfer
		b.perform(startDown, &pb.StreamRequest{Container: b.box, ID: "k", ChunkSize: size}, &t)
		b.Note("asked for %d, got %d chunks of %d", size, t.TotalChunks, t.ChunkSize)
		want := min(size, 16<<20)
		if size == 0 {
			want = 512 << 10
		}
		if t.ChunkSize != want {
			b.Errorf("chunks of %d where %d were asked for", t.ChunkSize, size)
		}
		for range t.TotalChunks {
			Receive(b.Session, b.chunks, "a chunk")
		}
	}
}

// transfers is how many uploads or downloads are under way at once: fewer than
// providers refuse.
const transfers = 12

func uploadsAtOnce(b *blobs) {
	b.make()
	var want []*pb.Blob
	var group sync.WaitGroup
	for i := range transfers {
		id := fmt.Sprintf("blob%02d", i)
		want = append(want, sized(b.box, id, 100_000*i))
		group.Go(func() {
			b.play(func() {
				data := bytes.Repeat([]byte{byte(i)}, 100_000*i)
				b.perform(startUp, announce(b.box, id, uint64(len(data)), 64<<10), nil)
				for number := uint64(0); len(data) > 0; number++ {
					n := min(64<<10, len(data))
					b.perform(upPut, &pb.FileChunk{SequenceNo: number, Container: b.box, ID: id, ChunkBytes: data[:n]}, nil)
					data = data[n:]
				}
			})
		})
	}
	group.Wait()
	b.lists(b.box, want...)
	for i, blob := range want {
		if got, _ := b.quietFetch(b.box, blob.ID, 50_000, int(blob.ByteSize)); len(bytes.Trim(got, string([]byte{byte(i)}))) > 0 {
			b.Errorf("%s is mixed", blob.ID)
		}
	}
}

func downloadsAtOnce(b *blobs) {
	b.make()
	const size = 300_000
	for i := range transfers {
		b.store(b.box, fmt.Sprint(i), bytes.Repeat([]byte{byte(i)}, size), size)
	}
	for i := range transfers {
		b.perform(startDown, &pb.StreamRequest{Container: b.box, ID: fmt.Sprint(i), ChunkSize: 100_000}, nil)
	}
	next := make(map[string]uint64)
	for range transfers * 3 {
		c := Receive(b.Session, b.chunks, "a chunk")
		if c.SequenceNo != next[c.ID] || fmt.Sprint(c.ChunkBytes[0]) != c.ID || len(c.ChunkBytes) != 100_000 {
			b.Errorf("the chunk %d of the blob %s, of %d times %d, came when it was the turn of %d", c.SequenceNo, c.ID, len(c.ChunkBytes), c.ChunkBytes[0], next[c.ID])
		}
		next[c.ID]++
	}
}

// unbindInDownload: the end of a binding waits for what it brings the guest.
func unbindInDownload(b *blobs) {
	arrived, proceed := make(chan struct{}, 10), make(chan struct{})
	release := sync.OnceFunc(func() { close(proceed) })
	defer release()
	var got atomic.Int32
	b.Handle(capability.OpReceiveChunk, func(context.Context, []byte) ([]byte, error) {
		arrived <- struct{}{}
		<-proceed
		got.Add(1)
		return nil, nil
	})
	// Who else would remove them, when the binding has ended?
	other := newBlobs(b.As("X", "", nil))
	other.make()
	other.store(b.box, "k", []byte("abc"), 3)
	b.perform(startDown, &pb.StreamRequest{Container: b.box, ID: "k", ChunkSize: 1}, nil)
	Receive(b.Session, arrived, "a chunk")
	ended := b.ending()
	b.stillEnding(ended, "a download")
	release()
	if err := Receive(b.Session, ended, "the end of the binding"); err != nil {
		b.Errorf("%v", err)
	}
	if n := got.Load(); n != 3 {
		b.Errorf("Unbind returned when the guest had %d of 3 chunks", n)
	}
}
