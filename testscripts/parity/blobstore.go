package parity

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	"github.com/waxosuit/waxo/capability"
	pb "github.com/waxosuit/waxo/capability/payload/blobstorepb"
)

// Blobstore is the suite of "wascap:blobstore". Its provider needs a key "prefix"
// in its configuration, which keeps the runs apart.
func Blobstore() Suite {
	suite := Suite{Capability: capability.Blobstore}
	add := func(name string, run func(b *blobs)) {
		suite.add(name, func(s *Session) { run(newBlobs(s)) })
	}
	add("containers", containers)
	add("blobs", simpleBlobs)
	add("odd names", oddNames)
	add("names that cannot be", badNames)
	add("order", listOrder)
	add("many blobs", manyBlobs)
	add("chunks out of order", outOfOrder)
	add("uploads that begin wrong", badUploads)
	add("one upload at a time", oneAtATime)
	add("given up", givenUp)
	add("large blobs", largeBlobs)
	add("sizes of chunks", chunkSizes)
	add("concurrent uploads", concurrentUploads)
	add("calls at random", randomBlobs)
	add("what cannot be decoded", undecodableBlobs)
	return suite
}

const (
	mkdir, rmdir   = capability.OpCreateContainer, capability.OpRemoveContainer
	list, remove   = capability.OpListObjects, capability.OpRemoveObject
	info           = capability.OpGetObjectInfo
	startUp, upPut = capability.OpStartUpload, capability.OpUploadChunk
	startDown      = capability.OpStartDownload
)

// blobs is a session with a guest that takes what it downloads.
type blobs struct {
	*Session
	chunks chan *pb.FileChunk
}

func newBlobs(s *Session) *blobs {
	b := &blobs{s, make(chan *pb.FileChunk)}
	s.Handle(capability.OpReceiveChunk, func(payload []byte) ([]byte, error) {
		chunk := &pb.FileChunk{}
		if err := chunk.UnmarshalProto(payload); err != nil {
			s.Errorf("ReceiveChunk: %v", err)
			return nil, err
		}
		select {
		case b.chunks <- chunk:
			return nil, nil
		case <-s.Context.Done():
			return nil, s.Context.Err()
		}
	})
	return b
}

func container(id string) *pb.Container  { return &pb.Container{ID: id} }
func blob(container, id string) *pb.Blob { return &pb.Blob{Container: container, ID: id} }
func sized(container, id string, size int) *pb.Blob {
	return &pb.Blob{Container: container, ID: id, ByteSize: uint64(size)}
}
func listOf(blobs ...*pb.Blob) *pb.BlobList { return &pb.BlobList{Blobs: blobs} }
func announce(c, id string, total, size uint64) *pb.FileChunk {
	return &pb.FileChunk{Container: c, ID: id, TotalBytes: total, ChunkSize: size}
}

func chunk(number uint64, c, id string, data string) *pb.FileChunk {
	return &pb.FileChunk{SequenceNo: number, Container: c, ID: id, ChunkBytes: []byte(data)}
}

// store uploads a blob, in chunks of a size.
func (b *blobs) store(container, id string, data []byte, size int) {
	b.quietly(startUp, announce(container, id, uint64(len(data)), uint64(size)))
	for number, part := range enumerate(data, size) {
		b.quietly(upPut, &pb.FileChunk{SequenceNo: uint64(number), Container: container, ID: id, ChunkSize: uint64(size), TotalBytes: uint64(len(data)), ChunkBytes: part})
	}
	b.Note("stored %q in %q: %d bytes in chunks of %d", id, container, len(data), size)
}

func enumerate(data []byte, size int) [][]byte {
	return slices.Collect(slices.Chunk(data, size))
}

func (b *blobs) quietly(op string, req Message) []byte {
	answer, err := b.Quiet(op, req.AppendProto(nil))
	if err != nil {
		b.Errorf("%s: %v", op, err)
	}
	return answer
}

