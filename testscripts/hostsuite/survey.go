package hostsuite

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"github.com/waxosuit/waxo/capability"
)

// What a script may need of a host ("Needs:" in its header), beside the names of
// capabilities.
const (
	needLibrary    = "library"    // operations can be called one by one, host calls be seen
	needHTTP       = "http"       // it serves HTTP itself
	needProgram    = "program"    // it is a process
	needPort       = "PORT"       // it is not told its port in another way
	needLiveUpdate = "liveupdate" // POST /liveupdate
	needNoUpdates  = "no liveupdate"
	needProbes     = "probes" // GET /healthz and GET /id
	needWascc      = "wascc"  // it runs guests of that generation
)

// survey finds out what a host offers, once, when the first script asks.
type survey struct {
	suite *suite
	ctx   context.Context
	dir   string

	mu    sync.Mutex
	found map[string]func() string
}

// surveyTimeout bounds a look at a host.
const surveyTimeout = 20 * time.Second

func newSurvey(ctx context.Context, s *suite) (*survey, error) {
	dir, err := os.MkdirTemp("", "waxo-hostsuite-")
	if err != nil {
		return nil, err
	}
	return &survey{suite: s, ctx: ctx, dir: dir, found: make(map[string]func() string)}, nil
}

func (v *survey) close() { os.RemoveAll(v.dir) }

// lacks tells why a check cannot be run, "" where it can.
func (v *survey) lacks(need string) string {
	if reason := v.suite.subject.lacks(need); reason != "" {
		return reason
	}
	look := map[string]func(context.Context) string{
		capability.KeyValue: v.keyValue, capability.Messaging: v.messaging,
		needLiveUpdate: v.liveUpdate, needNoUpdates: v.noLiveUpdate, needProbes: v.probes, needWascc: v.wascc,
	}[need]
	switch need {
	case needLibrary, needHTTP, needProgram, needPort:
		return ""
	}
	if look == nil {
		return fmt.Sprintf("the suite does not know what %q is", need)
	}
	v.mu.Lock()
	once := v.found[need]
	if once == nil {
		once = sync.OnceValue(func() string {
			ctx, cancel := context.WithTimeout(v.ctx, surveyTimeout)
			defer cancel()
			return look(ctx)
		})
		v.found[need] = once
	}
	v.mu.Unlock()
	return once()
}

// start starts the host with a guest that is described by a text.
func (v *survey) start(ctx context.Context, name, text string, env []string, caps ...string) (running, error) {
	module, err := assemble(text)
	if err != nil {
		return nil, err
	}
	if module, err = v.suite.keys.sign(module, usual(caps...)); err != nil {
		return nil, err
	}
	file := filepath.Join(v.dir, name+".wasm")
	if err := os.WriteFile(file, module, 0o600); err != nil {
		return nil, err
	}
	return v.suite.subject.start(ctx, file, &settings{env: env, hostCall: noHostCalls})
}

func noHostCalls(context.Context, HostCall) ([]byte, error) {
	return nil, errors.New("there are no providers here")
}

const getSomething = `
(data (i32.const 0) "Get\0a\05probe")
(func $handle (result i32)
  (drop (call $host (i32.const 0) (i32.const 3) (i32.const 3) (i32.const 7)))
  (call $ok))`

// keyValue looks whether a guest that claims a key-value store reaches the one of
// REDIS_URL. How well that works is for the checks.
func (v *survey) keyValue(ctx context.Context) string {
	if _, is := v.suite.subject.(library); is {
		return "" // the suite serves it itself
	}
	redis, err := startRedis(ctx)
	if err != nil {
		return err.Error()
	}
	defer redis.close()
	return v.offers(ctx, capability.KeyValue, "REDIS_URL", []string{"REDIS_URL=" + redis.url()}, redis.seen)
}

// offers has a guest make a host call, where that makes sense, and looks whether
// the server behind the capability hears of it.
func (v *survey) offers(ctx context.Context, id, variable string, env []string, seen *output) string {
	h, err := v.start(ctx, strings.ReplaceAll(id, ":", "-"), getSomething, env, id)
	if err != nil {
		return fmt.Sprintf("the host does not run a guest that claims %s: %s", id, firstLine(err))
	}
	defer h.kill()
	if _, err := h.do(ctx, &request{method: http.MethodGet, path: "/"}); err != nil {
		return fmt.Sprintf("the host does not serve a guest that claims %s: %s", id, firstLine(err))
	}
	if seen.String() == "" {
		return fmt.Sprintf("the host offers no %s: nothing connects to the server of %s", id, variable)
	}
	return ""
}

