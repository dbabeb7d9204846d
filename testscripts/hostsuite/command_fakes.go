package hostsuite

import (
	"os"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/waxosuit/waxo/testscripts/script"
)

// fakeCommands are for what stands behind the capabilities.
func fakeCommands() []script.Command {
	list := []script.Command{
		{
			Name: "redis", Args: "start | set KEY VALUE | get KEY VALUE | none KEY | seen [-count N] REGEXP | unseen REGEXP | hold | release | down | up",
			Short:   "The Redis server of this script. Hosts that are started after it are told by REDIS_URL.",
			Long:    "set, get and none work on the store itself, past the host. seen waits for a command of the host's that matches, or for so many, unseen expects that there was none by now. hold keeps the answers of the server back until release; down cuts it off, and up brings it back.",
			Example: "redis start\nredis set k v\nredis get k v\nredis none other",
		},
		{
			Name: "nats", Args: "start [SUBJECT] | watch SUBJECT | expect SUBJECT BODY | publish SUBJECT BODY | request SUBJECT BODY REPLY",
			Short:   "The NATS server of this script. Hosts that are started after it are told by NATS_URL, and by NATS_SUBSCRIPTION what to subscribe to.",
			Long:    "watch keeps what is published to a subject from then on, and expect waits for the next of it.",
			Example: "nats start\nnats watch news\nnats publish news today\nnats expect news today",
		},
		{
			Name: "liveupdate", Args: "[flags of sign] MODULE STATUS",
			Short:   "Send a new module to the host (POST /liveupdate), and expect a status.",
			Example: "host one.wat\nliveupdate -rev 2 one.wat 200|404\n\n-- one.wat --\n(func $handle (result i32) (call $ok))",
		},
	}
	for i, run := range []func(*world, *testscript.TestScript, script.Command, []string){runRedis, runNATS, runLiveUpdate} {
		list[i].Run = withoutNot(&list[i], run)
	}
	return list
}

// verbs tells how many arguments a command's words take.
func checkVerb(ts *testscript.TestScript, c script.Command, args []string, verbs map[string]int) {
	if len(args) == 0 {
		c.Usage(ts)
	}
	if n, known := verbs[args[0]]; !known || len(args) != 1+n {
		c.Usage(ts)
	}
}

func runRedis(w *world, ts *testscript.TestScript, c script.Command, args []string) {
	count := 1
	if len(args) == 4 && args[0] == "seen" && args[1] == "-count" {
		n, err := strconv.Atoi(args[2])
		ts.Check(err)
		args, count = []string{args[0], args[3]}, n
	}
	checkVerb(ts, c, args, map[string]int{"start": 0, "set": 2, "get": 2, "none": 1, "seen": 1, "unseen": 1, "hold": 0, "release": 0, "down": 0, "up": 0})
	if args[0] == "start" {
		f, err := startRedis(w.ctx)
		ts.Check(err)
		w.redis = f
		w.env = append(w.env, "REDIS_URL="+f.url())
		return
	}
	f := w.redis
	if f == nil {
		ts.Fatalf("there is no Redis server: redis start")
	}
	switch args[0] {
	case "hold":
		f.hold()
	case "release":
		f.release()
	case "down":
		f.down()
	case "up":
		ts.Check(f.up())
	case "seen", "unseen":
		w.lookAtRedis(ts, args[0] == "seen", args[1], count)
	default:
		w.store(ts, args)
	}
}

// store works on the store itself.
func (w *world) store(ts *testscript.TestScript, args []string) {
	key := unescape(ts, args[1])
	if args[0] == "set" {
		_, _, err := w.redis.do(w.ctx, "SET", key, unescape(ts, args[2]))
		ts.Check(err)
		return
	}
	value, there, err := w.redis.do(w.ctx, "GET", key)
	ts.Check(err)
	switch {
	case args[0] == "none" && there:
		w.fail(ts, "the store has %q under %q, and should have nothing", clip([]byte(value)), key)
	case args[0] == "get" && !there:
		w.fail(ts, "the store has nothing under %q", key)
	case args[0] == "get" && value != unescape(ts, args[2]):
		w.fail(ts, "the store has %q under %q", clip([]byte(value)), key)
	}
}

func (w *world) lookAtRedis(ts *testscript.TestScript, wanted bool, pattern string, count int) {
	matches := matchLines(ts, pattern, count)
	switch {
	case wanted && !w.redis.seen.await(w.ctx, matches):
		w.fail(ts, "the Redis server got no command that matches %q; it got\n%s", pattern, w.redis.seen)
	case !wanted && matches(w.redis.seen.String()):
		w.fail(ts, "the Redis server got a command that matches %q", pattern)
	}
}

func runNATS(w *world, ts *testscript.TestScript, c script.Command, args []string) {
	if len(args) == 2 && args[0] == "start" {
		w.env = append(w.env, "NATS_SUBSCRIPTION="+args[1])
		args = args[:1]
	}
	checkVerb(ts, c, args, map[string]int{"start": 0, "watch": 1, "expect": 2, "publish": 2, "request": 3})
	if args[0] == "start" {
		f, err := startNATS(w.ctx)
		ts.Check(err)
		w.nats = f
		w.env = append(w.env, "NATS_URL="+f.server.URL())
		return
	}
	if w.nats == nil {
		ts.Fatalf("there is no NATS server: nats start")
	}
	switch args[0] {
	case "watch":
		ts.Check(w.nats.watch(args[1]))
	case "publish":
		ts.Check(w.nats.publish(args[1], unescape(ts, args[2])))
	case "expect":
		got, err := w.nats.next(w.ctx, args[1])
		w.same(ts, "the message to "+args[1], got, unescape(ts, args[2]), err)
	case "request":
		got, err := w.nats.request(w.ctx, args[1], unescape(ts, args[2]))
		w.same(ts, "the reply to "+args[1], got, unescape(ts, args[3]), err)
	}
}

// same expects a text.
func (w *world) same(ts *testscript.TestScript, what, got, want string, err error) {
	switch {
	case err != nil:
		w.fail(ts, "%s did not come: %v", what, err)
	case got != want:
		w.fail(ts, "%s is %q, but %q was expected", what, clip([]byte(got)), clip([]byte(want)))
	}
}

func runLiveUpdate(w *world, ts *testscript.TestScript, c script.Command, args []string) {
	a := take(ts, c, args, signFlags, 2, 2)
	module, err := os.ReadFile(moduleFile(w, ts, a.rest[0], signingOf(a)))
	ts.Check(err)
	r := &request{method: "POST", path: "/liveupdate", body: module}
	if problem := expect(ts, a.rest[1:]).differs(w.do(ts, r)); problem != "" {
		w.fail(ts, "POST /liveupdate: %s", strings.TrimSpace(problem))
	}
}