// fetch downloads a blob, checks every chunk, and notes what it was.
func (b *blobs) fetch(container, id string, size, want int) []byte {
	answer, err := b.Raw(startDown, (&pb.StreamRequest{Container: container, ID: id, ChunkSize: uint64(size)}).AppendProto(nil))
	var t pb.Transfer
	if err == nil {
		err = t.UnmarshalProto(answer)
	}
	if err != nil {
		b.Fatalf("StartDownload: %v", err)
	}
	if t.BlobID != id || t.Container != container || t.TotalSize != uint64(want) || t.ChunkSize == 0 ||
		t.TotalChunks != (t.TotalSize+t.ChunkSize-1)/t.ChunkSize {
		b.Errorf("the transfer is %+v", t)
	}
	var data []byte
	for number := range t.TotalChunks {
		c := Receive(b.Session, b.chunks, fmt.Sprintf("chunk %d of %d", number, t.TotalChunks))
		if c.SequenceNo != number || c.ID != id || c.Container != container || c.TotalBytes != t.TotalSize || c.ChunkSize != t.ChunkSize ||
			uint64(len(c.ChunkBytes)) != min(t.ChunkSize, t.TotalSize-uint64(len(data))) {
			b.Fatalf("chunk %d is %d with %d bytes of %d by %d", number, c.SequenceNo, len(c.ChunkBytes), c.TotalBytes, c.ChunkSize)
		}
		data = append(data, c.ChunkBytes...)
	}
	b.Note("fetched %q: %d bytes in %d chunks, %x", id, len(data), t.TotalChunks, sha256.Sum256(data))
	return data
}

func containers(b *blobs) {
	b.WantError(list, container("box"), `not_found: there is no container "box": create it first`)
	b.Want(mkdir, container("box"), container("box"))
	b.Want(mkdir, container("box"), container("box"))
	b.Want(list, container("box"), listOf())
	b.WantError(list, container("other"), `not_found: there is no container "other": create it first`)
}

func simpleBlobs(b *blobs) {
	const none = `not_found: there is no container "none": create it first`
	b.Want(mkdir, container("box"), container("box"))
	b.Want(info, blob("box", "k"), blob("", ""))
	b.WantError(info, blob("none", "k"), none)
	b.WantError(list, container("none"), none)
	b.WantError(rmdir, container("none"), none)
	b.WantError(remove, blob("none", "k"), none)
	b.WantError(startUp, announce("none", "k", 1, 1), none)
	b.WantError(startUp, announce("none", "k", 0, 1), none)
	b.WantError(startUp, announce("none", "k", 100<<20, 1<<20), none)
	b.WantError(startDown, &pb.StreamRequest{Container: "none", ID: "k", ChunkSize: 1}, none)
	b.WantError(startDown, &pb.StreamRequest{Container: "box", ID: "k", ChunkSize: 1}, `not_found: there is no blob "k" in the container "box"`)
	b.Want(remove, blob("box", "k"), nil)

	b.Want(startUp, announce("box", "k", 5, 2), &pb.Transfer{BlobID: "k", Container: "box", ChunkSize: 2, TotalSize: 5, TotalChunks: 3})
	b.Want(upPut, chunk(0, "box", "k", "ab"), nil)
	b.Want(info, blob("box", "k"), blob("", ""))
	b.Want(upPut, chunk(1, "box", "k", "\x00\xff"), nil)
	b.Want(list, container("box"), listOf())
	b.Want(upPut, chunk(2, "box", "k", "e"), nil)
	b.Want(info, blob("box", "k"), sized("box", "k", 5))
	b.Want(list, container("box"), listOf(sized("box", "k", 5)))
	if got := b.fetch("box", "k", 2, 5); string(got) != "ab\x00\xffe" {
		b.Errorf("the blob is %q", got)
	}
	b.Want(startUp, announce("box", "empty", 0, 0), &pb.Transfer{BlobID: "empty", Container: "box"})
	b.Want(info, blob("box", "empty"), sized("box", "empty", 0))
	b.fetch("box", "empty", 7, 0)
	b.store("box", "k", []byte("shorter"), 7)
	if got := b.fetch("box", "k", 100, 7); string(got) != "shorter" {
		b.Errorf("the blob is %q", got)
	}
	b.WantError(rmdir, container("box"), `conflict: the container "box" is not empty: remove its blobs first`)
	b.Want(remove, blob("box", "k"), nil)
	b.Want(info, blob("box", "k"), blob("", ""))
	b.Want(remove, blob("box", "empty"), nil)
	b.Want(rmdir, container("box"), nil)
	b.WantError(rmdir, container("box"), `not_found: there is no container "box": create it first`)
}

