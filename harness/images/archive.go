package images

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"runtime"
	"slices"
	"strings"
	"time"
)

// image is what goes into an image of one layer.
type image struct {
	files      map[string][]byte // by their absolute paths; all can be executed
	dirs       []string          // beside those that the files need
	env        []string
	entrypoint []string
	cmd        []string
	dir        string // where it starts
	port       string // such as "6379/tcp"
	labels     map[string]string
}

// made is the time of everything in an image: the same sources give the same
// image.
var made = time.Unix(0, 0).UTC()

// load hands an image to the engine, under a name.
func load(ctx context.Context, engine Client, name string, i image) error {
	archive, err := i.archive(name)
	if err != nil {
		return err
	}
	answer, err := engine.ImageLoad(ctx, bytes.NewReader(archive))
	if err != nil {
		return err
	}
	defer answer.Close()
	for messages := json.NewDecoder(answer); ; {
		var message struct {
			Error string `json:"error"`
		}
		switch err := messages.Decode(&message); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("the engine's answer: %w", err)
		case message.Error != "":
			return errors.New(message.Error)
		}
	}
}

// archive is an image in the form of "docker save".
func (i image) archive(name string) ([]byte, error) {
	layer, err := i.layer()
	if err != nil {
		return nil, err
	}
	config, err := i.config("sha256:" + digest(layer))
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{digest(config) + ".json": config, digest(layer) + "/layer.tar": layer}
	manifest := []map[string]any{{
		"Config": digest(config) + ".json", "RepoTags": []string{name}, "Layers": []string{digest(layer) + "/layer.tar"},
	}}
	if files["manifest.json"], err = json.Marshal(manifest); err != nil {
		return nil, err
	}
	return pack(files, nil)
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func (i image) config(layer string) ([]byte, error) {
	config := map[string]any{
		"Env":    slices.Concat([]string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, i.env),
		"Labels": i.labels, "Entrypoint": i.entrypoint, "Cmd": i.cmd, "WorkingDir": cmp.Or(i.dir, "/"),
	}
	if i.port != "" {
		config["ExposedPorts"] = map[string]any{i.port: struct{}{}}
	}
	return json.Marshal(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux", "created": made, "config": config,
		"rootfs":  map[string]any{"type": "layers", "diff_ids": []string{layer}},
		"history": []map[string]any{{"created": made, "created_by": "github.com/waxosuit/waxo/harness/images"}},
	})
}

func (i image) layer() ([]byte, error) {
	files := make(map[string][]byte, len(i.files))
	dirs := map[string]bool{"tmp": true}
	for name, content := range i.files {
		name = strings.TrimPrefix(path.Clean(name), "/")
		files[name] = content
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			dirs[dir] = true
		}
	}
	for _, dir := range i.dirs {
		dirs[strings.TrimPrefix(path.Clean(dir), "/")] = true
	}
	return pack(files, dirs)
}

// pack writes a tar archive, in the order of the names.
func pack(files map[string][]byte, dirs map[string]bool) ([]byte, error) {
	var names []string
	for name := range files {
		names = append(names, name)
	}
	for dir := range dirs {
		names = append(names, dir+"/")
	}
	slices.Sort(names)
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, name := range names {
		header := &tar.Header{Name: name, Mode: 0o755, ModTime: made, Typeflag: tar.TypeDir}
		if name == "tmp/" {
			header.Mode = 0o1777
		}
		content, ok := files[name]
		if ok {
			header.Typeflag, header.Size = tar.TypeReg, int64(len(content))
		}
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := w.Write(content); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return archive.Bytes(), nil
}
