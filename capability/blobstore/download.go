package blobstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/waxosuit/waxo/capability"
	pb "github.com/waxosuit/waxo/capability/payload/blobstorepb"
	"github.com/waxosuit/waxo/capability/payload/wire"
)

const (
	defaultChunk = 512 << 10 // as the original had it
	maxChunk     = 16 << 20  // bytes; a download holds one chunk

	// away is how long a server may stay away in the middle of a download.
	away = 10 * time.Second
)

// download is one that is under way.
type download struct {
	s           *store
	name        blobName
	bucket, key *string
	etag        *string
	total       uint64
	chunkSize   uint64
	offset      uint64

	// body, and what brings it.
	body   io.ReadCloser
	ctx    context.Context
	cancel context.CancelFunc
}

func (s *store) startDownload(ctx context.Context, req *pb.StreamRequest) (message, error) {
	n := blobName{req.Container, req.ID}
	bucket, key, err := s.locate(n)
	if err != nil {
		return nil, err
	}
	d := &download{s: s, name: n, bucket: bucket, key: key, chunkSize: min(req.ChunkSize, maxChunk)}
	if d.chunkSize == 0 {
		d.chunkSize = defaultChunk
	}
	if err := s.enterDownload(); err != nil {
		return nil, err
	}
	// The body is read when the call is long over; until it comes, the call's end
	// ends it.
	_, err = attempts(ctx, func() (struct{}, error) {
		stop := context.AfterFunc(ctx, d.interrupt())
		defer stop()
		return struct{}{}, d.open()
	})
	if err != nil {
		err = s.failed(ctx, err, n)
		s.leaveDownload()
		return nil, err
	}
	go func() {
		defer s.leaveDownload()
		d.run()
	}()
	return transfer(n, d.chunkSize, d.total), nil
}

func (s *store) enterDownload() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.downloads >= s.opts.MaxTransfers {
		return fail(capability.CodeOverloaded, "%d downloads are under way, which is the limit: wait for the end of one", s.downloads)
	}
	if s.ended {
		return fail(capability.CodeUnavailable, "the binding is ending")
	}
	s.downloads++
	s.work.Add(1)
	return nil
}

// leaveDownload is called once for each that entered.
func (s *store) leaveDownload() {
	s.mu.Lock()
	s.downloads--
	s.mu.Unlock()
	s.work.Done()
}

// interrupt returns what ends the next open, and the body that it opens.
func (d *download) interrupt() context.CancelFunc {
	d.ctx, d.cancel = context.WithCancel(d.s.ctx)
	return d.cancel
}

// open has the server send the blob from the offset on. The first time, it
// settles which version of the blob that is.
func (d *download) open() error {
	in := &s3.GetObjectInput{Bucket: d.bucket, Key: d.key, IfMatch: d.etag}
	if d.offset > 0 {
		in.Range = aws.String(fmt.Sprintf("bytes=%d-", d.offset))
	}
	out, err := d.s.client.GetObject(d.ctx, in)
	if err != nil {
		d.cancel()
		return err
	}
	if d.etag == nil {
		d.etag, d.total = out.ETag, uint64(aws.ToInt64(out.ContentLength))
	}
	d.body = out.Body
	return nil
}

// run delivers the chunks.
func (d *download) run() {
	defer func() {
		d.cancel()
		d.body.Close()
	}()
	var payload, into []byte
	for number := uint64(0); d.offset < d.total; number++ {
		size := min(d.chunkSize, d.total-d.offset)
		chunk := pb.FileChunk{SequenceNo: number, Container: d.name.container, ID: d.name.id, TotalBytes: d.total, ChunkSize: d.chunkSize}
		// chunk_bytes is the last field, and is read into its place.
		payload = chunk.AppendProto(payload[:0])
		payload = wire.AppendVarint(append(payload, chunkBytesTag), size)
		head := len(payload)
		payload = slices.Grow(payload, int(size))[:head+int(size)]
		if err := d.read(payload[head:]); err != nil {
			d.failed("the server did not bring the next chunk", err)
			return
		}
		ctx, cancel := context.WithTimeout(d.s.ctx, d.s.opts.CallTimeout)
		reply, err := d.s.dispatcher.Dispatch(ctx, capability.OpReceiveChunk, payload, into)
		cancel()
		if err != nil {
			d.failed("the guest did not take a chunk", err)
			return
		}
		into = reply.Payload[:0]
	}
}

// chunkBytesTag leads the field chunk_bytes of a FileChunk.
const chunkBytesTag = 6<<3 | byte(wire.Bytes)

func (d *download) failed(what string, err error) {
	if d.s.ctx.Err() != nil {
		err = errors.New("the binding ended")
	}
	d.s.log.Error("a download ended early: "+what, "container", d.name.container, "blob", d.name.id, "bytes", d.offset, "of", d.total, "error", err)
}

// read fills p with the next bytes, and goes on where a connection broke.
func (d *download) read(p []byte) error {
	var broke time.Time // when it broke, with nothing read since
	pause := 10 * time.Millisecond
	for {
		watch := time.AfterFunc(d.s.opts.CallTimeout, d.cancel)
		n, err := io.ReadFull(d.body, p)
		watch.Stop()
		d.offset += uint64(n)
		p = p[n:]
		switch {
		case len(p) == 0:
			return nil
		case d.s.ctx.Err() != nil:
			return d.s.ctx.Err()
		case n > 0:
			broke = time.Time{}
		}
		d.cancel()
		d.body.Close()
		for {
			if broke.IsZero() {
				broke, pause = time.Now(), 10*time.Millisecond
			} else if time.Since(broke) > away {
				return err
			} else if err := d.wait(pause); err != nil {
				return err
			} else {
				pause = min(2*pause, time.Second)
			}
			if err = d.reopen(); err == nil {
				break
			}
			if code := status(err); code != 0 && code < http.StatusInternalServerError && code != http.StatusTooManyRequests {
				return err
			}
		}
	}
}

// reopen opens the rest.
func (d *download) reopen() error {
	watch := time.AfterFunc(d.s.opts.CallTimeout, d.interrupt())
	defer watch.Stop()
	return d.open()
}

func (d *download) wait(pause time.Duration) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-d.s.ctx.Done():
		return d.s.ctx.Err()
	}
}
