package hostsuite

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/waxosuit/waxo/capability/payload/httppb"
	"github.com/waxosuit/waxo/capability/payload/registry"
	"github.com/waxosuit/waxo/testscripts/script"
)

// httpCommands send requests and look at what comes back.
func httpCommands() []script.Command {
	list := []script.Command{
		{
			Name: "http", Args: "[-as NAME] [-wait] [-echo] [-within DURATION] [-chunked] [-H 'NAME: VALUE']... [-body TEXT | -file FILE | -size BYTES] METHOD PATH STATUS [BODY]",
			Short:   "Send a request to the host, and expect a status and a body.",
			Long:    "STATUS is one such as 200, several as in `500|502`, or `5xx`; `refused` says that the host did not take the module at all, `none` that no answer comes. BODY is as between the quotes of a Go string. With -as the answer is not waited for: the command answer does. -within bounds how long it may take. With -wait the request is sent again until the answer is the one that is expected. -size sends so many bytes, 0 to 255 in turn; -echo expects the body back as it was sent, -chunked does not announce its length. What came is what stdout looks at.",
			Example: "host guest.wat\nhttp -H 'X-Id: 7' -body hello POST /greet?loud 200\n\n-- guest.wat --\n(func $handle (result i32) (call $ok))",
		},
		{
			Name: "answer", Args: "NAME STATUS [BODY] | -any COUNT STATUS [BODY]",
			Short:   "Wait for the answer to the request that `http -as NAME` sent, or to the next so many of those under way, and expect a status and a body.",
			Example: "host guest.wat\nhttp -as one GET /\nanswer one 200\n\n-- guest.wat --\n(func $handle (result i32) (call $ok))",
		},
		{
			Name: "many", Args: "[-as NAME] COUNT AT-ONCE METHOD PATH STATUS [BODY]",
			Short:   "Send many requests, some at once, and expect the same of each. In PATH and BODY, {i} is the request's number. With -as, the command answer waits for them, and expects 200 where all was as expected.",
			Example: "host echo.wat\nmany 50 8 GET /{i} 200 {i}\n\n-- echo.wat --\n(func $handle (result i32)\n  (local $path i32)\n  (local.set $path (call $path))\n  (call $say (i32.add (local.get $path) (i32.const 1)) (i32.sub (global.get $path_len) (i32.const 1))))",
		},
		{
			Name: "raw", Args: "TEXT STATUS [BODY]",
			Short:   "Send bytes that need not be HTTP, written as between the quotes of a Go string, and expect a status and a body.",
			Example: "host guest.wat\nraw 'GARBAGE\\r\\n\\r\\n' 400\n\n-- guest.wat --\n(func $handle (result i32) (call $ok))",
		},
		{
			Name: "header", Args: "NAME REGEXP",
			Short:   "Expect that a header of the last answer matches, each of its values on a line. `! header NAME` expects that there is none, `! header NAME REGEXP` that it does not match.",
			Example: "host guest.wat\nhttp GET / 200\nheader Content-Length ^0$\n! header X-Nothing\n\n-- guest.wat --\n(func $handle (result i32) (call $ok))",
		},
		{
			Name: "json", Args: "PATH VALUE",
			Short:   "Expect a value in the JSON of the last answer. PATH is such as capabilities.0; VALUE is JSON, or a text without its quotes, in which {module} and {account} are the keys that sign.",
			Example: "host guest.wat\nhttp GET / 200\ndecode\njson method GET\n\n-- guest.wat --\n(func $handle (result i32) (call $say (i32.const 0x10000) (global.get $request_len)))",
		},
		{
			Name:    "decode",
			Short:   "Take the body of the last answer for an http.Request that the guest has sent back, and put its JSON in the body's place.",
			Example: "host guest.wat\nhttp PUT /a?b 200\ndecode\njson method PUT\njson path /a\njson query_string b\n\n-- guest.wat --\n(func $handle (result i32) (call $say (i32.const 0x10000) (global.get $request_len)))",
		},
	}
	for i, run := range []func(*world, *testscript.TestScript, script.Command, []string){runHTTP, runAnswer, runMany, runRaw, nil, runJSON, runDecode} {
		if run != nil {
			list[i].Run = withoutNot(&list[i], run)
		}
	}
	list[4].Run = func(ts *testscript.TestScript, not bool, args []string) { runHeader(ts, list[4], not, args) }
	return list
}

