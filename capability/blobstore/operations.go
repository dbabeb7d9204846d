package blobstore

import (
	"context"
	"net/http"
	"net/url"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/waxosuit/waxo/capability"
	pb "github.com/waxosuit/waxo/capability/payload/blobstorepb"
)

// maxListed is how many blobs ListObjects lists.
const maxListed = 100_000

// message is a payload that can be written.
type message interface {
	ProtoSize() int
	AppendProto([]byte) []byte
}

// call performs an operation.
func (s *store) call(ctx context.Context, c capability.Call) ([]byte, error) {
	switch c.Operation {
	case capability.OpCreateContainer:
		return with(ctx, c, s.createContainer)
	case capability.OpRemoveContainer:
		return with(ctx, c, s.removeContainer)
	case capability.OpListObjects:
		return with(ctx, c, s.listObjects)
	case capability.OpRemoveObject:
		return with(ctx, c, s.removeObject)
	case capability.OpGetObjectInfo:
		return with(ctx, c, s.getObjectInfo)
	case capability.OpStartUpload:
		return with(ctx, c, s.startUpload)
	case capability.OpUploadChunk:
		return with(ctx, c, s.uploadChunk)
	case capability.OpStartDownload:
		return with(ctx, c, s.startDownload)
	}
	return nil, fail(capability.CodeUnsupported, "wascap:blobstore has no operation %s", quote(c.Operation))
}

// with decodes the payload of an operation and encodes its answer, nil for none.
func with[T any, P interface {
	*T
	UnmarshalProto([]byte) error
}](ctx context.Context, c capability.Call, perform func(context.Context, P) (message, error)) ([]byte, error) {
	req := P(new(T))
	if err := req.UnmarshalProto(c.Payload); err != nil {
		return nil, invalid("the payload of %s: %s", c.Operation, err)
	}
	resp, err := perform(ctx, req)
	if err != nil || resp == nil {
		return nil, err
	}
	return resp.AppendProto(c.Into[:0]), nil
}

// locate returns bucket and key of a blob.
func (s *store) locate(n blobName) (bucket, key *string, err error) {
	name, err := s.bucket(n.container)
	if err == nil {
		err = validKey(n.id)
	}
	return &name, &n.id, err
}

func (s *store) createContainer(ctx context.Context, req *pb.Container) (message, error) {
	bucket, err := s.bucket(req.ID)
	if err != nil {
		return nil, err
	}
	in := &s3.CreateBucketInput{Bucket: &bucket}
	if region := s.client.Options().Region; region != defaultRegion {
		in.CreateBucketConfiguration = &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraint(region)}
	}
	if _, err := s.client.CreateBucket(ctx, in); err != nil && answered(err) != "BucketAlreadyOwnedByYou" {
		return nil, s.failed(ctx, err, blobName{container: req.ID})
	}
	return req, nil
}

func (s *store) removeContainer(ctx context.Context, req *pb.Container) (message, error) {
	bucket, err := s.bucket(req.ID)
	if err != nil {
		return nil, err
	}
	if _, err := s.client.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &bucket}); err != nil {
		return nil, s.failed(ctx, err, blobName{container: req.ID})
	}
	return nil, nil
}

func (s *store) listObjects(ctx context.Context, req *pb.Container) (message, error) {
	bucket, err := s.bucket(req.ID)
	if err != nil {
		return nil, err
	}
	in := &s3.ListObjectsV2Input{Bucket: &bucket, EncodingType: types.EncodingTypeUrl}
	list := &pb.BlobList{}
	for {
		page, err := attempts(ctx, func() (*s3.ListObjectsV2Output, error) { return s.client.ListObjectsV2(ctx, in) })
		if err != nil {
			return nil, s.failed(ctx, err, blobName{container: req.ID})
		}
		if len(list.Blobs)+len(page.Contents) > maxListed {
			return nil, fail(capability.CodeTooLarge, "the container %s holds more than %d blobs, which is what a list may have: spread them over several containers", quote(req.ID), maxListed)
		}
		for _, o := range page.Contents {
			id := aws.ToString(o.Key)
			if page.EncodingType == types.EncodingTypeUrl {
				id, err = url.QueryUnescape(id)
			}
			if err != nil || !utf8.ValidString(id) {
				return nil, fail(capability.CodeWrongKind, "the container %s holds an object whose key %s is not UTF-8 text, and no other can be handed to a guest", quote(req.ID), quote(aws.ToString(o.Key)))
			}
			list.Blobs = append(list.Blobs, &pb.Blob{ID: id, Container: req.ID, ByteSize: uint64(aws.ToInt64(o.Size))})
		}
		if !aws.ToBool(page.IsTruncated) || aws.ToString(page.NextContinuationToken) == "" {
			return list, nil
		}
		in.ContinuationToken = page.NextContinuationToken
	}
}

func (s *store) removeObject(ctx context.Context, req *pb.Blob) (message, error) {
	n := blobName{req.Container, req.ID}
	bucket, key, err := s.locate(n)
	if err != nil {
		return nil, err
	}
	s.giveUp(n)
	// It removes what is there when it comes: it is not sent twice, or it might
	// remove what was stored in between.
	if _, err := s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: bucket, Key: key}); err != nil && answered(err) != "NoSuchKey" {
		return nil, s.failed(ctx, err, n)
	}
	return nil, nil
}

func (s *store) getObjectInfo(ctx context.Context, req *pb.Blob) (message, error) {
	n := blobName{req.Container, req.ID}
	bucket, key, err := s.locate(n)
	if err != nil {
		return nil, err
	}
	head, err := attempts(ctx, func() (*s3.HeadObjectOutput, error) {
		return s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: bucket, Key: key})
	})
	if status(err) == http.StatusNotFound { // the answer has no body that tells what is missing
		return &pb.Blob{}, s.hasContainer(ctx, n, bucket)
	}
	if err != nil {
		return nil, s.failed(ctx, err, n)
	}
	return &pb.Blob{ID: n.id, Container: n.container, ByteSize: uint64(aws.ToInt64(head.ContentLength))}, nil
}

// hasContainer is an error where there is no container.
func (s *store) hasContainer(ctx context.Context, n blobName, bucket *string) error {
	_, err := attempts(ctx, func() (*s3.HeadBucketOutput, error) {
		return s.client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: bucket})
	})
	switch {
	case status(err) == http.StatusNotFound:
		return noContainer(n.container)
	case err != nil:
		return s.failed(ctx, err, n)
	}
	return nil
}
