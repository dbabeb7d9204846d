//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/waxosuit/waxo/cmd/internal/cli"
)

// releases makes a project with real keys and two revisions of its module, which
// answer "Hello, World" and "Welcome, World" or the like to /api/greetings/en?name=World.
func releases(t *testing.T) (dir, first, second string) {
	t.Helper()
	dir = t.TempDir()
	waxo := func(in string, args ...string) {
		t.Helper()
		if output, status := ask(t, in, args...); status != 0 {
			t.Fatalf("waxo %q: %s", args, output)
		}
	}
	waxo(dir, "keys", "new", "account", "account.nk")
	waxo(dir, "keys", "new", "module", "module.nk")
	waxo(dir, "new", "greet", "--template", "http")
	project := filepath.Join(dir, "greet")
	build := func(revision, name string) string {
		waxo(project, "build", "--account-key", "../account.nk", "--module-key", "../module.nk", "--revision", revision, "-o", name)
		return filepath.Join(project, name)
	}
	first = build("1", "first.wasm")
	edit(t, filepath.Join(project, "main.go"), `"Hello"`, `"Welcome"`)
	return dir, first, build("2", "second.wasm")
}

// update sends a module to a host.
func (p *process) update(file string) (status int, text string) {
	p.t.Helper()
	module, err := os.ReadFile(file)
	if err != nil {
		p.t.Fatal(err)
	}
	response, err := http.Post(p.url+"/liveupdate", "application/wasm", bytes.NewReader(module))
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// TestLiveUpdateUnderLoad: a module takes the place of the one before it while
// clients ask, and none of them is let down.
func TestLiveUpdateUnderLoad(t *testing.T) {
	dir, first, second := releases(t)
	p := serve(t, dir, first, "--live-update", "--linger", "1m")
	ctx, cancel := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	defer clients.Wait()
	defer cancel()
	var before, after atomic.Int64
	for range 8 {
		clients.Go(func() {
			client := &http.Client{Transport: new(http.Transport), Timeout: patience}
			defer client.CloseIdleConnections()
			for ctx.Err() == nil {
				response, err := client.Get(p.url + "/api/greetings/en?name=World")
				if err != nil {
					t.Error(err)
					return
				}
				text, err := io.ReadAll(response.Body)
				_ = response.Body.Close()
				old := strings.Contains(string(text), "Hello")
				switch {
				case err != nil || response.StatusCode != 200 || !old && !strings.Contains(string(text), "Welcome"):
					t.Errorf("%d %q, %v", response.StatusCode, text, err)
					return
				case old:
					before.Add(1)
				default:
					after.Add(1)
				}
			}
		})
	}
	if status, text := p.update(second); status != 200 || !strings.Contains(text, `"status":"updated"`) || !strings.Contains(text, `"revision":2`) {
		t.Fatalf("%d %s", status, text)
	}
	for seen := after.Load(); after.Load() < seen+100 && !t.Failed(); {
		p.expect("GET", "/healthz", `{"status":"healthy"}`)
	}
	if before.Load() == 0 {
		t.Error("there was no load before the update")
	}
	if status, text := p.update(first); status != 409 {
		t.Errorf("back to the first: %d %s", status, text)
	}
	cancel()
	clients.Wait()
	p.lingers()
}

// lingers expects a host that was told to end to serve on while probes are told,
// and to end at once when it is told again.
func (p *process) lingers() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); ; {
		if status, _, _ := p.do("GET", "/healthz"); status == 503 {
			break
		}
		if time.Now().After(deadline) {
			p.t.Fatal("probes are not told")
		}
	}
	if status, text, _ := p.do("GET", "/api/greetings/en?name=World"); status != 200 {
		p.t.Errorf("while it lingers: %d %s", status, text)
	}
	if status := p.stop(syscall.SIGTERM); status != cli.ExitInterrupted {
		p.t.Errorf("the status is %d", status)
	}
}

// TestLiveUpdateIsOffByDefault: whoever reaches the port of a host changes nothing.
func TestLiveUpdateIsOffByDefault(t *testing.T) {
	dir, first, second := releases(t)
	p := serve(t, dir, first)
	status, text := p.update(second)
	var refused struct{ Status, Code, Message string }
	if err := json.Unmarshal([]byte(text), &refused); err != nil || status != 403 || refused.Code != "denied" || !strings.Contains(refused.Message, "--live-update") {
		t.Errorf("%d %s", status, text)
	}
	if _, text, _ := p.do("GET", "/api/greetings/en?name=World"); !strings.Contains(text, "Hello") {
		t.Errorf("it answers %s", text)
	}
	if status := p.stop(syscall.SIGTERM); status != cli.ExitOK {
		t.Errorf("the status is %d", status)
	}
}
