//go:build !unix

package wapc

import (
	"runtime"
	"time"
)

// door lets the scheduler run something else. Where the poller does not know
// pipes, that must do.
type door struct {
	offered time.Duration // when the core was offered last
}

func (*door) pass() { runtime.Gosched() }

func (*door) close() {}