// messaging looks whether the host connects to the server of NATS_URL.
func (v *survey) messaging(ctx context.Context) string {
	nats, err := startNATS(ctx)
	if err != nil {
		return err.Error()
	}
	defer nats.close()
	seen := newOutput()
	sub, err := nats.conn.Subscribe("survey", func(*natsgo.Msg) { fmt.Fprintln(seen, "a message") })
	if err != nil {
		return err.Error()
	}
	defer sub.Unsubscribe()
	if err := nats.conn.Flush(); err != nil {
		return err.Error()
	}
	return v.publishes(ctx, []string{"NATS_URL=" + nats.server.URL()}, seen)
}

const publishSomething = `
(data (i32.const 0) "wascap:messagingPublish\12\08\0a\06survey")
(func $handle (result i32)
  (drop (call $host_call (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 16) (i32.const 16) (i32.const 7) (i32.const 23) (i32.const 10)))
  (call $ok))`

func (v *survey) publishes(ctx context.Context, env []string, seen *output) string {
	const id = capability.Messaging
	h, err := v.start(ctx, "messaging", publishSomething, env, id)
	if err != nil {
		return fmt.Sprintf("the host does not run a guest that claims %s: %s", id, firstLine(err))
	}
	defer h.kill()
	if _, err := h.do(ctx, &request{method: http.MethodGet, path: "/"}); err != nil {
		return fmt.Sprintf("the host does not serve a guest that claims %s: %s", id, firstLine(err))
	}
	soon, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if !seen.await(soon, func(text string) bool { return text != "" }) {
		return fmt.Sprintf("the host offers no %s: what a guest publishes does not arrive at the server of NATS_URL", id)
	}
	return ""
}

// notFound is a guest that answers everything with 404, so that what the host
// answers itself can be told from what the guest does.
const notFound = "(func $handle (result i32) (call $say_status (i32.const 404) (i32.const 0) (i32.const 0)))"

// liveUpdate looks whether the host takes a good module. A host that says why it does
// not want this one has the path at least, and is checked.
func (v *survey) liveUpdate(ctx context.Context) string {
	h, err := v.start(ctx, "liveupdate", notFound, nil)
	if err != nil {
		return firstLine(err)
	}
	defer h.kill()
	module, err := os.ReadFile(filepath.Join(v.dir, "liveupdate.wasm"))
	if err != nil {
		return err.Error()
	}
	r, err := h.do(ctx, &request{method: http.MethodPost, path: "/liveupdate", body: module})
	if err != nil {
		return firstLine(err)
	}
	switch r.status {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented, http.StatusForbidden, http.StatusUnauthorized:
		return fmt.Sprintf("the host takes no live updates: POST /liveupdate is answered by the status %d %s", r.status, clip(r.body))
	}
	return ""
}

// noLiveUpdate is the opposite, for what a host must do that was not told to take
// modules in.
func (v *survey) noLiveUpdate(context.Context) string {
	if v.lacks(needLiveUpdate) == "" {
		return "the host takes live updates"
	}
	return ""
}

// probes looks whether the host has the paths for probes.
func (v *survey) probes(ctx context.Context) string {
	h, err := v.start(ctx, "probes", notFound, nil)
	if err != nil {
		return firstLine(err)
	}
	defer h.kill()
	r, err := h.do(ctx, &request{method: http.MethodGet, path: "/healthz"})
	if err != nil {
		return firstLine(err)
	}
	if r.status == http.StatusNotFound {
		return "the host does not answer GET /healthz and GET /id itself"
	}
	return ""
}

// wascc looks whether the host runs guests that claim something of that generation.
func (v *survey) wascc(ctx context.Context) string {
	h, err := v.start(ctx, "wascc", "(func $handle (result i32) (call $ok))", nil, "wascc:probe")
	if err != nil {
		return "the host does not run a guest that claims wascc:probe: " + firstLine(err)
	}
	h.kill()
	return ""
}

func firstLine(err error) string {
	text := strings.TrimSpace(err.Error())
	if e := (*refusal)(nil); errors.As(err, &e) {
		text = strings.TrimSpace(e.text)
	}
	line, _, _ := strings.Cut(text, "\n")
	return line
}
