package guestsuite_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waxosuit/waxo/testscripts/guestsuite"
	"github.com/waxosuit/waxo/testscripts/report"
	"github.com/waxosuit/waxo/testscripts/rules"
	"github.com/waxosuit/waxo/testscripts/script"
	"github.com/waxosuit/waxo/wascap"
)

// TestHeaders holds the headers of the scripts to the protocol's document.
func TestHeaders(t *testing.T) {
	scripts, err := guestsuite.Scripts()
	if err != nil || len(scripts) < 80 {
		t.Fatalf("%d scripts, %v", len(scripts), err)
	}
	words := []string{"signing", "section", "claims", "structure", "code", "instance", "answers", "health", "operations"}
	for _, s := range scripts {
		if s.Title == "" || !strings.HasSuffix(s.Title, ".") {
			t.Errorf("%s: the title is %q", s.Name, s.Title)
		}
		for _, need := range s.Needs {
			if !slices.Contains(words, need) && !strings.HasPrefix(need, "wascap:") {
				t.Errorf("%s: nobody has %q", s.Name, need)
			}
		}
		if len(s.Rules) != 1 {
			t.Errorf("%s: the rules are %v", s.Name, s.Rules)
			continue
		}
		rule, known := rules.Protocol().Find(s.Rules[0])
		if !known || rule.Section != s.Section {
			t.Errorf("%s: the rule %s is known: %v, and stands in %q, not in %q", s.Name, s.Rules[0], known, rule.Section, s.Section)
		}
		if !slices.Contains(rule.Parties, "guest") && !slices.Contains(rule.Parties, "signer") {
			t.Errorf("%s: %s binds %v", s.Name, rule.ID, rule.Parties)
		}
	}
}

// TestRefusalsAreAllLookedAt finds a script for each reason for which claims are
// refused.
func TestRefusalsAreAllLookedAt(t *testing.T) {
	scripts, err := guestsuite.Scripts()
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, s := range scripts {
		all.WriteString(string(s.Data))
	}
	for _, reason := range []wascap.Reason{
		wascap.ReasonNotModule, wascap.ReasonUnsigned, wascap.ReasonDuplicateSection, wascap.ReasonMisplacedSection,
		wascap.ReasonSectionEncoding, wascap.ReasonTooLarge, wascap.ReasonMalformed, wascap.ReasonUnsupported,
		wascap.ReasonKeyKind, wascap.ReasonSignature, wascap.ReasonHash, wascap.ReasonNotYetValid, wascap.ReasonExpired,
	} {
		if !strings.Contains(all.String(), " "+string(reason)) {
			t.Errorf("no script is about claims that are %s", reason)
		}
	}
}

// TestExamples runs the example of each command.
func TestExamples(t *testing.T) {
	t.Parallel()
	var scripts []*script.Script
	for _, c := range guestsuite.Commands() {
		if c.Short == "" || c.Example == "" {
			t.Errorf("%s is not documented", c.Name)
		}
		scripts = append(scripts, &script.Script{Name: c.Name, Data: []byte(c.Example + "\n")})
	}
	module := sign(t, assemble(t, readFile(t, "testdata/base.wat")), claimed...)
	r := check(t, module, &guestsuite.Options{Scripts: scripts})
	if !r.OK() || r.Count(report.Pass) != len(scripts)+1 {
		t.Error(text(t, r))
	}
}

// TestMistakes are scripts that cannot be meant so.
func TestMistakes(t *testing.T) {
	t.Parallel()
	module := sign(t, assemble(t, readFile(t, "testdata/base.wat")), claimed...)
	for line, want := range map[string]string{
		"call":                               "usage: call",
		"call Get":                           "guests handle no operation Get",
		"load\ncall HandleRequest":           `"status_code":400`,
		"! load":                             "usage: load",
		"load -spare x":                      "is no number",
		"load\nraw Nothing xx":               "is no hex",
		"load\nraw Nothing":                  "was not answered with a response",
		"load\n! call HealthRequest":         "was not answered with an error",
		"load\ndrive -as nonsense":           `there is no variant "nonsense"`,
		"load\ndrive -nonsense x":            "usage: drive",
		"load\ndrive Get":                    "guests handle no operation Get",
		"saw nonsense":                       `there is no kind "nonsense"`,
		"given nonsense":                     `there is no kind "nonsense"`,
		"load\ndrive\nsaw crash":             "it was seen that the guest trapped",
		"load\nrepeat x HealthRequest":       "is no number",
		"answer * nonsense x":                "usage: answer",
		"load\nmemory steady":                "usage: memory",
		"imports nonsense":                   "usage: imports",
		"exports memory function '() -> ()'": "is a memory, not a function",
		"exports nonsense memory":            "there is no export nonsense",
		"memories within 10":                 "starts with 131072 bytes",
		"claims signature":                   "none of these problems",
		"[nonsense] load":                    "there is no such condition",
	} {
		r := check(t, module, &guestsuite.Options{Scripts: []*script.Script{{Name: "a-mistake", Data: []byte(line + "\n")}}})
		got := r.Checks[0]
		if line == "load\ncall HandleRequest" {
			if got.Status != report.Pass {
				t.Errorf("%s: %s", line, got.Log)
			}
			continue
		}
		if got.Status != report.Fail || !strings.Contains(got.Log, want) {
			t.Errorf("%s: %s, %s; want %s", line, got.Status, got.Log, want)
		}
	}
}

// TestRequests has the guest handle requests of one's own.
func TestRequests(t *testing.T) {
	t.Parallel()
	module := sign(t, assemble(t, readFile(t, "testdata/base.wat")), claimed...)
	opts := &guestsuite.Options{
		Requests: []byte("-- HandleRequest/mine --\n{\"method\": \"GET\", \"path\": \"/mine\"}\n"),
		Scripts: []*script.Script{{Name: "mine", Data: []byte(
			"load\ndrive -only mine\ntranscript mine\ngrep HandleRequest/mine mine\ngrep 'GET/mine' mine\n! grep HandleRequest/get mine\n")}},
	}
	if r := check(t, module, opts); !r.OK() {
		t.Error(text(t, r))
	}
	for archive, want := range map[string]string{
		"-- Get/mine --\n{}\n":              "guests handle no operation Get",
		"-- HandleRequest/mine --\n[]\n":    "HandleRequest/mine",
		"-- HandleRequest --\n{\"a\": 1}\n": `no field "a"`,
	} {
		opts.Requests = []byte(archive)
		if _, err := guestsuite.Run(t.Context(), module, opts); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", archive, err)
		}
	}
}

// TestInterruption ends a run before it has begun, and in the middle of a call that
// does not end by itself.
func TestInterruption(t *testing.T) {
	t.Parallel()
	hangs := readPatch(t, "testdata/broken/call-hangs.txtar")
	module := sign(t, assemble(t, hangs.apply(t, readFile(t, "testdata/base.wat"))), claimed...)
	for _, after := range []time.Duration{0, 300 * time.Millisecond} {
		ctx, cancel := context.WithTimeout(t.Context(), after)
		r, err := guestsuite.Run(ctx, module, &guestsuite.Options{CallTimeout: time.Hour})
		if !errors.Is(err, context.DeadlineExceeded) || r != nil {
			t.Errorf("after %v: %v", after, err)
		}
		cancel()
	}
}
