// Package natsconn is the connection that the providers on NATS share: how it is
// configured, how it comes back, and what its failures are in the words of
// package capability.
//
// A connection that is lost comes back by itself, for ever. Nothing is kept to be
// sent later: what is begun without a connection fails at once, and what was
// under way when it went fails then, as an error of CodeUnavailable.
package natsconn

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/waxosuit/waxo/capability"
)

// The configuration keys of a binding that concern the connection.
const (
	KeyURL        = "url"
	KeyClientJWT  = "client_jwt"
	KeyClientSeed = "client_seed"
)

// DefaultURL is where a binding without a url finds its server.
const DefaultURL = "nats://127.0.0.1:4222"

const (
	// patience bounds a call whose caller sets no deadline.
	patience = 30 * time.Second

	// A server that says nothing is given up after two pings without an answer.
	pingInterval = 5 * time.Second
	pingsOut     = 2

	// writeTimeout bounds how long a server may take nothing off the connection:
	// calls wait for each other's writes.
	writeTimeout = 5 * time.Second

	// The first attempt to connect again is made at once, the further ones after
	// delays that double.
	firstDelay, lastDelay = 20 * time.Millisecond, 500 * time.Millisecond
)

// Options are what a connection is opened with.
type Options struct {
	Config  map[string]string // the binding's; keys that are not the connection's are left alone
	Guest   string            // its name, which the server is told
	Timeout time.Duration     // how long to try to reach the server
	Log     *slog.Logger      // told once when the connection is lost and once when it is back
	What    string            // what is connected, for the log: the capability

	// Dropped is told of a subscription that lost messages because its queue was
	// full. It must not block. May be nil.
	Dropped func(*nats.Subscription)
	// Back is told when the connection is back. It must not block. May be nil.
	Back func()
}

// Conn is a connection to NATS.
type Conn struct {
	NATS  *nats.Conn
	Where string // the server in words, without secrets

	opts Options

	mu      sync.Mutex
	up      bool
	closing bool
	since   time.Time // when the connection was lost
	calls   map[*call]struct{}
}

// call is one that is under way.
type call struct {
	subject string
	cancel  context.CancelCauseFunc
}

// errLost ends calls that were under way.
var errLost = errors.New("the connection was lost")

// Open connects. The error is one of CodeInvalid where the configuration is wrong
// or the server refuses who connects, CodeUnavailable where there is no server.
func Open(ctx context.Context, opts Options) (*Conn, error) {
	servers, where, err := parseURL(cmp.Or(opts.Config[KeyURL], DefaultURL))
	if err != nil {
		return nil, err
	}
	c := &Conn{Where: where, opts: opts, up: true, calls: make(map[*call]struct{})}
	options := c.options(len(servers))
	jwt, seed := opts.Config[KeyClientJWT], opts.Config[KeyClientSeed]
	if (jwt == "") != (seed == "") {
		return nil, Invalid("%s and %s belong together: give both, or none", KeyClientJWT, KeyClientSeed)
	}
	if jwt != "" {
		options = append(options, nats.UserJWTAndSeed(jwt, seed))
	}
	if err := ctx.Err(); err != nil {
		return nil, capability.AsError(err)
	}
	if c.NATS, err = nats.Connect(strings.Join(servers, ","), options...); err != nil {
		return nil, c.refused(err)
	}
	return c, nil
}

func (c *Conn) options(servers int) []nats.Option {
	options := []nats.Option{
		nats.Name("waxo " + c.opts.Guest),
		nats.Timeout(c.opts.Timeout / time.Duration(servers)),
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(), // credentials may be mended while we wait
		nats.CustomReconnectDelay(delay),
		nats.ReconnectBufSize(-1),
		nats.PingInterval(pingInterval),
		nats.MaxPingsOutstanding(pingsOut),
		nats.FlusherTimeout(writeTimeout),
		nats.NoCallbacksAfterClientClose(),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { c.lost(err) }),
		nats.ReconnectHandler(func(*nats.Conn) { c.back() }),
		nats.ClosedHandler(func(nc *nats.Conn) { c.ended(nc.LastError()) }),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) { c.failed(sub, err) }),
	}
	if servers > 1 {
		// Who names several servers means these, and not by which other addresses
		// they know each other.
		options = append(options, nats.IgnoreDiscoveredServers())
	}
	return options
}

