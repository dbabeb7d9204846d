package eventstreams

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/waxosuit/waxo/capability"
)

const (
	// ackWait is after what time an event comes again whose host says nothing of
	// it any more, and workEvery how often a host says that it is being worked on.
	ackWait, workEvery = 10 * time.Second, 3 * time.Second

	// The time after which an event comes again on which the guest failed.
	firstAgain, lastAgain = 100 * time.Millisecond, 30 * time.Second

	// The server is asked for events anew this often, and says that it is still
	// there that often.
	pullEvery, pullHeartbeat = 10 * time.Second, 2 * time.Second

	// maxKept is the largest buffer that is kept for the next delivery.
	maxKept = 1 << 20
)

// buffers are those of a delivery.
type buffers struct{ payload, into []byte }

// startDelivery begins to deliver, where anything is to be delivered.
func (n *binding) startDelivery(ctx context.Context) error {
	if len(n.subjects) == 0 {
		return nil
	}
	var consumer jetstream.Consumer
	err := n.conn.Do(ctx, n.all(), func(ctx context.Context) (err error) {
		consumer, err = n.consumer(ctx)
		return n.refused(err)
	})
	if err != nil {
		return err
	}
	n.running.Go(func() { n.run(consumer) })
	n.saying.Go(n.say)
	return nil
}

// consumer makes what the server remembers of the guest, or has it be as the
// binding asks for. Where it began, cannot be changed.
func (n *binding) consumer(ctx context.Context) (jetstream.Consumer, error) {
	config := jetstream.ConsumerConfig{
		Durable: n.durable, Description: "delivers to the guest " + n.guest,
		FilterSubjects: n.subjects, DeliverPolicy: jetstream.DeliverAllPolicy,
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait, MaxDeliver: -1, MaxAckPending: n.concurrency,
	}
	if n.fromNew {
		config.DeliverPolicy = jetstream.DeliverNewPolicy
	}
	there, err := n.js.Consumer(ctx, n.stream.Name, n.durable)
	if err == nil {
		old := there.CachedInfo().Config
		config.DeliverPolicy, config.OptStartSeq = old.DeliverPolicy, old.OptStartSeq
	} else if !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil, err
	}
	return n.js.CreateOrUpdateConsumer(ctx, n.stream.Name, config)
}

// run delivers until it is stopped, whatever happens to the server.
func (n *binding) run(consumer jetstream.Consumer) {
	for wait := firstAgain; n.stopping.Err() == nil; wait = min(2*wait, lastAgain) {
		begun := time.Now()
		if consumer != nil {
			n.sayTrouble(n.consume(consumer))
		}
		if time.Since(begun) > lastAgain {
			wait = firstAgain // it went well for a while
		}
		if pause(n.stopping, wait) != nil {
			return
		}
		consumer = n.again()
	}
}

// again finds the consumer after something went wrong with it, nil where that
// cannot be.
func (n *binding) again() (consumer jetstream.Consumer) {
	ctx, cancel := context.WithTimeout(n.stopping, ackWait)
	defer cancel()
	err := n.conn.Do(ctx, n.all(), func(ctx context.Context) (err error) {
		if err := n.ensure(ctx); err != nil {
			return err
		}
		consumer, err = n.consumer(ctx)
		return n.explain(err)
	})
	if err != nil {
		if n.conn.Up() { // else that was said
			n.sayTrouble(err)
		}
		return nil
	}
	return consumer
}

// consume takes events and delivers them, until something goes wrong with the
// consumer or no more is to be taken.
func (n *binding) consume(consumer jetstream.Consumer) error {
	events, err := consumer.Messages(jetstream.PullMaxMessages(n.concurrency), jetstream.PullExpiry(pullEvery), jetstream.PullHeartbeat(pullHeartbeat))
	if err != nil {
		return err
	}
	defer events.Stop()
	for {
		select {
		case n.slots <- struct{}{}:
		case <-n.stopping.Done():
			return nil
		}
		msg, err := events.Next(jetstream.NextContext(n.stopping))
		if err != nil {
			<-n.slots
			if n.stopping.Err() != nil {
				return nil
			}
			if errors.Is(err, jetstream.ErrNoHeartbeat) && !n.gone(consumer) {
				continue // it asks again
			}
			return err
		}
		n.mu.Lock()
		n.inHand[msg] = struct{}{}
		n.mu.Unlock()
		n.running.Go(func() {
			defer func() { <-n.slots }()
			n.deliver(msg)
			n.mu.Lock()
			delete(n.inHand, msg)
			n.mu.Unlock()
		})
	}
}

// gone tells whether the server does not know the consumer any more. It is not
// said to be where the server says nothing.
func (n *binding) gone(consumer jetstream.Consumer) bool {
	ctx, cancel := context.WithTimeout(n.stopping, ackWait)
	defer cancel()
	_, err := consumer.Info(ctx)
	return errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrStreamNotFound)
}

// say tells the server now and then which events are being worked on.
func (n *binding) say() {
	ticker := time.NewTicker(workEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-n.ctx.Done():
			return
		}
		n.mu.Lock()
		for msg := range n.inHand {
			msg.InProgress() // in vain where there is no connection, and then the event comes again
		}
		n.mu.Unlock()
	}
}

// deliver brings an event to the guest and tells the server how that went.
func (n *binding) deliver(msg jetstream.Msg) {
	meta, err := msg.Metadata()
	if err != nil {
		n.sayFailed(0, err)
		return
	}
	event, err := decode(msg.Data(), meta)
	if err != nil {
		n.sayFailed(meta.Sequence.Stream, err)
		msg.TermWithReason("it is no event") // nor will it be one the next time
		return
	}
	b, _ := n.buffers.Get().(*buffers)
	if b == nil {
		b = new(buffers)
	}
	b.payload = event.AppendProto(b.payload[:0])
	reply, err := n.dispatcher.Dispatch(n.ctx, capability.OpDeliverEvent, b.payload, b.into)
	if err != nil { // the buffers may still be in use
		n.sayFailed(meta.Sequence.Stream, err)
		msg.NakWithDelay(again(meta.NumDelivered)) // in vain where there is no connection: then it comes after ackWait
		return
	}
	msg.Ack() // likewise
	b.into = reply.Payload
	if cap(b.payload) <= maxKept && cap(b.into) <= maxKept {
		n.buffers.Put(b)
	}
}

// again is after what time an event comes again that was delivered n times.
func again(n uint64) time.Duration {
	if n > 10 {
		return lastAgain
	}
	return min(firstAgain<<max(n-1, 0), lastAgain)
}

// sayFailed logs that a guest failed on an event.
func (n *binding) sayFailed(id uint64, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if skipped, ok := n.failed.Say(); ok {
		n.log.Error("wascap:eventstreams: the guest failed on an event, which comes again", "guest", n.guest, "event", id, "error", err, "unlogged", skipped)
	}
}

// sayTrouble logs that events cannot be taken.
func (n *binding) sayTrouble(err error) {
	if err == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if skipped, ok := n.trouble.Say(); ok {
		n.log.Warn("wascap:eventstreams: no events can be delivered; it is tried again and again", "guest", n.guest, "error", err, "unlogged", skipped)
	}
}
