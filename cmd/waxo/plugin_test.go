//go:build unix

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/cmd/internal/cli"
	"github.com/waxosuit/waxo/devhost/project"
	"github.com/waxosuit/waxo/wascap"
)

// buildPlugin builds the template's plugin into a folder of its own.
func buildPlugin(t *testing.T) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "plugins")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(dir, "kv"), "github.com/waxosuit/waxo/templates/provider").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return dir
}

// pluginPID finds the process of a plugin by its arguments.
func pluginPID(t *testing.T, file string) int {
	t.Helper()
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		names, err := filepath.Glob("/proc/[0-9]*/cmdline")
		if err != nil || len(names) == 0 {
			t.Skip("there is no /proc to find the plugin's process in")
		}
		for _, name := range names {
			content, _ := os.ReadFile(name)
			if arg0, _, _ := strings.Cut(string(content), "\x00"); arg0 == file {
				var pid int
				if _, err := fmt.Sscanf(name, "/proc/%d/", &pid); err == nil {
					return pid
				}
			}
		}
	}
	t.Fatalf("no process runs %s", file)
	return 0
}

// TestDevWithPlugins has the plugin of a folder count, lets it be killed, moves to
// a plugin of the manifest and back to what is built in, while the guest serves.
func TestDevWithPlugins(t *testing.T) {
	dir, plugins := t.TempDir(), buildPlugin(t)
	file := filepath.Join(plugins, "kv")
	p := dev(t, dir, "hello", "--caps", plugins)
	p.expect("POST", "/", `{"count":1}`)
	p.expect("POST", "/", `{"count":2}`)
	if said := p.all.String(); !strings.Contains(said, "this plugin is not signed") || !strings.Contains(said, "is bound to a plugin") {
		t.Errorf("it does not say what it runs: %s", said)
	}
	if err := syscall.Kill(pluginPID(t, file), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.again() // with nothing: that plugin keeps nothing
	p.stop(os.Interrupt)

	manifest := filepath.Join(dir, "hello", "waxo.toml")
	content, err := os.ReadFile(manifest)
	if err != nil {
		t.Fatal(err)
	}
	table := "\n[[bind]]\ncapability = \"wascap:keyvalue\"\nprovider = \"plugin\"\nplugin = \"" + file + "\"\nconfig = { max_keys = \"1\" }\n"
	if err := os.WriteFile(manifest, append(content, table...), 0o600); err != nil {
		t.Fatal(err)
	}
	p = dev(t, dir, "hello")
	p.expect("POST", "/", `{"count":1}`)
	pid := pluginPID(t, file)
	edit(t, manifest, table, "")
	for deadline := time.Now().Add(patience); ; {
		status, body, _ := p.do("GET", "/")
		if status != 200 {
			t.Fatalf("a request in between gets %d: %s", status, body)
		}
		if strings.TrimSpace(body) == `{"count":0}` {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the plugin still serves: %s", p.all)
		}
	}
	for deadline := time.Now().Add(patience); syscall.Kill(pid, 0) == nil; {
		if time.Now().After(deadline) {
			t.Fatal("the plugin is still there, and nobody asks for it")
		}
	}
	if status := p.stop(os.Interrupt); status != cli.ExitInterrupted {
		t.Errorf("the status is %d", status)
	}
}

// again waits until the guest counts again, after its store was gone.
func (p *process) again() {
	p.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		status, body, _ := p.do("POST", "/")
		if status == 200 && strings.TrimSpace(body) == `{"count":1}` {
			return
		}
		if status != 200 && status != 502 && status != 503 {
			p.t.Errorf("the status is %d: %s", status, body)
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("the store does not come back: %d %s", status, body)
		}
	}
}

// TestRunWithSignedPlugin is production: real keys, and a plugin that is trusted.
func TestRunWithSignedPlugin(t *testing.T) {
	dir, plugins := t.TempDir(), buildPlugin(t)
	key, err := project.NewKey(filepath.Join(dir, "account.nk"), wascap.Account)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := project.NewKey(filepath.Join(dir, "module.nk"), wascap.Module); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"new hello",
		"sign provider " + filepath.Join(plugins, "kv") + " --capability " + capability.KeyValue + " --vendor Acme --account-key account.nk",
	} {
		if p := waxo(t, dir, strings.Fields(line)...); p.end() != cli.ExitOK {
			t.Fatalf("%s: %s", line, p.all)
		}
	}
	project := filepath.Join(dir, "hello")
	if p := waxo(t, project, "build", "--account-key", "../account.nk", "--module-key", "../module.nk", "-o", "hello.wasm"); p.end() != cli.ExitOK {
		t.Fatal(p.all)
	}
	r := serve(t, project, "hello.wasm", "--caps", plugins, "--trust", key.PublicKey().String())
	r.expect("POST", "/", `{"count":1}`)
	r.expect("POST", "/", `{"count":2}`)
	pid := pluginPID(t, filepath.Join(plugins, "kv"))
	if status := r.stop(syscall.SIGTERM); status != cli.ExitOK {
		t.Errorf("the status is %d: %s", status, r.all)
	}
	if syscall.Kill(pid, 0) == nil {
		t.Error("the plugin outlives its host")
	}
}

// end waits for the end of a process.
func (p *process) end() int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.t.Fatalf("it does not end: %s", p.all)
	}
	return p.cmd.ProcessState.ExitCode()
}
