package companion_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/harness/companion"
)

// The test's own program plays the companion of the client's tests.
func TestMain(m *testing.M) {
	switch os.Getenv("COMPANION_TEST_ROLE") {
	case "":
		os.Exit(m.Run())
	case "serve":
		if err := companion.Serve(context.Background(), os.Stdin, os.Stdout, newBackend()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	case "old":
		fmt.Println(`{"protocol":99}`)
		_, _ = io.Copy(io.Discard, os.Stdin)
	case "babble":
		fmt.Println(`{"protocol":1}` + "\nWelcome!")
		_, _ = io.Copy(io.Discard, os.Stdin)
	case "die":
		fmt.Fprintln(os.Stderr, "no luck today")
		os.Exit(3)
	}
}

// backend starts nothing, and tells what it was asked for. What it does goes by
// the image.
type backend struct {
	mu      sync.Mutex
	running map[string]bool
	log     []string
}

func newBackend() *backend { return &backend{running: make(map[string]bool)} }

func (b *backend) note(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.log = append(b.log, fmt.Sprintf(format, args...))
}

func (b *backend) Start(ctx context.Context, r companion.Request) (companion.Started, error) {
	switch r.Image {
	case "none":
		return companion.Started{}, fmt.Errorf("%w: install one", companion.ErrNoEngine)
	case "bad":
		return companion.Started{}, errors.New("it does not start")
	case "die":
		fmt.Fprintln(os.Stderr, "the engine room is on fire")
		os.Exit(4)
	case "slow":
		b.note("slow")
		<-ctx.Done()
		b.note("gave up")
		return companion.Started{}, ctx.Err()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	name := fmt.Sprintf("%s-%d", r.Reuse, len(b.running))
	b.running[name] = true
	return companion.Started{URL: "redis://" + r.Capability, Name: name}, nil
}

func (b *backend) Stop(_ context.Context, name string) error {
	b.note("stop %s", name)
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.running[name] {
		return fmt.Errorf("no %s", name)
	}
	delete(b.running, name)
	return nil
}

func (b *backend) Remove(_ context.Context, reuse string) error {
	b.note("remove %s", reuse)
	return nil
}

func (b *backend) Close(context.Context) error {
	b.note("close")
	return nil
}

// conversation runs Serve, and hands lines to it and from it.
type conversation struct {
	t    *testing.T
	in   io.WriteCloser
	out  *bufio.Scanner
	done chan error
}

func converse(t *testing.T, b *backend) *conversation {
	t.Helper()
	inRead, in := io.Pipe()
	out, outWrite := io.Pipe()
	c := &conversation{t: t, in: in, out: bufio.NewScanner(out), done: make(chan error, 1)}
	go func() {
		c.done <- companion.Serve(t.Context(), inRead, outWrite, b)
		outWrite.Close()
	}()
	c.expect(`{"protocol":1}`)
	return c
}

func (c *conversation) say(line string) {
	c.t.Helper()
	if _, err := io.WriteString(c.in, line+"\n"); err != nil {
		c.t.Fatal(err)
	}
}

func (c *conversation) expect(line string) {
	c.t.Helper()
	if !c.out.Scan() || c.out.Text() != line {
		c.t.Fatalf("the companion says %q, want %q", c.out.Text(), line)
	}
}

// end closes the input and waits for the companion's end.
func (c *conversation) end() error {
	c.in.Close()
	go func() {
		for c.out.Scan() {
		}
	}()
	return <-c.done
}

func TestProtocol(t *testing.T) {
	b := newBackend()
	c := converse(t, b)
	c.say(`{"id":1,"start":{"capability":"wascap:keyvalue","reuse":"a"}}`)
	c.expect(`{"id":1,"url":"redis://wascap:keyvalue","name":"a-0"}`)
	c.say(`{"id":2,"start":{"capability":"x","image":"bad"}}`)
	c.expect(`{"id":2,"error":"it does not start"}`)
	c.say(`{"id":3,"start":{"capability":"x","image":"none"}}`)
	c.expect(`{"id":3,"error":"no container engine answers: install one","noEngine":true}`)
	c.say(`{"id":4,"stop":"a-0"}`)
	c.expect(`{"id":4}`)
	c.say(`{"id":5,"stop":"a-0"}`)
	c.expect(`{"id":5,"error":"no a-0"}`)
	c.say(`{"id":6,"remove":"a"}`)
	c.expect(`{"id":6}`)
	c.say(`{"id":7}`)
	c.expect(`{"id":7,"error":"a request that this companion does not know"}`)
	c.say(`{"id":8,"start":{"capability":"x","image":"slow"}}`)
	c.say(`{"cancel":8}`)
	c.expect(`{"id":8,"error":"context canceled"}`)
	c.say(`{"cancel":8}`)
	c.say(`{"id":9,"start":{"capability":"x","image":"slow"}}`)
	if err := c.end(); err != nil {
		t.Error(err)
	}
	if got := strings.Join(b.log, "; "); !strings.HasSuffix(got, "gave up; close") {
		t.Errorf("what is under way ends before everything does: %s", got)
	}
}

func TestProtocolGarbage(t *testing.T) {
	b := newBackend()
	c := converse(t, b)
	c.say("hello?")
	if err := c.end(); err == nil || !strings.Contains(err.Error(), "not a line of the protocol") {
		t.Errorf("got %v", err)
	}
	if got := strings.Join(b.log, "; "); got != "close" {
		t.Errorf("the backend was told %q", got)
	}
}

// client makes a client whose companion plays a role.
func client(t *testing.T, role string) *companion.Client {
	t.Helper()
	t.Setenv("COMPANION_TEST_ROLE", role)
	c := companion.NewClient(&companion.Options{Program: os.Args[0]})
	t.Cleanup(func() { c.Close(context.Background()) })
	return c
}

func TestClient(t *testing.T) {
	c := client(t, "serve")
	s, err := c.Start(t.Context(), companion.Request{Capability: capability.KeyValue, Reuse: "k"})
	if err != nil {
		t.Fatal(err)
	}
	if s.URL() != "redis://wascap:keyvalue" || s.Name() != "k-0" {
		t.Errorf("got %s, %s", s.URL(), s.Name())
	}
	var starting sync.WaitGroup
	for range 20 {
		starting.Go(func() {
			if _, err := c.Start(t.Context(), companion.Request{Capability: capability.Messaging}); err != nil {
				t.Error(err)
			}
		})
	}
	starting.Wait()
	for range 2 {
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if _, err := c.Start(t.Context(), companion.Request{Image: "bad"}); err == nil || err.Error() != "it does not start" {
		t.Errorf("got %v", err)
	}
	if err := c.Remove(t.Context(), "k"); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := c.Start(ctx, companion.Request{Image: "slow"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a start that was given up: %v", err)
	}
	for range 2 {
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if _, err := c.Start(t.Context(), companion.Request{}); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("after Close: %v", err)
	}
}

// TestClientBegins anew where its companion died, or found no engine.
func TestClientBegins(t *testing.T) {
	c := client(t, "serve")
	s, err := c.Start(t.Context(), companion.Request{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Start(t.Context(), companion.Request{Image: "die"})
	if err == nil || !strings.Contains(err.Error(), "exit status 4") || !strings.Contains(err.Error(), "on fire") {
		t.Errorf("the companion died: %v", err)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Errorf("a service that went with its companion: %v", err)
	}
	_, err = c.Start(t.Context(), companion.Request{Image: "none"})
	if !errors.Is(err, companion.ErrNoEngine) || !strings.Contains(err.Error(), "install one") {
		t.Errorf("no engine: %v", err)
	}
	again, err := c.Start(t.Context(), companion.Request{})
	if err != nil || again.Name() != "-0" {
		t.Errorf("the next companion: %v, %v", again, err)
	}
}

func TestBadCompanions(t *testing.T) {
	for role, want := range map[string]string{
		"old":    "it speaks version 99 of the protocol, and this program 1",
		"babble": `"Welcome!"`,
		"die":    "exit status 3",
	} {
		_, err := client(t, role).Start(t.Context(), companion.Request{Image: "slow"})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", role, err, want)
		}
	}
	missing := companion.NewClient(&companion.Options{Program: "/nonexistent/waxo-containers"})
	if _, err := missing.Start(t.Context(), companion.Request{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no such program: %v", err)
	}
	var words bytes.Buffer
	t.Setenv("COMPANION_TEST_ROLE", "die")
	loud := companion.NewClient(&companion.Options{Program: os.Args[0], Stderr: &words})
	if _, err := loud.Start(t.Context(), companion.Request{}); err == nil || !strings.Contains(words.String(), "no luck today") {
		t.Errorf("%v; its words: %q", err, words.String())
	}
}
