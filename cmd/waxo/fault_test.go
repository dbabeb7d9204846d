//go:build unix

package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/cmd/internal/cli"
	"github.com/waxosuit/waxo/devhost/fault"
	"github.com/waxosuit/waxo/devhost/workbench"
)

// waitLog waits for a line of the log.
func (p *process) waitLog(text string) workbench.Event {
	p.t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case e, ok := <-p.events:
			if !ok {
				p.t.Fatalf("it ended before %q", text)
			}
			if e.Kind == workbench.KindLog && strings.Contains(e.Message, text) {
				return e
			}
		case <-timeout:
			p.t.Fatalf("no line %q", text)
		}
	}
}

// TestFaultsWhileItServes: what is asked for goes wrong, in the way of what really
// goes wrong, and ends.
func TestFaultsWhileItServes(t *testing.T) {
	dir := t.TempDir()
	project := filepath.Join(dir, "hello")
	p := dev(t, dir, "hello")
	p.expect("POST", "/", `{"count":1}`)
	faults := func(args ...string) (list []fault.Status) {
		t.Helper()
		output, status := ask(t, project, append([]string{"fault", "-o", "json"}, args...)...)
		if err := json.Unmarshal([]byte(output), &list); err != nil || status != 0 {
			t.Fatalf("waxo fault %q: status %d, %s", args, status, output)
		}
		return list
	}
	fails := func(status int, text string) {
		t.Helper()
		if got, body, _ := p.do("POST", "/"); got != status || !strings.Contains(body, text) {
			t.Errorf("%d %q, want %d with %q", got, body, status, text)
		}
	}
	if list := faults(); list == nil || len(list) != 0 {
		t.Errorf("at first there are %v", list)
	}
	if list := faults(capability.KeyValue, "--cut"); len(list) != 1 || !list[0].Real {
		t.Errorf("the cut is %+v", list)
	}
	for range 5 {
		fails(502, "the Redis server at 127.0.0.1:")
	}
	if e := p.waitLog("wascap:keyvalue fails"); e.Level != "WARN" {
		t.Errorf("%+v", e)
	}
	if list := faults("--clear"); len(list) != 0 {
		t.Errorf("afterwards there are %v", list)
	}
	p.expect("POST", "/", `{"count":2}`)
	if e := p.waitLog("wascap:keyvalue answers again"); !strings.Contains(e.Message, "failed=5") {
		t.Errorf("%+v", e)
	}
	faults("wascap:keyvalue/default", "--deny", "--times", "1")
	fails(500, `add "wascap:keyvalue" to capabilities in waxo.toml`)
	p.expect("POST", "/", `{"count":3}`)
	p.waitLog("fault of wascap:keyvalue/default is over")

	faults(capability.HTTPServer, "--error", "overloaded")
	fails(503, "on purpose")
	faults(capability.HTTPServer, "--clear")
	for text, args := range map[string][]string{
		`no provider of wascap:messaging is bound`: {"wascap:messaging", "--cut"},
		`wascap:keyvalue has no binding "cache"`:   {"wascap:keyvalue/cache", "--cut"},
		`there is no such fault`:                   {"wascap:keyvalue", "--clear"},
	} {
		if output, status := ask(t, project, append([]string{"fault"}, args...)...); status != cli.ExitFailure || !strings.Contains(output, text) {
			t.Errorf("%q: status %d, %s", args, status, output)
		}
	}

	edit(t, filepath.Join(project, "waxo.toml"), `"wascap:keyvalue"]`, "\"wascap:keyvalue\"]\n[[dev.fault]]\ncapability = \"wascap:keyvalue\"\nerror = \"internal\"\nlatency = \"1ms\"\n")
	p.wait(workbench.KindUnchanged)
	fails(502, "on purpose")
	if output, _ := ask(t, project, "fault"); output != "wascap:keyvalue  1ms later, error internal  1 calls so far\n" {
		t.Errorf("listed as %q", output)
	}
	edit(t, filepath.Join(project, "waxo.toml"), "[[dev.fault]]\ncapability = \"wascap:keyvalue\"\nerror = \"internal\"\nlatency = \"1ms\"\n", "")
	p.wait(workbench.KindUnchanged)
	p.expect("POST", "/", `{"count":4}`)
	if output, _ := ask(t, project, "fault"); output != "nothing goes wrong on purpose\n" {
		t.Errorf("listed as %q", output)
	}
}