// result is what became of a request.
type result struct {
	response *response
	err      error
}

// expectation is what an answer should be.
type expectation struct {
	status  string
	body    string
	hasBody bool
}

func expect(ts *testscript.TestScript, args []string) expectation {
	e := expectation{status: args[0]}
	if len(args) > 1 {
		e.body, e.hasBody = unescape(ts, args[1]), true
	}
	return e
}

// refusedStatus is what a request to a host comes to that has refused its module.
const refusedStatus = "refused"

// matchStatus tells whether a status is one of those that are wanted.
func matchStatus(wanted string, status int) bool {
	text := strconv.Itoa(status)
	return slices.ContainsFunc(strings.Split(wanted, "|"), func(w string) bool {
		class, isClass := strings.CutSuffix(w, "xx")
		return w == text || isClass && strings.HasPrefix(text, class)
	})
}

// noneStatus is what a request comes to that nobody answers.
const noneStatus = "none"

// differs tells what of an answer is not as expected, "" where all is.
func (e expectation) differs(r result) string {
	switch {
	case r.err != nil && slices.Contains(strings.Split(e.status, "|"), noneStatus):
		return ""
	case r.err != nil:
		return fmt.Sprintf("no answer came, but status %s was expected: %v", e.status, r.err)
	case !matchStatus(e.status, r.response.status):
		return fmt.Sprintf("status %d came, but %s was expected; the body is %q%s", r.response.status, e.status, clip(r.response.body), because(r.response))
	case e.hasBody && string(r.response.body) != e.body:
		return fmt.Sprintf("the body is %q, but %q was expected", clip(r.response.body), clip([]byte(e.body)))
	}
	return ""
}

func because(r *response) string {
	if r.cause == "" {
		return ""
	}
	return ": " + r.cause
}

// clip is as much of a body as a message can have.
func clip(b []byte) string {
	const most = 300
	if len(b) <= most {
		return string(b)
	}
	return fmt.Sprintf("%s... (%d bytes)", b[:most], len(b))
}

// requestOf reads the flags of a request.
func requestOf(a *arguments) *request {
	r := &request{method: a.rest[0], path: a.rest[1], header: http.Header{}}
	for _, h := range a.flags["H"] {
		name, value, _ := strings.Cut(h, ":")
		r.header.Add(name, strings.TrimSpace(unescape(a.ts, value)))
	}
	switch {
	case a.has("file"):
		r.body = []byte(a.ts.ReadFile(a.get("file")))
	case a.has("size"):
		r.body = make([]byte, a.size("size"))
		for i := range r.body {
			r.body[i] = byte(i)
		}
	default:
		r.body = []byte(unescape(a.ts, a.get("body")))
	}
	if a.has("chunked") {
		r.header.Set("Transfer-Encoding", "chunked")
	}
	return r
}

