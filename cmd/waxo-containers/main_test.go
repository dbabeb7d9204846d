package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/harness/companion"
	"github.com/waxosuit/waxo/harness/containers"
)

func TestMain(m *testing.M) {
	if program := os.Getenv("CONTAINERS_TEST_PROGRAM"); program != "" {
		parent(program)
		return
	}
	os.Exit(m.Run())
}

// parent starts services through a companion and waits to be killed.
func parent(program string) {
	c := companion.NewClient(&companion.Options{Program: program, Stderr: os.Stderr})
	for _, id := range []string{capability.KeyValue, capability.EventStreams} {
		s, err := c.Start(context.Background(), companion.Request{Capability: id})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(s.Name())
	}
	select {}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// build builds the companion.
func build(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "waxo-containers")
	output, err := exec.Command("go", "build", "-buildvcs=false", "-o", program, ".").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	return program
}

func needEngine(t *testing.T) *client.Client {
	t.Helper()
	if err := containers.Check(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	engine, err := client.New(client.FromEnv)
	must(t, err)
	t.Cleanup(func() { engine.Close() })
	return engine
}

// process is the companion as the system sees it.
type process struct {
	pid     int
	session string // with the reaper
}

// find looks for processes that run a program.
func find(t *testing.T, program string) []process {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/exe")
	must(t, err)
	var found []process
	for _, link := range links {
		if target, err := os.Readlink(link); err != nil || target != program {
			continue
		}
		environment, _ := os.ReadFile(filepath.Join(filepath.Dir(link), "environ"))
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(link)))
		must(t, err)
		p := process{pid: pid}
		for variable := range bytes.SplitSeq(environment, []byte{0}) {
			if session, ok := bytes.CutPrefix(variable, []byte("TESTCONTAINERS_SESSION_ID=")); ok {
				p.session = string(session) // the last one counts
			}
		}
		found = append(found, p)
	}
	return found
}

// left counts what there is of a session.
func left(t *testing.T, engine *client.Client, session string) string {
	t.Helper()
	filter := make(client.Filters).Add("label", "org.testcontainers.sessionId="+session)
	list, err := engine.ContainerList(t.Context(), client.ContainerListOptions{All: true, Filters: filter})
	must(t, err)
	networks, err := engine.NetworkList(t.Context(), client.NetworkListOptions{Filters: filter})
	must(t, err)
	if len(list.Items) == 0 && len(networks.Items) == 0 {
		return ""
	}
	var names []string
	for _, c := range list.Items {
		names = append(names, fmt.Sprint(c.Names, " ", c.State))
	}
	return fmt.Sprintf("%d networks, %d containers: %s", len(networks.Items), len(list.Items), strings.Join(names, ", "))
}

// reaperMissing says why there is no reaper that runs.
func reaperMissing(t *testing.T, engine *client.Client, session string) string {
	t.Helper()
	filter := make(client.Filters).Add("label", "org.testcontainers.reaper=true", "org.testcontainers.sessionId="+session)
	list, err := engine.ContainerList(t.Context(), client.ContainerListOptions{Filters: filter})
	must(t, err)
	if len(list.Items) == 0 {
		return "no reaper"
	}
	return ""
}

// eventually waits until what is wrong is empty.
func eventually(t *testing.T, within time.Duration, wrong func() string) {
	t.Helper()
	deadline := time.After(within)
	for {
		text := wrong()
		if text == "" {
			return
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-deadline:
			t.Fatalf("after %v there is still: %s", within, text)
		}
	}
}

// TestKilled kills who asked for containers, while they are being started as well
// as when they run. No container, no network and no process is left; nor where the
// companion is killed too, when the reaper does it.
func TestKilled(t *testing.T) {
	engine := needEngine(t)
	program := build(t)
	for round := range 8 {
		killCompanion, ready := round >= 6, round%2 == 1
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(cmd.Environ(), "CONTAINERS_TEST_PROGRAM="+program)
		var words bytes.Buffer
		cmd.Stderr = &words
		cmd.WaitDelay = 10 * time.Millisecond // the companion has it, too
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		if ready {
			var first, second string
			if n, err := fmt.Fscan(out, &first, &second); n != 2 {
				t.Fatalf("nothing was started: %v\n%s", err, &words)
			}
		}
		var p process
		eventually(t, time.Minute, func() string {
			all := find(t, program)
			if len(all) != 1 || all[0].session == "" {
				return fmt.Sprintf("%d companions", len(all))
			}
			p = all[0]
			return ""
		})
		if killCompanion { // else nobody is left to remove a reaper that was only just made
			eventually(t, time.Minute, func() string { return reaperMissing(t, engine, p.session) })
		}
		if !ready {
			<-time.After(rand.N(1500 * time.Millisecond))
		}
		must(t, cmd.Process.Kill())
		_ = cmd.Wait()
		if killCompanion {
			companion, err := os.FindProcess(p.pid)
			must(t, err)
			if err := companion.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
				t.Fatal(err)
			}
		}
		eventually(t, 90*time.Second, func() string {
			if all := find(t, program); len(all) != 0 {
				return fmt.Sprintf("process %d", all[0].pid)
			}
			return left(t, engine, p.session)
		})
	}
}

// TestEnds: what is asked to end does so at once, in the way of Ctrl-C, too.
func TestEnds(t *testing.T) {
	engine := needEngine(t)
	program := build(t)
	c := companion.NewClient(&companion.Options{Program: program})
	s, err := c.Start(t.Context(), companion.Request{Capability: capability.Blobstore})
	must(t, err)
	kept, err := c.Start(t.Context(), companion.Request{Capability: capability.KeyValue, Reuse: fmt.Sprint("test.", time.Now().UnixNano())})
	must(t, err)
	defer containers.Remove(context.Background(), strings.TrimSuffix(strings.TrimPrefix(kept.Name(), "waxo-"), "-redis"))
	p := find(t, program)
	if len(p) != 1 {
		t.Fatalf("%d companions", len(p))
	}
	self, err := os.FindProcess(p[0].pid)
	must(t, err)
	must(t, self.Signal(os.Interrupt))
	if _, err := c.Start(t.Context(), companion.Request{Capability: "x:y"}); err == nil || !strings.Contains(err.Error(), `no service for the capability "x:y"`) {
		t.Errorf("after SIGINT: %v", err)
	}
	must(t, s.Close(t.Context()))
	if _, err := engine.ContainerInspect(t.Context(), s.Name(), client.ContainerInspectOptions{}); err == nil {
		t.Error("it is still there after Close")
	}
	must(t, c.Close(t.Context()))
	if text := left(t, engine, p[0].session); strings.Contains(text, "reaper") || strings.Contains(text, "s3") {
		t.Errorf("left: %s", text)
	}
	seen, err := engine.ContainerInspect(t.Context(), kept.Name(), client.ContainerInspectOptions{})
	if err != nil || !seen.Container.State.Running {
		t.Errorf("what was to be kept is gone: %v", err)
	}
}
