// Package blobstore offers the capability "wascap:blobstore" on a server of the
// S3 API: Amazon S3, or what speaks its protocol.
//
// A container is a bucket, a blob an object. What the operations do beyond what
// their names say:
//
//   - CreateContainer of one that exists is no error, unless it is somebody
//     else's (CodeConflict). It answers the container.
//   - RemoveContainer removes an empty one; one that holds blobs is CodeConflict.
//   - ListObjects lists all blobs, sorted by the bytes of their ids, 100,000 at
//     most (CodeTooLarge).
//   - GetObjectInfo answers a Blob without an id where there is none; that is no
//     error, as with the original host's guests.
//   - RemoveObject of a blob that does not exist is no error. It also gives up an
//     upload of that blob which is under way.
//   - A container that does not exist is CodeNotFound everywhere.
//
// # Uploads
//
// StartUpload carries a FileChunk without bytes, which says how many bytes will
// come in all and how many in each chunk, and is answered by a Transfer. Each
// UploadChunk then has the next sequence number, counting from 0, and chunk_size
// bytes; the last one has what is left. Any other chunk is CodeInvalid, is not stored, and leaves the upload as
// it was. The blob appears with the last chunk, whole, in place of one with its
// id; nobody ever sees a part of it. A blob of 0 bytes is there after StartUpload.
//
// One upload of a blob is under way at a time for a binding: a second StartUpload
// is CodeConflict until the first has ended. Where Options.MaxTransfers others are
// under way, it is CodeOverloaded. An upload that fails
// for a reason of the server's has ended; one that gets no chunk for
// Options.UploadIdle is given up. Small chunks are gathered into parts of 5 MiB
// or more, so an upload holds that much memory, however large the blob: up to
// 156 GiB.
//
// # Downloads
//
// StartDownload is answered by a Transfer, and the chunks follow as operations of
// the guest, ReceiveChunk: in order, counting from 0, one after another, each
// when the guest has answered the one before it. Where several instances serve a
// guest, the first chunk may come before StartDownload's caller has its answer.
// A chunk_size of 0 is 512 KiB, a larger one than 16 MiB is 16 MiB: the Transfer
// says so. A blob of 0 bytes comes in no chunk. The guest gets one version of the
// blob: one that changes on the way ends the download, as does an error of the
// guest or a server that stays away for 10 s. Nothing in the protocol tells the
// guest of it; Options.Log does.
//
// # Names
//
// A container's id that is a valid name of a bucket is its bucket's name. Any
// other one, and one that starts with "x--", is "x--" and the base32hex of its
// bytes in lower case; up to 37 bytes fit into a name, less with a prefix, and
// what does not fit is CodeInvalid. So no two ids share a bucket. A blob's id is
// the key of its object: 1 to 1,024 bytes of UTF-8, without the character 0, and
// with no segment "." or ".." between slashes.
//
// # Errors
//
// CodeInvalid for a payload that cannot be decoded or makes no sense,
// CodeUnsupported for another operation, CodeUnavailable where the server is not
// there or does not want to now, CodeDeadline and CodeCanceled as the context
// says, CodeInternal for what else the server answers. What only reads, and the
// part of an upload, is sent once more where a connection broke under it; nothing
// else is ever sent twice, and whether that took effect is open.
package blobstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/waxosuit/waxo/capability"
)

// Options configure a Provider; nil works.
type Options struct {
	// BindTimeout bounds how long Bind tries to reach the server. Default: 5 s.
	BindTimeout time.Duration

	// CallTimeout bounds a call whose context has no earlier deadline, the
	// delivery of one chunk to a guest, and the wait for the data of one chunk.
	// Default: 30 s.
	CallTimeout time.Duration

	// UploadIdle is how long an upload waits for its next chunk before it is
	// given up. Default: 1 min.
	UploadIdle time.Duration

	// MaxTransfers bounds the uploads, and likewise the downloads, that are under
	// way for one binding. Each of them holds 5 MiB of memory as a rule, and never
	// more than 16. Default: 16.
	MaxTransfers int

	// Log is told of downloads that end early, and of uploads that are given up.
	// Default: discarded.
	Log *slog.Logger
}

// Provider is the provider of "wascap:blobstore". A binding's Config has:
//
//   - url: http://KEY:SECRET@host:port, or https://. It must be there. With
//     ?region=NAME, by default us-east-1, and ?path_style=false for a server that
//     has a host name for each bucket, as Amazon's has.
//   - prefix: leads the name of every bucket, so that guests can share a server:
//     lower-case letters, digits, dots and hyphens, 20 at most. Default: none.
type Provider struct {
	opts     Options
	bindings capability.Bindings[*store]
}