func runHTTP(w *world, ts *testscript.TestScript, c script.Command, args []string) {
	a := take(ts, c, args, "as: wait echo within: chunked H: body: file: size:", 2, 4)
	if a.has("as") != (len(a.rest) == 2) {
		c.Usage(ts)
	}
	r := requestOf(a)
	if a.has("as") {
		w.send(ts, a.get("as"), r)
		return
	}
	e := expect(ts, a.rest[2:])
	if a.has("echo") {
		e.body, e.hasBody = string(r.body), true
	}
	if w.refused != nil {
		if !slices.Contains(strings.Split(e.status, "|"), refusedStatus) {
			ts.Fatalf("%v", w.refused)
		}
		return
	}
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for {
		begun := time.Now()
		got := w.do(ts, r)
		problem := e.differs(got)
		if within := a.duration("within"); problem == "" && within > 0 && time.Since(begun) > within {
			problem = fmt.Sprintf("the answer took %v", time.Since(begun).Round(time.Millisecond))
		}
		if problem == "" {
			w.take(ts, got.response)
			return
		}
		if !a.has("wait") || w.ctx.Err() != nil {
			w.fail(ts, "%s %s: %s", r.method, r.path, problem)
		}
		<-ticker.C
	}
}

func (w *world) do(ts *testscript.TestScript, r *request) result {
	res, err := w.serving(ts).do(w.ctx, r)
	return result{res, err}
}

// take makes an answer the last one.
func (w *world) take(ts *testscript.TestScript, r *response) {
	if w.last = r; r == nil {
		return
	}
	_, err := ts.Stdout().Write(r.body)
	ts.Check(err)
}

// pending is a request that is under way.
type pending struct {
	done chan struct{} // closed when result is there
	result
}

// begin has something done in the background that comes to a result.
func (w *world) begin(ts *testscript.TestScript, name string, f func() result) {
	if w.inHand[name] != nil {
		ts.Fatalf("a request %s is under way", name)
	}
	p := &pending{done: make(chan struct{})}
	w.inHand[name] = p
	w.requests.Go(func() {
		defer close(p.done)
		p.result = f()
	})
}

// send sends a request in the background.
func (w *world) send(ts *testscript.TestScript, name string, r *request) {
	h := w.serving(ts)
	w.begin(ts, name, func() result {
		res, err := h.do(w.ctx, r)
		return result{res, err}
	})
}

// next waits for the first of those requests that are under way.
func (w *world) next(ts *testscript.TestScript) *pending {
	if len(w.inHand) == 0 {
		ts.Fatalf("no request is under way")
	}
	names := slices.Collect(maps.Keys(w.inHand))
	cases := make([]reflect.SelectCase, len(names))
	for i, name := range names {
		cases[i] = reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(w.inHand[name].done)}
	}
	i, _, _ := reflect.Select(cases)
	p := w.inHand[names[i]]
	delete(w.inHand, names[i])
	return p
}

func runAnswer(w *world, ts *testscript.TestScript, c script.Command, args []string) {
	a := take(ts, c, args, "any", 2, 3)
	e := expect(ts, a.rest[1:])
	if a.has("any") {
		for range a.number(0) {
			if problem := e.differs(w.next(ts).result); problem != "" {
				w.fail(ts, "%s", problem)
			}
		}
		return
	}
	p := w.inHand[a.rest[0]]
	if p == nil {
		ts.Fatalf("there is no request %s", a.rest[0])
	}
	delete(w.inHand, a.rest[0])
	<-p.done
	if problem := e.differs(p.result); problem != "" {
		w.fail(ts, "%s: %s", a.rest[0], problem)
	}
	w.take(ts, p.response)
}

func runMany(w *world, ts *testscript.TestScript, c script.Command, args []string) {
	a := take(ts, c, args, "as:", 5, 6)
	f := &flood{host: w.serving(ts), count: a.number(0), atOnce: a.number(1), method: a.rest[2], path: a.rest[3]}
	f.expected = expect(ts, a.rest[4:])
	if a.has("as") {
		w.begin(ts, a.get("as"), func() result { return result{&response{status: http.StatusOK}, f.send(w.ctx)} })
		return
	}
	w.check(ts, f.send(w.ctx))
}

// flood is many requests.
type flood struct {
	host          running
	count, atOnce int
	method, path  string
	expected      expectation
}

