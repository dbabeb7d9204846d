package manifest

import "slices"

// Difference says what differs between two manifests of a project, as far as
// whoever serves it cannot tell from what comes out: the host compares bindings
// itself, the workbench modules.
type Difference struct {
	Added   []string // capabilities that only the newer one has
	Removed []string // capabilities that only the older one has

	Resign  bool // the claims differ: sign the module again
	Relimit bool // limits differ: make the instances again
	Rewatch bool // the source patterns differ
}

// Diff compares two manifests. The order of capabilities makes no difference.
func Diff(older, newer *Manifest) Difference {
	d := Difference{
		Added:   without(newer.Capabilities, older.Capabilities),
		Removed: without(older.Capabilities, newer.Capabilities),
	}
	d.Resign = len(d.Added)+len(d.Removed) > 0 || older.Name != newer.Name || older.Version != newer.Version
	d.Relimit = older.Limits != newer.Limits
	oldInclude, oldExclude := older.Sources()
	newInclude, newExclude := newer.Sources()
	d.Rewatch = !slices.Equal(oldInclude, newInclude) || !slices.Equal(oldExclude, newExclude)
	return d
}

// without returns what is in list and not in other.
func without(list, other []string) []string {
	var rest []string
	for _, s := range list {
		if !slices.Contains(other, s) {
			rest = append(rest, s)
		}
	}
	return rest
}
