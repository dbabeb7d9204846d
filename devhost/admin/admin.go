// Package admin serves what a host itself answers on a guest's port: whether the
// guest is well, who it is, and live update.
//
//	GET  /healthz     200 or 503, within Options.HealthTimeout
//	GET  /id          the module's key, its issuer, its capabilities
//	POST /liveupdate  a signed module: it takes the place of the one that runs
//
// It promises that these paths, in exactly this spelling, never reach the guest and
// every other request does; that any number of probes costs the guest one health
// request at a time; and that one upload is held in memory at a time, within a
// bound. Answers are JSON, and an answer that refuses says what to do.
//
// Which modules are taken in is decided by devhost.Host.Update. Who may reach the
// port is left out: that is for the address that a host listens on, and for what
// is in front of it.
package admin

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waxosuit/waxo/devhost"
)

// DefaultMaxModule is the default of Options.MaxModule: 64 MiB.
const DefaultMaxModule = 64 << 20

// Options configures Endpoints.
type Options struct {
	// Host is what is asked and updated. Required; it stays the caller's.
	Host *devhost.Host

	// Path is what the paths are below, as CheckPath wants it. Default: "/".
	Path string

	// LiveUpdate takes in modules. Default: every one is refused, before any of it
	// is read.
	LiveUpdate bool

	// MaxModule bounds a module that is sent, in bytes. Default: 64 MiB.
	MaxModule int64

	// UploadTimeout bounds how long a client may take to send one. Default: 60 s.
	UploadTimeout time.Duration

	// UpdateTimeout bounds how long a module may take to be compiled and found
	// healthy. Default: 5 min.
	UpdateTimeout time.Duration

	// HealthTimeout bounds how long the guest may take to say that it is well, its
	// wait for an instance included. Default: 800 ms, as Kubernetes gives a probe
	// 1 s.
	HealthTimeout time.Duration

	// Development lets answers name what the guest said.
	Development bool

	// Log gets updates, refusals, and each change of the guest's health.
	// Default: dropped.
	Log *slog.Logger
}

// Endpoints are what a host answers itself.
type Endpoints struct {
	opts                Options
	healthz, id, update string // paths
	crossOrigin         *http.CrossOriginProtection
	draining            atomic.Bool
	uploading           sync.Mutex // held by the one upload that is under way

	mu     sync.Mutex
	asked  *question      // of the guest, that is not answered yet
	sick   bool           // by the last answer
	asking sync.WaitGroup // goroutines that ask
}

// New makes endpoints, which answer where Wrap puts them.
func New(opts *Options) (*Endpoints, error) {
	if opts == nil || opts.Host == nil {
		return nil, errors.New("admin: Options.Host is required")
	}
	e := &Endpoints{opts: *opts, crossOrigin: http.NewCrossOriginProtection()}
	o := &e.opts
	o.Path = cmp.Or(o.Path, "/")
	if err := CheckPath(o.Path); err != nil {
		return nil, err
	}
	o.MaxModule = cmp.Or(o.MaxModule, DefaultMaxModule)
	o.UploadTimeout = cmp.Or(o.UploadTimeout, time.Minute)
	o.UpdateTimeout = cmp.Or(o.UpdateTimeout, 5*time.Minute)
	o.HealthTimeout = cmp.Or(o.HealthTimeout, 800*time.Millisecond)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	e.healthz, e.id, e.update = path.Join(o.Path, "healthz"), path.Join(o.Path, "id"), path.Join(o.Path, "liveupdate")
	return e, nil
}

// CheckPath says what is wrong with a path that endpoints are to be below.
func CheckPath(p string) error {
	if !strings.HasPrefix(p, "/") || path.Clean(p) != p || (&url.URL{Path: p}).EscapedPath() != p {
		return fmt.Errorf("%q is no path for the host's own answers; take one such as / or /_host", p)
	}
	return nil
}

// Wrap puts the endpoints in front of a guest. They are for their paths alone as
// these are spelt: a proxy that keeps one of them from the world is not got around
// by another spelling.
func (e *Endpoints) Wrap(guest http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch p := r.URL.Path; {
		case r.URL.RawPath != "":
			guest.ServeHTTP(w, r)
		case p == e.healthz:
			e.serve(w, r, e.answerHealth, http.MethodGet, http.MethodHead)
		case p == e.id:
			e.serve(w, r, e.answerID, http.MethodGet, http.MethodHead)
		case p == e.update:
			e.serve(w, r, e.answerUpdate, http.MethodPost)
		default:
			guest.ServeHTTP(w, r)
		}
	})
}

// Drain makes /healthz answer 503 and /liveupdate refuse from now on, so that those
// who balance load go elsewhere.
func (e *Endpoints) Drain() { e.draining.Store(true) }

// Close waits until the guest is asked no more: Options.HealthTimeout at most,
// where it keeps to its deadline. Nobody may send requests any more. It may be
// called twice.
func (e *Endpoints) Close() { e.asking.Wait() }
