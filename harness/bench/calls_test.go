//go:build linux

package bench

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"

	"github.com/waxosuit/waxo/harness"
	"github.com/waxosuit/waxo/templates"
)

// callers is how many calls are under way at once, from the guest and from the bare
// client alike.
const callers = 16

// BenchmarkGuestCalls has a guest make a call to each provider, in turns with the
// bare client of the same service: the metric x-bare is the ratio of what they take.
func BenchmarkGuestCalls(b *testing.B) {
	dir := writeCalls(b)
	g := harness.Start(b, &harness.Options{Project: dir, Services: map[string]string{"wascap:keyvalue": newStore(b, 0)}})
	if err := g.Compiled(b.Context()); err != nil {
		b.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, strings.Repeat("x", 1024)) })) //nolint:errcheck // the client's loss
	b.Cleanup(server.Close)
	body := make([]byte, 64)
	n, js := bareNATS(b, g.NATS())
	store := bareS3(b, g.S3())
	for _, c := range []struct {
		name    string
		each    int // calls of a caller in a round
		payload func(caller int) []byte
		bare    func(ctx context.Context, caller int) error
	}{
		{"Get", 100, func(int) []byte { return []byte("benchmark") }, bareRedis(b, g.Redis())},
		{"Publish", 100, func(int) []byte { return body }, func(ctx context.Context, _ int) error {
			return errors.Join(n.Publish("benchmark", body), n.FlushWithContext(ctx))
		}},
		{"Request", 100, func(int) []byte { return body }, func(ctx context.Context, _ int) error {
			_, err := n.RequestWithContext(ctx, "echo", body)
			return err
		}},
		{"Write", 50, func(int) []byte { return nil }, func(ctx context.Context, _ int) error {
			_, err := js.Publish(ctx, "$WAXO.EVENTS.default.benchmark", body)
			return err
		}},
		{"Info", 50, func(int) []byte { return []byte("known") }, func(ctx context.Context, _ int) error {
			_, err := store.HeadObject(ctx, &s3.HeadObjectInput{Bucket: aws.String("benchmark"), Key: aws.String("known")})
			return err
		}},
		{"Upload", 2, func(caller int) []byte { return []byte(strconv.Itoa(caller)) }, func(ctx context.Context, caller int) error {
			return put(ctx, store, "bare-"+strconv.Itoa(caller), make([]byte, 4<<20))
		}},
		{"Fetch", 50, func(int) []byte { return []byte(server.URL) }, bareHTTP(server)},
	} {
		b.Run(c.name, func(b *testing.B) {
			inTurns(b, c.each, func(ctx context.Context, caller int) error {
				_, err := g.Call(ctx, "bench:calls", c.name, c.payload(caller))
				return err
			}, c.bare)
		})
	}
}

// writeCalls writes the project of testdata/calls, with the SDK of this checkout.
func writeCalls(b *testing.B) string {
	b.Helper()
	dir := filepath.Join(b.TempDir(), "calls")
	if _, err := templates.Write(dir, "http", nil); err != nil {
		b.Fatal(err)
	}
	err := os.Remove(filepath.Join(dir, "main_test.go"))
	for _, name := range []string{"main.go", "waxo.toml"} {
		content, failure := os.ReadFile(filepath.Join("testdata", "calls", name))
		err = errors.Join(err, failure, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	if err != nil {
		b.Fatal(err)
	}
	return dir
}

// inTurns measures rounds of both, and reports what a call takes of the time, while
// the others are under way, and the median of the ratios.
func inTurns(b *testing.B, each int, guest, bare func(ctx context.Context, caller int) error) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), time.Hour) // nats.go wants a deadline
	defer cancel()
	round := func(call func(context.Context, int) error) float64 {
		begun := time.Now()
		var all sync.WaitGroup
		for caller := range callers {
			all.Go(func() {
				for range each {
					if err := call(ctx, caller); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		all.Wait()
		return float64(time.Since(begun).Nanoseconds()) / 1e3 / float64(callers*each)
	}
	round(guest)
	round(bare)
	var ours, theirs, ratios []float64
	for b.Loop() {
		ours, theirs = append(ours, round(guest)), append(theirs, round(bare))
		ratios = append(ratios, ours[len(ours)-1]/theirs[len(theirs)-1])
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(ours), "us/call")
	b.ReportMetric(median(theirs), "bare-us/call")
	b.ReportMetric(median(ratios), "x-bare")
}

// bareRedis has one connection for each caller, as the provider does.
func bareRedis(b *testing.B, address string) func(context.Context, int) error {
	b.Helper()
	opts, err := redis.ParseURL(address)
	if err != nil {
		b.Fatal(err)
	}
	opts.Protocol, opts.PoolSize, opts.DisableIdentity = 2, 128, true
	client := redis.NewClient(opts)
	b.Cleanup(func() { client.Close() })
	return func(ctx context.Context, _ int) error { return client.Get(ctx, "benchmark").Err() }
}

// bareNATS is a client, beside another one that echoes.
func bareNATS(b *testing.B, address string) (*nats.Conn, jetstream.JetStream) {
	b.Helper()
	var clients [2]*nats.Conn
	for i := range clients {
		var err error
		if clients[i], err = nats.Connect(address); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(clients[i].Close)
	}
	_, err := clients[1].Subscribe("echo", func(m *nats.Msg) { m.Respond(m.Data) }) //nolint:errcheck // the client waits for it
	err = errors.Join(err, clients[1].Flush())
	js, failure := jetstream.New(clients[0])
	if err := errors.Join(err, failure); err != nil {
		b.Fatal(err)
	}
	return clients[0], js
}

// bareS3 is a client as the provider has it, of a server that knows one blob.
func bareS3(b *testing.B, address string) *s3.Client {
	b.Helper()
	u, err := url.Parse(address)
	if err != nil {
		b.Fatal(err)
	}
	secret, _ := u.User.Password()
	credentials := aws.Credentials{AccessKeyID: u.User.Username(), SecretAccessKey: secret}
	transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 128}
	b.Cleanup(transport.CloseIdleConnections)
	client := s3.New(s3.Options{
		BaseEndpoint: aws.String("http://" + u.Host), Region: "us-east-1", UsePathStyle: true, Retryer: aws.NopRetryer{},
		Credentials:                aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return credentials, nil }),
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,
		HTTPClient:                 &http.Client{Transport: transport},
	})
	_, err = client.CreateBucket(b.Context(), &s3.CreateBucketInput{Bucket: aws.String("benchmark")})
	if err = errors.Join(err, put(b.Context(), client, "known", []byte("data"))); err != nil {
		b.Fatal(err)
	}
	return client
}

func put(ctx context.Context, client *s3.Client, key string, data []byte) error {
	_, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String("benchmark"), Key: aws.String(key), Body: bytes.NewReader(data)})
	return err
}

func bareHTTP(server *httptest.Server) func(context.Context, int) error {
	client := server.Client()
	client.Transport.(*http.Transport).MaxIdleConnsPerHost = 128
	return func(ctx context.Context, _ int) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		_, err = io.ReadAll(response.Body)
		return err
	}
}
