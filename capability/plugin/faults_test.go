//go:build unix

package plugin_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/plugin"
)

func pidOf(t testing.TB, p *plugin.Provider) int {
	t.Helper()
	pid, err := strconv.Atoi(mustAsk(t, p, "Pid", ""))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// gone waits until a process is no more.
func gone(t testing.TB, pid int) {
	t.Helper()
	ctx := within(t)
	for syscall.Kill(pid, 0) == nil {
		select {
		case <-ctx.Done():
			t.Fatalf("the process %d is still there", pid)
		case <-time.After(time.Millisecond):
		}
	}
}

// back waits until a plugin answers again.
func back(t testing.TB, p *plugin.Provider) {
	t.Helper()
	ctx := within(t)
	for {
		_, err := ask(t, p, "Echo", "")
		if err == nil {
			return
		}
		wantError(t, err, capability.CodeUnavailable)
		select {
		case <-ctx.Done():
			t.Fatalf("the plugin does not come back: %v", err)
		case <-time.After(time.Millisecond):
		}
	}
}

// hanging has so many calls hang in the plugin, and returns when all are there.
func hanging(t *testing.T, p *plugin.Provider, arrived <-chan struct{}, n int) (ended func() []error) {
	t.Helper()
	errs := make([]error, n)
	var calls sync.WaitGroup
	for i := range errs {
		calls.Go(func() { _, errs[i] = ask(t, p, "Dispatch", "Arrive") })
		select {
		case <-arrived:
		case <-within(t).Done():
			t.Fatal("a call does not arrive")
		}
	}
	return func() []error { calls.Wait(); return errs }
}

// arriving is a guest that tells when it is called, and does not answer.
func arriving() (*guest, <-chan struct{}) {
	arrived := make(chan struct{}, 100)
	return &guest{handle: func(ctx context.Context, _ string, _ []byte) (capability.Reply, error) {
		arrived <- struct{}{}
		<-ctx.Done()
		return capability.Reply{}, ctx.Err()
	}}, arrived
}

func TestKilledInTheMiddleOfACall(t *testing.T) {
	opts, l := development("serve"), newLog()
	opts.Log = l.logger()
	p := open(t, link(t, t.TempDir(), "plain"), opts)
	g, arrived := arriving()
	bind(t, p, g, map[string]string{"key": "value"})
	other := capability.BindingID{Guest: "MOTHER", Name: "second"}
	if err := p.Bind(within(t), capability.Binding{BindingID: other, GuestName: "other"}, nil); err != nil {
		t.Fatal(err)
	}
	unbound := capability.BindingID{Guest: "MGONE", Name: "default"}
	if err := p.Bind(within(t), capability.Binding{BindingID: unbound}, nil); err != nil {
		t.Fatal(err)
	}
	if err := p.Unbind(within(t), unbound); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		pid := pidOf(t, p)
		ended := hanging(t, p, arrived, 5)
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		for _, err := range ended() {
			wantError(t, err, capability.CodeUnavailable, "died during the call (signal: killed)", "is open")
		}
		back(t, p)
		if again := pidOf(t, p); again == pid {
			t.Error("it is the same process")
		}
		if got, want := mustAsk(t, p, "Bound", ""), "MGUEST default guest map[key:value] true"; got != want {
			t.Errorf("it was bound again with %q, want %q", got, want)
		}
		if _, err := p.Call(within(t), capability.Call{BindingID: other, Operation: "Echo"}); err != nil {
			t.Errorf("the other binding: %v", err)
		}
		_, err := p.Call(within(t), capability.Call{BindingID: unbound, Operation: "Echo"})
		wantError(t, err, capability.CodeUnavailable, "not bound")
	}
	l.wait(t, "died (signal: killed)")
	l.wait(t, "was started again")
}

