package containers

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/authconfig"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/registry"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/log"
)

// place is where a container is in a network of its own.
type place struct {
	network string
	alias   string
	args    []string // more of them
}

// attempts to find a port that nobody takes in between.
const attempts = 10

// launch starts a service, or takes one that runs, and waits until it answers.
func launch(ctx context.Context, k kind, o Options, p *place) (*Service, error) {
	e, err := connect()
	if err != nil {
		return nil, err
	}
	s, err := e.launch(ctx, k, o, p)
	if err != nil {
		return nil, errors.Join(err, e.close())
	}
	return s, nil
}

func (e engine) launch(ctx context.Context, k kind, o Options, p *place) (*Service, error) {
	if err := e.provide(ctx, o.Image); err != nil {
		return nil, err
	}
	if err := e.ensureReaper(ctx); err != nil {
		return nil, fmt.Errorf("start the reaper: %w", err)
	}
	if o.Reuse != "" {
		if err := e.prepare(ctx, containerName(k, o), o.Image); err != nil {
			return nil, err
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	creating, created := steadily(ctx, o.Timeout)
	defer created()
	s, err := e.create(creating, k, o, p)
	if err != nil {
		return nil, err
	}
	if err := s.await(ctx); err != nil {
		return nil, errors.Join(err, s.abandon())
	}
	return s, nil
}

// steadily returns a context that does not end with ctx, but within limit. What the
// engine is asked to make is waited for: it may make it even if nobody waits any
// more, and then nobody would remove it.
func steadily(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), limit)
}

// containerName names a container for people, and those with a key for others who
// look for them.
func containerName(k kind, o Options) string {
	if o.Reuse != "" {
		return "waxo-" + o.Reuse + "-" + k.name
	}
	unique := make([]byte, 4)
	rand.Read(unique)
	return "waxo-" + k.name + "-" + hex.EncodeToString(unique)
}

// prepare makes a container that is there already fit for use: one of another
// image goes, one that is paused goes on.
func (e engine) prepare(ctx context.Context, name, image string) error {
	found, err := e.client.ContainerInspect(ctx, name, client.ContainerInspectOptions{})
	switch {
	case errdefs.IsNotFound(err):
		return nil
	case err != nil:
		return err
	case found.Container.Config.Image != image:
		return e.remove(ctx, found.Container.ID)
	case found.Container.State.Paused:
		_, err := e.client.ContainerUnpause(ctx, name, client.ContainerUnpauseOptions{})
		return err
	}
	return nil
}

// create starts the container, at the next port where the first is taken.
func (e engine) create(ctx context.Context, k kind, o Options, p *place) (*Service, error) {
	for attempt := 1; ; attempt++ {
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		made, err := testcontainers.GenericContainer(ctx, e.request(k, o, p, port))
		if err == nil {
			return e.service(ctx, made.GetContainerID(), made, k, o)
		}
		if made != nil {
			err = errors.Join(err, testcontainers.TerminateContainer(made, testcontainers.StopTimeout(0)))
		}
		if attempt == attempts || !portTaken(err) {
			return nil, err
		}
	}
}

func portTaken(err error) bool {
	return strings.Contains(err.Error(), "port is already allocated") || strings.Contains(err.Error(), "address already in use")
}

// request is what testcontainers-go is asked for.
func (e engine) request(k kind, o Options, p *place, port int) testcontainers.GenericContainerRequest {
	r := testcontainers.GenericContainerRequest{
		ContainerRequest: testcontainers.ContainerRequest{
			Image: o.Image, Name: containerName(k, o), Cmd: k.cmd, Env: k.env, ExposedPorts: []string{k.port},
			Labels: map[string]string{labelService: k.name},
			HostConfigModifier: func(h *container.HostConfig) {
				h.PortBindings = network.PortMap{network.MustParsePort(k.port): {{
					HostIP: netip.MustParseAddr(loopback), HostPort: strconv.Itoa(port),
				}}}
			},
		},
		Started: true,
		Logger:  log.NewNoopLogger(),
		Reuse:   o.Reuse != "",
	}
	if p != nil {
		r.Networks = []string{p.network}
		r.NetworkAliases = map[string][]string{p.network: {p.alias}}
		r.Cmd = slices.Concat(k.cmd, p.args)
	}
	if o.Reuse != "" {
		r.Labels[labelReuse] = o.Reuse
	}
	r.ConfigModifier = func(c *container.Config) {
		c.Volumes = make(map[string]struct{}) // without names: they end with the container
		for _, dir := range k.dirs {
			c.Volumes[dir] = struct{}{}
		}
		if o.Reuse != "" {
			// The reaper takes what has all of its labels.
			delete(c.Labels, "org.testcontainers.reap")
		}
	}
	return r
}

// The ports that services are published at: apart from those that systems hand out
// by themselves, so that nobody takes the port of a service that is stopped.
const (
	firstPort = 20000
	lastPort  = 29999
)

// freePort finds a port that nobody listens on.
func freePort() (int, error) {
	var err error
	for range 100 {
		n, failure := rand.Int(rand.Reader, big.NewInt(lastPort-firstPort+1))
		if failure != nil {
			return 0, failure
		}
		port := firstPort + int(n.Int64())
		var listener net.Listener
		if listener, err = net.Listen("tcp", net.JoinHostPort(loopback, strconv.Itoa(port))); err == nil {
			return port, listener.Close()
		}
	}
	return 0, fmt.Errorf("no free port between %d and %d: %w", firstPort, lastPort, err)
}

// service is a container that runs, as it is handed out.
func (e engine) service(ctx context.Context, id string, c testcontainers.Container, k kind, o Options) (*Service, error) {
	s := &Service{kind: k, engine: e, container: c, id: id, kept: o.Reuse != ""}
	seen, err := e.client.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		return nil, errors.Join(err, s.abandon())
	}
	s.name = strings.TrimPrefix(seen.Container.Name, "/")
	bindings := seen.Container.HostConfig.PortBindings[network.MustParsePort(k.port)]
	if len(bindings) != 1 || bindings[0].HostIP.String() != loopback {
		return nil, errors.Join(fmt.Errorf("the container %s is not published on %s as it should be; remove it: docker rm -f %[1]s", s.name, loopback), s.abandon())
	}
	s.addr = net.JoinHostPort(loopback, bindings[0].HostPort)
	return s, nil
}

// credentials are what the user gave the Docker client for an image's registry,
// empty where there are none.
func credentials(ctx context.Context, image string) string {
	_, auth, err := testcontainers.DockerImageAuth(ctx, image)
	if err != nil || auth == (registry.AuthConfig{}) {
		return ""
	}
	encoded, err := authconfig.Encode(auth)
	if err != nil {
		return ""
	}
	return encoded
}

// Between two looks whether a service answers, and whether its container still runs.
const (
	pollService   = 10 * time.Millisecond
	pollContainer = 200 * time.Millisecond
	tryTimeout    = 2 * time.Second // of one look
)

// abandonTimeout is how long it may take to remove what did not come up.
const abandonTimeout = 20 * time.Second
