package parity

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	"github.com/waxosuit/waxo/capability"
	pb "github.com/waxosuit/waxo/capability/payload/blobstorepb"
)

// Blobstore is the suite of "wascap:blobstore". What it makes are containers whose
// ids begin with the prefix of the run; it removes them with all that is in them.
func Blobstore() Suite {
	suite := Suite{Capability: capability.Blobstore, watch: watchContainers}
	operations := []string{mkdir, rmdir, list, remove, info, startUp, upPut, startDown}
	for _, c := range []struct {
		name  string
		rules []string
		run   func(b *blobs)
	}{
		{"CreateContainer", rules("BLOB-1"), createContainers},
		{"RemoveContainer", rules("BLOB-2"), removeContainers},
		{"containers that do not exist", rules("BLOB-3"), noContainers},
		{"ListObjects", rules("BLOB-4"), listBlobs},
		{"blobs are listed in order", rules("BLOB-5"), listOrder},
		{"a long list", rules("BLOB-4"), manyBlobs},
		{"GetObjectInfo", rules("BLOB-6"), infoOfBlobs},
		{"RemoveObject", rules("BLOB-7"), removeBlobs},
		{"ids of blobs", rules("BLOB-8"), oddBlobs},
		{"ids that are none", rules("BLOB-9"), badNames},
		{"StartUpload", rules("BLOB-20"), startUploads},
		{"chunks in order", rules("BLOB-21"), outOfOrder},
		{"a blob is there when it is whole", rules("BLOB-22"), wholeBlobs},
		{"a blob takes the place of another", rules("BLOB-22"), replacedBlobs},
		{"the empty blob", rules("BLOB-23", "BLOB-35"), emptyBlob},
		{"one upload at a time", rules("BLOB-24"), oneAtATime},
		{"an upload that was not begun", rules("BLOB-25"), noUpload},
		{"RemoveObject gives up an upload", rules("BLOB-26"), givenUp},
		{"uploads that begin wrong", rules("BLOB-27"), badUploads},
		{"StartDownload", rules("BLOB-30"), downloads},
		{"chunks say what they are", rules("BLOB-31"), numberedChunks},
		{"large blobs", rules("BLOB-32"), largeBlobs},
		{"a blob that changes during a download", rules("BLOB-32"), changedBlob},
		{"a blob that does not exist", rules("BLOB-33"), noBlobs},
		{"sizes of chunks", rules("BLOB-34"), chunkSizes},
		{"uploads at once", rules("BLOB-22", "CAP-48"), uploadsAtOnce},
		{"downloads at once", rules("BLOB-30", "CAP-48"), downloadsAtOnce},
		{"Unbind waits for a download", rules("CAP-38"), unbindInDownload},
		{"calls at random", nil, randomBlobs},
	} {
		suite.Cases = append(suite.Cases, Case{Name: c.name, Rules: c.rules, Operations: operations, Run: func(s *Session) { c.run(newBlobs(s)) }})
	}
	prefixed := map[string]string{"prefix": NamePlaceholder}
	suite.Cases = append(suite.Cases,
		Case{Name: "ids of containers", Rules: rules("BLOB-8"), Operations: operations, Config: prefixed, Run: func(s *Session) { oddContainers(newBlobs(s)) }},
		Case{Name: "bindings with prefixes of their own", Rules: rules("CAP-33"), Operations: operations, Config: prefixed, Run: func(s *Session) { ownContainers(newBlobs(s)) }})
	c := contract{
		sample:     func(s *Session) (string, Message) { return mkdir, container(s.Name("sample")) },
		decoy:      func(s *Session) Message { return container(s.Name("decoy")) },
		answer:     func() Message { return new(pb.Container) },
		text:       1,
		operations: operations, delivered: []string{capability.OpReceiveChunk},
		remote: true, steady: true,
	}
	c.addTo(&suite)
	c.addPayloads(&suite)
	return suite
}

const (
	mkdir, rmdir   = capability.OpCreateContainer, capability.OpRemoveContainer
	list, remove   = capability.OpListObjects, capability.OpRemoveObject
	info           = capability.OpGetObjectInfo
	startUp, upPut = capability.OpStartUpload, capability.OpUploadChunk
	startDown      = capability.OpStartDownload
)