func TestCallsWhileAwayFailAtOnce(t *testing.T) {
	opts := development("serve")
	opts.Backoff = time.Hour
	l := newLog()
	opts.Log = l.logger()
	p := open(t, link(t, t.TempDir(), "plain"), opts)
	bind(t, p, nil, nil)
	_, err := ask(t, p, "Exit", "")
	wantError(t, err, capability.CodeUnavailable, "died during the call (exit status 7)")
	l.wait(t, "died (exit status 7)")
	_, err = ask(t, p, "Echo", "")
	wantError(t, err, capability.CodeUnavailable, "died (exit status 7)", "is being started again")
	wantError(t, p.Bind(within(t), capability.Binding{BindingID: capability.BindingID{Guest: "M2", Name: "x"}}, nil), capability.CodeUnavailable)
	if err := p.Unbind(within(t), guestID); err != nil {
		t.Errorf("Unbind: %v", err)
	}
}

func TestBackoffGrows(t *testing.T) {
	opts, l := development("serve"), newLog()
	opts.Log = l.logger()
	file := link(t, t.TempDir(), "plain")
	p := open(t, file, opts)
	bind(t, p, nil, nil)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if _, err := ask(t, p, "Exit", ""); err == nil {
		t.Fatal("it lives")
	}
	for _, delay := range []string{"restart_in=1ms", "next_in=2ms", "next_in=4ms", "next_in=8ms", "next_in=16ms"} {
		l.wait(t, delay)
	}
	_, err := ask(t, p, "Echo", "")
	wantError(t, err, capability.CodeUnavailable, "could not be started again", "no such file")
	link(t, filepath.Dir(file), "plain")
	back(t, p)
}

func TestBindingThatCannotBeMadeAgain(t *testing.T) {
	opts, l := development("serve"), newLog()
	opts.Log = l.logger()
	p := open(t, link(t, t.TempDir(), "plain"), opts)
	refuse := filepath.Join(t.TempDir(), "refuse")
	bind(t, p, nil, map[string]string{"refuse_where": refuse})
	other := capability.BindingID{Guest: "MOTHER", Name: "default"}
	if err := p.Bind(within(t), capability.Binding{BindingID: other}, nil); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(refuse, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ask(t, p, "Exit", ""); err == nil {
		t.Fatal("it lives")
	}
	l.wait(t, "was started again")
	_, err := ask(t, p, "Echo", "")
	wantError(t, err, capability.CodeInvalid, "refused, as it was asked to")
	if _, err := p.Call(within(t), capability.Call{BindingID: other, Operation: "Echo"}); err != nil {
		t.Errorf("the other binding: %v", err)
	}
	if err := os.Remove(refuse); err != nil {
		t.Fatal(err)
	}
	ctx := within(t)
	for {
		if _, err := ask(t, p, "Echo", ""); err == nil {
			break
		}
		select {
		case <-ctx.Done():
			t.Fatal("the binding was not tried again")
		case <-time.After(time.Millisecond):
		}
	}
}

func TestHangingPluginIsReplaced(t *testing.T) {
	opts, l := development("serve"), newLog()
	opts.Log, opts.HealthTimeout = l.logger(), 2*time.Second
	p := open(t, link(t, t.TempDir(), "plain"), opts)
	bind(t, p, nil, nil)
	pid := pidOf(t, p)
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if _, err := syscall.Wait4(pid, nil, syscall.WUNTRACED, nil); err != nil { // until it has stopped
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := p.Call(ctx, capability.Call{BindingID: guestID, Operation: "Echo"})
	wantError(t, err, capability.CodeDeadline)
	l.wait(t, "did not answer whether it is healthy")
	gone(t, pid)
	back(t, p)
}

func TestStartFailures(t *testing.T) {
	file := link(t, t.TempDir(), "plain")
	for mode, words := range map[string]string{
		"dies at once":         `ended before it was ready: exit status 3; the last that it wrote: "no licence found"`,
		"says nothing":         "was not ready within",
		"closes its output":    "ended before it was ready",
		"garbage":              `is no handshake of a plugin: "hello, I am a program"`,
		"endless line":         `is no handshake of a plugin: "all work and no play`,
		"another version":      `version "99" of the provider protocol, this host version 1`,
		"another core version": `version "2" of go-plugin's protocol`,
		"net/rpc":              `speaks "netrpc" instead of grpc`,
		"no certificate":       "has no certificate",
		"another cookie":       "ended before it was ready: exit status 1; the last that it wrote: ",
		"no capability":        "does not say which capability it offers",
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			opts := development(mode)
			if mode == "says nothing" {
				opts.StartTimeout = 200 * time.Millisecond
			}
			p, err := plugin.Open(within(t), file, opts)
			if err == nil {
				p.Close(within(t))
				t.Fatal("it starts")
			}
			if !strings.Contains(err.Error(), words) || !strings.Contains(err.Error(), file) {
				t.Errorf("the error is %q, want %q in it", err, words)
			}
			if len(err.Error()) > 1000 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
		})
	}
}

func TestStartIsGivenUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := plugin.Open(ctx, link(t, t.TempDir(), "plain"), development("says nothing")); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
}

func TestNotExecutable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(file, []byte("no program"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := plugin.Open(within(t), file, development("serve")); err == nil || !strings.Contains(err.Error(), "cannot be executed: exec format error") {
		t.Errorf("text: %v", err)
	}
	if _, err := plugin.Open(within(t), filepath.Dir(file), development("serve")); err == nil || !strings.Contains(err.Error(), "is no file") {
		t.Errorf("a folder: %v", err)
	}
	if _, err := plugin.Open(within(t), file+"x", development("serve")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("nothing: %v", err)
	}
}

func TestNothingIsInherited(t *testing.T) {
	t.Setenv("SECRET_OF_THE_HOST", "1")
	opts := development("serve")
	opts.Env = append(opts.Env, "GIVEN=yes")
	p := open(t, link(t, t.TempDir(), "plain"), opts)
	bind(t, p, nil, nil)
	var names []string
	for line := range strings.SplitSeq(mustAsk(t, p, "Environment", ""), "\n") {
		if name, _, ok := strings.Cut(line, "="); ok && !strings.Contains(name, " ") && name == strings.ToUpper(name) {
			names = append(names, name)
		}
	}
	for _, name := range names {
		if name != "GIVEN" && name != modeKey && name != "WAXO_PROVIDER_PLUGIN" && !strings.HasPrefix(name, "PLUGIN_") {
			t.Errorf("the plugin was given %s", name)
		}
	}
	if len(names) < 5 {
		t.Errorf("the plugin was given %q", names)
	}
}

func TestNothingIsLeft(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	p := open(t, link(t, t.TempDir(), "plain"), development("serve"))
	bind(t, p, nil, nil)
	left, err := os.ReadDir(os.TempDir())
	if err != nil || len(left) > 0 {
		t.Errorf("while it runs, there is %v: %v", left, err)
	}
	if mode := mustAsk(t, p, "Sockets", ""); mode != "drwx------" {
		t.Errorf("the folder of its socket had the mode %s", mode)
	}
	pid := pidOf(t, p)
	if err := p.Close(within(t)); err != nil {
		t.Error(err)
	}
	gone(t, pid)
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) > 0 {
		t.Errorf("afterwards, there is %v: %v", left, err)
	}
}

