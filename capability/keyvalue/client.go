package keyvalue

import (
	"context"
	"net/url"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
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
	quiet.Do(func() { redis.SetLogger(silence{}) })
	opts.ContextTimeoutEnabled = true
	// A command that may have taken effect is not sent again (see attempts).
	opts.MaxRetries = -1
	// A server that is not there is an error now, not after five dials.
	opts.DialerRetries = 1
	opts.DisableIdentity = true
	opts.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	opts.PipelinePoolSize = -1
	return opts, nil
}

// addScript adds without ever letting another client see a sum that does not
// fit into 32 bits: it answers nil for that one, and nothing has changed. Errors
// of INCRBY are passed on as they are.
var addScript = redis.NewScript(`
local sum = redis.pcall('INCRBY', KEYS[1], ARGV[1])
if type(sum) == 'number' and (sum > 2147483647 or sum < -2147483648) then
	redis.call('DECRBY', KEYS[1], ARGV[1])
	return false
end
return sum
`)
