package messaging

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/internal/natsconn"
	pb "github.com/waxosuit/waxo/capability/payload/messagingpb"
)

// What may wait for each subscription.
const (
	maxPending      = 16_384
	maxPendingBytes = 32 << 20
)

// maxKept is the largest buffer that is kept for the next delivery.
const maxKept = 1 << 20

// binding is one binding's client.
type binding struct {
	conn       *natsconn.Conn
	dispatcher capability.Dispatcher
	guest      string
	log        *slog.Logger

	patterns []string
	group    string
	slots    chan struct{} // holds one for each delivery in hand

	ctx      context.Context // of deliveries; ends where drain has no more time
	cancel   context.CancelFunc
	drained  sync.Once
	drainErr error
	subs     []*subscription
	inHand   sync.WaitGroup
	buffers  sync.Pool // of *buffers

	mu              sync.Mutex // guards what follows
	over            bool       // no further delivery begins
	dropped, failed natsconn.Sparing
}

type subscription struct {
	*nats.Subscription
	over chan struct{} // closed when all its messages were received
}

// buffers are those of a delivery.
type buffers struct{ payload, into []byte }

// newBinding checks the configuration.
func newBinding(b capability.Binding, d capability.Dispatcher, log *slog.Logger) (*binding, error) {
	err := natsconn.Known(capability.Messaging, b.Config, KeyURL, KeySubscriptions, KeyQueueGroup, KeyConcurrency, KeyClientJWT, KeyClientSeed)
	if err != nil {
		return nil, err
	}
	n := &binding{dispatcher: d, guest: b.GuestName, log: log, patterns: natsconn.List(b.Config, KeySubscriptions), group: b.Config[KeyQueueGroup]}
	for _, pattern := range n.patterns {
		if err := checkPattern("subscription", pattern); err != nil {
			return nil, err
		}
	}
	if n.group != "" {
		if err := checkSubject(KeyQueueGroup, n.group); err != nil {
			return nil, err
		}
	}
	concurrency, err := natsconn.Number(b.Config, KeyConcurrency, defaultConcurrency, 1, 1024)
	if err != nil {
		return nil, err
	}
	n.slots = make(chan struct{}, concurrency)
	n.ctx, n.cancel = context.WithCancel(context.Background())
	return n, nil
}

func (n *binding) connect(ctx context.Context, b capability.Binding, timeout time.Duration) (err error) {
	n.conn, err = natsconn.Open(ctx, natsconn.Options{
		Config: b.Config, Guest: b.GuestName, Timeout: timeout, Log: n.log, What: capability.Messaging, Dropped: n.sayDropped,
	})
	return err
}

// subscribe subscribes to all patterns.
func (n *binding) subscribe(ctx context.Context) error {
	for _, pattern := range n.patterns {
		s := &subscription{over: make(chan struct{})}
		receive := n.receive
		if pattern[0] == '*' || pattern[0] == '>' {
			receive = func(m *nats.Msg) {
				if !private(m.Subject) {
					n.receive(m)
				}
			}
		}
		// The server's word on it comes before that of Flush.
		err := n.conn.Do(ctx, pattern, func(ctx context.Context) (err error) {
			if s.Subscription, err = n.conn.NATS.QueueSubscribe(pattern, n.group, receive); err != nil {
				return err
			}
			s.SetClosedHandler(func(string) { close(s.over) })
			n.subs = append(n.subs, s)
			if err := s.SetPendingLimits(maxPending, maxPendingBytes); err != nil {
				return err
			}
			return n.conn.Flush(ctx)
		})
		if errors.Is(err, &capability.Error{Code: capability.CodeDenied}) {
			return natsconn.Invalid("%s does not let the user of this binding subscribe to %s", n.conn.Where, natsconn.Quote(pattern))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// receive is called with a subscription's messages, one after another. While it
// waits for a delivery to end, the next ones wait with their subscription.
func (n *binding) receive(m *nats.Msg) {
	select {
	case n.slots <- struct{}{}:
	case <-n.ctx.Done():
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.over {
		return
	}
	n.inHand.Go(func() {
		defer func() { <-n.slots }()
		n.deliver(m)
	})
}

// deliver brings a message to the guest. What the guest answers means nothing: it
// replies by publishing.
func (n *binding) deliver(m *nats.Msg) {
	b, _ := n.buffers.Get().(*buffers)
	if b == nil {
		b = new(buffers)
	}
	message := pb.DeliverMessage{Message: &pb.BrokerMessage{Subject: m.Subject, ReplyTo: m.Reply, Body: m.Data}}
	b.payload = message.AppendProto(b.payload[:0])
	reply, err := n.dispatcher.Dispatch(n.ctx, capability.OpDeliverMessage, b.payload, b.into)
	if err != nil {
		n.sayFailed(m.Subject, err) // the buffers may still be in use
		return
	}
	b.into = reply.Payload
	if cap(b.payload) <= maxKept && cap(b.into) <= maxKept {
		n.buffers.Put(b)
	}
}

// drain ends the subscriptions and waits until what was taken is delivered.
func (n *binding) drain(ctx context.Context) error {
	n.drained.Do(func() {
		n.drainErr = n.stop(ctx)
		n.giveUp() // what is left where time has run out
		n.inHand.Wait()
	})
	return n.drainErr
}

// giveUp ends the deliveries in hand and begins no further one.
func (n *binding) giveUp() {
	n.mu.Lock()
	n.over = true
	n.mu.Unlock()
	n.cancel()
}

// stop lets the subscriptions and the deliveries come to their end.
func (n *binding) stop(ctx context.Context) error {
	for _, s := range n.subs {
		if err := n.end(ctx, s); err != nil {
			return err
		}
	}
	done := make(chan struct{})
	go func() {
		n.inHand.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return capability.AsError(context.Cause(ctx))
	}
}

// end ends a subscription and waits until all its messages were received.
func (n *binding) end(ctx context.Context, s *subscription) error {
	if n.conn.Up() && s.Drain() == nil {
		select {
		case <-s.over:
			return nil
		case <-ctx.Done():
			return capability.AsError(context.Cause(ctx))
		}
	}
	// Without a server to tell, only what is here already is left to deliver.
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for {
		waiting, _, err := s.Pending()
		if err != nil || waiting == 0 {
			break // ended, or delivered
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return capability.AsError(context.Cause(ctx))
		}
	}
	if err := s.Unsubscribe(); err != nil && !errors.Is(err, nats.ErrBadSubscription) && !errors.Is(err, nats.ErrConnectionClosed) {
		return err
	}
	return nil
}

// close releases the connection of a binding that was drained.
func (n *binding) close() {
	n.giveUp()
	n.conn.Close()
}

// sayDropped logs that messages were dropped.
func (n *binding) sayDropped(s *nats.Subscription) {
	total, _ := s.Dropped()
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, ok := n.dropped.Say(); ok {
		n.log.Warn("wascap:messaging: messages are dropped: the guest does not keep up with its subscription",
			"guest", n.guest, "subscription", s.Subject, "dropped", total)
	}
}

// sayFailed logs that a guest failed on a message.
func (n *binding) sayFailed(subject string, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if skipped, ok := n.failed.Say(); ok {
		n.log.Error("wascap:messaging: the guest failed on a message, which is gone", "guest", n.guest, "subject", subject, "error", err, "unlogged", skipped)
	}
}
