//go:build unix

package main

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/cmd/internal/cli"
	"github.com/waxosuit/waxo/devhost/connect"
	"github.com/waxosuit/waxo/devhost/embedded"
	"github.com/waxosuit/waxo/devhost/fault"
	"github.com/waxosuit/waxo/devhost/manifest"
	"github.com/waxosuit/waxo/devhost/project"
	"github.com/waxosuit/waxo/devhost/workbench"
)

// ask runs a command of waxo in a folder and returns its output.
func ask(t *testing.T, dir string, args ...string) (output string, status int) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), asWaxo+"=1")
	data, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(data), cmd.ProcessState.ExitCode()
}

// TestStateIsCarriedAway: what a running waxo dev keeps is exported while it
// serves, and comes back where none runs.
func TestStateIsCarriedAway(t *testing.T) {
	dir := t.TempDir()
	project := filepath.Join(dir, "hello")
	p := dev(t, dir, "hello")
	p.expect("POST", "/", `{"count":1}`)
	output, status := ask(t, project, "state", "export", "-o", "json", "../state.tar.gz")
	var exported exportResult
	if err := json.Unmarshal([]byte(output), &exported); err != nil || status != 0 || exported.Files != 1 || !exported.Running {
		t.Fatalf("status %d, %s", status, output)
	}
	p.expect("POST", "/", `{"count":2}`)
	for _, args := range [][]string{{"state", "reset"}, {"state", "import", "../state.tar.gz"}} {
		if output, status := ask(t, project, args...); status != 1 || !strings.Contains(output, "waxo dev runs in this project") {
			t.Errorf("%q with a waxo dev that runs: status %d, %s", args, status, output)
		}
	}
	p.expect("GET", "/", `{"count":2}`)
	p.stop(os.Interrupt)
	if output, status := ask(t, project, "state", "import", "../state.tar.gz"); status != 0 {
		t.Fatalf("status %d, %s", status, output)
	}
	p = dev(t, dir, "hello")
	p.expect("GET", "/", `{"count":1}`)
}

// TestInvokeWhileItServes: the guest that serves is called, with what it keeps, but
// not where other providers are asked for; its failures are told with what helps.
func TestInvokeWhileItServes(t *testing.T) {
	dir := t.TempDir()
	project := filepath.Join(dir, "hello")
	p := dev(t, dir, "hello")
	p.expect("POST", "/", `{"count":1}`)
	const post = `{"method": "POST", "path": "/"}`
	if output, status := ask(t, project, "invoke", "HandleRequest", post); status != 0 || !strings.Contains(output, `{\"count\":2}`) ||
		!strings.Contains(output, "answered by hello in the waxo dev that runs, build 1-") {
		t.Errorf("status %d, %s", status, output)
	}
	if output, status := ask(t, project, "invoke", "-q", "HandleRequest", post, "--providers", "embedded"); status != 0 || !strings.Contains(output, `{\"count\":1}`) ||
		!strings.HasPrefix(output, "{") {
		t.Errorf("of its own: status %d, %s", status, output)
	}
	// Larger than what fits into a line, or into what a server takes by default.
	body := filepath.Join(dir, "large.json")
	if err := os.WriteFile(body, []byte(`{"method": "PUT", "path": "/", "body": {"text": "`+strings.Repeat("x", 20<<20)+`"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if output, status := ask(t, project, "invoke", "HandleRequest", "@"+body); status != 0 || !strings.Contains(output, `"status_code": 405`) {
		t.Errorf("large: status %d, %.300s", status, output)
	}
	p.expect("GET", "/", `{"count":2}`)
	edit(t, filepath.Join(project, "main.go"), `return answer(count), nil`, "var none *int\n\t*none = 1\n\treturn answer(count), nil")
	p.wait(workbench.KindServing)
	if output, status := ask(t, project, "invoke", "HandleRequest", `{"method": "GET", "path": "/"}`); status != 1 || !strings.Contains(output, "waxo: guest: panic: ") {
		t.Errorf("a panic: status %d, %s", status, output)
	}
	if output, status := ask(t, project, "invoke", "HealthRequest", "--verbose"); status != 2 || !strings.Contains(output, "add --providers embedded") {
		t.Errorf("a flag that would do nothing: status %d, %s", status, output)
	}
	if output, status := ask(t, project, "invoke", "DeliverEvent"); status != 1 || !strings.Contains(output, "waxo: denied: ") {
		t.Errorf("a denial: status %d, %s", status, output)
	}
}

// TestProvidersWhileItServes: where the services are is told and changed from
// outside; what cannot be started leaves the ones before.
func TestProvidersWhileItServes(t *testing.T) {
	dir := t.TempDir()
	project := filepath.Join(dir, "hello")
	p := dev(t, dir, "hello")
	p.expect("POST", "/", `{"count":1}`)
	if output, _ := ask(t, project, "providers"); output != "manifest\n" {
		t.Errorf("providers are %q", output)
	}
	edit(t, filepath.Join(project, "waxo.toml"), `"wascap:keyvalue"]`, "\"wascap:keyvalue\"]\n[[bind]]\ncapability = \"wascap:keyvalue\"\nprovider = \"url\"\nurl = \"redis://127.0.0.1:1/0\"\n")
	if e := p.wait(workbench.KindFailed); e.Stage != "bind" {
		t.Errorf("%+v", e)
	}
	p.expect("GET", "/", `{"count":1}`)
	if output, status := ask(t, project, "providers", "manifest"); status != 1 || !strings.Contains(output, "cannot be reached") {
		t.Errorf("a Redis that is not there: status %d, %s", status, output)
	}
	p.wait(workbench.KindFailed)
	if output, _ := ask(t, project, "providers", "embedded"); output != "embedded\n" {
		t.Errorf("providers are %q", output)
	}
	p.wait(workbench.KindUnchanged)
	p.expect("POST", "/", `{"count":2}`)
}

// TestEnvironmentOfAWaxoDev: the environment says where a service is, unless it was
// read from .waxo/env, which speaks of servers that may have ended.
func TestEnvironmentOfAWaxoDev(t *testing.T) {
	const elsewhere = "redis://127.0.0.1:1/0"
	for marker, counts := range map[string]bool{"": true, "/some/project": false} {
		a := &app{&cli.App{Lookup: func(name string) (string, bool) {
			v := map[string]string{"WAXO_KEYVALUE_URL": elsewhere, project.EnvironmentMarker: marker}[name]
			return v, v != ""
		}}}
		c, faults := connect.New(&connect.Options{Emulators: embedded.Start}), fault.New(nil)
		m := &manifest.Manifest{Path: "waxo.toml", Capabilities: []string{capability.KeyValue}}
		binds, err := a.connector(&devFlags{host: "127.0.0.1"}, c, faults)(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		if got := binds[0].Config["url"]; (got == elsewhere) != counts {
			t.Errorf("with the marker %q it is at %s", marker, got)
		}
		if err := errors.Join(faults.Close(t.Context()), c.Close(t.Context())); err != nil {
			t.Error(err)
		}
	}
}
