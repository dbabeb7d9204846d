package waxotest

import (
	"bytes"
	"encoding/base32"
	"fmt"
	"maps"
	"slices"
	"strings"

	waxo "github.com/waxosuit/waxo/guest/go"
	"github.com/waxosuit/waxo/guest/go/blob"
	pb "github.com/waxosuit/waxo/guest/go/internal/blobstorepb"
)

// blobStore is a blob store in memory.
type blobStore struct {
	containers map[string]map[string][]byte
	uploads    map[blobName]*blobUpload
}

type blobName struct{ container, id string }

type blobUpload struct {
	total, chunkSize uint64
	next             uint64
	data             []byte
}

// download is one whose chunks are still to come.
type download struct {
	name      blobName
	chunkSize uint64
	data      []byte
}

const maxBlob = 10_000 * 16 << 20 // bytes

// DeliverChunks has the guest take the chunks of all blobs that it has asked for,
// in order, and of those that it asks for meanwhile. It returns the first error of
// the guest, with which that download ends, as in production; the others go on.
//
// In production, chunks come by themselves. Here the test says when.
func (h *Host) DeliverChunks() error {
	var first error
	for {
		h.mu.Lock()
		if len(h.downloads) == 0 {
			h.mu.Unlock()
			return first
		}
		d := h.downloads[0]
		h.downloads = h.downloads[1:]
		h.mu.Unlock()
		if err := h.deliver(d); err != nil && first == nil {
			first = err
		}
	}
}

func (h *Host) deliver(d download) error {
	number := uint64(0)
	for data := range slices.Chunk(d.data, int(d.chunkSize)) {
		chunk := pb.FileChunk{
			SequenceNo: number, Container: d.name.container, ID: d.name.id,
			TotalBytes: uint64(len(d.data)), ChunkSize: d.chunkSize, ChunkBytes: data,
		}
		if _, err := h.Call(blob.Capability+"!ReceiveChunk", chunk.AppendProto(nil)); err != nil {
			return err
		}
		number++
	}
	return nil
}

// Blob returns what a blob of the default binding holds, and whether there is one.
func (h *Host) Blob(container, id string) (data []byte, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := h.blobs[waxo.DefaultBinding]; s != nil {
		data, ok = s.containers[container][id]
	}
	return bytes.Clone(data), ok
}

// blobCall performs an operation of the blob store.
func (h *Host) blobCall(binding, operation string, payload []byte) ([]byte, error) {
	s := h.blobs[binding]
	if s == nil {
		s = &blobStore{containers: make(map[string]map[string][]byte), uploads: make(map[blobName]*blobUpload)}
		h.blobs[binding] = s
	}
	m, err := s.perform(h, operation, payload)
	if err != nil || m == nil {
		return nil, err
	}
	return m.AppendProto(nil), nil
}

func (s *blobStore) perform(h *Host, operation string, payload []byte) (message, error) {
	switch operation {
	case "CreateContainer":
		return with(payload, s.create)
	case "RemoveContainer":
		return with(payload, s.removeContainer)
	case "ListObjects":
		return with(payload, s.list)
	case "GetObjectInfo":
		return with(payload, s.info)
	case "RemoveObject":
		return with(payload, s.removeObject)
	case "StartUpload":
		return with(payload, s.startUpload)
	case "UploadChunk":
		return with(payload, s.uploadChunk)
	case "StartDownload":
		return with(payload, func(r *pb.StreamRequest) (message, error) { return s.startDownload(h, r) })
	}
	return nil, unsupported(operation)
}

