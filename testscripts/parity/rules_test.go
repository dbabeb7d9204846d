package parity_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/waxosuit/waxo/testscripts/parity"
	"github.com/waxosuit/waxo/testscripts/rules"
)

// elsewhere are the rules for providers that no conversation can check with a target
// that is as it is.
var elsewhere = map[string]string{
	"CAP-47": "the service behind a provider would have to go away: the tests of outages in package harness",
	"PAY-17": "no request has a oneof in it: the tests of package capability/payload",
	"PAY-19": "the enumeration of the one request that has one is refused by EXT-5: the tests of package capability/payload",
	"PAY-27": "what a provider allocates is not seen from outside: the tests of package capability/payload",
}

// TestRules: each case that holds a target to anything says to what, in the rules
// that are there, and each MUST for providers has a case.
func TestRules(t *testing.T) {
	checked := make(map[string]bool)
	for _, suite := range parity.All() {
		names := make(map[string]bool)
		for _, c := range suite.Cases {
			if names[c.Name] {
				t.Errorf("%s: there are two cases %q", suite.Capability, c.Name)
			}
			names[c.Name] = true
			if len(c.Rules) == 0 && c.Name != "calls at random" {
				t.Errorf("%s: %s names no rule", suite.Capability, c.Name)
			}
			for _, id := range c.Rules {
				rule, ok := rules.Protocol().Find(id)
				if !ok || !slices.Contains(rule.Parties, "provider") {
					t.Errorf("%s: %s: %s is no rule for providers", suite.Capability, c.Name, id)
				}
				checked[id] = true
			}
		}
	}
	for _, rule := range rules.Protocol().All() {
		_, other := elsewhere[rule.ID]
		provider := slices.Contains(rule.Parties, "provider") && !strings.HasPrefix(rule.ID, "CLM-")
		if rule.Level == rules.Must && provider && checked[rule.ID] == other {
			t.Errorf("%s: checked by a case is %v", rule, checked[rule.ID])
		}
	}
}
