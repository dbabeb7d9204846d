package images_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/client"

	"github.com/waxosuit/waxo/harness/images"
)

// engine is an engine with a registry, both of memory.
type engine struct {
	present  map[string]map[string]string // labels by name
	registry []string
	silent   bool   // the registry takes connections and says nothing
	broken   string // what the engine says of an image that is loaded
	loaded   []byte
	pulls    int
}

func (e *engine) ImageInspect(_ context.Context, name string, _ ...client.ImageInspectOption) (r client.ImageInspectResult, err error) {
	labels, ok := e.present[name]
	if !ok {
		return r, errdefs.ErrNotFound
	}
	r.Config = &dockerspec.DockerOCIImageConfig{}
	r.Config.Labels = labels
	return r, nil
}

func (e *engine) ImagePull(ctx context.Context, name string, _ client.ImagePullOptions) (client.ImagePullResponse, error) {
	e.pulls++
	if e.silent {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if !slices.Contains(e.registry, name) {
		return nil, errors.New("no such host")
	}
	e.present[name] = nil
	return pulled{}, nil
}

func (e *engine) ImageLoad(_ context.Context, input io.Reader, _ ...client.ImageLoadOption) (client.ImageLoadResult, error) {
	var err error
	if e.loaded, err = io.ReadAll(input); err != nil {
		return nil, err
	}
	answer, err := json.Marshal(map[string]string{"error": e.broken})
	return io.NopCloser(bytes.NewReader(answer)), err
}

type pulled struct{ io.ReadCloser }

func (pulled) Wait(context.Context) error                                        { return nil }
func (pulled) JSONMessages(context.Context) iter.Seq2[jsonstream.Message, error] { return nil }

// ensure runs Ensure for the image of the reaper, which takes nothing but Go to
// build.
func ensure(t *testing.T, e *engine, opts images.Options) (said string) {
	t.Helper()
	e.loaded = nil
	opts.Names = []string{images.Reaper}
	opts.Progress = func(line string) { said += line + "\n" }
	if err := images.Ensure(t.Context(), e, &opts); err != nil {
		t.Fatal(err)
	}
	return said
}

// TestStandIns: the official image is taken wherever it can be had, and a
// stand-in is built where it cannot.
func TestStandIns(t *testing.T) {
	e := &engine{present: map[string]map[string]string{}}
	if said := ensure(t, e, images.Options{}); e.loaded == nil || !strings.Contains(said, "no such host") {
		t.Fatalf("nothing was built: %s", said)
	}
	name, labels, files := unpack(t, e.loaded)
	if name != images.Reaper || labels[images.Label] != "true" || labels[images.LabelRecipe] == "" {
		t.Errorf("%s with the labels %v", name, labels)
	}
	if got := slices.Sorted(maps.Keys(files)); !slices.Equal(got, []string{"bin/", "bin/ryuk", "tmp/"}) || len(files["bin/ryuk"]) < 1<<20 {
		t.Errorf("it holds %v", got)
	}
	first := e.loaded

	e.present[images.Reaper] = labels
	if said := ensure(t, e, images.Options{}); e.loaded != nil || !strings.Contains(said, "a stand-in made of") {
		t.Errorf("the same was built again: %s", said)
	}
	e.present[images.Reaper] = map[string]string{images.Label: "true", images.LabelRecipe: "something else"}
	ensure(t, e, images.Options{})
	if !bytes.Equal(e.loaded, first) {
		t.Errorf("a stand-in of other sources: built anew, it is %d bytes and differs", len(e.loaded))
	}
	pulls := e.pulls
	e.registry = []string{images.Reaper}
	ensure(t, e, images.Options{Offline: true})
	if e.loaded == nil || e.pulls != pulls {
		t.Error("told to stay offline, it pulled")
	}
	if ensure(t, e, images.Options{}); e.loaded != nil || e.present[images.Reaper] != nil {
		t.Error("the stand-in did not make way for the official image")
	}
	pulls = e.pulls
	if ensure(t, e, images.Options{}); e.loaded != nil || e.pulls != pulls {
		t.Error("the official image was touched")
	}
}

func TestEnsureFails(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	for want, test := range map[string]struct {
		e    engine
		opts images.Options
	}{
		"no recipe for busybox":    {opts: images.Options{Names: []string{"busybox"}}},
		"no space left":            {e: engine{broken: "no space left"}, opts: images.Options{Names: []string{images.Reaper}, Offline: true}},
		"context deadline exceede": {e: engine{silent: true}, opts: images.Options{Names: []string{images.Reaper}, Timeout: time.Millisecond}},
	} {
		test.e.present = map[string]map[string]string{}
		if err := images.Ensure(t.Context(), &test.e, &test.opts); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	silent := &engine{silent: true}
	if err := images.Pull(ctx, silent, "x", ""); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a registry that says nothing: %v", err)
	}
}

// unpack takes an archive of an image with one layer apart.
func unpack(t *testing.T, archive []byte) (name string, labels map[string]string, layer map[string][]byte) {
	t.Helper()
	files := untar(t, archive)
	var manifest []struct {
		Config           string
		RepoTags, Layers []string
	}
	if err := json.Unmarshal(files["manifest.json"], &manifest); err != nil || len(manifest) != 1 || len(manifest[0].RepoTags) != 1 || len(manifest[0].Layers) != 1 {
		t.Fatalf("manifest.json is %s (%v)", files["manifest.json"], err)
	}
	var config struct {
		Config struct{ Labels map[string]string }
	}
	if err := json.Unmarshal(files[manifest[0].Config], &config); err != nil {
		t.Fatal(err)
	}
	return manifest[0].RepoTags[0], config.Config.Labels, untar(t, files[manifest[0].Layers[0]])
}

func untar(t *testing.T, archive []byte) map[string][]byte {
	t.Helper()
	files := make(map[string][]byte)
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[header.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
}
