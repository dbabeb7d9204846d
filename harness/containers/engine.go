package containers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/log"

	"github.com/waxosuit/waxo/harness/companion"
	"github.com/waxosuit/waxo/harness/images"
)

// NoEngineError says that no container engine answers. It is a
// companion.ErrNoEngine.
type NoEngineError struct{ Err error }

func (e *NoEngineError) Error() string {
	return `no container engine answers: install and start Docker (https://docs.docker.com/engine/install; on Debian: apt-get install docker.io), or take the provider "embedded", which needs none: ` + e.Err.Error()
}

func (e *NoEngineError) Unwrap() error { return e.Err }

func (e *NoEngineError) Is(target error) bool { return target == companion.ErrNoEngine }

// Check returns nil if a container engine answers, and a *NoEngineError if none
// does. What it finds holds for the life of the process.
func Check() error {
	e, err := connect()
	if err != nil {
		return err
	}
	return e.close()
}

// ImageError says that an image is neither here nor to be had.
type ImageError struct {
	Image string
	Err   error
}

func (e *ImageError) Error() string {
	return fmt.Sprintf("the image %s is not on this machine and cannot be pulled: %v; without a registry, \"go run github.com/waxosuit/waxo/harness/images/build@latest\" builds stand-ins of the default images", e.Image, e.Err)
}

func (e *ImageError) Unwrap() error { return e.Err }

// The one address at which services are published.
const loopback = "127.0.0.1"

// hostVariable tells testcontainers-go where published ports are. It would look
// for them elsewhere if this process seems to run in a container itself, which it
// guesses from a file, and wait for a minute. There is no other way to tell it.
const hostVariable = "TESTCONTAINERS_HOST_OVERRIDE"

// engine is a connection to the container engine.
type engine struct {
	provider *testcontainers.DockerProvider
	client   client.APIClient
}

// connect finds the engine as testcontainers-go does: DOCKER_HOST, the Docker
// context, the usual sockets.
func connect() (engine, error) {
	if err := os.Setenv(hostVariable, loopback); err != nil {
		return engine{}, err
	}
	provider, err := testcontainers.NewDockerProvider(testcontainers.Generic2DockerOptions(testcontainers.WithLogger(log.NewNoopLogger()))...)
	if err != nil {
		return engine{}, &NoEngineError{err}
	}
	return engine{provider, provider.Client()}, nil
}

func (e engine) close() error { return e.provider.Close() }

// provide has an image ready, and pulls it once where it is missing.
func (e engine) provide(ctx context.Context, image string) error {
	_, err := e.client.ImageInspect(ctx, image)
	if !errdefs.IsNotFound(err) {
		return err
	}
	if err := images.Pull(ctx, e.client, image, credentials(ctx, image)); err != nil {
		return &ImageError{image, err}
	}
	return nil
}

// reaperTimeout is how long the reaper may take to run.
const reaperTimeout = time.Minute

// ensureReaper starts the reaper of this session before there is anything to
// reap. Left to itself testcontainers-go starts it after the first container was
// made, and what dies in between leaves that one behind.
func (e engine) ensureReaper(ctx context.Context) error {
	if e.provider.Config().RyukDisabled {
		return nil
	}
	if err := e.provide(ctx, images.Reaper); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx, cancel := steadily(ctx, reaperTimeout)
	defer cancel()
	//lint:ignore SA1019 nothing else starts it beforehand
	_, err := testcontainers.NewReaper(ctx, testcontainers.SessionID(), e.provider, "")
	return err
}

// remove removes a container, its anonymous volumes too. One that is gone
// already is fine.
func (e engine) remove(ctx context.Context, id string) error {
	_, err := e.client.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	if errdefs.IsNotFound(err) || errdefs.IsConflict(err) {
		return nil // it is being removed
	}
	return err
}

// removeAll removes the containers with a label.
func (e engine) removeAll(ctx context.Context, labels ...string) error {
	found, err := e.client.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: make(client.Filters).Add("label", labels...)})
	if err != nil {
		return err
	}
	var errs []error
	for _, c := range found.Items {
		errs = append(errs, e.remove(ctx, c.ID))
	}
	return errors.Join(errs...)
}

// Remove removes the services that were started with the key reuse.
func Remove(ctx context.Context, reuse string) error {
	if !reuseKey.MatchString(reuse) {
		return fmt.Errorf("harness/containers: %q is no key", reuse)
	}
	e, err := connect()
	if err == nil {
		defer e.close()
		err = e.removeAll(ctx, labelReuse+"="+reuse)
	}
	if err != nil {
		return fmt.Errorf("harness/containers: remove %s: %w", reuse, err)
	}
	return nil
}
