// Package images builds the container images that this module's tests and waxo
// dev ask for, where they cannot be pulled: behind an air gap, or where a registry
// counts. What is built is a stand-in of the same service from other sources: the
// Go module proxy, and Redis from the packages of this machine.
//
// A stand-in goes by the official name, so that nothing else has to know, and says
// what it is in its labels: io.waxo.stand-in, and io.waxo.stand-in.recipe with its
// sources. It never takes the place of the official image: where that is there, or
// can be pulled, nothing is built, and a stand-in makes way for it.
//
// An image holds the files of its service and nothing else: no shell, no package
// manager, no other user than root.
package images

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
)

// The images, as their publishers name them.
const (
	Redis  = "redis:7.4-alpine"
	NATS   = "nats:2.15"
	S3     = "versity/versitygw:v1.8.0"
	Reaper = "testcontainers/ryuk:0.14.0" // the one that testcontainers-go asks for
)

// The labels of a stand-in.
const (
	Label       = "io.waxo.stand-in"        // "true"
	LabelRecipe = "io.waxo.stand-in.recipe" // what it was made of
)

// Options configure Ensure; nil works.
type Options struct {
	// Names are the images to provide, of those above. Default: all.
	Names []string

	// Offline builds without trying to pull.
	Offline bool

	// Progress is told, a line each, what became of an image and why. Default: it
	// is not said.
	Progress func(line string)

	// Timeout is how long one image may take. Default: 10 minutes.
	Timeout time.Duration
}

// pullAnswer is how long a registry may take to begin to answer.
const pullAnswer = 20 * time.Second

// Client is the part of the engine's client that this package needs.
type Client interface {
	ImageInspect(ctx context.Context, image string, opts ...client.ImageInspectOption) (client.ImageInspectResult, error)
	ImagePull(ctx context.Context, image string, opts client.ImagePullOptions) (client.ImagePullResponse, error)
	ImageLoad(ctx context.Context, input io.Reader, opts ...client.ImageLoadOption) (client.ImageLoadResult, error)
}

// Ensure provides the images: it pulls what is missing or a stand-in, and builds
// what cannot be pulled. It stops at the first that it cannot provide.
func Ensure(ctx context.Context, engine Client, opts *Options) error {
	var o Options
	if opts != nil {
		o = *opts
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	if o.Names == nil {
		o.Names = []string{Redis, NATS, S3, Reaper}
	}
	for _, name := range o.Names {
		r, ok := recipes[name]
		if !ok {
			return fmt.Errorf("harness/images: no recipe for %s", name)
		}
		if err := ensure(ctx, engine, name, r, &o); err != nil {
			return fmt.Errorf("harness/images: %s: %w", name, err)
		}
	}
	return nil
}

func ensure(ctx context.Context, engine Client, name string, r recipe, o *Options) error {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(o.Timeout, 10*time.Minute))
	defer cancel()
	labels, present, err := inspect(ctx, engine, name)
	if err != nil {
		return err
	}
	if present && labels[Label] == "" {
		o.Progress(name + " is there")
		return nil
	}
	why := "as it was told not to pull"
	if !o.Offline {
		err := Pull(ctx, engine, name, "")
		if err == nil {
			o.Progress(name + " pulled")
			return nil
		}
		why = "as it cannot be pulled: " + err.Error()
	}
	built, err := r.describe(ctx)
	if err != nil {
		return fmt.Errorf("no stand-in can be built (%s): %w", why, err)
	}
	if present && labels[LabelRecipe] == built {
		o.Progress(name + " is there, a stand-in made of " + built)
		return nil
	}
	o.Progress(name + ": building a stand-in from " + built + ", " + why)
	i, err := r.make(ctx)
	if err != nil {
		return fmt.Errorf("build a stand-in: %w", err)
	}
	i.labels = map[string]string{Label: "true", LabelRecipe: built}
	return load(ctx, engine, name, i)
}

// inspect returns the labels of an image and whether there is one.
func inspect(ctx context.Context, engine Client, name string) (labels map[string]string, present bool, err error) {
	image, err := engine.ImageInspect(ctx, name)
	switch {
	case errdefs.IsNotFound(err):
		return nil, false, nil
	case err != nil:
		return nil, false, err
	case image.Config == nil:
		return nil, true, nil
	}
	return image.Config.Labels, true, nil
}

// Pull pulls an image, once and without patience: a registry that does not begin
// to answer within 20 seconds counts as none. credentials are in the form of the
// engine's interface, or empty.
func Pull(ctx context.Context, engine Client, name, credentials string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silent := time.AfterFunc(pullAnswer, func() { cancel(errors.New("the registry does not answer")) })
	pull, err := engine.ImagePull(ctx, name, client.ImagePullOptions{RegistryAuth: credentials})
	answered := silent.Stop()
	if err != nil {
		if !answered {
			return context.Cause(ctx)
		}
		return err
	}
	return pull.Wait(ctx)
}
