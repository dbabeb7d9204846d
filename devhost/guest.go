package devhost

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/payload/corepb"
	"github.com/waxosuit/waxo/wapc"
	"github.com/waxosuit/waxo/wascap"
)

// Guest is a module that was verified, compiled, started and found healthy.
type Guest struct {
	host       *Host
	build      string
	claims     *wascap.Claims
	token      string // of the claims
	granted    map[string]bool
	generation capability.Generation
	module     *wapc.Module
	pool       *wapc.Pool

	drainTimeout time.Duration

	refs   atomic.Int64 // calls in hand, and one for the host itself
	away   atomic.Int64 // calls that wait for a provider
	many   int64        // of them
	idle   chan struct{}
	retire sync.Once
	closed atomic.Bool   // or about to be
	ended  chan struct{} // closed when the host is done with it, once it was replaced
	denied denials

	routes    memo[callName, route]
	spellings memo[operationName, string]
}

// denials remembers what was denied already, to say it once. What a guest can
// make up has no end, so what is remembered and said has one.
type denials struct {
	mu   sync.Mutex
	said map[string]bool
}

// maxDenials is how many different denials of a guest are logged.
const maxDenials = 100

// add tells whether a denial is to be logged, and whether it is the last one
// that is.
func (d *denials) add(call string) (log, last bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.said[call] || len(d.said) >= maxDenials {
		return false, false
	}
	if d.said == nil {
		d.said = make(map[string]bool)
	}
	d.said[call] = true
	return true, len(d.said) == maxDenials
}

// PrepareOptions says what Prepare should tell.
type PrepareOptions struct {
	Build  string                           // the build's label in replies and logs
	Limits *Limits                          // default: the host's
	Phase  func(name string) (ended func()) // told of each phase, as it begins and as it ends
}

// Prepare makes a guest out of a signed module: it verifies the claims,
// compiles, starts one instance and asks its health. The host's current guest
// goes on serving; Activate switches over. Whatever fails, nothing is left
// behind.
//
// Errors are a *wascap.VerifyError, ErrThrowawayKeys, those of package wapc for
// a module that it cannot load or start, or a *HealthError.
func (h *Host) Prepare(ctx context.Context, module []byte, opts *PrepareOptions) (_ *Guest, err error) {
	if opts == nil {
		opts = &PrepareOptions{}
	}
	phase := opts.Phase
	if phase == nil {
		phase = func(string) func() { return func() {} }
	}
	limits := h.opts.Limits
	if opts.Limits != nil {
		limits = opts.Limits.Defaults()
	}
	ended := phase("verify")
	token, err := h.verify(module)
	if err != nil {
		return nil, err
	}
	ended()
	claims := &token.Claims
	g := &Guest{host: h, build: opts.Build, claims: claims, token: token.String(), granted: make(map[string]bool)}
	g.drainTimeout = limits.DrainTimeout
	g.idle, g.ended = make(chan struct{}), make(chan struct{})
	g.refs.Store(1)
	g.many = int64(manyAwayPerCore * runtime.GOMAXPROCS(0))
	g.generation = capability.GenerationOf(claims.Capabilities)
	for _, c := range claims.Capabilities {
		g.granted[c] = true
	}
	defer func() {
		if err != nil {
			// Closing needs no patience: nothing of it serves yet.
			err = errors.Join(err, g.Close(context.Background()))
		}
	}()
	ended = phase(phaseCompile)
	if g.module, err = h.opts.Engine.Compile(ctx, module); err != nil {
		return nil, err
	}
	ended()
	ended = phase("start")
	if g.pool, err = g.module.NewPool(poolOptions(g, limits)); err != nil {
		return nil, err
	}
	if err := g.pool.Warm(ctx, 1); err != nil {
		return nil, fmt.Errorf("starting the guest: %w%s", err, startHint(err))
	}
	ended()
	ended = phase("health")
	if err := g.Healthy(ctx); err != nil {
		return nil, err
	}
	ended()
	return g, nil
}

// startHint says what to do about a module that is a command: it runs its main
// function and exits before it could be called.
func startHint(err error) string {
	trap := new(wapc.TrapError)
	if errors.As(err, &trap) && trap.Operation == "_start" && len(trap.Stack) > 0 && trap.Stack[0] == "wasi_snapshot_preview1.proc_exit" {
		return "; the module is a command, which ends when its main function does: build it as a reactor (Go: -buildmode=c-shared, C: -mexec-model=reactor)"
	}
	return ""
}

// ErrThrowawayKeys is the error for a module that only development may run.
var ErrThrowawayKeys = errors.New("the module was signed with throwaway keys by waxo dev: sign it with real keys, or pass --allow-dev where that is meant")

