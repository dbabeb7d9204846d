//go:build unix

package plugin_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/waxosuit/waxo/capability/plugin"
	"github.com/waxosuit/waxo/wascap"
)

// copied makes a plugin's file that can be changed.
func copied(t testing.TB, name string) string {
	t.Helper()
	dir := t.TempDir()
	content, err := os.ReadFile(link(t, dir, "program"))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, content, 0o700); err != nil {
		t.Fatal(err)
	}
	return file
}

// marked are options whose plugin leaves a mark when it is executed.
func marked(t testing.TB, opts *plugin.Options) (executed func() bool) {
	t.Helper()
	marker := filepath.Join(t.TempDir(), "executed")
	opts.Env = append(opts.Env, markerKey+"="+marker)
	return func() bool {
		_, err := os.Stat(marker)
		return err == nil
	}
}

// flip changes one bit of a file.
func flip(t testing.TB, file string, offset int) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if offset < 0 {
		offset += len(content)
	}
	content[offset] ^= 1
	if err := os.WriteFile(file, content, 0o700); err != nil {
		t.Fatal(err)
	}
}

func TestSignedPluginRuns(t *testing.T) {
	file, opts := copied(t, "kv"), development("serve")
	opts.Development, opts.Trust = false, []string{"A", sign(t, file, nil)}
	executed := marked(t, opts)
	p := open(t, file, opts)
	if !executed() {
		t.Error("the mark that tells of the execution is missing")
	}
	if c := p.Claims(); c == nil || c.Vendor != "Acme" {
		t.Errorf("its claims are %+v", c)
	}
	bind(t, p, nil, nil)
	if got := mustAsk(t, p, "Echo", "x"); got != "x" {
		t.Errorf("it answers %q", got)
	}
}

// TestRefusedPluginsAreNotExecuted has each refused also where development lets
// everything pass that it may.
func TestRefusedPluginsAreNotExecuted(t *testing.T) {
	file := copied(t, "kv")
	text := func(words string) func(error) bool {
		return func(err error) bool { return strings.Contains(err.Error(), words) }
	}
	reason := func(want wascap.Reason) func(error) bool {
		return func(err error) bool {
			v := new(wascap.VerifyError)
			return errors.As(err, &v) && v.Reason == want
		}
	}
	for name, c := range map[string]struct {
		change  func(account string)
		claims  func(*wascap.Claims)
		want    func(error) bool
		allowed bool // in development
		again   bool // the file is as it was
	}{
		"unsigned":             {change: func(string) { os.Remove(file + ".jwt") }, want: func(err error) bool { return errors.Is(err, plugin.ErrUnsigned) }, allowed: true},
		"of another account":   {change: func(string) { sign(t, file, nil) }, want: func(err error) bool { return errors.Is(err, plugin.ErrUntrusted) }, allowed: true},
		"a flipped bit":        {change: func(string) { flip(t, file, 1<<20) }, want: reason(wascap.ReasonHash), again: true},
		"the last bit flipped": {change: func(string) { flip(t, file, -1) }, want: reason(wascap.ReasonHash), again: true},
		"flipped in the claims": {change: func(string) { flip(t, file+".jwt", 100) }, want: func(err error) bool {
			return reason(wascap.ReasonSignature)(err) || reason(wascap.ReasonMalformed)(err)
		}},
		"expired":              {claims: func(c *wascap.Claims) { c.Expires = time.Now().Add(-time.Second) }, want: reason(wascap.ReasonExpired)},
		"not yet valid":        {claims: func(c *wascap.Claims) { c.NotBefore = time.Now().Add(time.Hour) }, want: reason(wascap.ReasonNotYetValid)},
		"for another platform": {claims: func(c *wascap.Claims) { c.TargetHashes = map[string]string{"z80-cpm": strings.Repeat("0", 64)} }, want: text("name no file for")},
		"empty claims":         {change: func(string) { os.WriteFile(file+".jwt", []byte(" \n"), 0o600) }, want: reason(wascap.ReasonMalformed)},
		"claims of a module":   {change: func(string) { moduleClaims(t, file) }, want: reason(wascap.ReasonKeyKind)},
	} {
		t.Run(name, func(t *testing.T) {
			account := sign(t, file, c.claims)
			if c.change != nil {
				c.change(account)
			}
			for _, lenient := range []bool{false, true} {
				opts := development("serve")
				opts.Development, opts.Trust = lenient, []string{account}
				executed := marked(t, opts)
				p, err := plugin.Open(within(t), file, opts)
				if err == nil {
					p.Close(within(t))
					if !lenient || !c.allowed {
						t.Errorf("development %t: it runs", lenient)
					}
					continue
				}
				refused := new(plugin.RefusedError)
				if executed() || !errors.As(err, &refused) || !c.want(err) || !strings.Contains(err.Error(), file) {
					t.Errorf("development %t: executed %t: %v", lenient, executed(), err)
				}
				if lenient && c.allowed {
					t.Errorf("it does not run: %v", err)
				}
			}
			if c.again {
				content, err := os.ReadFile(filepath.Join(filepath.Dir(file), "program"))
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, content, 0o700); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// moduleClaims puts a token about a module beside the file.
func moduleClaims(t *testing.T, file string) {
	t.Helper()
	signed, err := wascap.Sign([]byte("\x00asm\x01\x00\x00\x00"), wascap.Claims{Subject: newKey(t, wascap.Module).PublicKey().String()}, newKey(t, wascap.Account), nil)
	if err != nil {
		t.Fatal(err)
	}
	token, err := wascap.Extract(signed)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file+".jwt", []byte(token.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestCapabilityIsTheSignedOne(t *testing.T) {
	file := link(t, t.TempDir(), "kv")
	sign(t, file, func(c *wascap.Claims) { c.CapabilityID = "test:other" })
	_, err := plugin.Open(within(t), file, development("serve"))
	if !errors.Is(err, plugin.ErrCapability) || !strings.Contains(err.Error(), `"test:kv" instead of test:other`) {
		t.Errorf("the error is %v", err)
	}
}

func TestDevelopmentWarns(t *testing.T) {
	file := link(t, t.TempDir(), "kv")
	l := newLog()
	opts := development("serve")
	opts.Log = l.logger()
	open(t, file, opts)
	l.wait(t, "level=WARN msg=\"this plugin is not signed")
	account := sign(t, file, nil)
	open(t, file, opts)
	l.wait(t, "was not told to trust")
	quiet := newLog()
	opts.Log, opts.Trust = quiet.logger(), []string{account}
	open(t, file, opts)
	if lines := quiet.all(); len(lines) > 0 {
		t.Errorf("of a plugin that is signed and trusted: %q", lines)
	}
}

// TestChangedFileIsNotStartedAgain changes the file while the plugin runs.
func TestChangedFileIsNotStartedAgain(t *testing.T) {
	file, l := copied(t, "kv"), newLog()
	opts := development("serve")
	opts.Log, opts.Trust, opts.Development = l.logger(), []string{sign(t, file, nil)}, false
	p := open(t, file, opts)
	bind(t, p, nil, nil)
	flip(t, file, 1<<20) // and the process goes on: it does not run that file
	if got := mustAsk(t, p, "Echo", "x"); got != "x" {
		t.Errorf("it answers %q", got)
	}
	if _, err := ask(t, p, "Exit", ""); err == nil {
		t.Fatal("it lives")
	}
	l.wait(t, "the file was changed after it was signed")
	flip(t, file, 1<<20)
	l.wait(t, "was started again")
	if got := mustAsk(t, p, "Echo", "y"); got != "y" {
		t.Errorf("it answers %q", got)
	}
}