// delay is how long to wait after every server was tried for the nth time.
func delay(n int) time.Duration {
	d := lastDelay
	if n < 10 {
		d = min(lastDelay, firstDelay<<n)
	}
	return d - rand.N(d/5+1) // guests of one server do not come back all at once
}

// parseURL takes a url apart, which may name several servers. No error of it
// shows the url, because that may hold a password.
func parseURL(raw string) (servers []string, where string, err error) {
	var hosts []string
	for server := range strings.SplitSeq(raw, ",") {
		server = strings.TrimSpace(server)
		u, err := url.Parse(server)
		if err != nil || u.Scheme != "nats" && u.Scheme != "tls" || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
			return nil, "", Invalid("the url of the binding is no URL of a NATS server, such as %s, nats://user:password@host:4222 or tls://host:4222, nor several of them with commas between", DefaultURL)
		}
		if u.Port() == "" {
			u.Host += ":4222"
		}
		servers, hosts = append(servers, u.String()), append(hosts, u.Host)
	}
	if len(hosts) == 1 {
		return servers, "the NATS server at " + hosts[0], nil
	}
	return servers, "the NATS servers at " + strings.Join(hosts, ", "), nil
}

// refused makes of an error of connecting what Bind answers.
func (c *Conn) refused(err error) error {
	for _, answer := range []error{nats.ErrAuthorization, nats.ErrAuthExpired, nats.ErrAuthRevoked, nats.ErrAccountAuthExpired} {
		if errors.Is(err, answer) {
			return Invalid("%s refuses the connection: %s; check user and password in the url, or %s and %s", c.Where, short(err), KeyClientJWT, KeyClientSeed)
		}
	}
	if strings.Contains(err.Error(), "key pair from seed") {
		return Invalid("the %s of the binding is no seed of an nkey, such as SUA...", KeyClientSeed)
	}
	return &capability.Error{
		Code:    capability.CodeUnavailable,
		Message: fmt.Sprintf("%s cannot be reached: %s; start it, or give the binding another url", c.Where, short(err)),
	}
}

func (c *Conn) lost(err error) {
	c.mu.Lock()
	told := !c.up || c.closing
	c.up = false
	if !told {
		c.since = time.Now()
	}
	for call := range c.calls {
		call.cancel(errLost)
	}
	c.mu.Unlock()
	if !told {
		c.opts.Log.Warn(c.opts.What+": "+c.Where+" is gone; calls fail until it returns", "guest", c.opts.Guest, "reason", reason(err))
	}
}

func (c *Conn) back() {
	c.mu.Lock()
	told := c.up
	c.up = true
	away := time.Since(c.since)
	c.mu.Unlock()
	if told {
		return
	}
	c.opts.Log.Info(c.opts.What+": "+c.Where+" is back", "guest", c.opts.Guest, "after", away.Round(time.Millisecond))
	if c.opts.Back != nil {
		c.opts.Back()
	}
}

// ended is called where the server ended the connection for good, which it does
// where the two do not understand each other.
func (c *Conn) ended(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closing {
		c.up = false
		c.opts.Log.Error(c.opts.What+": "+c.Where+" ended the connection for good; bind the guest again", "guest", c.opts.Guest, "reason", reason(err))
	}
}

func (c *Conn) failed(sub *nats.Subscription, err error) {
	switch {
	case errors.Is(err, nats.ErrSlowConsumer):
		if sub != nil && c.opts.Dropped != nil {
			c.opts.Dropped(sub)
		}
	case errors.Is(err, nats.ErrPermissionViolation):
		c.mu.Lock()
		defer c.mu.Unlock()
		for call := range c.calls {
			if names(err, call.subject) {
				call.cancel(err)
			}
		}
	}
}

// names tells whether an error of the server is about a subject.
func names(err error, subject string) bool {
	return strings.Contains(err.Error(), strconv.Quote(subject))
}

// Up tells whether there is a connection.
func (c *Conn) Up() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.up
}

// Close closes the connection. It may be called twice.
func (c *Conn) Close() {
	c.mu.Lock()
	c.closing, c.up = true, false
	c.mu.Unlock()
	c.NATS.Close()
}

func reason(err error) string {
	if err == nil {
		return "the server closed the connection"
	}
	return short(err)
}

// Invalid is an error of CodeInvalid.
func Invalid(format string, args ...any) error {
	return &capability.Error{Code: capability.CodeInvalid, Message: fmt.Sprintf(format, args...)}
}
