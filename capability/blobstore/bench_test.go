package blobstore_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/waxosuit/waxo/capability"
	pb "github.com/waxosuit/waxo/capability/payload/blobstorepb"
)

// bare returns the client of S3 as the provider has it.
func bare(b *testing.B, raw string) *awss3.Client {
	u, err := url.Parse(raw)
	if err != nil {
		b.Fatal(err)
	}
	secret, _ := u.User.Password()
	credentials := aws.Credentials{AccessKeyID: u.User.Username(), SecretAccessKey: secret}
	return awss3.New(awss3.Options{
		BaseEndpoint: aws.String("http://" + u.Host), Region: "us-east-1", UsePathStyle: true, Retryer: aws.NopRetryer{},
		Credentials:                aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return credentials, nil }),
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,
		HTTPClient:                 &http.Client{Transport: &http.Transport{DisableCompression: true}},
	})
}

// compare runs both in turns, some times for each turn of the loop, and reports how
// long one takes at the median, and the ratio.
func compare(b *testing.B, ours, theirs func()) {
	b.Helper()
	ours()
	theirs()
	var mine, bare []time.Duration
	measure := func(f func()) time.Duration { begin := time.Now(); f(); return time.Since(begin) }
	for b.Loop() {
		for range 3 {
			mine, bare = append(mine, measure(ours)), append(bare, measure(theirs))
			bare, mine = append(bare, measure(theirs)), append(mine, measure(ours))
		}
	}
	median := func(d []time.Duration) float64 { slices.Sort(d); return float64(d[len(d)/2]) }
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(mine)/1e3, "us-provider")
	b.ReportMetric(median(bare)/1e3, "us-bare")
	b.ReportMetric(median(mine)/median(bare), "x-bare")
}

// BenchmarkBlobInfo is one question for a blob's size.
func BenchmarkBlobInfo(b *testing.B) {
	url := start(b, nil).URL()
	c, s := bind(b, url, nil), bare(b, url)
	c.must(capability.OpCreateContainer, &pb.Container{ID: "box"})
	c.put([]byte("data"), 4)
	req := &pb.Blob{Container: "box", ID: "k"}
	compare(b, func() { c.must(capability.OpGetObjectInfo, req) }, func() {
		if _, err := s.HeadObject(b.Context(), &awss3.HeadObjectInput{Bucket: aws.String("box"), Key: aws.String("k")}); err != nil {
			b.Fatal(err)
		}
	})
}

const benchSize, benchPart, benchChunk = 32 << 20, 5 << 20, 256 << 10

// BenchmarkBlobUpload is a blob of 32 MiB that comes in chunks of 256 KiB, beside the
// same in the parts that come of it.
func BenchmarkBlobUpload(b *testing.B) {
	url := start(b, nil).URL()
	c, s := bind(b, url, nil), bare(b, url)
	c.must(capability.OpCreateContainer, &pb.Container{ID: "box"})
	data := noise(benchSize)
	compare(b, func() { c.put(data, benchChunk) }, func() {
		created, err := s.CreateMultipartUpload(b.Context(), &awss3.CreateMultipartUploadInput{Bucket: aws.String("box"), Key: aws.String("bare")})
		if err != nil {
			b.Fatal(err)
		}
		var parts []types.CompletedPart
		for i, part := range enumerate(data, benchPart) {
			number := aws.Int32(int32(i + 1))
			out, err := s.UploadPart(b.Context(), &awss3.UploadPartInput{Bucket: aws.String("box"), Key: aws.String("bare"), UploadId: created.UploadId, PartNumber: number, Body: bytes.NewReader(part)})
			if err != nil {
				b.Fatal(err)
			}
			parts = append(parts, types.CompletedPart{ETag: out.ETag, PartNumber: number})
		}
		if _, err := s.CompleteMultipartUpload(b.Context(), &awss3.CompleteMultipartUploadInput{
			Bucket: aws.String("box"), Key: aws.String("bare"), UploadId: created.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts}}); err != nil {
			b.Fatal(err)
		}
	})
}

// BenchmarkBlobDownload is the same blob on its way out, chunk by chunk, beside one
// request.
func BenchmarkBlobDownload(b *testing.B) {
	url := start(b, nil).URL()
	c, s := bind(b, url, nil), bare(b, url)
	c.must(capability.OpCreateContainer, &pb.Container{ID: "box"})
	c.put(noise(benchSize), 8<<20)
	sink := &sink{done: make(chan struct{}, 1)}
	other := capability.BindingID{Guest: "MGUEST", Name: "sink"}
	if err := c.Bind(b.Context(), capability.Binding{BindingID: other, Config: map[string]string{"url": url}}, sink); err != nil {
		b.Fatal(err)
	}
	req := (&pb.StreamRequest{Container: "box", ID: "k", ChunkSize: benchChunk}).AppendProto(nil)
	buffer := make([]byte, benchChunk)
	compare(b, func() {
		if _, err := c.Call(b.Context(), capability.Call{BindingID: other, Operation: capability.OpStartDownload, Payload: req}); err != nil {
			b.Fatal(err)
		}
		<-sink.done
	}, func() {
		out, err := s.GetObject(b.Context(), &awss3.GetObjectInput{Bucket: aws.String("box"), Key: aws.String("k")})
		if err != nil {
			b.Fatal(err)
		}
		defer out.Body.Close()
		for range benchSize / benchChunk {
			if _, err := io.ReadFull(out.Body, buffer); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// sink is a guest that throws chunks away.
type sink struct {
	got  int
	done chan struct{}
}

func (s *sink) Dispatch(_ context.Context, _ string, payload, into []byte) (capability.Reply, error) {
	var c pb.FileChunk
	if err := c.UnmarshalProto(payload); err != nil {
		return capability.Reply{}, capability.AsError(err)
	}
	if s.got += len(c.ChunkBytes); s.got == benchSize {
		s.got = 0
		s.done <- struct{}{}
	}
	return capability.Reply{Payload: into[:0]}, nil
}