// watchContainers has the containers that are made be removed at the end, and what is
// in them, uploads under way included.
func watchContainers(s *Session, operation string, payload []byte, err error) {
	var made pb.Container
	var begun pb.FileChunk
	switch operation {
	case mkdir:
		if made.UnmarshalProto(payload) == nil && made.ID != "" {
			s.undoOnce(rmdir, made.AppendProto(nil))
		}
	case startUp:
		if begun.UnmarshalProto(payload) == nil && begun.ID != "" {
			s.undoOnce(remove, blob(begun.Container, begun.ID).AppendProto(nil))
		}
	case rmdir, remove:
		if err == nil {
			s.isUndone(operation, payload)
		}
	}
}

// blobs is a session with a guest that takes what it downloads.
type blobs struct {
	*Session
	chunks chan *pb.FileChunk
	box    string // a container
}

func newBlobs(s *Session) *blobs {
	b := &blobs{s, make(chan *pb.FileChunk), s.Name("box")}
	over := make(chan struct{})
	s.undo(func(context.Context) error { close(over); return nil })
	s.Handle(capability.OpReceiveChunk, func(ctx context.Context, payload []byte) ([]byte, error) {
		chunk := &pb.FileChunk{}
		if err := chunk.UnmarshalProto(payload); err != nil {
			s.Errorf("ReceiveChunk: %v", err)
			return nil, err
		}
		select {
		case b.chunks <- chunk:
			return nil, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-over: // what nobody waits for holds nothing up
			return nil, nil
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

func transfer(c, id string, total, size uint64) *pb.Transfer {
	t := &pb.Transfer{Container: c, BlobID: id, TotalSize: total, ChunkSize: size}
	if total > 0 {
		t.TotalChunks = (total-1)/size + 1
	}
	return t
}

// make makes the container box.
func (b *blobs) make() { b.perform(mkdir, container(b.box), nil) }

// store uploads a blob, in chunks of a size.
func (b *blobs) store(container, id string, data []byte, size int) {
	b.perform(startUp, announce(container, id, uint64(len(data)), uint64(size)), nil)
	number := uint64(0)
	for part := range slices.Chunk(data, size) {
		b.perform(upPut, &pb.FileChunk{
			SequenceNo: number, Container: container, ID: id, ChunkSize: uint64(size), TotalBytes: uint64(len(data)), ChunkBytes: part,
		}, nil)
		number++
	}
	b.Note("stored %q in %q: %d bytes in chunks of %d", id, container, len(data), size)
}

// fetch downloads a blob and notes what it was.
func (b *blobs) fetch(container, id string, size, want int) []byte {
	data, chunks := b.quietFetch(container, id, size, want)
	b.Note("fetched %q: %d bytes in %d chunks, %x", id, len(data), chunks, sha256.Sum256(data))
	return data
}

// quietFetch leaves nothing in the transcript.
func (b *blobs) quietFetch(container, id string, size, want int) (data []byte, chunks int) {
	b.perform(startDown, &pb.StreamRequest{Container: container, ID: id, ChunkSize: uint64(size)}, nil)
	for len(data) < want {
		data = append(data, Receive(b.Session, b.chunks, fmt.Sprintf("a chunk of %q after %d of %d bytes", id, len(data), want)).ChunkBytes...)
		chunks++
	}
	return data, chunks
}

// holds checks what a blob is.
func (b *blobs) holds(container, id, want string) {
	if got := b.fetch(container, id, 1<<20, len(want)); string(got) != want {
		b.Errorf("the blob %q is %.200q; want %.200q", id, got, want)
	}
}

// lists checks which blobs a container has, in any order.
func (b *blobs) lists(id string, want ...*pb.Blob) {
	var got pb.BlobList
	b.perform(list, container(id), &got)
	byID := func(x, y *pb.Blob) int { return strings.Compare(x.ID, y.ID) }
	slices.SortFunc(got.Blobs, byID)
	slices.SortFunc(want, byID)
	b.Note("%q lists %q", id, b.clean(got.AppendProto(nil)))
	if !bytes.Equal(got.AppendProto(nil), listOf(want...).AppendProto(nil)) {
		b.Errorf("the container %q lists %.500s; want %.500s", id, show(&got), show(listOf(want...)))
	}
}

func none(id string) string {
	return fmt.Sprintf("not_found: there is no container %q: create it first", id)
}

func createContainers(b *blobs) {
	b.Want(mkdir, container(b.box), container(b.box))
	b.Want(mkdir, container(b.box), container(b.box))
	b.store(b.box, "k", []byte("v"), 1)
	b.Want(mkdir, container(b.box), container(b.box))
	b.lists(b.box, sized(b.box, "k", 1))
}

func removeContainers(b *blobs) {
	b.make()
	b.Want(rmdir, container(b.box), nil)
	b.WantError(rmdir, container(b.box), none(b.box))
	b.make()
	b.store(b.box, "k", nil, 1)
	b.WantError(rmdir, container(b.box), fmt.Sprintf("conflict: the container %q is not empty: remove its blobs first", b.box))
	b.Want(remove, blob(b.box, "k"), nil)
	b.Want(rmdir, container(b.box), nil)
	b.WantError(list, container(b.box), none(b.box))
}

func noContainers(b *blobs) {
	id := b.Name("none")
	b.WantError(info, blob(id, "k"), none(id))
	b.WantError(list, container(id), none(id))
	b.WantError(rmdir, container(id), none(id))
	b.WantError(remove, blob(id, "k"), none(id))
	b.WantError(startUp, announce(id, "k", 1, 1), none(id))
	b.WantError(startUp, announce(id, "k", 0, 1), none(id))
	b.WantError(startUp, announce(id, "k", 100<<20, 1<<20), none(id))
	b.WantError(startDown, &pb.StreamRequest{Container: id, ID: "k", ChunkSize: 1}, none(id))
	b.make()
	b.lists(b.box) // it is nobody else's
}

func listBlobs(b *blobs) {
	b.make()
	b.lists(b.box)
	b.store(b.box, "a", []byte("1"), 1)
	b.store(b.box, "b/c", []byte("12345"), 2)
	b.store(b.box, "d", nil, 1)
	b.lists(b.box, sized(b.box, "a", 1), sized(b.box, "b/c", 5), sized(b.box, "d", 0))
}

// listOrder: blobs come sorted by the bytes of their ids, whenever they came.
func listOrder(b *blobs) {
	b.make()
	ids := []string{"b", "a", "B", "A", "é", "e", "z", "aa", "a-", "a0", "ab", "世"}
	for _, id := range ids {
		b.store(b.box, id, nil, 1)
	}
	want := listOf()
	for _, id := range slices.Sorted(slices.Values(ids)) {
		want.Blobs = append(want.Blobs, sized(b.box, id, 0))
	}
	b.Want(list, container(b.box), want)
}

// manyBlobs: a list is whole, also where the server gives it in pages.
func manyBlobs(b *blobs) {
	const count = 1100
	b.make()
	want := listOf()
	each := func(call func(id string)) {
		var group sync.WaitGroup
		for worker := range 8 {
			group.Go(func() {
				b.play(func() {
					for i := worker; i < count; i += 8 {
						call(fmt.Sprintf("blob-%05d", i))
					}
				})
			})
		}
		group.Wait()
	}
	each(func(id string) { b.perform(startUp, announce(b.box, id, 0, 1), nil) })
	for i := range count {
		want.Blobs = append(want.Blobs, sized(b.box, fmt.Sprintf("blob-%05d", i), 0))
	}
	b.lists(b.box, want.Blobs...)
	each(func(id string) { b.perform(remove, blob(b.box, id), nil) })
	b.lists(b.box)
}

func infoOfBlobs(b *blobs) {
	b.make()
	b.Want(info, blob(b.box, "k"), blob("", ""))
	b.store(b.box, "k", []byte("12345"), 2)
	b.store(b.box, "l", bytes.Repeat([]byte("x"), 100_000), 50_000)
	b.Want(info, blob(b.box, "k"), sized(b.box, "k", 5))
	b.Want(info, blob(b.box, "l"), sized(b.box, "l", 100_000))
}

func removeBlobs(b *blobs) {
	b.make()
	b.Want(remove, blob(b.box, "k"), nil)
	b.store(b.box, "k", []byte("v"), 1)
	b.store(b.box, "kk", []byte("v"), 1)
	b.Want(remove, blob(b.box, "k"), nil)
	b.lists(b.box, sized(b.box, "kk", 1))
	b.Want(remove, blob(b.box, "k"), nil)
}

func oddBlobs(b *blobs) {
	ids := []string{
		"k", "a b+c", "%41%2f", "ä/世/🙂", "q?x=1&y#z", `<&>"'`, "tab\tand\u2028line", "*'();:@=,$~![]", "Case", "case",
		"dots...", ".hidden/..more", strings.Repeat("a", 200) + "/" + strings.Repeat("é", 100),
	}
	b.make()
	var want []*pb.Blob
	for _, id := range ids {
		b.store(b.box, id, []byte(id), 1000)
		want = append(want, sized(b.box, id, len(id)))
	}
	b.lists(b.box, want...)
	for _, id := range ids {
		b.Want(info, blob(b.box, id), sized(b.box, id, len(id)))
		b.holds(b.box, id, id)
		b.Want(remove, blob(b.box, id), nil)
	}
	b.lists(b.box)
}

func oddContainers(b *blobs) {
	ids := []string{"b", "Box", "box", "Übung 🙂", "a..b", "192.168.1.1", "x--c4", "-", "with/slash", "\x00"}
	for _, id := range ids {
		b.Want(mkdir, container(id), container(id))
		b.lists(id) // it is nobody else's
		b.store(id, "k", []byte(id), 100)
	}
	for _, id := range ids {
		b.lists(id, sized(id, "k", len(id)))
		b.holds(id, "k", id)
	}
}

// ownContainers: guests and bindings with different prefixes have containers of their
// own, and those with the same prefix share them.
func ownContainers(b *blobs) {
	all := []*blobs{
		b, newBlobs(b.As("X", "", map[string]string{"prefix": NamePlaceholder + "x."})), newBlobs(b.As("", "second", map[string]string{"prefix": NamePlaceholder + "y."})),
	}
	for i, guest := range all {
		guest.Want(mkdir, container("own"), container("own"))
		guest.lists("own")
		guest.store("own", "k", fmt.Append(nil, "of ", i), 100)
	}
	for i, guest := range all {
		guest.holds("own", "k", fmt.Sprint("of ", i))
	}
}

func badNames(b *blobs) {
	b.make()
	tooLong := strings.Repeat("a", 64)
	for op, req := range map[string]func(id string) Message{
		mkdir: func(id string) Message { return container(id) }, rmdir: func(id string) Message { return container(id) },
		list: func(id string) Message { return container(id) }, info: func(id string) Message { return blob(id, "k") },
		remove:    func(id string) Message { return blob(id, "k") },
		startUp:   func(id string) Message { return announce(id, "k", 1, 1) },
		startDown: func(id string) Message { return &pb.StreamRequest{Container: id, ID: "k"} },
	} {
		_, err := b.Quiet(op, req("").AppendProto(nil))
		b.wantError(op+" of a container without an id", err, "invalid: the container has no id")
		if b.target.Exact { // others may have longer names
			_, err = b.Quiet(op, req(tooLong).AppendProto(nil))
			b.wantError(op+" of a container with a long id", err, fmt.Sprintf("invalid: the id %q of the container is too long...", tooLong))
		}
	}
	for _, id := range []string{"", "a\x00b", ".", "..", "a/../b", "./a", "a/.", strings.Repeat("é", 513)} {
		b.WantError(info, blob(b.box, id), "invalid: the...")
		b.WantError(remove, blob(b.box, id), "invalid: the...")
		b.WantError(startUp, announce(b.box, id, 1, 1), "invalid: the...")
		b.WantError(startDown, &pb.StreamRequest{Container: b.box, ID: id}, "invalid: the...")
	}
	b.lists(b.box)
}

// randomBlobs makes 600 calls on few names, so that they get in each other's way.
// What is right, only another target tells.
func randomBlobs(b *blobs) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 600 {
		c := b.Name([]string{"box", "Box", "none"}[random.IntN(3)])
		id := []string{"a", "b/c", "ü"}[random.IntN(3)]
		switch random.IntN(10) {
		case 0:
			b.Call(mkdir, container(c), &pb.Container{})
		case 1:
			b.Call(rmdir, container(c), nil)
		case 2:
			b.Call(list, container(c), &pb.BlobList{})
		case 3:
			b.Call(info, blob(c, id), &pb.Blob{})
		case 4:
			b.Call(remove, blob(c, id), nil)
		case 5, 6:
			b.Call(startUp, announce(c, id, uint64(random.IntN(5)), uint64(random.IntN(3))), &pb.Transfer{})
		default:
			b.Call(upPut, chunk(uint64(random.IntN(3)), c, id, "ab"[:random.IntN(3)]), nil)
		}
	}
}
