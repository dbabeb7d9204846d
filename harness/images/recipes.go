package images

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
)

// A recipe makes a stand-in.
type recipe struct {
	// describe names the sources, for the label and for people. It costs nothing:
	// equal descriptions mean equal images.
	describe func(context.Context) (string, error)
	make     func(context.Context) (image, error)
}

// The modules that stand-ins are built from.
const (
	natsModule = "github.com/nats-io/nats-server/v2@v2.15.3"
	s3Program  = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"
)

var recipes = map[string]recipe{
	Redis: {describeRedis, makeRedis},
	NATS:  {fixed(natsModule), makeNATS},
	S3:    {fixed(s3Program), makeS3},
	Reaper: {
		fixed("harness/images/reaper " + digest(reaperSource)[:12]), makeReaper,
	},
}

func fixed(description string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return description, nil }
}

//go:embed reaper/main.go
var reaperSource []byte

func makeReaper(ctx context.Context) (image, error) {
	dir, err := os.MkdirTemp("", "waxo-images-")
	if err != nil {
		return image{}, err
	}
	defer os.RemoveAll(dir)
	source := filepath.Join(dir, "main.go")
	if err := os.WriteFile(source, reaperSource, 0o600); err != nil {
		return image{}, err
	}
	program, err := compile(ctx, dir, "build", "-o", filepath.Join(dir, "bin", "ryuk"), source)
	return image{
		files: map[string][]byte{"/bin/ryuk": program}, entrypoint: []string{"/bin/ryuk"}, port: "8080/tcp",
	}, err
}

func makeNATS(ctx context.Context) (image, error) {
	program, err := install(ctx, natsModule)
	return image{
		files: map[string][]byte{"/nats-server": program}, entrypoint: []string{"/nats-server"}, port: "4222/tcp",
	}, err
}

func makeS3(ctx context.Context) (image, error) {
	program, err := install(ctx, s3Program)
	return image{
		files: map[string][]byte{"/usr/local/bin/versitygw": program}, entrypoint: []string{"/usr/local/bin/versitygw"}, port: "7070/tcp",
	}, err
}

// install builds a program of another module for the engine.
func install(ctx context.Context, program string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "waxo-images-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	return compile(ctx, dir, "install", program)
}

// compile runs the go command, which leaves one program in the folder bin of dir
// or below it, and returns that.
func compile(ctx context.Context, dir, verb string, args ...string) ([]byte, error) {
	// A GOBIN cannot be had for another system: GOPATH can, and it would hold the
	// module cache, too.
	cache, err := exec.CommandContext(ctx, "go", "env", "GOMODCACHE").Output()
	if err != nil {
		return nil, fmt.Errorf("go env GOMODCACHE: %w", err)
	}
	build := exec.CommandContext(ctx, "go", append([]string{verb, "-trimpath", "-ldflags=-s -w"}, args...)...)
	build.Dir = dir
	build.Env = append(build.Environ(), "GOOS=linux", "GOARCH="+runtime.GOARCH, "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=",
		"GOBIN=", "GOPATH="+dir, "GOMODCACHE="+strings.TrimSpace(string(cache)))
	if output, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", strings.Join(build.Args, " "), err, bytes.TrimSpace(output))
	}
	var program string
	err = filepath.WalkDir(filepath.Join(dir, "bin"), func(name string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			program = name
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return os.ReadFile(program)
}

// The programs of the Redis image.
var redisPrograms = []string{"redis-server", "redis-cli"}

func describeRedis(ctx context.Context) (string, error) {
	if runtime.GOOS != "linux" {
		return "", errors.New("the stand-in for Redis is made of a Linux system's own packages, and this is none")
	}
	for _, program := range redisPrograms {
		if _, err := exec.LookPath(program); err != nil {
			return "", fmt.Errorf("it is made of this machine's own %s, which is missing: apt-get install redis-server redis-tools, or the like", program)
		}
	}
	version, err := exec.CommandContext(ctx, "redis-server", "--version").Output()
	if err != nil {
		return "", fmt.Errorf("redis-server --version: %w", err)
	}
	return strings.TrimSpace(string(version)), nil
}

func makeRedis(ctx context.Context) (image, error) {
	i := image{
		files: make(map[string][]byte), dirs: []string{"/data"}, dir: "/data", port: "6379/tcp",
		// Whoever reaches it comes through a published port, from outside as it sees
		// it, and the official image answers such clients, too.
		cmd: []string{"redis-server", "--protected-mode", "no"},
	}
	for _, program := range redisPrograms {
		file, err := exec.LookPath(program)
		if err != nil {
			return image{}, err
		}
		libraries, err := libraries(ctx, file)
		if err != nil {
			return image{}, err
		}
		for _, name := range libraries {
			if i.files[name], err = os.ReadFile(name); err != nil {
				return image{}, err
			}
		}
		if i.files[path.Join("/usr/local/bin", program)], err = os.ReadFile(file); err != nil {
			return image{}, err
		}
	}
	return i, nil
}

// library finds the files in what ldd prints, such as
// "libm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x00007f...)".
var library = regexp.MustCompile(`(/\S+) \(0x[0-9a-f]+\)`)

// libraries lists the shared libraries of a program, its loader among them.
func libraries(ctx context.Context, program string) ([]string, error) {
	output, err := exec.CommandContext(ctx, "ldd", program).Output()
	if err != nil {
		return nil, fmt.Errorf("ldd %s: %w", program, err)
	}
	var names []string
	for _, match := range library.FindAllSubmatch(output, -1) {
		names = append(names, string(match[1]))
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("ldd %s names no library", program)
	}
	return names, nil
}