var oddIDs = []string{
	"k", "a b+c", "%41%2f", "ä/世/🙂", "q?x=1&y#z", `<&>"'`, "tab\tand\u2028line", "*'();:@=,$~![]", "Case", "case",
	"dots...", ".hidden/..more", strings.Repeat("a", 200) + "/" + strings.Repeat("é", 100),
}

func oddNames(b *blobs) {
	for _, id := range []string{"b", "Box", "box", "Übung 🙂", "a..b", "192.168.1.1", "x--c4", "-", "with/slash", "\x00"} {
		b.Want(mkdir, container(id), container(id))
		b.Want(list, container(id), listOf()) // it is nobody else's
		b.store(id, "k", []byte(id), 100)
		b.Want(list, container(id), listOf(sized(id, "k", len(id))))
	}
	b.Want(mkdir, container("keys"), container("keys"))
	for _, id := range oddIDs {
		b.store("keys", id, []byte(id), 1000)
	}
	var want []*pb.Blob
	for _, id := range slices.Sorted(slices.Values(oddIDs)) {
		want = append(want, sized("keys", id, len(id)))
	}
	b.Want(list, container("keys"), listOf(want...))
	for _, id := range oddIDs {
		b.Want(info, blob("keys", id), sized("keys", id, len(id)))
		if got := b.fetch("keys", id, 1000, len(id)); string(got) != id {
			b.Errorf("%q holds %q", id, got)
		}
		b.Want(remove, blob("keys", id), nil)
	}
	b.Want(list, container("keys"), listOf())
}

func badNames(b *blobs) {
	b.Want(mkdir, container("box"), container("box"))
	long := strings.Repeat("a", 64)
	for op, req := range map[string]func(id string) Message{
		mkdir: func(id string) Message { return container(id) }, rmdir: func(id string) Message { return container(id) },
		list: func(id string) Message { return container(id) }, info: func(id string) Message { return blob(id, "k") },
		remove:    func(id string) Message { return blob(id, "k") },
		startUp:   func(id string) Message { return announce(id, "k", 1, 1) },
		startDown: func(id string) Message { return &pb.StreamRequest{Container: id, ID: "k"} },
	} {
		quiet := func(id, want string) {
			if _, err := b.Quiet(op, req(id).AppendProto(nil)); err == nil || !strings.HasPrefix(err.Error(), want) {
				b.Errorf("%s of a container %q: %v", op, id, err)
			}
		}
		quiet("", "invalid: the container has no id")
		quiet(long, fmt.Sprintf("invalid: the id %q of the container is too long", long))
	}
	for _, id := range []string{"", "a\x00b", ".", "..", "a/../b", "./a", "a/.", strings.Repeat("é", 513)} {
		b.WantError(info, blob("box", id), "invalid: the...")
		b.WantError(remove, blob("box", id), "invalid: the...")
		b.WantError(startUp, announce("box", id, 1, 1), "invalid: the...")
		b.WantError(startDown, &pb.StreamRequest{Container: "box", ID: id}, "invalid: the...")
	}
	b.Want(list, container("box"), listOf())
}

// listOrder: blobs come sorted by the bytes of their ids, whenever they came.
func listOrder(b *blobs) {
	b.Want(mkdir, container("box"), container("box"))
	ids := []string{"b", "a", "B", "A", "é", "e", "z", "aa", "a-", "a0", "ab", "世"}
	for _, id := range ids {
		b.store("box", id, nil, 1)
	}
	var want []*pb.Blob
	for _, id := range slices.Sorted(slices.Values(ids)) {
		want = append(want, sized("box", id, 0))
	}
	b.Want(list, container("box"), listOf(want...))
}

