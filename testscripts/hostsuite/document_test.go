package hostsuite_test

import (
	"context"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waxosuit/waxo/testscripts/hostsuite"
	"github.com/waxosuit/waxo/testscripts/report"
	"github.com/waxosuit/waxo/testscripts/rules"
	"github.com/waxosuit/waxo/testscripts/script"
	"github.com/waxosuit/waxo/testscripts/waxohost"
)

var update = flag.Bool("update", false, "write the reference of the commands into docs/conformance.md")

// TestDocument holds docs/conformance.md to the commands that there are.
func TestDocument(t *testing.T) {
	const file = "../../docs/conformance.md"
	const begin = "<!-- commands of hosts: go test ./testscripts/hostsuite -run Document -update -->\n"
	const end = "<!-- end of commands of hosts -->"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s has no place for the commands", file)
	}
	want := before + begin + "\n" + script.Reference("####", hostsuite.Commands()) + end + after
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(text) != want {
		t.Errorf("%s is not up to date: run this test with -update", file)
	}
}

// TestHeaders holds the headers of the scripts to the protocol's document.
func TestHeaders(t *testing.T) {
	scripts, err := hostsuite.Scripts()
	if err != nil || len(scripts) < 150 {
		t.Fatalf("%d scripts, %v", len(scripts), err)
	}
	words := []string{
		"library", "http", "program", "PORT", "liveupdate", "no liveupdate", "probes", "wascc", "wascap:keyvalue", "wascap:messaging",
	}
	for _, s := range scripts {
		if !strings.HasSuffix(s.Title, ".") {
			t.Errorf("%s: the title is %q", s.Name, s.Title)
		}
		for _, need := range s.Needs {
			if !slices.Contains(words, need) {
				t.Errorf("%s: nobody has %q", s.Name, need)
			}
		}
		for i, id := range s.Rules {
			rule, known := rules.Protocol().Find(id)
			if !known || i == 0 && rule.Section != s.Section {
				t.Errorf("%s: the rule %s is known: %v, and stands in %q, not in %q", s.Name, id, known, rule.Section, s.Section)
			}
			if !slices.Contains(rule.Parties, "host") && !slices.Contains(rule.Parties, "provider") {
				t.Errorf("%s: %s binds %v", s.Name, id, rule.Parties)
			}
		}
		if len(s.Rules) == 0 {
			t.Errorf("%s names no rule", s.Name)
		}
	}
}

// TestExamples: the examples of the commands work, by a program or by a library.
func TestExamples(t *testing.T) {
	t.Parallel()
	program, err := waxo()
	if err != nil {
		t.Fatal(err)
	}
	engine, err := waxohost.New()
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close(context.WithoutCancel(t.Context()))
	for _, c := range hostsuite.Commands() {
		opts := &hostsuite.Options{Command: []string{program, "run", "{module}", "--live-update"}, Env: os.Environ(), Timeout: time.Minute}
		if slices.Contains([]string{"call", "hostcalls", "called"}, c.Name) {
			opts = &hostsuite.Options{Engine: engine, Timeout: time.Minute}
		}
		checks, err := hostsuite.RunScripts(t.Context(), opts, []*script.Script{{Name: c.Name, Data: []byte(c.Example + "\n")}})
		if err != nil {
			t.Fatal(err)
		}
		if checks[0].Status != report.Pass {
			t.Errorf("%s: %s\n%s", c.Name, checks[0].Message, checks[0].Log)
		}
	}
}

// TestMistakes: a script that makes no sense fails, and says why.
func TestMistakes(t *testing.T) {
	t.Parallel()
	engine, err := waxohost.New()
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close(context.WithoutCancel(t.Context()))
	const guest = "\n-- guest.wat --\n(data (i32.const 0) \"hello\")\n(func $handle (result i32) (call $say (i32.const 0) (i32.const 5)))\n"
	for _, c := range []struct{ script, want string }{
		{"http GET / 200", "no host is running"},
		{"host", "usage: host"},
		{"host -nonsense guest.wat" + guest, "usage: host"},
		{"host -call-timeout soon guest.wat" + guest, "invalid duration"},
		{"host -memory lots guest.wat" + guest, "is no size, such as"},
		{"! host guest.wat" + guest, "which it must refuse"},
		{"host guest.wat\nhttp GET / 500" + guest, "status 200 came, but 500 was expected"},
		{"host guest.wat\nhttp GET / 200 goodbye" + guest, `the body is "hello", but "goodbye" was expected`},
		{"host guest.wat\nhttp GET / 200 '\\q'" + guest, "an escape that Go's strings do not know"},
		{"host guest.wat\nhttp -echo -body x POST / 200" + guest, `but "x" was expected`},
		{"host guest.wat\nmany 3 1 GET / 200 {i}" + guest, "3 of 3 requests were not answered as expected"},
		{"host guest.wat\nhttp -as one GET /\nanswer one 500" + guest, "one: status 200 came"},
		{"answer nobody 200", "there is no request nobody"},
		{"answer -any 1 200", "no request is under way"},
		{"header X .", "there was no answer yet"},
		{"host guest.wat\nhttp GET / 200\nheader X-A ." + guest, "the answer has no header X-A"},
		{"host guest.wat\nhttp GET / 200\njson a 1" + guest, "the answer is no JSON"},
		{"host guest.wat\nraw x 400" + guest, "raw needs a host that serves HTTP"},
		{"host guest.wat\n! logged hello\ncall op '' error x" + guest, "what came of the call is"},
		{"host guest.wat\ncall op '' ok x" + guest, "but \"x\" was expected"},
		{"called a b c d", "the guest made no host call"},
		{"redis get k v", "there is no Redis server: redis start"},
		{"redis start\nredis get k v", "the store has nothing under"},
		{"redis start\nredis set k v\nredis none k", "should have nothing"},
		{"redis start\nredis fly", "usage: redis"},
		{"nats watch x", "there is no NATS server: nats start"},
		{"wat broken.wat\n-- broken.wat --\n(module\n  (func (i32.ad)))", "broken.wat:2:10: unknown instruction"},
		{"wat broken.wat\n-- broken.wat --\n(func $handle (i32.ad))", "broken.wat:1:16: unknown instruction"},
		{"wat broken.wat\n-- broken.wat --\n(func)", "broken.wat:1:1: it does not fit behind probe.wat: there is no function $handle"},
		{"wat guest.wat\nmutate flip code guest.wasm b.wasm\nmutate strip guest.wasm c.wasm" + guest, "sign it first"},
		{"wat guest.wat\nmutate bend guest.wasm b.wasm" + guest, `is not mutated by "bend"`},
		{"! wat guest.wat" + guest, "! wat means nothing"},
		{"forge claims.json guest.wasm\n-- claims.json --\n{}\n-- guest.wasm --\nno", "the module cannot be read"},
	} {
		checks, err := hostsuite.RunScripts(t.Context(), &hostsuite.Options{Engine: engine, Timeout: time.Minute}, []*script.Script{{Name: "mistake", Data: []byte(c.script + "\n")}})
		if err != nil {
			t.Fatal(err)
		}
		if checks[0].Status != report.Fail || !strings.Contains(checks[0].Log, c.want) {
			t.Errorf("%q: %s, not %q\n%s", c.script, checks[0].Status, c.want, checks[0].Log)
		}
	}
}
