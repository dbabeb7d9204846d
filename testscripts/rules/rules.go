// Package rules knows the rules of the protocol as docs/protocol.md states them,
// so that a check can name the one that it checks, and a report can print it.
//
// A rule is a paragraph below a numbered heading:
//
//	## 2.4 Unknown operations
//
//	**CALL-31 MUST** (guest) answer an operation that it does not know with an error.
//
// The package reads that form and nothing else of the document.
package rules

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/waxosuit/waxo/docs"
)

// Level is how binding a rule is.
type Level string

// The levels, as RFC 2119 has them.
const (
	Must   Level = "MUST"
	Should Level = "SHOULD"
)

// Rule is one rule of the protocol.
type Rule struct {
	ID      string // such as "CALL-31"
	Level   Level
	Parties []string // whom it binds: "guest", "host", "provider", "signer"
	Section string   // number and title of the section that it stands in
	Text    string   // one line of Markdown, without what comes before it
}

// String is the rule as a report prints it.
func (r Rule) String() string {
	return fmt.Sprintf("%s %s (%s) %s", r.ID, r.Level, strings.Join(r.Parties, ", "), r.Text)
}

// Rules are those of one document.
type Rules struct {
	list []Rule // in the document's order
	byID map[string]Rule
}

// All lists the rules in the order of the document.
func (r *Rules) All() []Rule { return r.list }

// Find looks a rule up by its ID.
func (r *Rules) Find(id string) (Rule, bool) {
	rule, ok := r.byID[id]
	return rule, ok
}

// Protocol are the rules of docs/protocol.md, read on first use.
var Protocol = sync.OnceValue(func() *Rules {
	rules, err := Parse(docs.Protocol)
	if err != nil {
		panic(err) // a test reads it
	}
	return rules
})

// forms are what Parse looks for. They are compiled when they are needed: every
// start of the program would pay for it.
var forms = sync.OnceValue(func() (f struct{ heading, rule, almost *regexp.Regexp }) {
	f.heading = regexp.MustCompile(`^#{2,4} (\d+(?:\.\d+)*)\.? (.+)$`)
	f.rule = regexp.MustCompile(`^\*\*([A-Z]+-[1-9]\d*) (MUST|SHOULD)\*\* \(([a-z, ]+)\) (.+)$`)
	f.almost = regexp.MustCompile(`^\*\*[A-Z]+-\d`)
	return f
})

var parties = []string{"guest", "host", "provider", "signer"}

// Parse reads the rules of a document. A paragraph that looks like a rule and is
// none, and an ID that is given twice, are errors.
func Parse(document string) (*Rules, error) {
	rules := &Rules{byID: make(map[string]Rule)}
	var section string
	fenced := false
	for paragraph := range strings.SplitSeq(document, "\n\n") {
		line := strings.Join(strings.Fields(paragraph), " ")
		for l := range strings.Lines(paragraph) {
			if m := forms().heading.FindStringSubmatch(strings.TrimSpace(l)); m != nil && !fenced {
				section = m[1] + " " + m[2]
			}
			if strings.HasPrefix(l, "```") {
				fenced = !fenced
			}
		}
		if fenced || !forms().almost.MatchString(line) {
			continue
		}
		r, err := parseRule(line, section)
		if err != nil {
			return nil, err
		}
		if _, twice := rules.byID[r.ID]; twice {
			return nil, fmt.Errorf("rules: %s is given twice", r.ID)
		}
		rules.list = append(rules.list, r)
		rules.byID[r.ID] = r
	}
	return rules, nil
}

func parseRule(line, section string) (Rule, error) {
	m := forms().rule.FindStringSubmatch(line)
	if m == nil {
		return Rule{}, fmt.Errorf("rules: %q is no rule: write **AREA-1 MUST** (guest) text", line)
	}
	r := Rule{ID: m[1], Level: Level(m[2]), Section: section, Text: m[4]}
	for party := range strings.SplitSeq(m[3], ",") {
		party = strings.TrimSpace(party)
		if !slices.Contains(parties, party) {
			return Rule{}, fmt.Errorf("rules: %s binds %q; take some of %s", r.ID, party, strings.Join(parties, ", "))
		}
		r.Parties = append(r.Parties, party)
	}
	if section == "" {
		return Rule{}, fmt.Errorf("rules: %s stands below no numbered heading", r.ID)
	}
	return r, nil
}
