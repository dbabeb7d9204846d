package keyvalue_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/keyvalue"
	"github.com/waxosuit/waxo/emulators/redis"
)

// backend is a server that the suite runs against.
type backend struct {
	name string
	url  func(t testing.TB) string // starts the server for the test
}

var backends = []backend{
	{"embedded", embedded},
	{"redis-server", realRedis},
}

func embedded(t testing.TB) string {
	t.Helper()
	s, err := redis.Start(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s.URL()
}

// realRedis runs the redis-server of this machine on a socket in the test's own
// folder.
func realRedis(t testing.TB) string {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		const missing = "redis-server is not installed (Debian: apt-get install redis-server), so nothing was compared with a real Redis"
		if os.Getenv("CI") != "" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	dir, err := os.MkdirTemp("", "kv") // t.TempDir is too long a path for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	cmd := exec.Command(program, "--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no", "--dir", dir, "--loglevel", "warning")
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("redis-server said:\n%s", &output)
		}
	})
	wait(t, "redis-server to listen", func() bool {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return "unix://" + socket + "?db=0"
}

// wait polls until something holds, or fails the test.
func wait(t testing.TB, what string, holds func() bool) {
	t.Helper()
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(20 * time.Second)
	for !holds() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// each runs a part of the suite against every backend.
func each(t *testing.T, test func(t *testing.T, url string)) {
	t.Helper()
	for _, b := range backends {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			test(t, b.url(t))
		})
	}
}

var id = capability.BindingID{Guest: "MGUEST", Name: capability.DefaultBinding}

// bind makes a provider that is bound to a server.
func bind(t testing.TB, url string) *keyvalue.Provider {
	t.Helper()
	p := keyvalue.New(nil)
	if err := p.Bind(t.Context(), capability.Binding{BindingID: id, Config: map[string]string{"url": url}}, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return p
}

// client is the other client of a server, which leaves there what no guest can.
func client(t testing.TB, url string) *goredis.Client {
	t.Helper()
	opts, err := goredis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	c := goredis.NewClient(opts)
	t.Cleanup(func() { c.Close() })
	return c
}

func do(t testing.TB, c *goredis.Client, args ...any) any {
	t.Helper()
	v, err := c.Do(t.Context(), args...).Result()
	if err != nil && !errors.Is(err, goredis.Nil) {
		t.Fatalf("%q: %v", args, err)
	}
	return v
}
