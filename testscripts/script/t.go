package script

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// scriptT is what testscript takes for a *testing.T: one script's.
type scriptT struct {
	log     strings.Builder
	failed  bool
	verbose bool
	skipped *string // the reason
}

var _ testscript.T = (*scriptT)(nil)

// Run calls f to its end, which FailNow and Skip may bring about. A panic is a
// failure of this script alone.
func (t *scriptT) Run(_ string, f func(testscript.T)) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if e := recover(); e != nil {
				t.failed = true
				fmt.Fprintf(&t.log, "panic: %v\n%s", e, debug.Stack())
			}
		}()
		f(t)
	}()
	<-done
}

func (t *scriptT) Parallel()       {} // the runner sees to it
func (t *scriptT) Verbose() bool   { return t.verbose }
func (t *scriptT) Log(args ...any) { fmt.Fprintln(&t.log, args...) }

func (t *scriptT) FailNow() {
	t.failed = true
	runtime.Goexit()
}

func (t *scriptT) Fatal(args ...any) {
	t.Log(args...)
	t.FailNow()
}

func (t *scriptT) Skip(args ...any) {
	reason := fmt.Sprint(args...)
	t.skipped = &reason
	runtime.Goexit()
}
