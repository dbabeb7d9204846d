package devhost

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waxosuit/waxo/capability"
)

// quiet is how long nothing more is said of a binding once something was: a service
// that comes and goes does so in a few lines.
const quiet = 5 * time.Second

// outage makes two lines of the many calls that fail while the service of a binding
// is away: one when it begins, one when it is over.
type outage struct {
	log                 *slog.Logger
	capability, binding string

	away atomic.Bool

	mu     sync.Mutex
	since  time.Time
	failed int       // calls since the last line that said how many
	told   time.Time // when there was a line
	silent bool      // this one was not told yet
}

// observe looks at what a call came to. For one that succeeds, none is needed while
// nothing is away.
func (o *outage) observe(err error) {
	switch e := capability.AsError(err); {
	case e == nil:
		o.over(time.Now())
	case e.Code == capability.CodeUnavailable, e.Code == capability.CodeDeadline:
		o.fail(time.Now(), e)
	case e.Code == capability.CodeCanceled, e.Code == capability.CodeInternal, e.Code == capability.CodeOverloaded, e.Code == capability.CodeDenied:
		// It says nothing of the service.
	default:
		o.over(time.Now()) // it refused the call, so it is there
	}
}

// fail counts a call that did not reach its service.
func (o *outage) fail(now time.Time, why *capability.Error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.failed++
	if !o.away.Load() {
		o.away.Store(true)
		o.since, o.silent = now, true
	}
	if o.silent && now.Sub(o.told) >= quiet {
		o.silent, o.told = false, now
		o.log.Warn(o.capability+" fails", "binding", o.binding, "error", why.Message)
	}
}

// over says that calls are answered again.
func (o *outage) over(now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.away.Load() {
		return
	}
	o.away.Store(false)
	if o.silent {
		return
	}
	o.log.Info(o.capability+" answers again", "binding", o.binding, "failed", o.failed, "after", now.Sub(o.since).Round(time.Millisecond))
	o.failed, o.told = 0, now
}