// send sends them. Its error says how many were not answered as expected.
func (f *flood) send(ctx context.Context) error {
	problems := make(chan string, f.count)
	free := make(chan struct{}, f.atOnce)
	var sending sync.WaitGroup
	for i := range f.count {
		fill := func(s string) string { return strings.ReplaceAll(s, "{i}", strconv.Itoa(i)) }
		e := f.expected
		e.body = fill(e.body)
		r := &request{method: f.method, path: fill(f.path), header: http.Header{}}
		free <- struct{}{}
		sending.Go(func() {
			defer func() { <-free }()
			res, err := f.host.do(ctx, r)
			if problem := e.differs(result{res, err}); problem != "" {
				problems <- r.path + ": " + problem
			}
		})
	}
	sending.Wait()
	close(problems)
	if n := len(problems); n > 0 {
		return fmt.Errorf("%d of %d requests were not answered as expected; the first: %s", n, f.count, <-problems)
	}
	return nil
}

func runRaw(w *world, ts *testscript.TestScript, c script.Command, args []string) {
	a := take(ts, c, args, "", 2, 3)
	h, ok := w.serving(ts).(interface {
		raw(ctx context.Context, text string) (*response, error)
	})
	if !ok {
		ts.Fatalf("raw needs a host that serves HTTP")
	}
	res, err := h.raw(w.ctx, unescape(ts, a.rest[0]))
	if problem := expect(ts, a.rest[1:]).differs(result{res, err}); problem != "" {
		w.fail(ts, "%s", problem)
	}
	w.take(ts, res)
}

func runHeader(ts *testscript.TestScript, c script.Command, not bool, args []string) {
	w := worldOf(ts)
	least := 2
	if not {
		least = 1
	}
	a := take(ts, c, args, "", least, 2)
	if w.last == nil {
		ts.Fatalf("there was no answer yet")
	}
	values, there := w.last.header[http.CanonicalHeaderKey(a.rest[0])]
	text := strings.Join(values, "\n")
	if len(a.rest) == 1 {
		if there {
			w.fail(ts, "the answer has the header %s: %q", a.rest[0], text)
		}
		return
	}
	pattern, err := regexp.Compile("(?m)" + a.rest[1])
	ts.Check(err)
	switch matches := there && pattern.MatchString(text); {
	case !there && !not:
		w.fail(ts, "the answer has no header %s", a.rest[0])
	case matches == not:
		w.fail(ts, "the answer's header %s is %q", a.rest[0], text)
	}
}

func runJSON(w *world, ts *testscript.TestScript, c script.Command, args []string) {
	a := take(ts, c, args, "", 2, 2)
	if w.last == nil {
		ts.Fatalf("there was no answer yet")
	}
	var got any
	if err := json.Unmarshal(w.last.body, &got); err != nil {
		w.fail(ts, "the answer is no JSON: %v: %q", err, clip(w.last.body))
	}
	for step := range strings.SplitSeq(a.rest[0], ".") {
		switch v := got.(type) {
		case map[string]any:
			got = v[step]
		case []any:
			got = nil
			if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(v) {
				got = v[i]
			}
		default:
			got = nil
		}
	}
	text, err := json.Marshal(got)
	ts.Check(err)
	want, err := w.suite.keys.fill(a.rest[1], nil)
	ts.Check(err)
	if !bytes.Equal(text, []byte(want)) && got != any(want) {
		w.fail(ts, "%s is %s in %s", a.rest[0], text, clip(w.last.body))
	}
}

func runDecode(w *world, ts *testscript.TestScript, c script.Command, args []string) {
	take(ts, c, args, "", 0, 0)
	if w.last == nil {
		ts.Fatalf("there was no answer yet")
	}
	var m httppb.Request
	if err := m.UnmarshalProto(w.last.body); err != nil {
		w.fail(ts, "the answer's body is no http.Request: %v", err)
	}
	text, err := registry.MarshalJSON(&m)
	ts.Check(err)
	w.last.body = text
}
