//go:build !unix

package wapc

import "runtime"

// door lets the scheduler run something else. Where the poller does not know
// pipes, that must do.
type door struct{}

func (*door) pass() { runtime.Gosched() }

func (*door) close() {}
