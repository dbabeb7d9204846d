package hostsuite

import (
	"context"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/waxosuit/waxo/testscripts/script"
)

func defaultParallel() int { return 4 * runtime.GOMAXPROCS(0) }

type worldKey struct{}

// world is what a script has to itself.
type world struct {
	suite  *suite
	ctx    context.Context // ends with the script's time
	cancel context.CancelFunc
	skip   func(reason string) // ends the script

	host     running // started last
	refused  *refusal
	hosts    []running // all
	env      []string  // for hosts: where the fakes are
	last     *response
	inHand   map[string]*pending // requests in the background
	requests sync.WaitGroup
	redis    *redisFake
	nats     *natsFake
	calls    *hostCalls
}

func newWorld(s *suite, env *testscript.Env) *world {
	w := &world{suite: s, inHand: make(map[string]*pending)}
	w.calls = &hostCalls{world: w}
	w.skip = func(reason string) { env.T().Skip(reason) }
	w.ctx, w.cancel = context.WithCancel(script.ContextOf(env))
	return w
}

func worldOf(ts *testscript.TestScript) *world { return ts.Value(worldKey{}).(*world) }

// close ends what a script has started.
func (w *world) close() {
	w.cancel()
	for _, h := range w.hosts {
		h.kill()
	}
	w.requests.Wait()
	w.calls.close()
	if w.redis != nil {
		w.redis.close()
	}
	if w.nats != nil {
		w.nats.close()
	}
}

// check ends a script with an error, and with what its host has said.
func (w *world) check(ts *testscript.TestScript, err error) {
	if err != nil {
		w.fail(ts, "%v", err)
	}
}

// fail ends a script. What its host has said may tell why.
func (w *world) fail(ts *testscript.TestScript, format string, args ...any) {
	if w.host != nil {
		if text := strings.TrimSpace(w.host.output().String()); text != "" {
			ts.Logf("[the host said]\n%s", tail(text))
		}
	}
	ts.Fatalf(format, args...)
}

// tail is the end of a long text.
func tail(text string) string {
	const most = 4 << 10
	if len(text) <= most {
		return text
	}
	return "..." + text[len(text)-most:]
}

// serving is the host that runs.
func (w *world) serving(ts *testscript.TestScript) running {
	if w.host == nil {
		ts.Fatalf("no host is running: start one by the command host")
	}
	return w.host
}

// withEnding replaces a file's ending.
func withEnding(name, ending string) string {
	return strings.TrimSuffix(name, filepath.Ext(name)) + ending
}
