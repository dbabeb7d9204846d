package blobstore

import (
	"bytes"
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/waxosuit/waxo/capability"
	pb "github.com/waxosuit/waxo/capability/payload/blobstorepb"
)

const (
	maxParts = 10_000
	minPart  = 5 << 20  // bytes of all parts but the last, as S3 wants it
	maxPart  = 16 << 20 // bytes; an upload holds one part

	// abandonTimeout bounds how long the server may take to forget an upload.
	abandonTimeout = 5 * time.Second
)

// upload is one that is under way.
type upload struct {
	name        blobName
	bucket, key *string
	total       uint64 // bytes in all
	chunkSize   uint64
	partSize    int

	turn chan struct{} // held by who works on it; what follows is theirs
	gone bool          // ended
	next uint64        // number of the next chunk, counting from 0
	got  uint64        // bytes
	part []byte        // what was not sent yet
	id   *string       // of the multipart upload; nil: the blob is one part
	sent []types.CompletedPart

	idle *time.Timer // gives the upload up
}

// partSizeFor returns how large the parts of a blob are; 0: it is too large.
func partSizeFor(total uint64) int {
	const step = 1 << 20
	if total > maxParts*maxPart {
		return 0
	}
	size := max((total+maxParts-1)/maxParts, minPart)
	return int((size + step - 1) / step * step)
}

func (s *store) startUpload(ctx context.Context, req *pb.FileChunk) (message, error) {
	n := blobName{req.Container, req.ID}
	bucket, key, err := s.locate(n)
	switch {
	case err != nil:
		return nil, err
	case len(req.ChunkBytes) > 0:
		return nil, invalid("StartUpload carries no bytes of %s: UploadChunk does, from the first on", n)
	case req.ChunkSize == 0 && req.TotalBytes > 0:
		return nil, invalid("the upload of %s has chunks of 0 bytes: say in chunk_size how many each has", n)
	case partSizeFor(req.TotalBytes) == 0:
		return nil, fail(capability.CodeTooLarge, "%s has %d bytes: %d are the limit", n, req.TotalBytes, uint64(maxParts*maxPart))
	}
	u := &upload{
		name: n, bucket: bucket, key: key, total: req.TotalBytes, chunkSize: req.ChunkSize, partSize: partSizeFor(req.TotalBytes),
		turn: make(chan struct{}, 1),
	}
	u.turn <- struct{}{} // until it is set up
	defer func() { <-u.turn }()
	if err := s.enter(u); err != nil {
		return nil, err
	}
	if err := s.prepare(ctx, u); err != nil {
		err = s.failed(ctx, err, n)
		s.drop(u)
		return nil, err
	}
	if !u.gone {
		u.idle.Reset(s.opts.UploadIdle)
	}
	return transfer(n, u.chunkSize, u.total), nil
}

func transfer(n blobName, chunkSize, total uint64) *pb.Transfer {
	t := &pb.Transfer{BlobID: n.id, Container: n.container, ChunkSize: chunkSize, TotalSize: total}
	if total > 0 {
		t.TotalChunks = (total-1)/chunkSize + 1
	}
	return t
}

// enter makes u the upload of its blob.
func (s *store) enter(u *upload) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended:
		return fail(capability.CodeUnavailable, "the binding is ending")
	case s.uploads[u.name] != nil:
		return fail(capability.CodeConflict, "an upload of %s is under way already: finish it, remove the blob, or wait until it was idle for %s", u.name, s.opts.UploadIdle)
	case len(s.uploads) >= s.opts.MaxTransfers:
		return fail(capability.CodeOverloaded, "%d uploads are under way, which is the limit: finish one first", len(s.uploads))
	}
	u.idle = time.AfterFunc(time.Hour, func() { s.expire(u) })
	u.idle.Stop()
	s.uploads[u.name] = u
	return nil
}

// prepare makes the server ready for u, or stores it where it is empty.
func (s *store) prepare(ctx context.Context, u *upload) error {
	switch {
	case u.total == 0:
		return s.complete(ctx, u)
	case u.total <= uint64(u.partSize):
		return s.hasContainer(ctx, u.name, u.bucket)
	}
	out, err := s.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: u.bucket, Key: u.key})
	if err == nil {
		u.id = out.UploadId
	}
	return err
}

// leave takes u out, and begins work that its end makes, nil for none. Where u is
// not in any more, somebody else does that.
func (s *store) leave(u *upload, work func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u.idle.Stop()
	if s.uploads[u.name] != u {
		return
	}
	delete(s.uploads, u.name)
	if work != nil {
		s.work.Go(work) // end has not come yet, and waits for it
	}
}

func (s *store) uploadChunk(ctx context.Context, req *pb.FileChunk) (message, error) {
	n := blobName{req.Container, req.ID}
	s.mu.Lock()
	u := s.uploads[n]
	s.mu.Unlock()
	if u == nil {
		return nil, s.noUpload(n)
	}
	select {
	case u.turn <- struct{}{}:
		defer func() { <-u.turn }()
	case <-ctx.Done():
		return nil, s.failed(ctx, context.Cause(ctx), n)
	}
	if u.gone {
		return nil, s.noUpload(n)
	}
	if err := u.check(req); err != nil {
		return nil, err
	}
	u.idle.Stop()
	if err := s.take(ctx, u, req.ChunkBytes); err != nil {
		err = s.failed(ctx, err, n)
		s.drop(u)
		return nil, err
	}
	if !u.gone {
		u.next++
		u.idle.Reset(s.opts.UploadIdle)
	}
	return nil, nil
}

