package containers_test

import (
	"context"
	"testing"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/blobstore"
	"github.com/waxosuit/waxo/capability/eventstreams"
	"github.com/waxosuit/waxo/capability/keyvalue"
	"github.com/waxosuit/waxo/capability/messaging"
	embeddednats "github.com/waxosuit/waxo/emulators/nats"
	embeddedredis "github.com/waxosuit/waxo/emulators/redis"
	embeddeds3 "github.com/waxosuit/waxo/emulators/s3"
	"github.com/waxosuit/waxo/harness/containers"
	"github.com/waxosuit/waxo/testscripts/parity"
)

// embedded is a server of package emulators.
type embedded interface {
	URL() string
	Close() error
}

// TestParity: each provider gives the same answers, byte by byte, on the embedded
// server and on the real service, and those that its suite asks for.
func TestParity(t *testing.T) {
	needEngine(t)
	for _, c := range []struct {
		suite    parity.Suite
		provider func() capability.Provider
		embedded func(ctx context.Context) (embedded, error)
		real     starter
	}{
		{
			parity.KeyValue(), func() capability.Provider { return keyvalue.New(nil) },
			func(ctx context.Context) (embedded, error) { return embeddedredis.Start(ctx, nil) }, containers.Redis,
		},
		{
			parity.Messaging(), func() capability.Provider { return messaging.New(nil) },
			func(ctx context.Context) (embedded, error) { return embeddednats.Start(ctx, nil) }, containers.NATS,
		},
		{
			parity.EventStreams(), func() capability.Provider { return eventstreams.New(nil) },
			func(ctx context.Context) (embedded, error) { return embeddednats.Start(ctx, nil) }, containers.NATS,
		},
		{
			parity.Blobstore(), func() capability.Provider { return blobstore.New(nil) },
			func(ctx context.Context) (embedded, error) { return embeddeds3.Start(ctx, nil) }, containers.S3,
		},
	} {
		t.Run(c.suite.Capability, func(t *testing.T) {
			t.Parallel()
			ours, err := c.embedded(t.Context())
			must(t, err)
			defer ours.Close()
			theirs := start(t, c.real, nil)
			var all [][]parity.Result
			for _, place := range []struct{ name, url string }{{"embedded", ours.URL()}, {"container", theirs.URL()}} {
				p := c.provider()
				defer p.Close(context.Background()) //nolint:errcheck // its servers are gone
				results, err := c.suite.Run(t.Context(), parity.Target{Name: place.name, Provider: p, Config: map[string]string{"url": place.url}, Exact: true})
				must(t, err)
				for _, r := range results {
					for _, f := range r.Failures {
						t.Errorf("%s: %s: %s", place.name, r.Case, f)
					}
				}
				all = append(all, results)
			}
			for _, d := range parity.Compare(all[0], all[1]) {
				t.Error(d)
			}
		})
	}
}
