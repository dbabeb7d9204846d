package companion

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

const (
	module  = "github.com/waxosuit/waxo"
	command = module + "/cmd/" + Program
)

// patience is how long a build may take before it is spoken of.
const patience = 2 * time.Second

// find returns the companion's path, and builds it where there is none.
func (o *Options) find(ctx context.Context) (string, error) {
	if o.Program != "" {
		return o.Program, nil
	}
	if path := locate(); path != "" {
		return path, nil
	}
	b, err := newBuilder(o.Progress)
	if err != nil {
		return "", err
	}
	return b.provide(ctx)
}

// Locate tells where the companion is, without building it; "" where it would be built
// when it is needed. The error says why it cannot be.
func Locate() (string, error) {
	if path := locate(); path != "" {
		return path, nil
	}
	b, err := newBuilder(nil)
	if err != nil {
		return "", err
	}
	kept, _, err := b.look()
	if _, missing := os.Stat(kept); missing != nil {
		kept = ""
	}
	return kept, err
}

// newBuilder makes one of what is known of this program.
func newBuilder(progress func(string)) (builder, error) {
	_, file, _, _ := runtime.Caller(0)
	var version string
	if info, ok := debug.ReadBuildInfo(); ok {
		version = versionOf(info)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return builder{}, fmt.Errorf("no place to build %s: %w", Program, err)
	}
	return builder{root: sources(file), version: version, cache: filepath.Join(cache, "waxo", "companion"), progress: progress}, nil
}

// locate finds the companion beside this program or in PATH.
func locate() string {
	if self, err := os.Executable(); err == nil {
		if beside, err := exec.LookPath(filepath.Join(filepath.Dir(self), executable())); err == nil {
			return beside
		}
	}
	path, err := exec.LookPath(Program)
	if err != nil {
		return ""
	}
	return path
}

func executable() string {
	if runtime.GOOS == "windows" {
		return Program + ".exe"
	}
	return Program
}

// sources returns the root of this module's sources, if file, which is of this
// package, was compiled from sources that are still there: a checkout, or the
// module cache. Otherwise it returns "".
func sources(file string) string {
	root := filepath.Dir(filepath.Dir(filepath.Dir(file)))
	content, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil || !bytes.HasPrefix(content, []byte("module "+module+"\n")) {
		return ""
	}
	if _, err := os.Stat(filepath.Join(root, "cmd", Program)); err != nil {
		return ""
	}
	return root
}

// versionOf returns the version of this module in a program, "" if it has none
// that can be asked for.
func versionOf(info *debug.BuildInfo) string {
	version := ""
	if info.Main.Path == module {
		version = info.Main.Version
	}
	for _, dep := range info.Deps {
		if dep.Path == module && dep.Replace == nil {
			version = dep.Version
		}
	}
	if version == "(devel)" || strings.Contains(version, "+dirty") {
		return ""
	}
	return version
}

// builder builds the companion into a folder of the cache.
type builder struct {
	root     string // of the sources, "" where there are none
	version  string // "" where it is not known
	cache    string
	progress func(string)
}

// look finds a program that was kept, or tells where it would be built. It is kept
// unless what it is made of may have changed.
func (b builder) look() (kept string, usable bool, err error) {
	key, changes := b.version, false
	if b.root != "" {
		sum := sha256.Sum256([]byte(b.root))
		key = "sources-" + hex.EncodeToString(sum[:8])
		changes = !strings.Contains(filepath.Base(b.root), "@") // not in the module cache
	}
	if key == "" {
		return "", false, fmt.Errorf("%s is neither beside this program nor in PATH, and its sources are not known: go install %s@latest", Program, command)
	}
	kept = filepath.Join(b.cache, key, executable())
	if _, err := os.Stat(kept); err == nil && !changes {
		return kept, true, nil
	}
	if _, err := exec.LookPath("go"); err != nil {
		return "", false, fmt.Errorf("%s is neither beside this program nor in PATH, and without Go it cannot be built: %w", Program, err)
	}
	return kept, false, nil
}

// provide returns a program that fits: one that was kept, or a new one.
func (b builder) provide(ctx context.Context) (string, error) {
	kept, usable, err := b.look()
	if err != nil || usable {
		return kept, err
	}
	dir := filepath.Dir(kept)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	// Others may build at the same time, or run what is there.
	scratch, err := os.MkdirTemp(dir, "build-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(scratch)
	if err := b.build(ctx, scratch); err != nil {
		return "", err
	}
	return kept, os.Rename(filepath.Join(scratch, executable()), kept)
}

// build builds the companion into dir.
func (b builder) build(ctx context.Context, dir string) error {
	slow := time.AfterFunc(patience, func() {
		b.progress("building " + Program + ", the program that runs containers; this takes a minute, once")
	})
	defer slow.Stop()
	build := exec.CommandContext(ctx, "go", "install", command+"@"+b.version)
	build.Dir = dir
	if b.root != "" {
		build = exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", filepath.Join(dir, executable()), "./cmd/"+Program)
		build.Dir = b.root
	}
	build.Env = append(build.Environ(), "GOBIN="+dir, "GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH, "GOFLAGS=", "GOWORK=off")
	output, err := build.CombinedOutput()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		err = errors.Join(context.Cause(ctx), err)
	}
	return fmt.Errorf("build %s: %w\n%s", Program, err, bytes.TrimSpace(output))
}