// manyBlobs: a list is whole, also where the server gives it in pages.
func manyBlobs(b *blobs) {
	const count = 1234
	b.Want(mkdir, container("box"), container("box"))
	want := listOf()
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			for i := worker; i < count; i += 8 {
				b.quietly(startUp, announce("box", fmt.Sprintf("blob-%05d", i), 0, 1))
			}
		})
	}
	group.Wait()
	for i := range count {
		want.Blobs = append(want.Blobs, sized("box", fmt.Sprintf("blob-%05d", i), 0))
	}
	if got := b.quietly(list, container("box")); !bytes.Equal(got, want.AppendProto(nil)) {
		b.Errorf("the list of %d blobs has %d bytes, not %d", count, len(got), want.ProtoSize())
	}
}

func outOfOrder(b *blobs) {
	const k = `of the blob "k" in the container "box"`
	b.Want(mkdir, container("box"), container("box"))
	b.WantError(upPut, chunk(0, "box", "k", "ab"), "not_found: no upload "+k+" is under way: begin it with StartUpload...")
	b.Want(startUp, announce("box", "k", 5, 2), &pb.Transfer{BlobID: "k", Container: "box", ChunkSize: 2, TotalSize: 5, TotalChunks: 3})
	b.WantError(upPut, chunk(2, "box", "k", "e"), "invalid: the chunk 2 "+k+" does not come next: chunk 0 does; it was not stored")
	b.WantError(upPut, chunk(1, "box", "k", "cd"), "invalid: the chunk 1 "+k+" does not come next: chunk 0 does; it was not stored")
	b.WantError(upPut, chunk(0, "box", "k", "a"), "invalid: the chunk 0 "+k+" has 1 bytes instead of 2; it was not stored")
	b.WantError(upPut, chunk(0, "box", "k", "abc"), "invalid: the chunk 0 "+k+" has 3 bytes instead of 2; it was not stored")
	b.WantError(upPut, chunk(0, "box", "k", ""), "invalid: the chunk 0 "+k+" has 0 bytes instead of 2; it was not stored")
	b.Want(upPut, chunk(0, "box", "k", "ab"), nil)
	b.WantError(upPut, chunk(0, "box", "k", "ab"), "invalid: the chunk 0 "+k+" does not come next: chunk 1 does; it was not stored")
	b.WantError(upPut, chunk(2, "box", "k", "e"), "invalid: the chunk 2 "+k+" does not come next: chunk 1 does; it was not stored")
	other := chunk(1, "box", "k", "cd")
	other.TotalBytes = 6
	b.WantError(upPut, other, "invalid: the chunk 1 "+k+" is one of 6 bytes in all, but the upload was begun for 5; it was not stored")
	other.TotalBytes, other.ChunkSize = 5, 3
	b.WantError(upPut, other, "invalid: the chunk 1 "+k+" is one of chunks of 3 bytes, but the upload was begun with 2; it was not stored")
	other.ChunkSize = 2
	b.Want(upPut, other, nil)
	b.WantError(upPut, chunk(2, "box", "k", "ef"), "invalid: the chunk 2 "+k+" has 2 bytes instead of 1; it was not stored")
	b.Want(info, blob("box", "k"), blob("", ""))
	b.Want(upPut, chunk(2, "box", "k", "e"), nil)
	b.WantError(upPut, chunk(2, "box", "k", "e"), "not_found: no upload "+k+" is under way...")
	if got := b.fetch("box", "k", 3, 5); string(got) != "abcde" {
		b.Errorf("the blob is %q", got)
	}
	b.Want(list, container("box"), listOf(sized("box", "k", 5)))
}

