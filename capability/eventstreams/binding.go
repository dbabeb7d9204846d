package eventstreams

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/internal/natsconn"
)

// binding is one binding's client.
type binding struct {
	*settings
	conn       *natsconn.Conn
	js         jetstream.JetStream
	handle     atomic.Pointer[jetstream.Stream] // of what holds the events
	dispatcher capability.Dispatcher
	guest      string
	log        *slog.Logger

	ctx      context.Context // of deliveries; ends where drain has no more time
	cancel   context.CancelFunc
	stopping context.Context // ends when no further event is to be taken
	stop     context.CancelFunc
	slots    chan struct{} // holds one for each delivery in hand
	running  sync.WaitGroup
	saying   sync.WaitGroup
	drained  sync.Once
	drainErr error
	buffers  sync.Pool // of *buffers

	mu      sync.Mutex // guards what follows
	inHand  map[jetstream.Msg]struct{}
	failed  natsconn.Sparing
	trouble natsconn.Sparing
}

// newBinding checks the configuration.
func newBinding(b capability.Binding, d capability.Dispatcher, log *slog.Logger) (*binding, error) {
	s, err := readConfig(b)
	if err != nil {
		return nil, err
	}
	n := &binding{
		settings: s, dispatcher: d, guest: b.GuestName, log: log,
		slots: make(chan struct{}, s.concurrency), inHand: make(map[jetstream.Msg]struct{}),
	}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	n.stopping, n.stop = context.WithCancel(n.ctx)
	return n, nil
}

// connect connects and makes sure that there is a place for events.
func (n *binding) connect(ctx context.Context, b capability.Binding, timeout time.Duration) (err error) {
	n.conn, err = natsconn.Open(ctx, natsconn.Options{Config: b.Config, Guest: b.GuestName, Timeout: timeout, Log: n.log, What: capability.EventStreams})
	if err != nil {
		return err
	}
	if n.js, err = jetstream.New(n.conn.NATS); err == nil {
		err = n.prepare(ctx)
	}
	if err != nil {
		n.close()
	}
	return err
}

// prepare makes the stream that holds the events, or has it be as the binding asks
// for. A cluster that has just started does not answer at first, or says that it
// cannot.
func (n *binding) prepare(ctx context.Context) error {
	has, _ := n.conn.NATS.ConnectedServerJetStream()
	for {
		attempt, cancel := context.WithTimeout(ctx, time.Second)
		err := n.conn.Do(attempt, n.all(), n.ensure)
		cancel()
		switch late := errors.Is(err, &capability.Error{Code: capability.CodeDeadline}); {
		case !late && !errors.Is(err, &capability.Error{Code: capability.CodeUnavailable}) || !n.conn.Up():
			return err
		case !has:
			return n.unavailable("has no JetStream: start it with -js, or give the binding another url")
		case pause(ctx, 100*time.Millisecond) == nil:
		case late:
			return n.unavailable("did not answer for JetStream in time; see whether enough servers of its cluster are there")
		default:
			return err
		}
	}
}

func (n *binding) ensure(ctx context.Context) error {
	stream, err := n.js.Stream(ctx, n.stream.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		stream, err = n.js.CreateStream(ctx, n.stream)
	} else if err == nil {
		wanted, changed, invalid := n.merge(stream.CachedInfo().Config)
		if invalid != nil {
			return invalid
		}
		if changed {
			stream, err = n.js.UpdateStream(ctx, wanted)
		}
	}
	if err != nil {
		return n.refused(err)
	}
	n.handle.Store(&stream)
	return nil
}

// The codes of JetStream's errors that have no name in its client.
const (
	jsNoPeers    jetstream.ErrorCode = 10005
	jsNoReplicas jetstream.ErrorCode = 10074
)

// refused makes of an error of JetStream what Bind answers.
func (n *binding) refused(err error) error {
	var answer *jetstream.APIError
	switch {
	case !errors.As(err, &answer):
	case answer.ErrorCode == jsNoPeers:
		return n.unavailable("cannot place what the binding asks for: " + answer.Description + "; start more servers, or ask for fewer replicas")
	case answer.ErrorCode == jsNoReplicas || answer.Code >= 400 && answer.Code < 500:
		return natsconn.Invalid("%s refuses the configuration of the binding: %s", n.conn.Where, answer.Description)
	}
	return n.explain(err)
}

// explain makes of an error of JetStream what a guest is told. Errors of the
// connection are left to it.
func (n *binding) explain(err error) error {
	var answer *jetstream.APIError
	switch {
	case errors.Is(err, jetstream.ErrNoStreamResponse), errors.Is(err, nats.ErrNoResponders):
		return n.unavailable("does not answer for JetStream: too few servers of its cluster are there, or it has none")
	case !errors.As(err, &answer):
		return err
	case answer.Code >= 500:
		return n.unavailable("cannot do it now: " + answer.Description)
	}
	return &capability.Error{Code: capability.CodeInternal, Message: fmt.Sprintf("%s answers: %s", n.conn.Where, answer.Description)}
}

func (n *binding) unavailable(text string) error {
	return &capability.Error{Code: capability.CodeUnavailable, Message: n.conn.Where + " " + text}
}

// drain takes no further event and waits until those in hand are answered.
func (n *binding) drain(ctx context.Context) error {
	n.drained.Do(func() {
		n.stop()
		done := make(chan struct{})
		go func() {
			n.running.Wait()
			close(done)
		}()
		select {
		case <-done:
		case <-ctx.Done():
			n.drainErr = capability.AsError(context.Cause(ctx))
		}
		n.cancel() // what is left where time has run out
		<-done
		n.saying.Wait()
		if n.drainErr == nil && n.conn.Up() {
			n.drainErr = n.conn.Do(ctx, n.all(), n.conn.Flush) // the server knows what was delivered
		}
	})
	return n.drainErr
}

// close releases the connection of a binding that was drained.
func (n *binding) close() {
	n.cancel()
	n.conn.Close()
}

// pause waits, and tells where ctx ends first.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