func (h *Host) verify(module []byte) (*wascap.Token, error) {
	token, err := wascap.Verify(module, h.opts.Now())
	if err != nil {
		return nil, err
	}
	if token.Claims.HasTag(wascap.DevTag) && !h.opts.Development && !h.opts.AllowDev {
		return nil, ErrThrowawayKeys
	}
	return token, nil
}

func poolOptions(g *Guest, l Limits) *wapc.PoolOptions {
	return &wapc.PoolOptions{
		Host:         guestHost{g},
		MaxInstances: l.Instances,
		MemoryTotal:  l.TotalMemory,
		MaxWaiting:   l.Waiting,
		CallTimeout:  l.CallTimeout,
		StartTimeout: l.CallTimeout,
		MemoryLimit:  l.Memory,
		// The Go runtime says first what went wrong, then dumps its goroutines.
		LogLines:        64,
		MaxRequest:      l.RequestBody + envelope,
		MaxResponse:     l.ResponseBody + envelope,
		MaxHostPayload:  l.RequestBody + envelope,
		MaxHostResponse: l.ResponseBody + envelope,
	}
}

// HealthError says that a guest answered its health request with an error.
type HealthError struct{ Err error }

func (e *HealthError) Error() string {
	return "the guest is not healthy: " + e.Err.Error()
}

func (e *HealthError) Unwrap() error { return e.Err }

// Healthy asks the guest's health. The error is a *HealthError.
func (g *Guest) Healthy(ctx context.Context) error {
	request := (&corepb.HealthRequest{}).AppendProto(nil)
	operation := g.generation.Spell(capability.Core, capability.OpHealthRequest)
	if _, err := g.pool.Call(ctx, operation, request); err != nil {
		return &HealthError{Err: explain(err)}
	}
	return nil
}

// Healthy asks the health of the guest that new calls go to. The error is a
// *HealthError, also where there is no guest.
func (h *Host) Healthy(ctx context.Context) error {
	g := h.acquire()
	if g == nil {
		return &HealthError{Err: h.noGuest()}
	}
	defer g.release()
	return g.Healthy(ctx)
}

// Claims are the module's claims.
func (g *Guest) Claims() *wascap.Claims { return g.claims }

// Build is the label that Prepare was given.
func (g *Guest) Build() string { return g.build }

// Stats tells how the guest's instances fare.
func (g *Guest) Stats() wapc.Stats { return g.pool.Stats() }

// hold keeps the guest from ending until release; false where it has ended.
func (g *Guest) hold() bool {
	for {
		n := g.refs.Load()
		if n == 0 {
			return false
		}
		if g.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// manyAwayPerCore is how many calls for each core may wait for a provider before
// new ones give way.
const manyAwayPerCore = 4

// giveWay is called before a call. Each takes an instance, and with it memory that
// the core's caches do not have: where many calls wait for a provider already,
// those whose answer has come go first, and leave theirs. The call waits for no
// other: where nothing else can run, it goes on at once.
func (g *Guest) giveWay() {
	if g.away.Load() >= g.many {
		runtime.Gosched()
	}
}

func (g *Guest) release() {
	if g.refs.Add(-1) == 0 {
		close(g.idle)
	}
}

// Close takes no new calls, waits for those in hand until ctx ends, then stops
// them and frees the guest. It may be called twice.
func (g *Guest) Close(ctx context.Context) error {
	g.closed.Store(true)
	g.retire.Do(g.release)
	select {
	case <-g.idle:
	case <-ctx.Done():
	}
	var errs []error
	if g.pool != nil {
		errs = append(errs, g.pool.Close(ctx))
	}
	if g.module != nil {
		// The instances are gone; what is left to free does not wait.
		errs = append(errs, g.module.Close(context.WithoutCancel(ctx)))
	}
	return errors.Join(errs...)
}

// serves tells whether the claims grant a capability, by its own name or by an
// alias.
func (g *Guest) serves(id string) bool {
	if g.granted[id] {
		return true
	}
	for claim, target := range g.host.opts.Aliases {
		if target == id && g.granted[claim] {
			return true
		}
	}
	return false
}

// deny makes the error for a capability that the claims do not grant, and says
// so once for each operation.
func (g *Guest) deny(id, operation string) error {
	return g.denial(id, operation, capability.Denied(g.claims.Name, id, operation))
}

func (g *Guest) denial(id, operation string, e *capability.Error) error {
	log, last := g.denied.add(id + "!" + operation)
	if log {
		g.host.opts.Log.Warn("denied", "capability", id, "operation", operation, "build", g.build, "reason", e.Message)
	}
	if last {
		g.host.opts.Log.Warn("further denials of this guest are not logged", "build", g.build)
	}
	return e
}

// guestHost serves the host calls of one guest. It is a type of its own so
// that Guest does not export the methods.
type guestHost struct{ *Guest }

// ConsoleLog passes on a line that the guest printed.
func (g guestHost) ConsoleLog(_ context.Context, line string) { g.host.opts.Console(line) }
