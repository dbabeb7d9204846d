package guestsuite

import (
	"cmp"
	"maps"
	"slices"
	"strconv"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/payload/blobstorepb"
	"github.com/waxosuit/waxo/capability/payload/eventstreampb"
	"github.com/waxosuit/waxo/capability/payload/registry"
)

// blobs are containers with their blobs.
type blobs struct {
	containers map[string]map[string][]byte
	uploads    map[[2]string]*upload // by container and blob
}

type upload struct {
	begin blobstorepb.FileChunk
	got   []byte
	next  uint64
}

func (w *world) performBlob(operation string, request registry.Message) (registry.Message, error) {
	b := &w.blobs
	if b.containers == nil {
		b.containers, b.uploads = make(map[string]map[string][]byte), make(map[[2]string]*upload)
	}
	switch r := request.(type) {
	case *blobstorepb.Container:
		return b.container(operation, r)
	case *blobstorepb.Blob:
		return b.blob(operation, r)
	case *blobstorepb.FileChunk:
		if operation == capability.OpStartUpload {
			return b.startUpload(r)
		}
		return nil, b.chunk(r)
	case *blobstorepb.StreamRequest:
		return w.download(r)
	}
	return nil, fail(capability.CodeUnsupported, "there is no such operation")
}

func (b *blobs) container(operation string, r *blobstorepb.Container) (registry.Message, error) {
	held, exists := b.containers[r.ID]
	switch {
	case r.ID == "":
		return nil, fail(capability.CodeInvalid, "the container has no id")
	case operation == capability.OpCreateContainer:
		if !exists {
			b.containers[r.ID] = make(map[string][]byte)
		}
		return r, nil
	case !exists:
		return nil, fail(capability.CodeNotFound, "there is no container %q", r.ID)
	case operation == capability.OpListObjects:
		all := &blobstorepb.BlobList{}
		for _, id := range slices.Sorted(maps.Keys(held)) {
			all.Blobs = append(all.Blobs, &blobstorepb.Blob{ID: id, Container: r.ID, ByteSize: uint64(len(held[id]))})
		}
		return all, nil
	case len(held) > 0:
		return nil, fail(capability.CodeConflict, "the container %q holds blobs", r.ID)
	}
	delete(b.containers, r.ID)
	return nil, nil
}

func (b *blobs) blob(operation string, r *blobstorepb.Blob) (registry.Message, error) {
	held, exists := b.containers[r.Container]
	if !exists {
		return nil, fail(capability.CodeNotFound, "there is no container %q", r.Container)
	}
	if operation == capability.OpRemoveObject {
		delete(held, r.ID)
		delete(b.uploads, [2]string{r.Container, r.ID})
		return nil, nil
	}
	data, exists := held[r.ID]
	if !exists {
		return &blobstorepb.Blob{}, nil
	}
	return &blobstorepb.Blob{ID: r.ID, Container: r.Container, ByteSize: uint64(len(data))}, nil
}

func transfer(container, id string, size, chunk uint64) *blobstorepb.Transfer {
	t := &blobstorepb.Transfer{BlobID: id, Container: container, ChunkSize: chunk, TotalSize: size}
	if chunk > 0 {
		t.TotalChunks = (size + chunk - 1) / chunk
	}
	return t
}

func (b *blobs) startUpload(r *blobstorepb.FileChunk) (registry.Message, error) {
	held, exists := b.containers[r.Container]
	switch {
	case !exists:
		return nil, fail(capability.CodeNotFound, "there is no container %q", r.Container)
	case r.ID == "" || len(r.ChunkBytes) > 0 || r.ChunkSize == 0 && r.TotalBytes > 0:
		return nil, fail(capability.CodeInvalid, "an upload begins with an id, sizes, and no bytes")
	case r.TotalBytes == 0:
		held[r.ID] = nil
	default:
		b.uploads[[2]string{r.Container, r.ID}] = &upload{begin: *r}
	}
	return transfer(r.Container, r.ID, r.TotalBytes, r.ChunkSize), nil
}

func (b *blobs) chunk(r *blobstorepb.FileChunk) error {
	key := [2]string{r.Container, r.ID}
	u := b.uploads[key]
	if u == nil {
		return fail(capability.CodeNotFound, "no upload of %q is under way", r.ID)
	}
	want := min(u.begin.ChunkSize, u.begin.TotalBytes-uint64(len(u.got)))
	if r.SequenceNo != u.next || uint64(len(r.ChunkBytes)) != want {
		return fail(capability.CodeInvalid, "chunk %d of %d bytes came; chunk %d of %d was next", r.SequenceNo, len(r.ChunkBytes), u.next, want)
	}
	u.got, u.next = append(u.got, r.ChunkBytes...), u.next+1
	if uint64(len(u.got)) == u.begin.TotalBytes {
		b.containers[r.Container][r.ID] = u.got
		delete(b.uploads, key)
	}
	return nil
}

func (w *world) download(r *blobstorepb.StreamRequest) (registry.Message, error) {
	data, exists := w.blobs.containers[r.Container][r.ID]
	if !exists {
		return nil, fail(capability.CodeNotFound, "there is no blob %q in %q", r.ID, r.Container)
	}
	size := cmp.Or(r.ChunkSize, 512<<10)
	op, _ := registry.Lookup(capability.Blobstore, capability.OpReceiveChunk)
	sequence := uint64(0)
	for part := range slices.Chunk(data, int(min(size, 16<<20))) {
		chunk := &blobstorepb.FileChunk{
			SequenceNo: sequence, Container: r.Container, ID: r.ID,
			TotalBytes: uint64(len(data)), ChunkSize: size, ChunkBytes: part,
		}
		w.deliveries = append(w.deliveries, delivery{op, chunk.AppendProto(nil)})
		sequence++
	}
	return transfer(r.Container, r.ID, uint64(len(data)), size), nil
}

// streams are streams of events, which have numbers for times.
type streams map[string][]*eventstreampb.Event

func (s *streams) perform(request registry.Message) (registry.Message, error) {
	if *s == nil {
		*s = make(streams)
	}
	switch r := request.(type) {
	case *eventstreampb.Event:
		if r.Stream == "" {
			return nil, fail(capability.CodeInvalid, "the event names no stream")
		}
		r.EventID = strconv.Itoa(len((*s)[r.Stream]) + 1)
		(*s)[r.Stream] = append((*s)[r.Stream], r)
		return &eventstreampb.WriteResponse{EventID: r.EventID}, nil
	case *eventstreampb.StreamQuery:
		all := (*s)[r.StreamID]
		if r.Count > 0 {
			all = all[:min(r.Count, uint64(len(all)))]
		}
		return &eventstreampb.StreamResults{Events: all}, nil
	}
	return nil, fail(capability.CodeUnsupported, "there is no such operation")
}
