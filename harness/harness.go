// Package harness runs a guest for a Go test, on the services that its author
// chooses: embedded ones, real ones in containers, or such as run already.
//
//	func TestCounts(t *testing.T) {
//		guest := harness.Start(t, &harness.Options{Providers: "container"})
//		response, err := http.Post(guest.URL(), "", nil)
//		...
//	}
//
// The guest takes the way that it takes in production: it is built, sealed,
// optimized, signed (with keys of this run), verified, and reaches what its claims
// grant and nothing else. Its services begin empty, and end with the test; the
// project's own keys and data in .waxo are neither used nor changed.
//
// What a guest's handlers do is tested quicker without WebAssembly, with the
// package waxotest of the SDK. This one is for what that cannot tell: the sealed
// module, the real service, and what happens when it fails.
package harness

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/devhost"
	"github.com/waxosuit/waxo/devhost/connect"
	"github.com/waxosuit/waxo/harness/companion"
	"github.com/waxosuit/waxo/harness/faults"
	"github.com/waxosuit/waxo/wapc"
)

// Options say what runs, and on what; nil works.
type Options struct {
	// Project is a folder of the guest's project. Default: the working directory,
	// which is the package's folder in a test.
	Project string

	// Module is a file with a signed module to run instead of building a project.
	// Default: the project is built.
	Module string

	// Providers is where the services of all capabilities are: "embedded" in this
	// process, "container", or "manifest" for where the project's waxo.toml says.
	// Default: embedded.
	Providers string

	// Services are exceptions from that: by capability, such as "wascap:keyvalue", or
	// by capability and binding, "wascap:keyvalue/cache", either embedded, container,
	// or a URL. Default: none.
	Services map[string]string

	// Faults puts a proxy before each service, see Guest.Faults. Default: none.
	Faults bool

	// Lookup reads the environment for ${VAR} in a manifest, such as os.LookupEnv.
	// Default: nothing is set.
	Lookup func(name string) (string, bool)

	// Companion starts containers. Several guests that share one start them sooner.
	// Default: one of the guest's own, which ends with it.
	Companion *companion.Client

	// Timeout is how long it may take until the guest serves. Default: 3 minutes.
	Timeout time.Duration

	// Log gets what the host and the guest say. Default: the test's log, with Start;
	// dropped, with Launch.
	Log *slog.Logger
}

// Guest is a guest that runs.
type Guest struct {
	id          string
	host        *devhost.Host
	connections *connect.Connections
	services    map[binding]string // URLs, without proxies
	proxies     map[binding]*faults.Proxy

	closing sync.Once
	closers []func(context.Context) error // in the order in which they run
	closed  error
}

// binding names a binding.
type binding struct{ capability, name string }

// Start starts a guest for a test and ends it with the test. It returns when the
// guest serves; where that fails, so does the test.
func Start(t testing.TB, opts *Options) *Guest {
	t.Helper()
	var o Options
	if opts != nil {
		o = *opts
	}
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	g, err := Launch(t.Context(), &o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		if err := g.Close(ctx); err != nil {
			t.Errorf("harness: %v", err)
		}
	})
	return g
}

// closeTimeout is how long the end may take.
const closeTimeout = time.Minute

// Launch is Start for other places than tests: the caller closes the guest. Where
// a container is asked for and there is no engine, the error matches
// companion.ErrNoEngine.
func Launch(ctx context.Context, opts *Options) (*Guest, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(o.Timeout, 3*time.Minute))
	defer cancel()
	g := &Guest{services: make(map[binding]string), proxies: make(map[binding]*faults.Proxy)}
	if err := g.launch(ctx, &o); err != nil {
		ending, done := context.WithTimeout(context.Background(), closeTimeout)
		defer done()
		return nil, errors.Join(fmt.Errorf("harness: %w", err), g.Close(ending))
	}
	return g, nil
}

// URL is where the guest's HTTP server is, http://127.0.0.1:PORT; "" for a guest
// that has none.
func (g *Guest) URL() string {
	return g.connections.HTTP(capability.BindingID{Guest: g.id, Name: capability.DefaultBinding})
}

// Call calls an operation of the guest as a provider of the capability would, such
// as wascap:messaging and DeliverMessage, with a payload in its encoding.
func (g *Guest) Call(ctx context.Context, capability, operation string, payload []byte) ([]byte, error) {
	reply, err := g.host.Call(ctx, capability, operation, payload)
	if err != nil {
		return nil, err
	}
	return reply.Payload, nil
}

// Compiled waits until compiled code runs the guest. Until then, which is within
// seconds of its first start on a machine, it is interpreted, and slow.
func (g *Guest) Compiled(ctx context.Context) error {
	guest := g.host.Current()
	if guest == nil {
		return errors.New("harness: the guest has ended")
	}
	return guest.Compiled(ctx)
}

// Service is the URL of the service behind a binding, as clients of its kind take
// it; "" where there is none. Faults are not between it and the caller.
func (g *Guest) Service(capability, name string) string { return g.services[binding{capability, name}] }

// Redis is the URL of the Redis behind wascap:keyvalue.
func (g *Guest) Redis() string { return g.Service(capability.KeyValue, capability.DefaultBinding) }

// NATS is the URL of the NATS server behind wascap:messaging or, in a guest
// without that, behind wascap:eventstreams.
func (g *Guest) NATS() string {
	return cmp.Or(g.Service(capability.Messaging, capability.DefaultBinding), g.Service(capability.EventStreams, capability.DefaultBinding))
}

// S3 is the URL of the S3 server behind wascap:blobstore, with its credentials.
func (g *Guest) S3() string { return g.Service(capability.Blobstore, capability.DefaultBinding) }

// Faults is the proxy between the guest and the service behind a binding, nil
// without Options.Faults and where there is no service.
func (g *Guest) Faults(capability, name string) *faults.Proxy {
	return g.proxies[binding{capability, name}]
}

// Close ends the guest and its services. It may be called twice.
func (g *Guest) Close(ctx context.Context) error {
	g.closing.Do(func() {
		var errs []error
		for _, c := range g.closers {
			errs = append(errs, c(ctx))
		}
		g.closed = errors.Join(errs...)
	})
	return g.closed
}

// closes has something end before all that came earlier.
func (g *Guest) closes(c func(context.Context) error) {
	g.closers = append([]func(context.Context) error{c}, g.closers...)
}

// engine makes the engine, with the user's own cache of compiled code.
func (g *Guest) engine(log *slog.Logger) (*wapc.Engine, error) {
	engine, err := wapc.NewEngine(&wapc.EngineOptions{CacheDir: cacheDir(), InterpretFirst: true})
	if err != nil {
		log.Warn("compiled code is kept in memory only", "reason", err)
		engine, err = wapc.NewEngine(&wapc.EngineOptions{InterpretFirst: true})
	}
	if err == nil {
		g.closes(engine.Close)
	}
	return engine, err
}
