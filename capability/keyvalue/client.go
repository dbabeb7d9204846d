package keyvalue

import (
	"cmp"
	"context"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

const (
	// poolSize is how many connections there may be at most: one for each
	// instance of a guest that may be waiting for the server. go-redis' own
	// default depends on the processors, who have little to do with it.
	poolSize = 128

	// bufferSize is that of a connection's buffers, in bytes. What is larger
	// passes them by.
	bufferSize = 4 << 10

	// dialTimeout is go-redis' own default.
	dialTimeout = 5 * time.Second
)

// quiet keeps go-redis from writing to stderr on its own: it knows one logger
// for the whole process, and what it tells that one comes back as an error too.
var quiet sync.Once

type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}

// clientOptions are those of a URL, and ours. No error of it shows the URL,
// because that may hold a password.
func clientOptions(raw string) (*redis.Options, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "redis" && u.Scheme != "rediss" && u.Scheme != "unix" {
		return nil, invalid("the url of the binding is no URL of a Redis server, such as %s, rediss://host:6379/0 or unix:///path/to/socket", DefaultURL)
	}
	opts, err := redis.ParseURL(raw)
	if err != nil {
		return nil, invalid("the url of the binding: %s", strings.TrimPrefix(err.Error(), "redis: "))
	}
	if opts.Protocol == 0 {
		opts.Protocol = 2 // no reply that we read needs more
	}
	if opts.PoolSize == 0 {
		opts.PoolSize = poolSize
	}
	opts.ReadBufferSize, opts.WriteBufferSize = bufferSize, bufferSize
	quiet.Do(func() { redis.SetLogger(silence{}) })
	opts.ContextTimeoutEnabled = true
	// A command that may have taken effect is not sent again (see attempts).
	opts.MaxRetries = -1
	// A server that is not there is an error now, not after five dials.
	opts.DialerRetries = 1
	opts.DisableIdentity = true
	opts.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	opts.PipelinePoolSize = -1
	opts.DialTimeout = cmp.Or(opts.DialTimeout, dialTimeout)
	opts.Dialer = plainly(redis.NewDialer(opts))
	return opts, nil
}

// addScript adds without ever letting another client see a sum that does not
// fit into 32 bits: it answers nil for that one, and nothing has changed. Errors
// of INCRBY are passed on as they are.
var addScript = sync.OnceValue(func() *redis.Script {
	return redis.NewScript(`
local sum = redis.pcall('INCRBY', KEYS[1], ARGV[1])
if type(sum) == 'number' and (sum > 2147483647 or sum < -2147483648) then
	redis.call('DECRBY', KEYS[1], ARGV[1])
	return false
end
return sum
`)
})

// patience is the context of one call. go-redis asks for Done once for each
// command, to see whether it has ended already, and again only where it must
// wait: for a connection that others have, or for a new one. A channel that can
// be waited for is dear, so the first question is answered by Err. While the
// server is working, only the deadline counts, as ever with go-redis.
type patience struct {
	context.Context
	deadline time.Time
	bounded  bool
	asked    atomic.Bool
}

func newPatience(ctx context.Context) *patience {
	p := &patience{Context: ctx}
	p.deadline, p.bounded = ctx.Deadline()
	return p
}

func (p *patience) Deadline() (time.Time, bool) { return p.deadline, p.bounded }

func (p *patience) Done() <-chan struct{} {
	if !p.asked.Swap(true) && p.Err() == nil {
		return nil
	}
	return p.Context.Done()
}
