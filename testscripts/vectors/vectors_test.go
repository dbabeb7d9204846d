package vectors_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/waxosuit/waxo/testscripts/rules"
	"github.com/waxosuit/waxo/testscripts/vectors"
)

// load reads a file, and fails the test where it does not hold what it should.
func load[V any](t *testing.T, file string) []V {
	t.Helper()
	list, err := vectors.Load[V](file)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestVectorsNameRules: each vector has a name of its own and names rules that
// there are.
func TestVectorsNameRules(t *testing.T) {
	files, err := vectors.Files()
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for file, list := range files {
		names := map[string]bool{}
		for _, v := range list {
			if v.Name == "" || names[v.Name] {
				t.Errorf("%s: the name %q is not one vector's alone", file, v.Name)
			}
			names[v.Name] = true
			if len(v.Rules) == 0 {
				t.Errorf("%s: %s names no rule", file, v.Name)
			}
			for _, id := range v.Rules {
				if _, ok := rules.Protocol().Find(id); !ok {
					t.Errorf("%s: %s names the rule %s, which there is not", file, v.Name, id)
				}
			}
		}
	}
}

// TestVectorsDiffer: no two vectors of a file show the same.
func TestVectorsDiffer(t *testing.T) {
	for file, list := range map[string]any{
		vectors.KeysFile:     load[vectors.Key](t, vectors.KeysFile),
		vectors.SignFile:     load[vectors.Sign](t, vectors.SignFile),
		vectors.VerifyFile:   load[vectors.Verify](t, vectors.VerifyFile),
		vectors.RealFile:     load[vectors.Real](t, vectors.RealFile),
		vectors.MessagesFile: load[vectors.Message](t, vectors.MessagesFile),
		vectors.DecodeFile:   load[vectors.Decode](t, vectors.DecodeFile),
		vectors.ModulesFile:  load[vectors.Module](t, vectors.ModulesFile),
		vectors.CallsFile:    load[vectors.Sequence](t, vectors.CallsFile),
		vectors.SpellFile:    load[vectors.Spell](t, vectors.SpellFile),
		vectors.ResolveFile:  load[vectors.Resolve](t, vectors.ResolveFile),
	} {
		text, err := json.Marshal(list)
		if err != nil {
			t.Fatal(err)
		}
		var plain []map[string]any
		if err := json.Unmarshal(text, &plain); err != nil {
			t.Fatal(err)
		}
		seen := map[string]any{}
		for _, v := range plain {
			name := v["name"]
			delete(v, "name")
			delete(v, "rules")
			same, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			if twin, ok := seen[string(same)]; ok {
				t.Errorf("%s: %v is the same as %v", file, name, twin)
			}
			seen[string(same)] = name
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	if _, err := vectors.Load[vectors.Key]("claims/none.json"); err == nil {
		t.Error("a file that is not there was read")
	}
	// A key that the type does not have: those of another file.
	if _, err := vectors.Load[vectors.Spell](vectors.KeysFile); err == nil || !strings.Contains(err.Error(), "unknown field") {
		t.Errorf("fields that nobody knows: %v", err)
	}
	for text, want := range map[string]string{`[]`: "0 vectors", `null`: "0 vectors", `[{"name":"x"}] []`: "more after", `[{"name":"x"`: "EOF"} {
		if _, err := vectors.Parse[vectors.Key]([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %s", text, err, want)
		}
	}
}

// TestOneFieldOfAStep: a step does one thing, an outcome is one.
func TestOneFieldOfAStep(t *testing.T) {
	check := func(where string, v any) {
		t.Helper()
		text, err := json.Marshal(v)
		var fields map[string]json.RawMessage
		if err == nil {
			err = json.NewDecoder(bytes.NewReader(text)).Decode(&fields)
		}
		if err != nil || len(fields) != 1 {
			t.Errorf("%s: %s has %d fields, %v", where, text, len(fields), err)
		}
	}
	for _, s := range load[vectors.Sequence](t, vectors.CallsFile) {
		if !slices.Contains([]int{4, 6, 8}, s.Form) || len(s.Calls) == 0 {
			t.Errorf("%s: form %d, %d calls", s.Name, s.Form, len(s.Calls))
		}
		for _, start := range s.Start {
			for _, step := range start.Steps {
				check(s.Name, step)
			}
		}
		for _, call := range s.Calls {
			for _, step := range call.Steps {
				check(s.Name, step)
			}
			if len(call.Outcome) == 0 {
				t.Errorf("%s: %s comes to nothing", s.Name, call.Operation)
			}
			for _, o := range call.Outcome {
				check(s.Name, o)
			}
		}
	}
}
