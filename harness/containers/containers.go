// Package containers runs the real services behind the capabilities in containers:
// Redis, NATS with JetStream, alone or as a cluster, and an S3 server.
//
// What a function here returns answers, on 127.0.0.1 alone and at a port that stays
// the same while its container is stopped, paused, cut off and brought back. When
// its process ends, however it ends, a container is removed within seconds: by
// Close, or by the reaper that testcontainers-go starts. Those with a key
// (Options.Reuse) are the exception: they stay for the next process that asks with
// the same key, until Remove.
//
// It needs a container engine that publishes ports on this machine: Docker, or
// Podman with its Docker socket. Where none answers the error is a *NoEngineError.
// Images are pulled when they are missing; package images builds stand-ins where
// that cannot be.
//
// It is for development and tests: services have no password, or one that is no
// secret, and stores begin empty.
package containers

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"time"
)

// Options configure a service; nil works.
type Options struct {
	// Image is the image to run, a server of the same kind as the default, whose own
	// command serves. Default: see package images.
	Image string

	// Reuse is a key: a service of this key that runs already is taken, and Close
	// leaves it running. Letters, digits, and ".", "_", "-" within. Default: none,
	// the service is new and ends with Close.
	Reuse string

	// Timeout is how long the service may take until it answers, its image being
	// there. Default: 60 s.
	Timeout time.Duration
}

// The labels of our containers.
const (
	labelService = "io.waxo.service" // redis, nats, s3
	labelReuse   = "io.waxo.reuse"   // the key
)

var reuseKey = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$`)

func (o *Options) defaults(image string) (Options, error) {
	var d Options
	if o != nil {
		d = *o
	}
	d.Image = cmp.Or(d.Image, image)
	d.Timeout = cmp.Or(d.Timeout, time.Minute)
	if d.Reuse != "" && !reuseKey.MatchString(d.Reuse) {
		return d, fmt.Errorf("harness/containers: the key %q may hold letters, digits, and within it dots, underscores and hyphens, 63 at most", d.Reuse)
	}
	return d, nil
}

// Redis starts a Redis.
func Redis(ctx context.Context, opts *Options) (*Service, error) { return start(ctx, redis, opts) }

// NATS starts a NATS server with JetStream.
func NATS(ctx context.Context, opts *Options) (*Service, error) { return start(ctx, nats, opts) }

// S3 starts an S3 server, empty.
func S3(ctx context.Context, opts *Options) (*Service, error) { return start(ctx, s3, opts) }

func start(ctx context.Context, k kind, opts *Options) (*Service, error) {
	o, err := opts.defaults(k.image)
	if err != nil {
		return nil, err
	}
	s, err := launch(ctx, k, o, nil)
	if err != nil {
		return nil, fmt.Errorf("harness/containers: %s: %w", k.name, err)
	}
	return s, nil
}
