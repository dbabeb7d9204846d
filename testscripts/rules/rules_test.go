package rules_test

import (
	"strings"
	"testing"

	"github.com/waxosuit/waxo/testscripts/rules"
)

func TestParse(t *testing.T) {
	r, err := rules.Parse("# Title\n\n## 1. Words\n\n**no rule** at all\n\n### 1.2 More words\n\nText.\n\n" +
		"**MOD-1 MUST** (guest, signer) be\n*small*.\n\n```\n**MOD-9 MUST** (guest) an example\n```\n\n## 2 Other\n\n**CALL-20 SHOULD** (host) be quick.\n")
	if err != nil {
		t.Fatal(err)
	}
	all := r.All()
	if len(all) != 2 || all[0].String() != "MOD-1 MUST (guest, signer) be *small*." || all[0].Section != "1.2 More words" || all[1].Section != "2 Other" {
		t.Errorf("read %+v", all)
	}
	if found, ok := r.Find("CALL-20"); !ok || found.Level != rules.Should {
		t.Errorf("CALL-20 is %+v, %v", found, ok)
	}
	if _, ok := r.Find("CALL-21"); ok {
		t.Error("CALL-21 is found")
	}
}

func TestParseRefuses(t *testing.T) {
	for document, want := range map[string]string{
		"## 1. A\n\n**MOD-1 MUST** (guest) a\n\n**MOD-1 MUST** (guest) b": "given twice",
		"## 1. A\n\n**MOD-1 MAY** (guest) a":                              "is no rule",
		"## 1. A\n\n**MOD-1 MUST** a":                                     "is no rule",
		"## 1. A\n\n**MOD-01 MUST** (guest) a":                            "is no rule",
		"## 1. A\n\n**MOD-1 MUST** (gast) a":                              `binds "gast"`,
		"# A\n\n**MOD-1 MUST** (guest) a":                                 "no numbered heading",
	} {
		if _, err := rules.Parse(document); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want %s", document, err, want)
		}
	}
}

func TestProtocol(t *testing.T) {
	if n := len(rules.Protocol().All()); n == 0 {
		t.Errorf("docs/protocol.md has %d rules", n)
	}
}
