package s3_test

import (
	"bytes"
	"crypto/md5"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	client "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// odd holds what is hard to carry in paths, queries and XML.
const odd = "a b+c/%41?x=1&y#z/é世🙂 <&>\"'\u2028;:@=,$~!*()"

// box is a client with a bucket of its own.
type box struct {
	t *testing.T
	*client.Client
}

func newBox(t *testing.T) *box {
	b := &box{t, connect(t, start(t, nil).URL())}
	b.create("box")
	return b
}

func (b *box) create(bucket string) {
	b.t.Helper()
	must[*client.CreateBucketOutput](b.t)(b.CreateBucket(b.t.Context(), &client.CreateBucketInput{Bucket: &bucket}))
}

func (b *box) put(key, data string) string {
	b.t.Helper()
	out := must[*client.PutObjectOutput](b.t)(b.PutObject(b.t.Context(), &client.PutObjectInput{Bucket: aws.String("box"), Key: &key, Body: strings.NewReader(data)}))
	return *out.ETag
}

func (b *box) get(key, byteRange string) (string, error) {
	in := &client.GetObjectInput{Bucket: aws.String("box"), Key: &key}
	if byteRange != "" {
		in.Range = &byteRange
	}
	out, err := b.GetObject(b.t.Context(), in)
	if err != nil {
		return "", err
	}
	defer out.Body.Close()
	data, err := io.ReadAll(out.Body)
	return string(data), err
}

func TestBuckets(t *testing.T) {
	b := newBox(t)
	ctx := t.Context()
	_, err := b.CreateBucket(ctx, &client.CreateBucketInput{Bucket: aws.String("box")})
	wantCode(t, "CreateBucket again", err, "BucketAlreadyOwnedByYou")
	for _, name := range []string{"ab", "UPPER", "a..b", "-ab", "ab-", "192.168.1.1", "xn--a", "a_b", strings.Repeat("a", 64)} {
		_, err := b.CreateBucket(ctx, &client.CreateBucketInput{Bucket: &name})
		wantCode(t, "CreateBucket "+name, err, "InvalidBucketName")
	}
	b.put("k", "v")
	_, err = b.DeleteBucket(ctx, &client.DeleteBucketInput{Bucket: aws.String("box")})
	wantCode(t, "DeleteBucket of a full one", err, "BucketNotEmpty")
	_, err = b.DeleteBucket(ctx, &client.DeleteBucketInput{Bucket: aws.String("none")})
	wantCode(t, "DeleteBucket of none", err, "NoSuchBucket")
	_, err = b.HeadBucket(ctx, &client.HeadBucketInput{Bucket: aws.String("none")})
	wantCode(t, "HeadBucket of none", err, "NotFound")
	b.create("a.b-3")
	list := must[*client.ListBucketsOutput](t)(b.ListBuckets(ctx, nil))
	if len(list.Buckets) != 2 || *list.Buckets[0].Name != "a.b-3" || *list.Buckets[1].Name != "box" {
		t.Errorf("the buckets are %v", list.Buckets)
	}
	must[*client.DeleteBucketOutput](t)(b.DeleteBucket(ctx, &client.DeleteBucketInput{Bucket: aws.String("a.b-3")}))
	_, err = b.PutBucketAcl(ctx, &client.PutBucketAclInput{Bucket: aws.String("box"), ACL: types.BucketCannedACLPublicRead})
	wantCode(t, "PutBucketAcl", err, "NotImplemented")
}

func TestObjects(t *testing.T) {
	b := newBox(t)
	ctx := t.Context()
	for _, key := range []string{"k", odd, "/leading", "double//slash", "trailing/", strings.Repeat("é", 512)} {
		if etag := b.put(key, "data of "+key); etag != fmt.Sprintf(`"%x"`, md5.Sum([]byte("data of "+key))) {
			t.Errorf("the ETag of %q is %s", key, etag)
		}
		if got, err := b.get(key, ""); err != nil || got != "data of "+key {
			t.Errorf("%q holds %q, %v", key, got, err)
		}
	}
	_, err := b.PutObject(ctx, &client.PutObjectInput{Bucket: aws.String("box"), Key: aws.String(strings.Repeat("k", 1025)), Body: strings.NewReader("")})
	wantCode(t, "PutObject with a long key", err, "KeyTooLongError")
	_, err = b.PutObject(ctx, &client.PutObjectInput{Bucket: aws.String("none"), Key: aws.String("k"), Body: strings.NewReader("x")})
	wantCode(t, "PutObject into no bucket", err, "NoSuchBucket")
	_, err = b.get("none", "")
	wantCode(t, "GetObject of none", err, "NoSuchKey")

	meta := map[string]string{"colour": "blue"}
	must[*client.PutObjectOutput](t)(b.PutObject(ctx, &client.PutObjectInput{
		Bucket: aws.String("box"), Key: aws.String("m"), Body: strings.NewReader("zipped"), Metadata: meta,
		ContentType: aws.String("text/plain"), ContentEncoding: aws.String("gzip"), CacheControl: aws.String("no-store"),
	}))
	head := must[*client.HeadObjectOutput](t)(b.HeadObject(ctx, &client.HeadObjectInput{Bucket: aws.String("box"), Key: aws.String("m")}))
	if *head.ContentLength != 6 || *head.ContentType != "text/plain" || *head.ContentEncoding != "gzip" || *head.CacheControl != "no-store" || head.Metadata["colour"] != "blue" {
		t.Errorf("the headers are %+v", head)
	}
	must[*client.DeleteObjectOutput](t)(b.DeleteObject(ctx, &client.DeleteObjectInput{Bucket: aws.String("box"), Key: aws.String("m")}))
	must[*client.DeleteObjectOutput](t)(b.DeleteObject(ctx, &client.DeleteObjectInput{Bucket: aws.String("box"), Key: aws.String("m")}))
	_, err = b.HeadObject(ctx, &client.HeadObjectInput{Bucket: aws.String("box"), Key: aws.String("m")})
	wantCode(t, "HeadObject after DeleteObject", err, "NotFound")
}

func TestRanges(t *testing.T) {
	b := newBox(t)
	b.put("k", "0123456789")
	for byteRange, want := range map[string]string{
		"bytes=0-0": "0", "bytes=2-4": "234", "bytes=8-": "89", "bytes=8-100": "89", "bytes=-3": "789", "bytes=-100": "0123456789",
		"bytes=5-3": "0123456789", "bytes=x-3": "0123456789", "lines=1-2": "0123456789", "bytes=0-1,4-5": "0123456789",
	} {
		if got, err := b.get("k", byteRange); err != nil || got != want {
			t.Errorf("%s is %q, %v; want %q", byteRange, got, err, want)
		}
	}
	for _, byteRange := range []string{"bytes=10-", "bytes=10-12", "bytes=-0"} {
		_, err := b.get("k", byteRange)
		wantCode(t, byteRange, err, "InvalidRange")
	}
}

func TestConditions(t *testing.T) {
	b := newBox(t)
	ctx := t.Context()
	etag := b.put("k", "v")
	other := aws.String(`"0123"`)
	put := func(key string, in client.PutObjectInput) error {
		in.Bucket, in.Key, in.Body = aws.String("box"), &key, strings.NewReader("w")
		_, err := b.PutObject(ctx, &in)
		return err
	}
	wantCode(t, "put where there is one", put("k", client.PutObjectInput{IfNoneMatch: aws.String("*")}), "PreconditionFailed")
	wantCode(t, "put with another ETag", put("k", client.PutObjectInput{IfMatch: other}), "PreconditionFailed")
	wantCode(t, "put where there is none", put("new", client.PutObjectInput{IfNoneMatch: aws.String("*")}), "")
	wantCode(t, "put with the ETag of none", put("none", client.PutObjectInput{IfMatch: &etag}), "NoSuchKey")
	get := func(in client.GetObjectInput) error {
		in.Bucket, in.Key = aws.String("box"), aws.String("k")
		out, err := b.GetObject(ctx, &in)
		if err == nil {
			out.Body.Close()
		}
		return err
	}
	wantCode(t, "get with the ETag", get(client.GetObjectInput{IfMatch: &etag}), "")
	wantCode(t, "get with another ETag", get(client.GetObjectInput{IfMatch: other}), "PreconditionFailed")
	wantCode(t, "get of what is known", get(client.GetObjectInput{IfNoneMatch: &etag}), "NotModified")
	wantCode(t, "put with the ETag", put("k", client.PutObjectInput{IfMatch: &etag}), "")
}

// TestOneWins: of many that make an object under the condition that there is
// none, one does.
func TestOneWins(t *testing.T) {
	b := newBox(t)
	var group sync.WaitGroup
	codes := make([]string, 20)
	for i := range codes {
		group.Go(func() {
			_, err := b.PutObject(t.Context(), &client.PutObjectInput{Bucket: aws.String("box"), Key: aws.String("k"), Body: strings.NewReader("x"), IfNoneMatch: aws.String("*")})
			codes[i] = code(err)
		})
	}
	group.Wait()
	slices.Sort(codes)
	if codes[0] != "" || codes[1] != "PreconditionFailed" || codes[1] != codes[19] {
		t.Errorf("%q", codes)
	}
}

// TestLists compares every page of lists with what the keys say.
func TestLists(t *testing.T) {
	b := newBox(t)
	ctx := t.Context()
	random := rand.New(rand.NewPCG(1, 1))
	var keys []string
	for range 60 {
		var key strings.Builder
		for range 1 + random.IntN(5) {
			key.WriteString([]string{"a", "b", "/", "\x01", "é", "%", "+"}[random.IntN(7)])
		}
		keys = append(keys, key.String())
		b.put(key.String(), key.String())
	}
	slices.Sort(keys)
	keys = slices.Compact(keys)
	for _, delimiter := range []string{"", "/", "a"} {
		for _, prefix := range []string{"", "a", "a/", "b", "none"} {
			for _, size := range []int32{1, 2, 7, 1000} {
				want := expected(keys, prefix, delimiter)
				in := &client.ListObjectsV2Input{Bucket: aws.String("box"), MaxKeys: &size, EncodingType: types.EncodingTypeUrl}
				if prefix != "" {
					in.Prefix = &prefix
				}
				if delimiter != "" {
					in.Delimiter = &delimiter
				}
				var got []string
				for pages := client.NewListObjectsV2Paginator(b, in); pages.HasMorePages(); {
					page := must[*client.ListObjectsV2Output](t)(pages.NextPage(ctx))
					if int(*page.KeyCount) != len(page.Contents)+len(page.CommonPrefixes) || *page.KeyCount > size {
						t.Errorf("a page of %d has %d", size, *page.KeyCount)
					}
					got = append(got, names(t, page.Contents, page.CommonPrefixes)...)
				}
				if slices.Sort(got); !slices.Equal(got, want) {
					t.Errorf("the list of %q by %q in pages of %d is %q; want %q", prefix, delimiter, size, got, want)
				}
				first := must[*client.ListObjectsOutput](t)(b.ListObjects(ctx, &client.ListObjectsInput{Bucket: aws.String("box"), Prefix: in.Prefix, Delimiter: in.Delimiter, EncodingType: in.EncodingType}))
				if got := names(t, first.Contents, first.CommonPrefixes); !slices.Equal(slices.Sorted(slices.Values(got)), want) {
					t.Errorf("version 1: the list of %q by %q is %q; want %q", prefix, delimiter, got, want)
				}
			}
		}
	}
}

func names(t *testing.T, objects []types.Object, prefixes []types.CommonPrefix) []string {
	var all []string
	for _, o := range objects {
		all = append(all, unescape(t, *o.Key))
	}
	for _, p := range prefixes {
		all = append(all, unescape(t, *p.Prefix))
	}
	return all
}

func expected(keys []string, prefix, delimiter string) []string {
	var want []string
	for _, key := range keys {
		rest, ok := strings.CutPrefix(key, prefix)
		if !ok {
			continue
		}
		if i := strings.Index(rest, delimiter); delimiter != "" && i >= 0 {
			key = prefix + rest[:i+len(delimiter)]
		}
		want = append(want, key)
	}
	slices.Sort(want)
	return slices.Compact(want)
}

func TestDeleteObjects(t *testing.T) {
	b := newBox(t)
	var ids []types.ObjectIdentifier
	for _, key := range []string{"a", odd, "none"} {
		if key != "none" {
			b.put(key, key)
		}
		ids = append(ids, types.ObjectIdentifier{Key: &key})
	}
	out := must[*client.DeleteObjectsOutput](t)(b.DeleteObjects(t.Context(), &client.DeleteObjectsInput{Bucket: aws.String("box"), Delete: &types.Delete{Objects: ids}}))
	list := must[*client.ListObjectsV2Output](t)(b.ListObjectsV2(t.Context(), &client.ListObjectsV2Input{Bucket: aws.String("box")}))
	if len(out.Deleted) != 3 || len(out.Errors) != 0 || len(list.Contents) != 0 {
		t.Errorf("%d deleted, %d errors, %d left", len(out.Deleted), len(out.Errors), len(list.Contents))
	}
}

func TestCopies(t *testing.T) {
	b := newBox(t)
	ctx := t.Context()
	etag := b.put(odd, "data")
	source := aws.String("box/" + escape(odd))
	out := must[*client.CopyObjectOutput](t)(b.CopyObject(ctx, &client.CopyObjectInput{Bucket: aws.String("box"), Key: aws.String("copy"), CopySource: source}))
	if *out.CopyObjectResult.ETag != etag {
		t.Errorf("the copy's ETag is %s, not %s", *out.CopyObjectResult.ETag, etag)
	}
	b.put(odd, "other")
	must[*client.DeleteObjectOutput](t)(b.DeleteObject(ctx, &client.DeleteObjectInput{Bucket: aws.String("box"), Key: aws.String(odd)}))
	if got, err := b.get("copy", ""); got != "data" {
		t.Errorf("without its source the copy is %q, %v", got, err)
	}
	_, err := b.CopyObject(ctx, &client.CopyObjectInput{Bucket: aws.String("box"), Key: aws.String("copy"), CopySource: source})
	wantCode(t, "CopyObject of none", err, "NoSuchKey")
}

// multipart does uploads in parts of one bucket.
type multipart struct{ *box }

func (m multipart) begin(key string) *string {
	return must[*client.CreateMultipartUploadOutput](m.t)(m.CreateMultipartUpload(m.t.Context(), &client.CreateMultipartUploadInput{
		Bucket: aws.String("box"), Key: &key, Metadata: map[string]string{"a": "b"}})).UploadId
}

func (m multipart) upload(key string, id *string, number int32, data []byte) types.CompletedPart {
	out := must[*client.UploadPartOutput](m.t)(m.UploadPart(m.t.Context(), &client.UploadPartInput{
		Bucket: aws.String("box"), Key: &key, UploadId: id, PartNumber: &number, Body: bytes.NewReader(data)}))
	return types.CompletedPart{ETag: out.ETag, PartNumber: &number}
}

func (m multipart) complete(key string, id *string, parts ...types.CompletedPart) error {
	_, err := m.CompleteMultipartUpload(m.t.Context(), &client.CompleteMultipartUploadInput{
		Bucket: aws.String("box"), Key: &key, UploadId: id, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts}})
	return err
}

