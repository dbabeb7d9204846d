package eventstreams

import (
	"context"
	"errors"
	"log/slog"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/internal/natsconn"
)

// Forget removes from the server all that is kept under the prefix of a binding's
// Config: the events of all its streams, and what is remembered of the guests that
// they were delivered to. It is for those who try something out, and cannot be
// undone. Nobody may be bound with that prefix, which has to be given. What is not
// there is no error.
func Forget(ctx context.Context, config map[string]string) error {
	if config[KeyPrefix] == "" {
		return natsconn.Invalid("the prefix whose events are to be forgotten is not given")
	}
	b := capability.Binding{Config: config}
	n, err := newBinding(b, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	timeout := New(nil).bindTimeout
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	n.conn, err = natsconn.Open(ctx, natsconn.Options{Config: config, Timeout: timeout, Log: n.log, What: capability.EventStreams})
	if err != nil {
		return err
	}
	defer n.close()
	if n.js, err = jetstream.New(n.conn.NATS); err != nil {
		return err
	}
	return n.conn.Do(ctx, n.all(), func(ctx context.Context) error {
		err := n.js.DeleteStream(ctx, n.stream.Name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			return nil
		}
		return n.explain(err)
	})
}