func badUploads(b *blobs) {
	const k = `the blob "k" in the container "box"`
	b.Want(mkdir, container("box"), container("box"))
	b.WantError(startUp, announce("box", "k", 1, 0), "invalid: the upload of "+k+" has chunks of 0 bytes: say in chunk_size how many each has")
	b.WantError(startUp, chunk(0, "box", "k", "ab"), "invalid: StartUpload carries no bytes of "+k+": UploadChunk does, from the first on")
	b.WantError(startUp, announce("box", "k", 10_000*16<<20+1, 1), "too_large: "+k+" has 167772160001 bytes: 167772160000 are the limit")
	b.WantError(startUp, announce("box", "k", math.MaxUint64, math.MaxUint64), "too_large: "+k+" has 18446744073709551615 bytes: 167772160000 are the limit")
	b.Want(list, container("box"), listOf())
}

func oneAtATime(b *blobs) {
	b.Want(mkdir, container("box"), container("box"))
	b.store("box", "k", []byte("old"), 3)
	b.Want(startUp, announce("box", "k", 4, 2), &pb.Transfer{BlobID: "k", Container: "box", ChunkSize: 2, TotalSize: 4, TotalChunks: 2})
	b.WantError(startUp, announce("box", "k", 4, 2), `conflict: an upload of the blob "k" in the container "box" is under way already...`)
	b.Want(startUp, announce("box", "l", 4, 2), &pb.Transfer{BlobID: "l", Container: "box", ChunkSize: 2, TotalSize: 4, TotalChunks: 2})
	b.Want(upPut, chunk(0, "box", "k", "ab"), nil)
	b.Want(upPut, chunk(0, "box", "l", "xy"), nil)
	if got := b.fetch("box", "k", 10, 3); string(got) != "old" { // until the new one is whole
		b.Errorf("the blob is %q", got)
	}
	b.Want(upPut, chunk(1, "box", "l", "z!"), nil)
	b.Want(upPut, chunk(1, "box", "k", "cd"), nil)
	for id, want := range map[string]string{"k": "abcd", "l": "xyz!"} {
		if got := b.quietFetch("box", id, 4); string(got) != want {
			b.Errorf("%s is %q", id, got)
		}
	}
}

// quietFetch leaves nothing in the transcript.
func (b *blobs) quietFetch(container, id string, want int) []byte {
	b.quietly(startDown, &pb.StreamRequest{Container: container, ID: id, ChunkSize: 1 << 20})
	var data []byte
	for len(data) < want {
		data = append(data, Receive(b.Session, b.chunks, "a chunk of "+id).ChunkBytes...)
	}
	return data
}

func givenUp(b *blobs) {
	b.Want(mkdir, container("box"), container("box"))
	for _, total := range []uint64{4, 20 << 20} { // in one piece, and in parts
		b.quietly(startUp, announce("box", "k", total, total/2))
		b.quietly(upPut, &pb.FileChunk{Container: "box", ID: "k", ChunkBytes: make([]byte, total/2)})
		b.Want(remove, blob("box", "k"), nil)
		b.WantError(upPut, chunk(1, "box", "k", "ab"), `not_found: no upload of the blob "k" in the container "box" is under way...`)
		b.Want(list, container("box"), listOf())
		b.store("box", "k", []byte("new"), 3)
		b.Want(info, blob("box", "k"), sized("box", "k", 3))
		b.Want(remove, blob("box", "k"), nil)
	}
	b.quietly(startUp, announce("box", "k", 20<<20, 10<<20))
	b.quietly(upPut, &pb.FileChunk{Container: "box", ID: "k", ChunkBytes: make([]byte, 10<<20)})
	b.quietly(remove, blob("box", "k"))
	b.Want(rmdir, container("box"), nil)
}

