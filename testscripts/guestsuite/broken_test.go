package guestsuite_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/waxosuit/waxo/testscripts/guestsuite"
	"github.com/waxosuit/waxo/testscripts/report"
	"github.com/waxosuit/waxo/testscripts/rules"
	"github.com/waxosuit/waxo/testscripts/wat"
)

// claimed is what the guest of base.wat claims.
var claimed = []string{"wascap:http_server", "wascap:keyvalue", "wascap:logging", "wascap:messaging"}

func readFile(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func assemble(t *testing.T, text string) []byte {
	t.Helper()
	module, err := wat.Assemble(text)
	if err != nil {
		t.Fatal(err)
	}
	return module
}

func TestBase(t *testing.T) {
	t.Parallel()
	passes(t, sign(t, assemble(t, readFile(t, "testdata/base.wat")), claimed...))
}

// patch is a file of the folder broken: a guest that differs from base.wat.
type patch struct {
	breaks []string // the rules, sorted
	claims []string
	signed string // how; empty: well
	hangs  bool   // so that it need not be waited for long
	texts  []txtar.File
}

func readPatch(t *testing.T, name string) patch {
	t.Helper()
	archive := txtar.Parse([]byte(readFile(t, name)))
	p := patch{claims: claimed, texts: archive.Files}
	for line := range strings.Lines(string(archive.Comment)) {
		key, value, _ := strings.Cut(strings.TrimSpace(strings.TrimPrefix(line, "#")), ": ")
		switch words := strings.Split(value, ", "); {
		case key == "Breaks" && value != "nothing":
			p.breaks = slices.Sorted(slices.Values(words))
		case key == "Claims":
			p.claims = words
		case key == "Signed":
			p.signed = value
		case key == "Hangs":
			p.hangs = true
		}
	}
	return p
}

func (p *patch) apply(t *testing.T, text string) string {
	t.Helper()
	for i := 0; i < len(p.texts); i += 2 {
		old, by := p.texts[i], p.texts[i+1]
		was := strings.TrimSuffix(string(old.Data), "\n")
		if old.Name != "replace" || by.Name != "by" || strings.Count(text, was) != 1 {
			t.Fatalf("the text is not there once that is to be replaced: %s", was)
		}
		text = strings.Replace(text, was, strings.TrimSuffix(string(by.Data), "\n"), 1)
	}
	return text
}

// TestBroken has a guest for each rule that breaks that rule, and finds that the
// suite sees it, and nothing else.
func TestBroken(t *testing.T) {
	t.Parallel()
	base := readFile(t, "testdata/base.wat")
	names, err := filepath.Glob("testdata/broken/*.txtar")
	if err != nil || len(names) < 30 {
		t.Fatalf("%d guests, %v", len(names), err)
	}
	for i, name := range names {
		if raceEnabled && i%6 != 0 {
			continue // what could race is the same for all, and it takes minutes
		}
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			t.Parallel()
			p := readPatch(t, name)
			module := assemble(t, p.apply(t, base))
			opts := &guestsuite.Options{Parallel: 2, Match: p.checks(t)}
			if p.hangs {
				opts.CallTimeout = 2 * time.Second
			}
			r := check(t, signed(t, module, &p), opts)
			if !slices.Equal(r.Broken(), p.breaks) {
				t.Errorf("it was found to break %v, not %v\n%s", r.Broken(), p.breaks, text(t, r))
			}
			refused := slices.ContainsFunc(r.Checks, func(c report.Check) bool { return c.Name == "module-runs" && c.Status == report.Fail })
			if wrong := refused || slices.ContainsFunc(p.breaks, isMust); wrong == r.OK() {
				t.Errorf("OK is %v\n%s", r.OK(), text(t, r))
			}
		})
	}
}

// slow are the checks that take longer than all others together, by the beginning of
// their names, and the rules that they are about.
var slow = map[string]string{"memory-": "MOD-", "call-large": "CALL-74", "call-crash-large": "CALL-63"}

// checks chooses the checks that a guest is put to: all but those slow ones that are
// about what it does not break.
func (p *patch) checks(t *testing.T) *regexp.Regexp {
	t.Helper()
	scripts, err := guestsuite.Scripts()
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"module-runs"}
	for _, s := range scripts {
		wanted := true
		for name, rule := range slow {
			broken := slices.ContainsFunc(p.breaks, func(id string) bool { return strings.HasPrefix(id, rule) })
			wanted = wanted && (broken || !strings.HasPrefix(s.Name, name))
		}
		if wanted {
			names = append(names, s.Name)
		}
	}
	return regexp.MustCompile("^(" + strings.Join(names, "|") + ")$")
}

func isMust(id string) bool {
	rule, known := rules.Protocol().Find(id)
	return !known || rule.Level == rules.Must
}

// TestEachCheckFails finds that there is a broken guest for every rule that a
// script is about.
func TestEachCheckFails(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("testdata/broken/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var broken []string
	for _, name := range names {
		broken = append(broken, readPatch(t, name).breaks...)
	}
	scripts, err := guestsuite.Scripts()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range scripts {
		for _, id := range s.Rules {
			if !slices.Contains(broken, id) {
				t.Errorf("%s is about %s, which no guest in testdata/broken breaks", s.Name, id)
			}
		}
	}
}

// TestNoModule has the suite look at what is no module at all.
func TestNoModule(t *testing.T) {
	t.Parallel()
	module := assemble(t, readFile(t, "testdata/base.wat"))
	for name, bytes := range map[string][]byte{
		"nothing":     {},
		"text":        []byte("no module"),
		"a component": append([]byte("\x00asm\x0d\x00\x01\x00"), module[8:]...),
		"a part":      module[:len(module)/2],
		"zeros":       bytes.Repeat([]byte{0}, 100),
	} {
		if r := check(t, bytes, nil); r.OK() || !slices.Contains(r.Broken(), "MOD-1") {
			t.Errorf("%s breaks %v", name, r.Broken())
		}
	}
}

// TestUnsigned leaves the claims out, and takes the capabilities from elsewhere.
func TestUnsigned(t *testing.T) {
	t.Parallel()
	module := assemble(t, readFile(t, "testdata/base.wat"))
	r := check(t, module, &guestsuite.Options{Unsigned: true, Capabilities: claimed})
	if !r.OK() || r.Count(report.Pass) < 60 || r.Broken() != nil {
		t.Error(text(t, r))
	}
	// Without them there is little to be driven, and what there is of it passes.
	r = check(t, module, &guestsuite.Options{Unsigned: true})
	if !r.OK() || r.Count(report.Skip) < 40 || r.Count(report.Pass) < 15 {
		t.Error(text(t, r))
	}
}
