package hostsuite_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/waxosuit/waxo/testscripts/hostsuite"
)

// A fault is what is wrong with a broken host: one change of the source of this
// project's host.
type fault struct {
	name    string
	changes []change
	broken  string // the rules that must fail; all others must not
	// endless are scripts that fail when their time is over, and keep a processor
	// busy until then: they are run for themselves, for a short time.
	endless string
	whole   bool // the slow checks are run, too; they are in any case for a fault of the engine
}

// slow are checks that spin until a deadline, or move much: half of what a run of
// the suite costs. What they look at is the engine's affair.
const slow = "host-deadline-(loop|recursion|start|soon)|host-survives|host-neighbours|host-reasons|host-bodies"

// match matches the scripts that are run for a fault at first.
func (f *fault) match(t *testing.T) string {
	switch {
	case f.endless != "":
		return othersThan(t, f.endless)
	case f.whole, slices.ContainsFunc(f.changes, func(c change) bool { return strings.HasPrefix(c.file, "wapc/") }):
		return ""
	}
	return othersThan(t, slow)
}

// change replaces a text, which is there once, in a file. In the new one, FAULTY is
// true where the fault is switched on.
type change struct{ file, old, new string }

// switchVariable is the environment variable that names the fault.
const switchVariable = "WAXO_FAULT"

const faultySource = "testdata/faulty"

// TestBrokenHosts: each broken host fails the rules that it breaks, and no other.
func TestBrokenHosts(t *testing.T) {
	t.Parallel()
	program := buildFaulty(t)
	cache := t.TempDir()
	sound := runFaulty(t, program, cache, fault{whole: true})
	if sound.Failed+sound.Warned > 0 || sound.Passed < 100 {
		t.Fatalf("without a fault, %d checks fail, %d warn and %d pass: %s", sound.Failed, sound.Warned, sound.Passed, sound.broken())
	}
	if len(faults) < 20 {
		t.Errorf("there are %d faults only", len(faults))
	}
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			got := runFaulty(t, program, cache, f)
			want := strings.Join(slices.Sorted(slices.Values(strings.Fields(f.broken))), " ")
			if broken := got.broken(); broken != want {
				t.Errorf("broken are %s\nand should be %s\n%s", broken, want, got.failures())
			}
		})
	}
}

// TestReleaseHasNoFaults: the switch is in the test's build alone.
func TestReleaseHasNoFaults(t *testing.T) {
	t.Parallel()
	program, err := waxo()
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]bool{program: false, buildFaulty(t): true} {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(content, []byte(switchVariable)) != want {
			t.Errorf("%s has the switch: %v", filepath.Base(file), !want)
		}
	}
}

// faultyReport is what a test needs of a report in JSON.
type faultyReport struct {
	Passed, Failed, Warned int
	Checks                 []struct {
		Name, Status, Message, Log string
		Rules                      []struct{ ID string }
	}
}

func (r *faultyReport) broken() string {
	var ids []string
	for _, c := range r.Checks {
		for _, rule := range c.Rules {
			if c.Status == "fail" || c.Status == "warn" {
				ids = append(ids, rule.ID)
			}
		}
	}
	slices.Sort(ids)
	return strings.Join(slices.Compact(ids), " ")
}

func (r *faultyReport) failures() string {
	var b strings.Builder
	for _, c := range r.Checks {
		if c.Status == "fail" || c.Status == "warn" {
			fmt.Fprintf(&b, "%s: %s\n%s\n", c.Name, c.Message, c.Log)
		}
	}
	return b.String()
}

// atOnce bounds how many suites run at once: each is parallel in itself.
var atOnce = make(chan struct{}, 3)

// othersThan matches the scripts that a pattern does not match.
func othersThan(t *testing.T, pattern string) string {
	t.Helper()
	scripts, err := hostsuite.Scripts()
	if err != nil {
		t.Fatal(err)
	}
	endless := regexp.MustCompile("^(" + pattern + ")$")
	var names []string
	for _, s := range scripts {
		if !endless.MatchString(s.Name) {
			names = append(names, s.Name)
		}
	}
	return "^(" + strings.Join(names, "|") + ")$"
}

// runFaulty runs the suite on the host with a fault.
func runFaulty(t *testing.T, program, cache string, f fault) *faultyReport {
	t.Helper()
	atOnce <- struct{}{}
	defer func() { <-atOnce }()
	r := runFaultySome(t, program, cache, f.name, f.match(t), "20s")
	if f.endless == "" {
		return r
	}
	r.Checks = append(r.Checks, runFaultySome(t, program, cache, f.name, "^("+f.endless+")$", "1s").Checks...)
	return r
}

func runFaultySome(t *testing.T, program, cache, name, match, timeout string) *faultyReport {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, match, timeout, cache)
	cmd.Env = append(os.Environ(), switchVariable+"="+name)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, &problems)
	}
	r := &faultyReport{}
	if err := json.Unmarshal(out.Bytes(), r); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	return r
}

// faultyOnce is the program with all faults in it, none of them switched on.
var faultyOnce = sync.OnceValues(func() (string, error) {
	root, err := filepath.Abs("../..")
	if err != nil {
		return "", err
	}
	dir := filepath.Join(built, "faulty")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	replace, err := overlay(root, dir)
	if err != nil {
		return "", err
	}
	content, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	file, out := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "host")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		return "", err
	}
	build := exec.Command("go", "build", "-overlay", file, "-o", out, "./"+faultySource)
	if text, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, text)
	}
	return out, nil
})

func buildFaulty(t *testing.T) string {
	t.Helper()
	program, err := faultyOnce()
	if err != nil {
		t.Fatal(err)
	}
	return program
}

// overlay writes the changed files, and says which they replace.
func overlay(root, dir string) (map[string]string, error) {
	changed := make(map[string]string) // by the file's path from the root
	for _, f := range faults {
		for _, c := range f.changes {
			text := changed[c.file]
			if text == "" {
				original, err := os.ReadFile(filepath.Join(root, c.file))
				if err != nil {
					return nil, err
				}
				text = string(original)
			}
			if n := strings.Count(text, c.old); n != 1 {
				return nil, fmt.Errorf("the fault %q: %s has this %d times: %s", f.name, c.file, n, c.old)
			}
			condition := fmt.Sprintf("faulty(%q)", f.name)
			changed[c.file] = strings.Replace(text, c.old, strings.ReplaceAll(c.new, "FAULTY", condition), 1)
		}
	}
	replace := make(map[string]string)
	add := func(file, text string) error {
		path := filepath.Join(dir, strings.ReplaceAll(file, "/", "-"))
		replace[filepath.Join(root, file)] = path
		return os.WriteFile(path, []byte(text), 0o600)
	}
	for file, text := range changed {
		folder := filepath.Dir(file)
		if err := add(file, text); err != nil {
			return nil, err
		}
		if err := add(folder+"/faulty.go", fmt.Sprintf(switchSource, filepath.Base(folder), switchVariable)); err != nil {
			return nil, err
		}
	}
	for file, source := range map[string]string{"wapc/faults.go": "wapc/faults.go", "testscripts/hostsuite/inprocess.go": "hostsuite/inprocess.go"} {
		replace[filepath.Join(root, file)] = filepath.Join(root, "testscripts/hostsuite", faultySource, source)
	}
	return replace, nil
}

// switchSource is added to each package that has a fault.
const switchSource = `package %s

import "os"

var switchedOn = os.Getenv(%q)

func faulty(name string) bool { return name == switchedOn }
`