// largeBlobs: what takes several parts on the server is one blob, with whatever
// chunks it comes and goes.
func largeBlobs(b *blobs) {
	b.Want(mkdir, container("box"), container("box"))
	random := rand.NewChaCha8([32]byte{1})
	data := make([]byte, 17<<20+12345)
	random.Read(data)
	for i, size := range []int{1 << 20, 3<<20 + 1, len(data)} {
		id := fmt.Sprint("large", i)
		b.store("box", id, data, size)
		b.Want(info, blob("box", id), sized("box", id, len(data)))
		if got := b.fetch("box", id, size, len(data)); !bytes.Equal(got, data) {
			b.Errorf("in chunks of %d, another blob came back", size)
		}
	}
	for _, size := range []int{5<<20 - 1, 5 << 20, 5<<20 + 1, 10 << 20} { // about the size of a part
		b.store("box", "edge", data[:size], 1<<20)
		if got := b.fetch("box", "edge", 4<<20, size); !bytes.Equal(got, data[:size]) {
			b.Errorf("of %d bytes, another blob came back", size)
		}
	}
}

func chunkSizes(b *blobs) {
	b.Want(mkdir, container("box"), container("box"))
	b.store("box", "k", make([]byte, 600<<10), 100<<10)
	for _, size := range []uint64{0, 1 << 20, 17 << 20, math.MaxUint64} {
		answer := b.quietly(startDown, &pb.StreamRequest{Container: "box", ID: "k", ChunkSize: size})
		var t pb.Transfer
		if err := t.UnmarshalProto(answer); err != nil {
			b.Errorf("%v", err)
		}
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

func concurrentUploads(b *blobs) {
	b.Want(mkdir, container("box"), container("box"))
	const count = 12
	want := listOf()
	var group sync.WaitGroup
	for i := range count {
		id := fmt.Sprintf("blob%02d", i)
		data := bytes.Repeat([]byte{byte(i)}, 100_000*i)
		want.Blobs = append(want.Blobs, sized("box", id, len(data)))
		group.Go(func() {
			b.quietly(startUp, announce("box", id, uint64(len(data)), 64<<10))
			for number, part := range enumerate(data, 64<<10) {
				b.quietly(upPut, &pb.FileChunk{SequenceNo: uint64(number), Container: "box", ID: id, ChunkBytes: part})
			}
		})
	}
	group.Wait()
	b.Want(list, container("box"), want)
	for i := range count {
		id := fmt.Sprintf("blob%02d", i)
		if got := b.fetch("box", id, 50_000, 100_000*i); len(bytes.Trim(got, string([]byte{byte(i)}))) > 0 {
			b.Errorf("%s is mixed", id)
		}
	}
}

// randomBlobs makes 600 calls on few names, so that they get in each other's way.
func randomBlobs(b *blobs) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 600 {
		c := []string{"box", "Box", "none"}[random.IntN(3)]
		id := []string{"a", "b/c", "ü"}[random.IntN(3)]
		switch random.IntN(10) {
		case 0:
			b.Raw(mkdir, container(c).AppendProto(nil)) // what is right, only another target tells
		case 1:
			b.Raw(rmdir, container(c).AppendProto(nil))
		case 2:
			b.Raw(list, container(c).AppendProto(nil))
		case 3:
			b.Raw(info, blob(c, id).AppendProto(nil))
		case 4:
			b.Raw(remove, blob(c, id).AppendProto(nil))
		case 5, 6:
			b.Raw(startUp, announce(c, id, uint64(random.IntN(5)), uint64(random.IntN(3))).AppendProto(nil))
		default:
			b.Raw(upPut, chunk(uint64(random.IntN(3)), c, id, "ab"[:random.IntN(3)]).AppendProto(nil))
		}
	}
}

func undecodableBlobs(b *blobs) {
	for _, op := range []string{mkdir, rmdir, list, remove, info, startUp, upPut, startDown} {
		for _, payload := range []string{"\x0a", "\x0a\x01", "\x12\x01\xff", "\xff"} {
			if _, err := b.Raw(op, []byte(payload)); err == nil || !strings.HasPrefix(err.Error(), "invalid: ") {
				b.Errorf("%s %q: %v", op, payload, err)
			}
		}
	}
	if _, err := b.Raw("Copy", nil); err == nil || err.Error() != `unsupported: wascap:blobstore has no operation "Copy"` {
		b.Errorf("Copy: %v", err)
	}
}
