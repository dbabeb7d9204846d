package cli

import (
	"runtime"
	"time"
)

// ballastSize is by how many bytes garbage may grow in a host before it is
// collected, beyond what Go allows: as much again as is alive.
const ballastSize = 32 << 20

// ballastDelay is how long a host serves without. To take the ballast is itself
// a collection, which would come just when the first request does.
const ballastDelay = time.Second

// ballast makes Go's heap look larger than it is, until the function that it
// returns is called. Little is alive in a host, so that its garbage would be
// collected many times a second. Nobody touches these bytes: they take no
// memory, but for the garbage. Who has set GOGC or GOMEMLIMIT has decided
// otherwise.
func (a *App) ballast() (drop func()) {
	for _, name := range []string{"GOGC", "GOMEMLIMIT"} {
		if v, _ := a.Lookup(name); v != "" {
			return func() {}
		}
	}
	b := make([]byte, ballastSize)
	return func() { runtime.KeepAlive(b) }
}