func TestMultipart(t *testing.T) {
	m := multipart{newBox(t)}
	ctx := t.Context()
	part := bytes.Repeat([]byte("0123456789abcdef"), 5<<20/16)
	id := m.begin("k")
	two := m.upload("k", id, 2, []byte("the end"))
	small := m.upload("k", id, 1, []byte("small"))
	wantCode(t, "complete with a small part", m.complete("k", id, small, two), "EntityTooSmall")
	one := m.upload("k", id, 1, part)
	wantCode(t, "complete with a part that was replaced", m.complete("k", id, small, two), "InvalidPart")
	wantCode(t, "complete in another order", m.complete("k", id, two, one), "InvalidPartOrder")
	wantCode(t, "complete with a part that is not there", m.complete("k", id, one, types.CompletedPart{ETag: one.ETag, PartNumber: aws.Int32(3)}), "InvalidPart")
	wantCode(t, "complete of another key", m.complete("other", id, one, two), "NoSuchUpload")
	_, err := m.get("k", "")
	wantCode(t, "get before it is complete", err, "NoSuchKey")
	parts := must[*client.ListPartsOutput](t)(m.ListParts(ctx, &client.ListPartsInput{Bucket: aws.String("box"), Key: aws.String("k"), UploadId: id}))
	if len(parts.Parts) != 2 || *parts.Parts[0].Size != int64(len(part)) || *parts.Parts[1].ETag != *two.ETag {
		t.Errorf("the parts are %v", parts.Parts)
	}
	wantCode(t, "complete", m.complete("k", id, one, two), "")
	if got, err := m.get("k", ""); got != string(part)+"the end" {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if got, err := m.get("k", fmt.Sprintf("bytes=%d-%d", len(part)-2, len(part)+2)); got != "efthe" {
		t.Errorf("across the parts: %q, %v", got, err)
	}
	head := must[*client.HeadObjectOutput](t)(m.HeadObject(ctx, &client.HeadObjectInput{Bucket: aws.String("box"), Key: aws.String("k")}))
	first, last := md5.Sum(part), md5.Sum([]byte("the end"))
	if sum := md5.Sum(slices.Concat(first[:], last[:])); *head.ETag != fmt.Sprintf(`"%x-2"`, sum) || head.Metadata["a"] != "b" {
		t.Errorf("ETag %s, metadata %v", *head.ETag, head.Metadata)
	}
	wantCode(t, "complete again", m.complete("k", id, one, two), "NoSuchUpload")
}

// TestMultipartCopy: a part may be a piece of another object, and an upload may
// end without one.
func TestMultipartCopy(t *testing.T) {
	m := multipart{newBox(t)}
	ctx := t.Context()
	m.put("k", "0123456789")
	id := m.begin(odd)
	copied := must[*client.UploadPartCopyOutput](t)(m.UploadPartCopy(ctx, &client.UploadPartCopyInput{
		Bucket: aws.String("box"), Key: aws.String(odd), UploadId: id, PartNumber: aws.Int32(7), CopySource: aws.String("box/k"), CopySourceRange: aws.String("bytes=1-3")}))
	list := must[*client.ListMultipartUploadsOutput](t)(m.ListMultipartUploads(ctx, &client.ListMultipartUploadsInput{Bucket: aws.String("box")}))
	if len(list.Uploads) != 1 || *list.Uploads[0].Key != odd || *list.Uploads[0].UploadId != *id {
		t.Errorf("the uploads are %v", list.Uploads)
	}
	wantCode(t, "complete a copy", m.complete(odd, id, types.CompletedPart{ETag: copied.CopyPartResult.ETag, PartNumber: aws.Int32(7)}), "")
	if got, err := m.get(odd, ""); got != "123" {
		t.Errorf("the copy is %.20q, %v", got, err)
	}
	id = m.begin("k")
	m.upload("k", id, 1, []byte("x"))
	abort := &client.AbortMultipartUploadInput{Bucket: aws.String("box"), Key: aws.String("k"), UploadId: id}
	must[*client.AbortMultipartUploadOutput](t)(m.AbortMultipartUpload(ctx, abort))
	_, err := m.AbortMultipartUpload(ctx, abort)
	wantCode(t, "abort again", err, "NoSuchUpload")
}

// TestReplacedWhileRead: who reads an object reads that one to its end.
func TestReplacedWhileRead(t *testing.T) {
	b := newBox(t)
	data := strings.Repeat("x", 8<<20)
	b.put("k", data)
	out := must[*client.GetObjectOutput](t)(b.GetObject(t.Context(), &client.GetObjectInput{Bucket: aws.String("box"), Key: aws.String("k")}))
	defer out.Body.Close()
	b.put("k", "new")
	must[*client.DeleteObjectOutput](t)(b.DeleteObject(t.Context(), &client.DeleteObjectInput{Bucket: aws.String("box"), Key: aws.String("k")}))
	if got, err := io.ReadAll(out.Body); err != nil || string(got) != data {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}
