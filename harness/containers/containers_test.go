package containers_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/waxosuit/waxo/harness/companion"
	"github.com/waxosuit/waxo/harness/containers"
	"github.com/waxosuit/waxo/harness/images"
)

func TestMain(m *testing.M) {
	if os.Getenv("CONTAINERS_TEST_HOLD") != "" {
		hold()
		return
	}
	os.Exit(m.Run())
}

// hold starts a service and keeps it until this process is killed.
func hold() {
	s, err := containers.Redis(context.Background(), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(s.Name())
	select {}
}

// needEngine skips a test where there is no container engine; in CI there has to
// be one.
func needEngine(t *testing.T) *client.Client {
	t.Helper()
	if err := containers.Check(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	engine, err := client.New(client.FromEnv)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { engine.Close() })
	return engine
}

type starter func(context.Context, *containers.Options) (*containers.Service, error)

func start(t *testing.T, s starter, opts *containers.Options) *containers.Service {
	t.Helper()
	service, err := s(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := service.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return service
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// redis runs redis-cli in a container.
func redis(t *testing.T, s *containers.Service, command ...string) string {
	t.Helper()
	output, err := s.Exec(t.Context(), append([]string{"redis-cli"}, command...)...)
	must(t, err)
	return strings.TrimSpace(output)
}

// ping asks a Redis whether it answers within a moment.
func ping(addr string) error {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	if _, err := io.WriteString(conn, "PING\r\n"); err != nil {
		return err
	}
	_, err = io.ReadFull(conn, make([]byte, 7))
	return err
}

// TestServices starts one of each side by side. Nobody else than this machine
// reaches them, and after Close nothing is left.
func TestServices(t *testing.T) {
	engine := needEngine(t)
	for name, test := range map[string]struct {
		start starter
		url   string // with the address in place of %s
	}{
		"redis": {containers.Redis, "redis://%s/0"},
		"nats":  {containers.NATS, "nats://%s"},
		"s3":    {containers.S3, "http://waxo:waxo-development@%s?region=us-east-1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, test.start, nil)
			if want := fmt.Sprintf(test.url, s.Addr()); s.URL() != want {
				t.Errorf("URL = %q, want %q", s.URL(), want)
			}
			if _, err := url.Parse(s.URL()); err != nil {
				t.Error(err)
			}
			seen, err := engine.ContainerInspect(t.Context(), s.Name(), client.ContainerInspectOptions{})
			must(t, err)
			published := 0
			for _, bindings := range seen.Container.NetworkSettings.Ports {
				for _, b := range bindings {
					published++
					if got := net.JoinHostPort(b.HostIP.String(), b.HostPort); got != s.Addr() {
						t.Errorf("published at %s", got)
					}
				}
			}
			if published != 1 {
				t.Errorf("%d ports are published", published)
			}
			must(t, s.Close(t.Context()))
			must(t, s.Close(t.Context()))
			_, err = engine.ContainerInspect(t.Context(), s.Name(), client.ContainerInspectOptions{})
			if err == nil || !strings.Contains(err.Error(), "No such container") {
				t.Errorf("after Close: %v", err)
			}
			for _, mount := range seen.Container.Mounts {
				if _, err := engine.VolumeInspect(t.Context(), mount.Name, client.VolumeInspectOptions{}); err == nil {
					t.Errorf("the volume of %s is left", mount.Destination)
				}
			}
		})
	}
}

// TestComesBack: whatever is done to a service, it comes back at its address, with
// its data, and answers when the call that brought it back returns.
func TestComesBack(t *testing.T) {
	needEngine(t)
	t.Parallel()
	s := start(t, containers.Redis, nil)
	redis(t, s, "SET", "k", "kept")
	for _, step := range []struct {
		name     string
		down, up func(context.Context) error
	}{
		{"stopped", s.Stop, s.Start},
		{"killed", s.Kill, s.Start},
		{"paused", s.Pause, s.Unpause},
		{"cut off", s.Disconnect, s.Connect},
	} {
		addr := s.Addr()
		must(t, step.down(t.Context()))
		if err := ping(addr); err == nil {
			t.Errorf("it answers while it is %s", step.name)
		}
		must(t, step.up(t.Context()))
		if err := ping(addr); err != nil || s.Addr() != addr {
			t.Errorf("after it was %s: %v, at %s", step.name, err, s.Addr())
		}
		if got := redis(t, s, "GET", "k"); got != "kept" {
			t.Errorf("after it was %s, its data is %q", step.name, got)
		}
	}
	if _, err := s.Exec(t.Context(), "redis-cli", "-h", "127.0.0.1", "-p", "1", "PING"); err == nil || !strings.Contains(err.Error(), "Connection refused") {
		t.Errorf("a command that fails: %v", err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Errorf("started while it runs: %v", err)
	}
	must(t, s.Close(t.Context()))
	if err := s.Stop(t.Context()); err == nil || !strings.Contains(err.Error(), s.Name()) {
		t.Errorf("stopped after Close: %v", err)
	}
}

// TestReuse: who names the same key gets the same service, whatever state it is
// in, and nobody ends it but Remove.
func TestReuse(t *testing.T) {
	engine := needEngine(t)
	t.Parallel()
	key := fmt.Sprintf("test.%d", time.Now().UnixNano())
	t.Cleanup(func() { must(t, containers.Remove(context.Background(), key)) })
	opts := &containers.Options{Reuse: key}
	first := start(t, containers.Redis, opts)
	redis(t, first, "SET", "k", "kept")
	must(t, first.Close(t.Context()))

	second := start(t, containers.Redis, opts)
	if second.Name() != first.Name() || second.Addr() != first.Addr() || redis(t, second, "GET", "k") != "kept" {
		t.Errorf("another service: %s at %s, then %s at %s", first.Name(), first.Addr(), second.Name(), second.Addr())
	}
	must(t, second.Pause(t.Context()))
	start(t, containers.Redis, opts)
	must(t, second.Stop(t.Context()))
	if third := start(t, containers.Redis, opts); third.Addr() != first.Addr() || redis(t, third, "GET", "k") != "kept" {
		t.Errorf("it was stopped, and is at %s now", third.Addr())
	}

	other := "waxo-test/redis:" + key
	if _, err := engine.ImageTag(t.Context(), client.ImageTagOptions{Source: images.Redis, Target: other}); err != nil {
		t.Fatal(err)
	}
	defer engine.ImageRemove(context.Background(), other, client.ImageRemoveOptions{})
	replaced := start(t, containers.Redis, &containers.Options{Reuse: key, Image: other})
	if got := redis(t, replaced, "GET", "k"); got != "" {
		t.Errorf("another image has the data %q of the first", got)
	}
	must(t, containers.Remove(t.Context(), key))
	if err := ping(replaced.Addr()); err == nil {
		t.Error("it answers after Remove")
	}
	must(t, containers.Remove(t.Context(), key))
}

// TestFailures: what cannot serve says why, soon, and leaves nothing.
func TestFailures(t *testing.T) {
	engine := needEngine(t)
	t.Parallel()
	before := list(t, engine)
	for name, test := range map[string]struct {
		start starter
		opts  containers.Options
		want  string
	}{
		"no such image":        {containers.Redis, containers.Options{Image: "waxo-test/none:1"}, "go run github.com/waxosuit/waxo/harness/images/build"},
		"no image at all":      {containers.Redis, containers.Options{Image: "Not An Image"}, "invalid reference format"},
		"another service":      {containers.Redis, containers.Options{Image: images.NATS, Timeout: 3 * time.Second}, "Server is ready"},
		"it ends":              {containers.Redis, containers.Options{Image: images.S3}, "its container ended with status"},
		"it has no such shell": {containers.S3, containers.Options{Image: images.Redis}, "executable file not found"},
		"a bad key":            {containers.Redis, containers.Options{Reuse: "a/b"}, "may hold letters"},
	} {
		begun := time.Now()
		_, err := test.start(t.Context(), &test.opts)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
		if took := time.Since(begun); took > 40*time.Second {
			t.Errorf("%s: took %v", name, took)
		}
	}
	if _, err := containers.Redis(t.Context(), &containers.Options{Image: "waxo-test/none:1"}); !errors.As(err, new(*containers.ImageError)) {
		t.Errorf("the error of a missing image is a %T", err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := containers.Redis(cancelled, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that ended: %v", err)
	}
	for name, image := range list(t, engine) {
		if before[name] == "" && (image == images.NATS && strings.HasPrefix(name, "/waxo-redis") || image == images.S3 && strings.HasPrefix(name, "/waxo-redis")) {
			t.Errorf("%s of %s is left", name, image)
		}
	}
}

// list returns the images of all containers by their names.
func list(t *testing.T, engine *client.Client) map[string]string {
	t.Helper()
	found, err := engine.ContainerList(t.Context(), client.ContainerListOptions{All: true})
	must(t, err)
	names := make(map[string]string)
	for _, c := range found.Items {
		names[strings.Join(c.Names, ",")] = c.Image
	}
	return names
}

// TestNoEngine: the error is typed, and says what to install and what would work.
func TestNoEngine(t *testing.T) {
	if os.Getenv("DOCKER_CERT_PATH") == "" {
		t.Parallel()
		// A process finds its engine once, so another one looks for it.
		again := exec.Command(os.Args[0], "-test.run=^TestNoEngine$", "-test.v")
		again.Env = append(again.Environ(), "DOCKER_CERT_PATH="+t.TempDir(), "DOCKER_TLS_VERIFY=1")
		if output, err := again.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, output)
		}
		return
	}
	_, err := containers.Redis(t.Context(), nil)
	if !errors.As(err, new(*containers.NoEngineError)) || !errors.Is(err, companion.ErrNoEngine) {
		t.Fatalf("%T: %v", err, err)
	}
	for _, want := range []string{"docker.io", "embedded"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("it does not say %q: %v", want, err)
		}
	}
	if _, err := containers.NATSCluster(t.Context(), nil); !errors.Is(err, companion.ErrNoEngine) {
		t.Errorf("a cluster: %v", err)
	}
	if err := containers.Remove(t.Context(), "a"); !errors.Is(err, companion.ErrNoEngine) {
		t.Errorf("Remove: %v", err)
	}
}
