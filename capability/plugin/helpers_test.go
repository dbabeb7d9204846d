//go:build unix

package plugin_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/plugin"
	"github.com/waxosuit/waxo/wascap"
)

// patience is how long a test waits for what takes no time, on a machine that has
// much else to do.
const patience = time.Minute

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// link makes a plugin's file in a folder.
func link(t testing.TB, dir, name string) string {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, name)
	if err := os.Symlink(program, file); err != nil {
		t.Fatal(err)
	}
	return file
}

func newKey(t testing.TB, kind wascap.Kind) *wascap.KeyPair {
	t.Helper()
	k, err := wascap.Generate(kind)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// sign puts claims beside a plugin's file, with changes, and returns the account.
func sign(t testing.TB, file string, change func(*wascap.Claims)) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	claims := wascap.Claims{
		Subject: newKey(t, wascap.Service).PublicKey().String(), Name: "Test", Vendor: "Acme",
		CapabilityID: capabilityOf(file),
		TargetHashes: map[string]string{wascap.Target(runtime.GOOS, runtime.GOARCH): fmt.Sprintf("%X", sha256.Sum256(content))},
	}
	if change != nil {
		change(&claims)
	}
	account := newKey(t, wascap.Account)
	token, err := wascap.SignToken(claims, account, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file+plugin.ClaimsSuffix, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return account.PublicKey().String()
}

// development are the options for plugins that need no claims.
func development(mode string) *plugin.Options {
	return &plugin.Options{Development: true, Env: []string{modeKey + "=" + mode}, StartTimeout: patience, Backoff: time.Millisecond}
}

// open opens a plugin and closes it when the test ends.
func open(t testing.TB, file string, opts *plugin.Options) *plugin.Provider {
	t.Helper()
	p, err := plugin.Open(within(t), file, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := p.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return p
}

var guestID = capability.BindingID{Guest: "MGUEST", Name: "default"}

// bind binds the usual guest.
func bind(t testing.TB, p *plugin.Provider, d capability.Dispatcher, config map[string]string) {
	t.Helper()
	b := capability.Binding{BindingID: guestID, GuestName: "guest", Config: config, Development: true}
	if err := p.Bind(within(t), b, d); err != nil {
		t.Fatal(err)
	}
}

// serving opens a plugin that does what it is asked to, and binds it.
func serving(t testing.TB, d capability.Dispatcher) *plugin.Provider {
	t.Helper()
	p := open(t, link(t, t.TempDir(), "plain"), development("serve"))
	bind(t, p, d, nil)
	return p
}

func ask(t testing.TB, p capability.Provider, operation, payload string) (string, error) {
	t.Helper()
	answer, err := p.Call(within(t), capability.Call{BindingID: guestID, Operation: operation, Payload: []byte(payload)})
	return string(answer), err
}

func mustAsk(t testing.TB, p capability.Provider, operation, payload string) string {
	t.Helper()
	answer, err := ask(t, p, operation, payload)
	if err != nil {
		t.Fatalf("%s: %v", operation, err)
	}
	return answer
}

// wantError checks an error's code, and that its text holds words.
func wantError(t testing.TB, err error, code capability.Code, words ...string) {
	t.Helper()
	if !errors.Is(err, &capability.Error{Code: code}) {
		t.Errorf("the error is %v, want one of the code %s", err, code)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("the error is %q, want %q in it", err, w)
		}
	}
}

// log collects a log, and lets a test wait for something in it.
type log struct {
	mu    sync.Mutex
	lines []string
	more  chan struct{} // closed when there is another line
}

func newLog() *log { return &log{more: make(chan struct{})} }

func (l *log) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, string(b))
	close(l.more)
	l.more = make(chan struct{})
	return len(b), nil
}

func (l *log) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.lines)
}

// wait returns the first line that holds the words, when it is there.
func (l *log) wait(t testing.TB, words string) string {
	t.Helper()
	ctx := within(t)
	for {
		l.mu.Lock()
		lines, more := slices.Clone(l.lines), l.more
		l.mu.Unlock()
		if i := slices.IndexFunc(lines, func(s string) bool { return strings.Contains(s, words) }); i >= 0 {
			return lines[i]
		}
		select {
		case <-more:
		case <-ctx.Done():
			all := strings.Join(lines, "")
			t.Fatalf("%q is not in the log:\n%s", words, all[:min(len(all), 5000)])
		}
	}
}

// startHost starts a host with one plugin in a process of its own, and returns
// the number of the plugin's process.
func startHost(t *testing.T) (*exec.Cmd, int) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	host := exec.CommandContext(within(t), program)
	host.Env = append(os.Environ(), modeKey+"=host", fileKey+"="+link(t, t.TempDir(), "plain"))
	host.Stderr = os.Stderr
	output, err := host.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := host.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = host.Process.Kill() })
	var pid int
	if _, err := fmt.Fscan(output, &pid); err != nil {
		t.Fatal(err)
	}
	return host, pid
}
