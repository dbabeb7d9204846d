package containers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/containerd/errdefs"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/network"

	"github.com/waxosuit/waxo/harness/images"
)

// ClusterSize is the number of servers in a cluster: the least of which one may
// fail.
const ClusterSize = 3

// Cluster is a cluster of NATS servers.
type Cluster struct {
	// Nodes are its servers. They can be stopped, killed and cut off one by one.
	Nodes []*Service

	network *testcontainers.DockerNetwork
	closing sync.Once
	closed  error
}

// NATSCluster starts three NATS servers with JetStream as a cluster. It has a
// leader, and every server answers, when it returns. There is no key for one.
func NATSCluster(ctx context.Context, opts *Options) (*Cluster, error) {
	o, err := opts.defaults(images.NATS)
	if err == nil && o.Reuse != "" {
		err = errors.New("a cluster cannot be used again: leave Reuse empty")
	}
	if err != nil {
		return nil, fmt.Errorf("harness/containers: NATS cluster: %w", err)
	}
	c, err := startCluster(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("harness/containers: NATS cluster: %w", err)
	}
	return c, nil
}

func startCluster(ctx context.Context, o Options) (*Cluster, error) {
	e, err := connect()
	if err != nil {
		return nil, err
	}
	defer e.close()
	if err := errors.Join(e.provide(ctx, o.Image), e.ensureReaper(ctx)); err != nil {
		return nil, err
	}
	c := &Cluster{Nodes: make([]*Service, ClusterSize)}
	if c.network, err = network.New(ctx, network.WithLabels(map[string]string{labelService: "nats"})); err != nil {
		return nil, err
	}
	var routes []string
	for i := range ClusterSize {
		routes = append(routes, fmt.Sprintf("nats://node%d:6222", i))
	}
	errs := make([]error, ClusterSize)
	var starting sync.WaitGroup
	for i := range ClusterSize {
		alias := fmt.Sprintf("node%d", i)
		starting.Go(func() {
			c.Nodes[i], errs[i] = launch(ctx, nats, o, &place{network: c.network.Name, alias: alias, args: []string{
				"--server_name", alias, "--cluster_name", "waxo", "--cluster", "nats://0.0.0.0:6222", "--routes", strings.Join(routes, ","),
				// Clients would be told addresses within the network.
				"--no_advertise",
			}})
		})
	}
	starting.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, errors.Join(err, c.abandon())
	}
	return c, nil
}

// URL is what a provider takes as its url: the addresses of all servers, separated
// by commas.
func (c *Cluster) URL() string {
	var urls []string
	for _, node := range c.Nodes {
		urls = append(urls, node.URL())
	}
	return strings.Join(urls, ",")
}

// Close removes the cluster and its network. It may be called twice.
func (c *Cluster) Close(ctx context.Context) error {
	c.closing.Do(func() {
		errs := make([]error, len(c.Nodes))
		var ending sync.WaitGroup
		for i, node := range c.Nodes {
			if node != nil {
				ending.Go(func() { errs[i] = node.Close(ctx) })
			}
		}
		ending.Wait()
		c.closed = errors.Join(append(errs, ignoreGone(c.network.Remove(ctx)))...)
	})
	return c.closed
}

func (c *Cluster) abandon() error {
	ctx, cancel := context.WithTimeout(context.Background(), abandonTimeout)
	defer cancel()
	return c.Close(ctx)
}

// ignoreGone makes nothing of the failure to remove what is gone.
func ignoreGone(err error) error {
	if errdefs.IsNotFound(err) {
		return nil
	}
	return err
}
