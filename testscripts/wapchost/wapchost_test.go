package wapchost_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/lockedfile"

	"github.com/waxosuit/waxo/testscripts/hostsuite"
	"github.com/waxosuit/waxo/testscripts/report"
	"github.com/waxosuit/waxo/testscripts/wapchost"
)

var update = flag.Bool("update", false, "write testdata/failing.txt anew")

// endless are the scripts that wait for a deadline, which @wapc/host does not have:
// they fail whenever their time is over, and a processor is busy until then.
const endless = "^(host-deadline-.*|host-survives|host-neighbours|host-reasons)$"

// What fails with @wapc/host is known, and nothing else does.
func TestFailing(t *testing.T) {
	engine, err := wapchost.New(install(t))
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	var got bytes.Buffer
	fmt.Fprintln(&got, "# The checks that fail with @wapc/host, and the rules that they check.\n# go test -run TestFailing -update writes this file.")
	passed := 0
	for _, c := range append(run(t, engine, endless, false), run(t, engine, endless, true)...) {
		switch c.Status {
		case report.Fail, report.Warn:
			fmt.Fprintf(&got, "%s: %s\n", c.Name, strings.Join(c.Rules, ", "))
			t.Logf("%s: %s", c.Name, c.Message)
		case report.Pass:
			passed++
		}
	}
	const golden = "testdata/failing.txt"
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(got.String()) {
		if !strings.Contains(string(want), line) {
			t.Errorf("%s does not say that this fails: %s", golden, line)
		}
	}
	for line := range strings.Lines(string(want)) {
		if !strings.Contains(got.String(), line) {
			t.Errorf("%s says what does not fail: %s", golden, line)
		}
	}
	if passed < 30 {
		t.Errorf("only %d checks passed", passed)
	}
}

// run runs the scripts whose names match, or those that do not.
func run(t *testing.T, engine *wapchost.Engine, pattern string, match bool) []report.Check {
	t.Helper()
	opts := &hostsuite.Options{Engine: engine, Timeout: 30 * time.Second}
	if match {
		opts.Timeout, opts.Parallel = 2*time.Second, 2
	}
	all, err := hostsuite.Scripts()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range all {
		if regexp.MustCompile(pattern).MatchString(s.Name) == match {
			names = append(names, regexp.QuoteMeta(s.Name))
		}
	}
	slices.Sort(names)
	opts.Match = regexp.MustCompile("^(" + strings.Join(names, "|") + ")$")
	r, err := hostsuite.Run(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	return r.Checks
}

// install returns a folder of the user's cache with this package's files for Node.js
// and what they depend on.
func install(t *testing.T) string {
	t.Helper()
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("CI") == "" {
				t.Skipf("@wapc/host needs Node.js: %v", err)
			}
			t.Fatal(err)
		}
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.New()
	files := make(map[string][]byte)
	for _, name := range []string{"package.json", "package-lock.json", "main.mjs"} {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = content
		sum.Write(content)
	}
	parent := filepath.Join(cache, "waxo", "wapchost")
	dir := filepath.Join(parent, hex.EncodeToString(sum.Sum(nil)))
	if err := os.MkdirAll(parent, 0o755); err != nil {
		t.Fatal(err)
	}
	unlock, err := lockedfile.MutexAt(filepath.Join(parent, "lock")).Lock()
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	aside := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(aside, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	npm := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	npm.Dir = aside
	if out, err := npm.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	if err := os.CopyFS(dir+".new", os.DirFS(aside)); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(dir+".new", dir); err != nil {
		t.Fatal(err)
	}
	return dir
}
