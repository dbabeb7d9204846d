package parity

import "fmt"

// Difference is where two targets were told apart.
type Difference struct {
	Case string
	Line int    // of the transcript, from 1; 0 where a case is only there once
	A, B string // the lines; empty where one has ended
}

func (d Difference) String() string {
	return fmt.Sprintf("%s, line %d:\n\t%s\n\t%s", d.Case, d.Line, d.A, d.B)
}

// Compare says where the results of two targets differ: the first line of each
// case. Cases that one of them skipped are left out.
func Compare(a, b []Result) []Difference {
	var found []Difference
	for i := range max(len(a), len(b)) {
		var x, y Result
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if x.Skipped != "" || y.Skipped != "" {
			continue
		}
		if d, ok := compare(x, y); !ok {
			found = append(found, d)
		}
	}
	return found
}

func compare(x, y Result) (Difference, bool) {
	line := func(r Result, i int) string {
		if i < len(r.Transcript) {
			return r.Transcript[i]
		}
		return ""
	}
	if x.Case != y.Case {
		return Difference{Case: x.Case + "|" + y.Case}, false
	}
	for i := range max(len(x.Transcript), len(y.Transcript)) {
		if a, b := line(x, i), line(y, i); a != b {
			return Difference{Case: x.Case, Line: i + 1, A: a, B: b}, false
		}
	}
	return Difference{}, true
}
