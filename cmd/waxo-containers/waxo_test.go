package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/client"
)

var kills = flag.Int("kills", 2, "how often TestWaxoDevKilled starts and kills waxo dev")

// words are what a program printed so far.
type words struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (w *words) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.all.Write(b)
}

func (w *words) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.all.String()
}

var listens = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)

// TestWaxoDevKilled starts waxo dev on containers, has the guest count in a real
// Redis, as its own client confirms, and kills waxo: nothing is left.
func TestWaxoDevKilled(t *testing.T) {
	engine := needEngine(t)
	containers := build(t)
	dir := filepath.Dir(containers)
	waxo := filepath.Join(dir, "waxo") // its companion is beside it
	output, err := exec.Command("go", "build", "-buildvcs=false", "-o", waxo, "../waxo").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	if output, err := exec.Command(waxo, "new", filepath.Join(dir, "counter"), "--template", "kvcounter").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	for range *kills {
		var said words
		cmd := exec.Command(waxo, "dev", "--providers", "container", "--port", "0")
		cmd.Dir = filepath.Join(dir, "counter")
		cmd.Stdout, cmd.Stderr = &said, &said
		cmd.WaitDelay = 10 * time.Millisecond
		must(t, cmd.Start())
		var address string
		eventually(t, 2*time.Minute, func() string {
			if address = listens.FindString(said.String()); address == "" {
				return "no address in:\n" + said.String()
			}
			return ""
		})
		p := find(t, containers)
		if len(p) != 1 {
			t.Fatalf("%d companions\n%s", len(p), &said)
		}
		eventually(t, time.Minute, func() string { return count(address) })
		if got := stored(t, engine, p[0].session); got != "1" {
			t.Errorf("redis-cli in the container says %q", got)
		}
		must(t, cmd.Process.Kill())
		_ = cmd.Wait()
		eventually(t, 90*time.Second, func() string {
			if all := find(t, containers); len(all) != 0 {
				return fmt.Sprintf("process %d", all[0].pid)
			}
			return left(t, engine, p[0].session)
		})
	}
}

// count has the guest count to one, and returns what went wrong.
func count(address string) string {
	response, err := http.Post(address, "", nil)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || string(body) != "{\"count\":1}\n" {
		return fmt.Sprintf("%s: %s (%v)", response.Status, body, err)
	}
	return ""
}

// stored asks the Redis of a session, by its own client.
func stored(t *testing.T, engine *client.Client, session string) string {
	t.Helper()
	list, err := engine.ContainerList(t.Context(), client.ContainerListOptions{
		Filters: make(client.Filters).Add("label", "io.waxo.service=redis", "org.testcontainers.sessionId="+session),
	})
	must(t, err)
	if len(list.Items) != 1 {
		t.Fatalf("%d containers", len(list.Items))
	}
	output, err := exec.Command("docker", "exec", list.Items[0].ID, "redis-cli", "GET", "count").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	return strings.TrimSpace(string(output))
}