func (s *store) noUpload(n blobName) error {
	return fail(capability.CodeNotFound, "no upload of %s is under way: begin it with StartUpload; one that is idle for %s is given up", n, s.opts.UploadIdle)
}

// check tells whether a chunk is the next one.
func (u *upload) check(c *pb.FileChunk) error {
	want := min(u.chunkSize, u.total-u.got)
	switch {
	case c.SequenceNo != u.next:
		return invalid("the chunk %d of %s does not come next: chunk %d does; it was not stored", c.SequenceNo, u.name, u.next)
	case c.TotalBytes != 0 && c.TotalBytes != u.total:
		return invalid("the chunk %d of %s is one of %d bytes in all, but the upload was begun for %d; it was not stored", c.SequenceNo, u.name, c.TotalBytes, u.total)
	case c.ChunkSize != 0 && c.ChunkSize != u.chunkSize:
		return invalid("the chunk %d of %s is one of chunks of %d bytes, but the upload was begun with %d; it was not stored", c.SequenceNo, u.name, c.ChunkSize, u.chunkSize)
	case uint64(len(c.ChunkBytes)) != want:
		return invalid("the chunk %d of %s has %d bytes instead of %d; it was not stored", c.SequenceNo, u.name, len(c.ChunkBytes), want)
	}
	return nil
}

// take adds bytes to u, and sends what is a part. The last ones make the blob.
func (s *store) take(ctx context.Context, u *upload, data []byte) error {
	u.got += uint64(len(data))
	for len(data) > 0 {
		if u.part == nil {
			u.part = make([]byte, 0, min(uint64(u.partSize), u.total))
		}
		// What goes out is always our own: the client may still read it when it
		// has given up.
		n := min(len(data), u.partSize-len(u.part))
		u.part = append(u.part, data[:n]...)
		data = data[n:]
		if u.id != nil && (len(u.part) == u.partSize || u.got == u.total && len(data) == 0) {
			if err := s.send(ctx, u); err != nil {
				return err
			}
		}
	}
	if u.got < u.total {
		return nil
	}
	return s.complete(ctx, u)
}

// send sends a part. Sent twice, it is the same part.
func (s *store) send(ctx context.Context, u *upload) error {
	number, tries := int32(len(u.sent)+1), 0
	out, err := attempts(ctx, func() (*s3.UploadPartOutput, error) {
		tries++
		return s.client.UploadPart(ctx, &s3.UploadPartInput{
			Bucket: u.bucket, Key: u.key, UploadId: u.id, PartNumber: &number,
			Body: bytes.NewReader(u.part), ContentLength: aws.Int64(int64(len(u.part))),
		})
	})
	if err != nil {
		return err
	}
	u.sent = append(u.sent, types.CompletedPart{PartNumber: &number, ETag: out.ETag})
	if u.part = u.part[:0]; tries > 1 {
		u.part = nil // the one that failed may still be read
	}
	return nil
}

// complete makes the blob of what was taken.
func (s *store) complete(ctx context.Context, u *upload) (err error) {
	if u.id == nil {
		_, err = s.client.PutObject(ctx, &s3.PutObjectInput{
			Bucket: u.bucket, Key: u.key, Body: bytes.NewReader(u.part), ContentLength: aws.Int64(int64(len(u.part))),
		})
	} else {
		_, err = s.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
			Bucket: u.bucket, Key: u.key, UploadId: u.id, MultipartUpload: &types.CompletedMultipartUpload{Parts: u.sent},
		})
	}
	if answered(err) == "NoSuchUpload" {
		return fail(capability.CodeUnavailable, "%s has given the upload of %s up: begin it again", s.where, u.name)
	}
	if err == nil {
		u.gone, u.part = true, nil
		s.leave(u, nil)
	}
	return err
}

// expire gives u up because no chunk came. If one is just being taken, u is not
// idle: whoever has the turn sets the time anew.
func (s *store) expire(u *upload) {
	select {
	case u.turn <- struct{}{}:
		defer func() { <-u.turn }()
	default:
		return
	}
	if !u.gone {
		s.log.Warn("an upload was given up: no chunk came", "container", u.name.container, "blob", u.name.id, "idle", s.opts.UploadIdle)
		s.drop(u)
	}
}

// drop ends u; its turn is held. The server forgets it in the background.
func (s *store) drop(u *upload) {
	u.gone, u.part = true, nil
	s.leave(u, func() { s.forget(u) })
}

// giveUp gives up the upload of a blob, if there is one.
func (s *store) giveUp(n blobName) {
	s.mu.Lock()
	u := s.uploads[n]
	s.mu.Unlock()
	if u != nil {
		s.leave(u, func() { s.abandon(u) })
	}
}

// abandon ends u, which is not in the table any more, once nobody works on it.
func (s *store) abandon(u *upload) {
	select {
	case u.turn <- struct{}{}:
		defer func() { <-u.turn }()
	case <-s.ctx.Done():
		return
	}
	u.gone, u.part = true, nil
	s.forget(u)
}

// forget has the server forget what was sent. If that fails, it stays until
// somebody removes it there.
func (s *store) forget(u *upload) {
	if u.id == nil {
		return
	}
	ctx, cancel := context.WithTimeout(s.ctx, abandonTimeout)
	defer cancel()
	_, err := attempts(ctx, func() (*s3.AbortMultipartUploadOutput, error) {
		return s.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: u.bucket, Key: u.key, UploadId: u.id})
	})
	if err != nil && answered(err) != "NoSuchUpload" {
		s.log.Warn("the parts of an upload that was given up are still on the server", "bucket", *u.bucket, "key", *u.key, "upload", *u.id, "error", short(err))
	}
}
