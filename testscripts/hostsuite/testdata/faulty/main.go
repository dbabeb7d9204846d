// Faulty runs the suite on this project's host, which it has in its own process: what
// waxo run puts together, for the capabilities that the suite needs. Hosts start in
// a millisecond, so that the suite can be run on many that are broken.
//
// The tests build it with faults in the packages that it is made of, of which the
// environment variable WAXO_FAULT switches one on: see faults_test.go. The report
// goes to the standard output, in JSON.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/httpserver"
	"github.com/waxosuit/waxo/capability/keyvalue"
	"github.com/waxosuit/waxo/capability/messaging"
	"github.com/waxosuit/waxo/devhost"
	"github.com/waxosuit/waxo/devhost/admin"
	"github.com/waxosuit/waxo/devhost/manifest"
	"github.com/waxosuit/waxo/devhost/printable"
	"github.com/waxosuit/waxo/testscripts/hostsuite"
	"github.com/waxosuit/waxo/wapc"
	"github.com/waxosuit/waxo/wascap"
)

func main() {
	if err := suite(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// suite runs the scripts that match the first argument, each for as long as the
// second one says at most.
func suite() error {
	match, err := regexp.Compile(os.Args[1])
	if err != nil {
		return err
	}
	timeout, err := time.ParseDuration(os.Args[2])
	if err != nil {
		return err
	}
	engine, err := wapc.NewEngine(&wapc.EngineOptions{CacheDir: os.Args[3], InterpretFirst: true})
	if err != nil {
		return err
	}
	opts := &hostsuite.Options{Match: match, Timeout: timeout}
	r, err := hostsuite.RunInProcess(context.Background(), opts, func(ctx context.Context, module string, env []string, out io.Writer) error {
		return run(ctx, engine, module, lookup(env), out)
	})
	if err != nil {
		return err
	}
	return r.JSON(os.Stdout)
}

// lookup reads an environment, the last variable of a name.
func lookup(env []string) func(name string) (string, bool) {
	return func(name string) (string, bool) {
		for _, v := range slices.Backward(env) {
			if value, ok := strings.CutPrefix(v, name+"="); ok {
				return value, true
			}
		}
		return "", false
	}
}

// server is what serves a module.
type server struct {
	host     *devhost.Host
	own      *admin.Endpoints
	provider *httpserver.Provider
}

// run serves a module until ctx ends, and then lets calls in hand finish.
func run(ctx context.Context, engine *wapc.Engine, file string, lookup func(string) (string, bool), out io.Writer) (err error) {
	module, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	m := manifest.Defaults()
	if err := m.ApplyEnv(lookup); err != nil {
		return err
	}
	s, err := newServer(module, engine, devhost.LimitsOf(m), out)
	if err != nil {
		return err
	}
	defer func() {
		s.own.Drain()
		ending, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		err = errors.Join(err, s.host.Close(ending), s.provider.Close(ending))
		s.own.Close()
	}()
	g, err := s.host.Prepare(ctx, module, nil)
	if err != nil {
		return err
	}
	if err := s.host.Activate(g); err != nil {
		return err
	}
	if err := s.bind(ctx, g.Claims(), lookup); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

func newServer(module []byte, engine *wapc.Engine, limits devhost.Limits, out io.Writer) (*server, error) {
	log := slog.New(slog.NewTextHandler(out, nil))
	opts := &devhost.Options{
		Engine: engine, Limits: limits, Log: log,
		Console: func(line string) { fmt.Fprintln(out, printable.Line(line)) },
	}
	if token, err := wascap.Extract(module); err == nil { // else Prepare says what is wrong
		opts.Updates = &devhost.Updates{Trust: []string{token.Claims.Issuer}, Grant: token.Claims.Capabilities}
	}
	s := &server{}
	var err error
	if s.host, err = devhost.New(opts); err != nil {
		return nil, err
	}
	s.provider = httpserver.New(&httpserver.Options{
		Logger: log, MaxBody: int64(limits.Defaults().RequestBody),
		Wrap: func(guest http.Handler) http.Handler { return s.own.Wrap(guest) },
	})
	s.own, err = admin.New(&admin.Options{Host: s.host, LiveUpdate: true, Log: log})
	return s, err
}

// bind binds the HTTP server, and the others to what the environment names. What the
// claims do not grant is bound as well: it is the host that must deny it.
func (s *server) bind(ctx context.Context, claims *wascap.Claims, lookup func(string) (string, bool)) error {
	var binds []devhost.Bind
	if url, ok := lookup("REDIS_URL"); ok {
		binds = append(binds, devhost.Bind{Capability: capability.KeyValue, Provider: keyvalue.New(nil), Config: map[string]string{"url": url}})
	}
	if url, ok := lookup("NATS_URL"); ok {
		config := map[string]string{messaging.KeyURL: url}
		if subject, ok := lookup("NATS_SUBSCRIPTION"); ok {
			config[messaging.KeySubscriptions] = subject
		}
		binds = append(binds, devhost.Bind{Capability: capability.Messaging, Provider: messaging.New(nil), Config: config})
	}
	if slices.Contains(claims.Capabilities, capability.HTTPServer) {
		port, _ := lookup("PORT")
		binds = append(binds, devhost.Bind{
			Capability: capability.HTTPServer, Provider: s.provider,
			Config: map[string]string{httpserver.ConfigAddress: net.JoinHostPort("127.0.0.1", port)},
		})
	}
	return s.host.Bind(ctx, devhost.Identity{Key: claims.Subject, Name: claims.Name}, binds)
}