func blobError(code, format string, args ...any) error {
	return &waxo.Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// container finds a container.
func (s *blobStore) container(id string) (map[string][]byte, error) {
	if err := checkContainer(id); err != nil {
		return nil, err
	}
	blobs, ok := s.containers[id]
	if !ok {
		return nil, blobError("not_found", "there is no container %q: create it first", id)
	}
	return blobs, nil
}

// checkContainer tells whether an id fits into the name of a bucket, by itself or
// encoded.
func checkContainer(id string) error {
	const most = 63
	plain := len(id) <= most && strings.Trim(id, "abcdefghijklmnopqrstuvwxyz0123456789-") == "" && strings.Trim(id, "-") == id
	switch {
	case id == "":
		return blobError("invalid", "the container has no id")
	case !plain && len("x--")+base32.HexEncoding.WithPadding(base32.NoPadding).EncodedLen(len(id)) > most:
		return blobError("invalid", "the id %q of the container is too long: give it at most 37 bytes, or up to 63 lower-case letters, digits and hyphens", id)
	}
	return nil
}

func checkBlob(n blobName) error {
	if err := checkContainer(n.container); err != nil {
		return err
	}
	if n.id == "" || len(n.id) > 1024 || strings.Contains(n.id, "\x00") {
		return blobError("invalid", "the id %.100q of the blob must have 1 to 1,024 bytes, none of them 0", n.id)
	}
	for segment := range strings.SplitSeq(n.id, "/") {
		if segment == "." || segment == ".." {
			return blobError("invalid", "the id %q of the blob has a segment %q", n.id, segment)
		}
	}
	return nil
}

// blobs finds the container of a blob.
func (s *blobStore) blobs(n blobName) (map[string][]byte, error) {
	if err := checkBlob(n); err != nil {
		return nil, err
	}
	return s.container(n.container)
}

func (s *blobStore) create(r *pb.Container) (message, error) {
	if err := checkContainer(r.ID); err != nil {
		return nil, err
	}
	if s.containers[r.ID] == nil {
		s.containers[r.ID] = make(map[string][]byte)
	}
	return r, nil
}

func (s *blobStore) removeContainer(r *pb.Container) (message, error) {
	blobs, err := s.container(r.ID)
	switch {
	case err != nil:
		return nil, err
	case len(blobs) > 0:
		return nil, blobError("conflict", "the container %q is not empty: remove its blobs first", r.ID)
	}
	delete(s.containers, r.ID)
	return nil, nil
}

func (s *blobStore) list(r *pb.Container) (message, error) {
	blobs, err := s.container(r.ID)
	if err != nil {
		return nil, err
	}
	list := &pb.BlobList{}
	for _, id := range slices.Sorted(maps.Keys(blobs)) {
		list.Blobs = append(list.Blobs, &pb.Blob{ID: id, Container: r.ID, ByteSize: uint64(len(blobs[id]))})
	}
	return list, nil
}

func (s *blobStore) info(r *pb.Blob) (message, error) {
	blobs, err := s.blobs(blobName{r.Container, r.ID})
	if err != nil {
		return nil, err
	}
	data, ok := blobs[r.ID]
	if !ok {
		return &pb.Blob{}, nil
	}
	return &pb.Blob{ID: r.ID, Container: r.Container, ByteSize: uint64(len(data))}, nil
}

func (s *blobStore) removeObject(r *pb.Blob) (message, error) {
	n := blobName{r.Container, r.ID}
	if err := checkBlob(n); err != nil {
		return nil, err
	}
	delete(s.uploads, n)
	blobs, err := s.container(r.Container)
	if err != nil {
		return nil, err
	}
	delete(blobs, r.ID)
	return nil, nil
}

func (s *blobStore) startUpload(r *pb.FileChunk) (message, error) {
	n := blobName{r.Container, r.ID}
	if err := checkBlob(n); err != nil {
		return nil, err
	}
	switch {
	case len(r.ChunkBytes) > 0:
		return nil, blobError("invalid", "StartUpload carries no bytes of %q: UploadChunk does, from the first on", r.ID)
	case r.ChunkSize == 0 && r.TotalBytes > 0:
		return nil, blobError("invalid", "the upload of %q has chunks of 0 bytes: say in chunk_size how many each has", r.ID)
	case r.TotalBytes > maxBlob:
		return nil, blobError("too_large", "the blob %q has %d bytes: %d are the limit", r.ID, r.TotalBytes, maxBlob)
	case s.uploads[n] != nil:
		return nil, blobError("conflict", "an upload of the blob %q is under way already: finish it, or remove the blob", r.ID)
	}
	blobs, err := s.container(r.Container)
	if err != nil {
		return nil, err
	}
	if r.TotalBytes == 0 {
		blobs[r.ID] = nil
	} else {
		s.uploads[n] = &blobUpload{total: r.TotalBytes, chunkSize: r.ChunkSize}
	}
	return transfer(n, r.ChunkSize, r.TotalBytes), nil
}

func transfer(n blobName, chunkSize, total uint64) *pb.Transfer {
	t := &pb.Transfer{BlobID: n.id, Container: n.container, ChunkSize: chunkSize, TotalSize: total}
	if total > 0 {
		t.TotalChunks = (total-1)/chunkSize + 1
	}
	return t
}

func (s *blobStore) uploadChunk(r *pb.FileChunk) (message, error) {
	n := blobName{r.Container, r.ID}
	u := s.uploads[n]
	if u == nil {
		return nil, blobError("not_found", "no upload of the blob %q is under way: begin it with StartUpload", r.ID)
	}
	switch want := min(u.chunkSize, u.total-uint64(len(u.data))); {
	case r.SequenceNo != u.next:
		return nil, blobError("invalid", "the chunk %d of the blob %q does not come next: chunk %d does", r.SequenceNo, r.ID, u.next)
	case r.TotalBytes != 0 && r.TotalBytes != u.total, r.ChunkSize != 0 && r.ChunkSize != u.chunkSize:
		return nil, blobError("invalid", "the chunk %d of the blob %q is not of the upload that was begun", r.SequenceNo, r.ID)
	case uint64(len(r.ChunkBytes)) != want:
		return nil, blobError("invalid", "the chunk %d of the blob %q has %d bytes instead of %d", r.SequenceNo, r.ID, len(r.ChunkBytes), want)
	}
	u.data = append(u.data, r.ChunkBytes...)
	u.next++
	if uint64(len(u.data)) < u.total {
		return nil, nil
	}
	delete(s.uploads, n)
	blobs, err := s.container(r.Container)
	if err != nil {
		return nil, err
	}
	blobs[r.ID] = u.data
	return nil, nil
}

func (s *blobStore) startDownload(h *Host, r *pb.StreamRequest) (message, error) {
	n := blobName{r.Container, r.ID}
	blobs, err := s.blobs(n)
	if err != nil {
		return nil, err
	}
	data, ok := blobs[r.ID]
	if !ok {
		return nil, blobError("not_found", "there is no blob %q in the container %q", r.ID, r.Container)
	}
	size := min(r.ChunkSize, 16<<20)
	if size == 0 {
		size = 512 << 10
	}
	h.downloads = append(h.downloads, download{name: n, chunkSize: size, data: data})
	return transfer(n, size, uint64(len(data))), nil
}
