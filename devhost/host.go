// Package devhost is the host: it takes a signed module, checks its claims,
// runs it, binds it to the providers of what its claims grant, and replaces it
// by the next build without dropping a call.
//
// It is the host of production as well as of development; the two differ in
// one option, which admits throwaway keys and shows internals in answers.
// Nothing that a guest asks for reaches a provider before the guest's claims
// were looked at, and there is no option that changes that.
//
// The package knows no provider and no emulator: whoever makes a Host hands
// them in.
package devhost

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/devhost/manifest"
	"github.com/waxosuit/waxo/wapc"
)

// Options configures a Host.
type Options struct {
	// Engine compiles and runs the guests. Required; it stays the caller's.
	Engine *wapc.Engine

	// Development admits modules that were signed with throwaway keys, and
	// lets answers name builds and internals.
	Development bool

	// AllowDev admits modules that were signed with throwaway keys.
	AllowDev bool

	// Aliases lets claims of one name be served by the providers of another:
	// {"wascc:keyvalue": "wascap:keyvalue"}. Default: none.
	Aliases map[string]string

	// Updates says which modules Update takes in. Default: none.
	Updates *Updates

	// Limits bounds every guest. The zero value has the defaults.
	Limits Limits

	// Log gets what an operator should know. Default: dropped.
	Log *slog.Logger

	// Console gets each line that a guest prints. It must not block.
	// Default: dropped.
	Console func(line string)

	// Now is the clock that claims are checked against. Default: time.Now.
	Now func() time.Time
}

// Limits bounds what a guest may use. A zero field has its default.
type Limits struct {
	Memory       int64         // bytes for one instance; default 256 MiB
	TotalMemory  int64         // bytes of all instances, beyond which no further one is started; default 1 GiB
	CallTimeout  time.Duration // for one call; default 30 s
	Instances    int           // the most instances; default 128
	Waiting      int           // the most calls that wait for an instance; negative: none; default 1,000
	RequestBody  int           // bytes of a request's body; default 32 MiB
	ResponseBody int           // bytes of a response's body; default 32 MiB
	DrainTimeout time.Duration // for calls in hand when a guest is replaced; default what they may take, 3 x CallTimeout
}

// Defaults returns l with the defaults in place of zeros.
func (l Limits) Defaults() Limits {
	set := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	set(&l.Instances, manifest.DefaultInstances)
	set(&l.Waiting, 1000)
	set(&l.RequestBody, 32<<20)
	set(&l.ResponseBody, 32<<20)
	if l.Memory == 0 {
		l.Memory = 256 << 20
	}
	if l.TotalMemory == 0 {
		l.TotalMemory = manifest.DefaultTotalMemory
	}
	if l.CallTimeout == 0 {
		l.CallTimeout = 30 * time.Second
	}
	if l.DrainTimeout == 0 {
		// A call may wait for an instance, start one, and then be served.
		l.DrainTimeout = 3 * l.CallTimeout
	}
	return l
}

// envelope is what a payload may take beyond its body: a MiB of headers, which
// tags and the recoding of Latin-1 may triple.
const envelope = 4 << 20

// Host runs one guest at a time and binds it to providers.
type Host struct {
	opts     Options
	current  atomic.Pointer[Guest]
	failed   atomic.Pointer[Failure]
	bindings atomic.Pointer[map[bindingKey]*bound]

	settled chan struct{} // closed when the first build serves or failed
	settle  sync.Once

	updating sync.Mutex // held by the one update that is under way

	mu       sync.Mutex // held while bindings or the guest change
	owner    Identity   // whose bindings these are
	closed   bool
	drains   sync.WaitGroup
	replaced sync.Map // of *Guest: those that do not serve any more and have not ended
}

// New makes a host without a guest.
func New(opts *Options) (*Host, error) {
	if opts == nil || opts.Engine == nil {
		return nil, errors.New("devhost: Options.Engine is required")
	}
	h := &Host{opts: *opts, settled: make(chan struct{})}
	h.opts.Limits = opts.Limits.Defaults()
	if h.opts.Log == nil {
		h.opts.Log = slog.New(slog.DiscardHandler)
	}
	if h.opts.Console == nil {
		h.opts.Console = func(string) {}
	}
	if h.opts.Now == nil {
		h.opts.Now = time.Now
	}
	h.bindings.Store(&map[bindingKey]*bound{})
	return h, nil
}

// ErrClosed is what a host answers after Close.
var ErrClosed = errors.New("the host is closed")

// Activate switches new calls over to g and lets those in hand end with the
// guest that they started with. Once it has returned, no call starts on the
// guest before. It returns an error, and changes nothing, where g is not the
// module that the host's bindings were made for, or was closed. A guest that was
// replaced does not come back: Prepare it again.
func (h *Host) Activate(g *Guest) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return ErrClosed
	}
	if h.owner.Key != "" && h.owner.Key != g.claims.Subject {
		return fmt.Errorf("the module is %s, but this host is bound for %s", g.claims.Subject, h.owner.Key)
	}
	if g.closed.Load() {
		return errors.New("the guest was closed")
	}
	old := h.current.Swap(g)
	h.failed.Store(nil)
	h.settle.Do(func() { close(h.settled) })
	if old != nil && old != g {
		old.closed.Store(true)
		h.replaced.Store(old, true)
		h.drains.Go(func() { h.end(old) })
	}
	return nil
}

