package console

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/waxosuit/waxo/devhost/workbench"
)

var noon = time.Date(2020, 1, 1, 12, 0, 0, 0, time.UTC)

func show(opts Options, events ...workbench.Event) (out, err string) {
	var o, e bytes.Buffer
	opts.Out, opts.Err = &o, &e
	c := New(&opts)
	for _, event := range events {
		event.Time = noon
		c.Event(event)
	}
	return o.String(), e.String()
}

func TestOneLineAnEvent(t *testing.T) {
	for want, event := range map[string]workbench.Event{
		"12:00:00 listening on http://127.0.0.1:8080\n": {Kind: workbench.KindListening, Message: "http://127.0.0.1:8080"},
		"12:00:00 build 2 begins  main.go and 2 more\n": {Kind: workbench.KindBuilding, Build: 2, Paths: []string{"main.go", "a.go", "b.go"}},
		"12:00:00 build 2 serves (3f2a9c10) after 1.25 s, interpreted  build 210 ms\n": {
			Kind: workbench.KindServing, Build: 2, Module: "3f2a9c10", Took: 1250 * time.Millisecond, Tier: "interpreted",
			Phases: []workbench.Phase{{Name: "build", Took: 210 * time.Millisecond}, {Name: "swap", Took: 42 * time.Microsecond}},
		},
		"12:00:00 build 2 runs compiled after 1.90 s\n": {Kind: workbench.KindCompiled, Build: 2, Took: 1900 * time.Millisecond},
		"12:00:00 build 3 failed at build: exit status 1; 2-3f2a9c10 goes on serving\n    ./main.go:3:1: syntax error\n      hint\n": {
			Kind: workbench.KindFailed, Build: 3, Stage: "build", Message: "exit status 1", Serving: "2-3f2a9c10",
			Detail: "./main.go:3:1: syntax error\n  hint\n",
		},
		"12:00:00 build 5 failed at manifest; 2-ab goes on serving\n    waxo.toml:1:1: one\n    waxo.toml:2:1: two\n": {
			Kind: workbench.KindFailed, Build: 5, Stage: "manifest", Message: "waxo.toml:1:1: one\nwaxo.toml:2:1: two", Serving: "2-ab",
		},
		"12:00:00 build 1 failed at build: no; nothing serves yet\n":       {Kind: workbench.KindFailed, Build: 1, Stage: "build", Message: "no"},
		"12:00:00 capabilities: +wascap:logging -wascap:keyvalue\n":        {Kind: workbench.KindCapabilities, Added: []string{"wascap:logging"}, Removed: []string{"wascap:keyvalue"}},
		"12:00:00 404 GET /x\\x1b[2J 1.5 ms\n":                             {Kind: workbench.KindRequest, Status: 404, Message: "GET /x\x1b[2J", Took: 1500 * time.Microsecond},
		"12:00:00 build 4 gave the same module: 2-ab goes on serving\n":    {Kind: workbench.KindUnchanged, Build: 4, Serving: "2-ab"},
		"12:00:00 polling: the system reports no events for this folder\n": {Kind: workbench.KindNotice, Message: "polling: the system reports no events for this folder"},
	} {
		if out, got := show(Options{}, event); got != want || out != "" {
			t.Errorf("%s:\n got %q\nwant %q", event.Kind, got, want)
		}
	}
}

func TestNothingThatIsShownSteersTheTerminal(t *testing.T) {
	const evil = "x\x1b]0;owned\x07\r\n12:00:00 build 9 serves\u009b2J"
	for _, kind := range []workbench.Kind{
		workbench.KindNotice, workbench.KindFailed, workbench.KindRequest, workbench.KindLog, workbench.KindServing, workbench.KindBuilding,
	} {
		_, got := show(Options{}, workbench.Event{Kind: kind, Message: evil, Detail: evil, Paths: []string{evil}})
		if strings.ContainsAny(got, "\x1b\x07\r\u009b") || strings.Contains(got, "\n12:00:00 build 9") {
			t.Errorf("%s: %q", kind, got)
		}
	}
	_, got := show(Options{}, workbench.Event{Kind: workbench.KindFailed, Build: 1, Stage: "manifest", Message: "a: one\nb: two"})
	if want := "12:00:00 build 1 failed at manifest; nothing serves yet\n    a: one\n    b: two\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestQuietKeepsWhatMatters(t *testing.T) {
	_, got := show(Options{Quiet: true},
		workbench.Event{Kind: workbench.KindBuilding, Build: 1},
		workbench.Event{Kind: workbench.KindRequest, Status: 200, Message: "GET /"},
		workbench.Event{Kind: workbench.KindRequest, Status: 500, Message: "GET /bad"},
		workbench.Event{Kind: workbench.KindLog, Level: "INFO", Message: "chatter"},
		workbench.Event{Kind: workbench.KindLog, Level: "WARN", Message: "denied"},
		workbench.Event{Kind: workbench.KindFailed, Build: 1, Stage: "seal", Message: "refused"})
	for _, want := range []string{"/bad", "denied", "refused"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in %q", want, got)
		}
	}
	if n := strings.Count(got, "\n"); n != 3 {
		t.Errorf("%d lines instead of 3: %q", n, got)
	}
}

func TestJSONIsOneObjectALine(t *testing.T) {
	_, got := show(Options{JSON: true, Color: true},
		workbench.Event{Kind: workbench.KindServing, Build: 7, Phases: []workbench.Phase{{Name: "build", Took: 5}}},
		workbench.Event{Kind: workbench.KindFailed, Detail: "two\nlines"})
	var events []workbench.Event
	for line := range strings.Lines(got) {
		var e workbench.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		events = append(events, e)
	}
	if len(events) != 2 || events[0].Build != 7 || events[0].Phases[0].Took != 5 || events[1].Detail != "two\nlines" {
		t.Errorf("got %+v", events)
	}
}

func TestGuestLinesGoToOut(t *testing.T) {
	var out, err bytes.Buffer
	c := New(&Options{Out: &out, Err: &err, Color: true})
	c.Line("hello\tworld")
	c.Line("\x1b]0;title\x07 evil\r\u009b31m")
	if got, want := out.String(), "hello\tworld\n\\x1b]0;title\\x07 evil\\x0d\\x9b31m\n"; got != want || err.Len() != 0 {
		t.Errorf("got %q, want %q; err %q", got, want, err.String())
	}
}

func TestColorOnlyWhenAsked(t *testing.T) {
	e := workbench.Event{Kind: workbench.KindFailed, Stage: "build", Message: "no"}
	if _, got := show(Options{}, e); strings.Contains(got, "\x1b") {
		t.Errorf("colour without being asked: %q", got)
	}
	if _, got := show(Options{Color: true}, e); !strings.Contains(got, "\x1b[31m") {
		t.Errorf("no red in %q", got)
	}
}

func TestHandlerPutsDetailBelow(t *testing.T) {
	var err bytes.Buffer
	log := slog.New(New(&Options{Err: &err, Out: &err}).Handler(slog.LevelInfo))
	log.Debug("not shown")
	log.With("build", "2-ab").WithGroup("http").Error("request failed", "path", "/a b", "detail", "stack:\n  main.main")
	line, rest, _ := strings.Cut(err.String(), "\n")
	if _, got, _ := strings.Cut(line, " "); got != `error: request failed build=2-ab http.path="/a b"` {
		t.Errorf("got %q", line)
	}
	if rest != "    stack:\n      main.main\n" {
		t.Errorf("the detail is %q", rest)
	}
}
