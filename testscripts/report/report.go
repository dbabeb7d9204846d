// Package report has the results of checks, whatever made them, and writes them
// for people and for the tools of continuous integration.
//
// A check that names rules of the protocol is reported with their text and the
// section of docs/protocol.md in which they stand.
package report

import (
	"slices"
	"strings"
	"time"

	"github.com/waxosuit/waxo/testscripts/rules"
)

// Status is what became of a check.
type Status string

// What may become of a check. Warn is a failure where every rule that was broken
// says SHOULD; Skip says that the check had nothing to look at.
const (
	Pass Status = "pass"
	Fail Status = "fail"
	Warn Status = "warn"
	Skip Status = "skip"
)

// Check is what became of one check.
type Check struct {
	Name    string        // unique in its report
	Title   string        // what must hold, a sentence; may be empty
	Rules   []string      // their IDs; none where a project tests itself
	Status  Status        //
	Message string        // why it failed or was skipped, one line
	Log     string        // all that is known, for a failure
	Path    string        // of the file that has the check, if there is one
	Line    int           // where it failed in that file, from 1; 0 where that is not known
	Took    time.Duration //
}

// Report is what became of all checks.
type Report struct {
	Suite   string // what was checked: "guest", "host", "provider", or a project's name
	Subject string // who: a module's file, a command, a target
	Checks  []Check
	Took    time.Duration
}

// Settle orders the checks by name, and turns a failure into a warning where the
// rules that it is about only say SHOULD.
func (r *Report) Settle() {
	for i, c := range r.Checks {
		if c.Status == Fail && len(c.Rules) > 0 && !slices.ContainsFunc(c.Rules, binding) {
			r.Checks[i].Status = Warn
		}
	}
	slices.SortStableFunc(r.Checks, func(a, b Check) int { return strings.Compare(a.Name, b.Name) })
}

// binding tells whether a rule is a MUST, as one is that nobody knows.
func binding(id string) bool {
	rule, ok := rules.Protocol().Find(id)
	return !ok || rule.Level == rules.Must
}

// Count is the number of checks with a status.
func (r *Report) Count(s Status) int {
	n := 0
	for _, c := range r.Checks {
		if c.Status == s {
			n++
		}
	}
	return n
}

// OK tells whether there are checks, one passed at least, and none failed.
func (r *Report) OK() bool { return r.Count(Pass)+r.Count(Warn) > 0 && r.Count(Fail) == 0 }

// Broken are the IDs of the rules that failed checks name, sorted.
func (r *Report) Broken() []string {
	var ids []string
	for _, c := range r.Checks {
		if c.Status == Fail || c.Status == Warn {
			ids = append(ids, c.Rules...)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