var _ capability.Provider = (*Provider)(nil)

// New makes a provider.
func New(opts *Options) *Provider {
	if opts == nil {
		opts = &Options{}
	}
	return &Provider{opts: Options{
		BindTimeout:  cmp.Or(opts.BindTimeout, 5*time.Second),
		CallTimeout:  cmp.Or(opts.CallTimeout, 30*time.Second),
		UploadIdle:   cmp.Or(opts.UploadIdle, time.Minute),
		MaxTransfers: cmp.Or(opts.MaxTransfers, 16),
		Log:          cmp.Or(opts.Log, slog.New(slog.DiscardHandler)),
	}}
}

// Describe implements capability.Provider.
func (p *Provider) Describe() capability.Descriptor {
	return capability.Descriptor{
		Capability: capability.Blobstore,
		Name:       "S3 blob store",
		Version:    "0.1.0",
		Operations: []string{
			capability.OpCreateContainer, capability.OpRemoveContainer, capability.OpListObjects,
			capability.OpRemoveObject, capability.OpGetObjectInfo,
			capability.OpStartUpload, capability.OpUploadChunk, capability.OpStartDownload,
		},
	}
}

// Bind implements capability.Provider: it asks the server whether it is there
// and lets the client in.
func (p *Provider) Bind(ctx context.Context, b capability.Binding, d capability.Dispatcher) error {
	if p.bindings.Has(b.BindingID) {
		return capability.Conflict(b.BindingID)
	}
	s, err := open(&p.opts, b, d)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, p.opts.BindTimeout)
	defer cancel()
	if err = s.reach(ctx); err == nil {
		err = p.bindings.Add(b.BindingID, s)
	}
	if err != nil {
		s.end(ctx)
	}
	return err
}

// Call implements capability.Provider.
func (p *Provider) Call(ctx context.Context, c capability.Call) ([]byte, error) {
	b, err := p.bindings.Use(c.BindingID)
	if err != nil {
		return nil, err
	}
	defer b.Release()
	ctx, cancel := context.WithTimeout(ctx, p.opts.CallTimeout)
	defer cancel()
	return b.Value.call(ctx, c)
}

// Unbind implements capability.Provider. Downloads are work in hand; uploads
// that are not complete are given up.
func (p *Provider) Unbind(ctx context.Context, id capability.BindingID) error {
	s, ok, err := p.bindings.Remove(ctx, id)
	if !ok {
		return nil
	}
	return errors.Join(err, s.end(ctx))
}

// Close implements capability.Provider.
func (p *Provider) Close(ctx context.Context) error {
	stores, err := p.bindings.Close(ctx)
	var group sync.WaitGroup
	errs := make([]error, len(stores))
	for i, s := range stores {
		group.Go(func() { errs[i] = s.end(ctx) })
	}
	group.Wait()
	return errors.Join(err, errors.Join(errs...))
}

// store is one binding's client, with the transfers under way.
type store struct {
	opts       *Options
	log        *slog.Logger
	client     *s3.Client
	close      func() // closes idle connections
	prefix     string
	where      string // the server in words, without secrets
	dispatcher capability.Dispatcher

	// ctx is that of what goes on beyond a call.
	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup // downloads, and uploads that are being given up

	mu        sync.Mutex
	ended     bool // no more work is begun
	uploads   map[blobName]*upload
	downloads int
}

// blobName is how a guest names a blob.
type blobName struct{ container, id string }

func (n blobName) String() string {
	return fmt.Sprintf("the blob %s in the container %s", quote(n.id), quote(n.container))
}

// end gives up the uploads, waits for the downloads within ctx, and then cuts
// off what is left.
func (s *store) end(ctx context.Context) error {
	s.mu.Lock()
	s.ended = true
	for _, u := range s.uploads {
		u.idle.Stop()
		s.work.Go(func() { s.abandon(u) })
	}
	s.uploads = nil
	s.mu.Unlock()
	idle := make(chan struct{})
	go func() { // ends with the work, for which this function waits
		s.work.Wait()
		close(idle)
	}()
	var err error
	select {
	case <-idle:
	case <-ctx.Done():
		err = capability.AsError(context.Cause(ctx))
	}
	s.cancel()
	<-idle
	s.close()
	return err
}
