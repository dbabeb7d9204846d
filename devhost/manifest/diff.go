package manifest

import (
	"maps"
	"slices"
)

// Difference says what differs between two manifests of a project, and so what
// is to be done.
type Difference struct {
	Added   []string // capabilities that only the newer one has
	Removed []string // capabilities that only the older one has

	Rebuild  bool // the module must be built again
	Resign   bool // the claims differ: sign it again
	Rebind   bool // bindings differ: bind the providers again
	Relimit  bool // limits differ: make the instances again
	Relisten bool // the port differs: close the listener, open another
	Rewatch  bool // the source patterns differ
}

// Any says whether there is a difference at all.
func (d Difference) Any() bool {
	return d.Rebuild || d.Resign || d.Rebind || d.Relimit || d.Relisten || d.Rewatch
}

// Diff compares two manifests. The order of capabilities and of bindings makes no
// difference.
func Diff(older, newer *Manifest) Difference {
	d := Difference{
		Added:   without(newer.Capabilities, older.Capabilities),
		Removed: without(older.Capabilities, newer.Capabilities),
	}
	claims := len(d.Added)+len(d.Removed) > 0
	d.Rebuild = older.Language != newer.Language ||
		!slices.Equal(older.Build.Command, newer.Build.Command) || older.Build.Output != newer.Build.Output
	d.Resign = d.Rebuild || claims || older.Name != newer.Name || older.Version != newer.Version
	d.Rebind = claims || !maps.EqualFunc(bindings(older), bindings(newer), func(a, b Bind) bool {
		return a.Provider == b.Provider && a.URL == b.URL && maps.Equal(a.Config, b.Config)
	})
	d.Relimit = older.Limits != newer.Limits
	d.Relisten = older.Dev.Port != newer.Dev.Port
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

func bindings(m *Manifest) map[[2]string]Bind {
	all := make(map[[2]string]Bind, len(m.Binds))
	for _, b := range m.Binds {
		all[[2]string{b.Capability, b.Name}] = b
	}
	return all
}