// end lets a guest that was replaced finish.
func (h *Host) end(old *Guest) {
	ctx, cancel := context.WithTimeout(context.Background(), old.drainTimeout)
	defer cancel()
	if err := old.Close(ctx); err != nil {
		h.opts.Log.Warn("the build before did not end in time", "build", old.build, "error", err)
	}
	close(old.ended)
	h.replaced.Delete(old)
}

// Current is the guest that new calls go to, nil before the first.
func (h *Host) Current() *Guest { return h.current.Load() }

// InHand is the number of calls under way, those of earlier builds and those
// that Close waits for included.
func (h *Host) InHand() int {
	busy := 0
	if g := h.current.Load(); g != nil {
		busy = g.Stats().Busy
	}
	for g := range h.replaced.Range {
		busy += g.(*Guest).Stats().Busy
	}
	return busy
}

// Failure says what became of a build that does not serve.
type Failure struct {
	Build  string // its label
	Detail string // why, for a developer
}

// SetFailure makes the replies of a development host say that a newer build
// failed, until the next Activate.
func (h *Host) SetFailure(f Failure) {
	h.failed.Store(&f)
	h.settle.Do(func() { close(h.settled) })
}

// ClearFailure takes SetFailure back: the source is again that of the build
// that serves.
func (h *Host) ClearFailure() { h.failed.Store(nil) }

// label is what a reply says of the build that gave it.
func (h *Host) label(g *Guest) string {
	if !h.opts.Development {
		return ""
	}
	failure := h.failed.Load()
	switch {
	case g == nil && failure == nil:
		return "none yet"
	case g == nil:
		return "none; build " + failure.Build + " failed"
	case failure == nil:
		return g.build
	}
	return g.build + "; build " + failure.Build + " failed"
}

// acquire takes hold of the current guest for one call; release it after. It
// is nil where there is none.
func (h *Host) acquire() *Guest {
	for {
		g := h.current.Load()
		if g == nil || g.hold() {
			return g
		}
		if h.current.Load() == g { // it was not replaced, but closed by somebody else
			return nil
		}
	}
}

// dispatch carries an operation of a capability to the guest.
func (h *Host) dispatch(ctx context.Context, id, operation string, payload, into []byte) (capability.Reply, error) {
	if h.opts.Development {
		h.awaitFirst(ctx)
	}
	g := h.acquire()
	if g == nil {
		return capability.Reply{Build: h.label(nil)}, h.noGuest()
	}
	defer g.release()
	reply := capability.Reply{Build: h.label(g)}
	spelling, err := g.spell(id, operation)
	if err != nil {
		return reply, err
	}
	g.giveWay()
	answer, err := g.pool.CallAppend(ctx, into[:0], spelling, payload)
	if err != nil {
		return reply, explain(err)
	}
	reply.Payload = answer
	return reply, nil
}

// awaitFirst holds calls that come while the first build is under way, instead
// of failing them.
func (h *Host) awaitFirst(ctx context.Context) {
	select {
	case <-h.settled:
		return
	default:
	}
	ctx, cancel := context.WithTimeout(ctx, h.opts.Limits.CallTimeout)
	defer cancel()
	select {
	case <-h.settled:
	case <-ctx.Done():
	}
}

func (h *Host) noGuest() error {
	e := &capability.Error{Code: capability.CodeUnavailable, Message: "no guest is running yet"}
	if f := h.failed.Load(); f != nil {
		e.Message = "no guest is running: build " + f.Build + " failed"
		e.Detail = f.Detail
	}
	return e
}

// Call has the current guest handle an operation of a capability, as a
// provider's Dispatcher would. For Core no claim is needed. One operation of
// Core is the host's own: capability.OpPerformLiveUpdate, which does what Update
// does.
func (h *Host) Call(ctx context.Context, id, operation string, payload []byte) (capability.Reply, error) {
	if id == capability.Core && operation == capability.OpPerformLiveUpdate {
		return capability.Reply{}, h.performUpdate(ctx, payload)
	}
	return h.dispatch(ctx, id, operation, payload, nil)
}

// Close unbinds everything, so that no new call arrives, lets the calls in
// hand end within ctx, and releases the guest. The providers stay their
// owner's. It may be called twice.
func (h *Host) Close(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	h.settle.Do(func() { close(h.settled) })
	err := h.unbindAll(ctx)
	if g := h.current.Swap(nil); g != nil {
		h.replaced.Store(g, true) // by nobody
		err = errors.Join(err, g.Close(ctx))
		h.replaced.Delete(g)
	}
	done := make(chan struct{})
	go func() { h.drains.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
		if n := h.InHand(); n > 0 {
			err = errors.Join(err, fmt.Errorf("%d call(s) of earlier builds had not finished in time", n))
		}
	}
	return err
}

// LimitsOf takes the limits from a manifest.
func LimitsOf(m *manifest.Manifest) Limits {
	waiting := m.Limits.Queue
	if waiting == 0 {
		waiting = -1
	}
	return Limits{
		Memory:       m.Limits.Memory,
		TotalMemory:  m.Limits.TotalMemory,
		Instances:    m.Limits.Instances,
		CallTimeout:  m.Limits.CallTimeout,
		Waiting:      waiting,
		RequestBody:  int(m.Limits.RequestBody),
		ResponseBody: int(m.Limits.ResponseBody),
	}
}