// TestNoGoroutineIsLeft also counts those that net/http starts.
func TestNoGoroutineIsLeft(t *testing.T) {
	file := link(t, t.TempDir(), "plain")
	cycle := func() {
		p, err := plugin.Open(within(t), file, development("serve"))
		if err != nil {
			t.Fatal(err)
		}
		bind(t, p, nil, nil)
		mustAsk(t, p, "Echo", "x")
		if err := p.Close(within(t)); err != nil {
			t.Error(err)
		}
		if _, err := plugin.Open(within(t), file, development("dies at once")); err == nil {
			t.Error("it starts")
		}
	}
	cycle()
	before := runtime.NumGoroutine()
	for range 5 {
		cycle()
	}
	ctx := within(t)
	for runtime.NumGoroutine() > before+2 {
		select {
		case <-ctx.Done():
			stacks := make([]byte, 1<<20)
			t.Fatalf("%d goroutines became %d:\n%s", before, runtime.NumGoroutine(), stacks[:runtime.Stack(stacks, true)])
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// TestHostThatIsGone starts a plugin by hand whose standard input has ended
// already, as if its host had died at once.
func TestHostThatIsGone(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(within(t), program)
	cmd.Env = []string{modeKey + "=serve", "WAXO_PROVIDER_PLUGIN=waxo:provider", "PLUGIN_PROTOCOL_VERSIONS=1", "PLUGIN_UNIX_SOCKET_DIR=" + t.TempDir()}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func TestStubbornPluginIsKilled(t *testing.T) {
	opts, l := development("does not close"), newLog()
	opts.Log = l.logger()
	p, err := plugin.Open(within(t), link(t, t.TempDir(), "stubborn"), opts)
	if err != nil {
		t.Fatal(err)
	}
	bindNothing := capability.Binding{BindingID: guestID}
	if err := p.Bind(within(t), bindNothing, nil); err != nil {
		t.Fatal(err)
	}
	pid := pidOf(t, p)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	wantError(t, p.Close(ctx), capability.CodeDeadline)
	gone(t, pid)
}

func TestOutputGoesToTheLog(t *testing.T) {
	opts, l := development("serve"), newLog()
	opts.Log = l.logger()
	p := open(t, link(t, t.TempDir(), "plain"), opts)
	bind(t, p, nil, nil)
	mustAsk(t, p, "Print", "one line")
	for _, stream := range []string{"stdout", "stderr"} {
		if line := l.wait(t, "stream="+stream); !strings.Contains(line, `msg="one line"`) {
			t.Errorf("%s: %s", stream, line)
		}
	}
	mustAsk(t, p, "Print", strings.Repeat("x", 10_000))
	if line := l.wait(t, "cut=true"); len(line) > 5000 {
		t.Errorf("the long line has %d bytes", len(line))
	}
	mustAsk(t, p, "Print", strings.Repeat("again\n", 5000))
	if _, err := ask(t, p, "Exit", ""); err == nil {
		t.Error("it lives")
	}
	l.wait(t, "lines were left out")
	if n := len(l.all()); n > 1000 {
		t.Errorf("the log has %d lines", n)
	}
}

// TestHostIsKilled runs a host in a process of its own, kills it, and looks for
// its plugin: one that notices, and one that cannot.
func TestHostIsKilled(t *testing.T) {
	for _, stopped := range []bool{false, true} {
		t.Run(fmt.Sprintf("stopped %t", stopped), func(t *testing.T) {
			t.Parallel()
			if stopped && runtime.GOOS != "linux" {
				t.Skip("only on Linux does the kernel help")
			}
			host, pid := startHost(t)
			if stopped {
				if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
					t.Fatal(err)
				}
			}
			if err := syscall.Kill(pid, 0); err != nil {
				t.Fatalf("the plugin %d is not there: %v", pid, err)
			}
			if err := host.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = host.Wait()
			gone(t, pid)
		})
	}
}

func ExampleOpen() {
	p, err := plugin.Open(context.Background(), "./plugins/kv", &plugin.Options{
		Trust: []string{"ABXH4AKRLLA4VXLM2ZBMHX7OAUR6NNZN7UJ6KMQMCNM7OI4TL5XAV77K"},
	})
	if err != nil {
		fmt.Println("no plugin")
		return
	}
	defer p.Close(context.Background())
	fmt.Println(p.Describe().Capability)
	// Output: no plugin
}
