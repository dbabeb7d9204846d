//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/waxosuit/waxo/cmd/internal/cli"
	"github.com/waxosuit/waxo/emulators/redis"
)

// patience is how long a test waits for what must come.
const patience = 90 * time.Second

// host is a waxo-host that runs beside the test.
type host struct {
	t     *testing.T
	cmd   *exec.Cmd
	url   string
	ended chan struct{}
	mu    sync.Mutex
	log   bytes.Buffer
}

func (h *host) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.log.Write(p)
}

func (h *host) said() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.log.String()
}

// serve starts waxo-host with a module of modules, on a free port, and waits until it
// serves.
func serve(t *testing.T, module string, args ...string) *host {
	t.Helper()
	dir, err := modules()
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	h := &host{t: t, ended: make(chan struct{})}
	h.cmd = exec.CommandContext(t.Context(), self, append([]string{filepath.Join(dir, module), "--port", "0", "--log-format", "json"}, args...)...)
	h.cmd.Dir = t.TempDir()
	h.cmd.Env = append(os.Environ(), asHost+"=1", "REDIS_URL=", "WAXO_KEYVALUE_URL=", "PORT=", "XDG_CACHE_HOME="+filepath.Join(scratch, "cache"))
	h.cmd.Stdout, h.cmd.Stderr = h, h
	if err := h.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		h.cmd.Wait() //nolint:errcheck // the status is read where it matters
		close(h.ended)
	}()
	t.Cleanup(func() {
		h.cmd.Process.Kill() //nolint:errcheck // it may have ended
		<-h.ended
		if t.Failed() {
			t.Logf("it printed:\n%s", h.said())
		}
	})
	h.url = h.logged("serving").URL
	return h
}

// record is a line of the log.
type record struct{ Msg, URL string }

// logged waits for a line of the log.
func (h *host) logged(msg string) record {
	h.t.Helper()
	deadline := time.After(patience)
	for {
		for line := range strings.Lines(h.said()) {
			var r record
			if json.Unmarshal([]byte(line), &r) == nil && r.Msg == msg {
				return r
			}
		}
		select {
		case <-h.ended:
			h.t.Fatalf("it ended before it said %q", msg)
		case <-deadline:
			h.t.Fatalf("it does not say %q", msg)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// count has the guest count.
func (h *host) count() (status int, body string, err error) {
	response, err := http.Post(h.url+"/", "text/plain", nil)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, string(text), err
}

// stop sends a signal and returns the exit status.
func (h *host) stop(s os.Signal) int {
	h.t.Helper()
	if err := h.cmd.Process.Signal(s); err != nil {
		h.t.Fatal(err)
	}
	return h.end()
}

func (h *host) end() int {
	h.t.Helper()
	select {
	case <-h.ended:
	case <-time.After(patience):
		h.t.Fatal("it does not end")
	}
	return h.cmd.ProcessState.ExitCode()
}

// door is in front of a server. While it is shut, what is sent there waits.
type door struct {
	sync.RWMutex
	waiting chan struct{} // told of what waits, or would have
}

// through passes on what comes from one side.
func (d *door) through(from, to net.Conn) {
	buffer := make([]byte, 4096)
	for {
		n, err := from.Read(buffer)
		select {
		case d.waiting <- struct{}{}:
		default:
		}
		d.RLock()
		to.Write(buffer[:n]) //nolint:errcheck // the next read tells
		d.RUnlock()
		if err != nil {
			to.Close() //nolint:errcheck // that is the end of it
			return
		}
	}
}

// before puts a door in front of a Redis, and returns the address of the door.
func before(t *testing.T, s *redis.Server) (d *door, url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	address := strings.TrimPrefix(s.URL(), "redis://")
	address, _, _ = strings.Cut(address, "/")
	d = &door{waiting: make(chan struct{}, 1)}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", address)
			if err != nil {
				client.Close() //nolint:errcheck // the test will see that
				continue
			}
			go d.through(client, server)
			go io.Copy(client, server) //nolint:errcheck // it ends with the connection
		}
	}()
	return d, "redis://" + l.Addr().String() + "/0"
}

// TestServesAndDrains: a signed guest counts in a Redis outside; a termination has
// what is in hand answered, and nothing else.
func TestServesAndDrains(t *testing.T) {
	store, err := redis.Start(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	door, url := before(t, store)
	h := serve(t, "counter.wasm", "--bind", "wascap:keyvalue="+url, "--timings")
	for _, want := range []string{`{"count":1}`, `{"count":2}`} {
		if status, body, err := h.count(); err != nil || status != 200 || strings.TrimSpace(body) != want {
			t.Fatalf("%d %q, %v; want %q", status, body, err, want)
		}
	}
	h.logged("started") // --timings

	door.Lock()
	select {
	case <-door.waiting: // of before
	default:
	}
	answered := make(chan error, 1)
	go func() {
		status, body, err := h.count()
		if err == nil && (status != 200 || strings.TrimSpace(body) != `{"count":3}`) {
			err = errors.New(body)
		}
		answered <- err
	}()
	<-door.waiting
	if err := h.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	h.logged("draining")
	door.Unlock()
	if err := <-answered; err != nil {
		t.Errorf("the request in hand: %v", err)
	}
	if status := h.end(); status != cli.ExitOK {
		t.Errorf("the status is %d", status)
	}
	if _, _, err := h.count(); err == nil {
		t.Error("it serves on")
	}
}

// TestThrowawayKeysThatAreMeant: they are run, and an interrupt is told from a
// termination.
func TestThrowawayKeysThatAreMeant(t *testing.T) {
	store, err := redis.Start(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	h := serve(t, "throwaway.wasm", "--bind", "wascap:keyvalue="+store.URL(), "--allow-dev")
	if status, body, err := h.count(); err != nil || status != 200 {
		t.Errorf("%d %q, %v", status, body, err)
	}
	if status := h.stop(os.Interrupt); status != cli.ExitInterrupted {
		t.Errorf("the status is %d", status)
	}
}
