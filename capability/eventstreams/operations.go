package eventstreams

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/internal/natsconn"
	pb "github.com/waxosuit/waxo/capability/payload/eventstreampb"
	"github.com/waxosuit/waxo/capability/payload/wire"
)

const (
	// maxResponse is the largest answer to a query, in bytes.
	maxResponse = 8 << 20

	// A query takes events in batches: first of so many, then of so many at most,
	// and of so many bytes.
	firstBatch, maxBatch, batchBytes = 16, 256, 4 << 20

	// electionTime is how long a write waits where nobody is there to take it:
	// the servers that are left of a cluster choose a new leader when they have
	// heard nothing of the old one for 4 to 9 s.
	electionTime = 10 * time.Second

	// ackTime is how long a write waits for a server of a cluster to say that it is
	// stored: what a leader took that was lost with it, nobody acknowledges.
	ackTime = 5 * time.Second

	// ensureTime bounds one look whether the server still has what events are kept
	// in: while there is no leader, it is not answered either.
	ensureTime = time.Second

	// readerTime is how long a server of a cluster may take to make a reader.
	readerTime = 2 * time.Second

	// stalled is after how long without an event a reader is given up for a new one.
	// It is what the client waits for the answer to a pull: what arrives later is
	// dropped.
	stalled = time.Second

	// lastMillisecond is the last one of the year 9999.
	lastMillisecond = 253402300799999
)

// write stores an event, and answers when it is stored.
func (n *binding) write(ctx context.Context, c capability.Call) ([]byte, error) {
	var event pb.Event
	if err := event.UnmarshalProto(c.Payload); err != nil {
		return nil, natsconn.Invalid("the payload cannot be decoded: %s", err)
	}
	if err := checkStreamID(event.Stream); err != nil {
		return nil, err
	}
	event.EventID = ""
	m := &nats.Msg{Subject: n.subject(event.Stream), Data: event.AppendProto(make([]byte, 0, event.ProtoSize()))}
	var id uint64
	err := n.conn.Do(ctx, m.Subject, func(ctx context.Context) (err error) {
		id, err = n.store(ctx, m)
		return err
	})
	if errors.Is(err, &capability.Error{Code: capability.CodeTooLarge}) {
		return nil, tooLarge("the event of %d bytes for the stream %s is larger than the %d bytes that the server takes", len(m.Data), natsconn.Quote(event.Stream), n.conn.NATS.MaxPayload())
	}
	if err != nil {
		return nil, err
	}
	answer := pb.WriteResponse{EventID: strconv.FormatUint(id, 10)}
	return answer.AppendProto(slices.Grow(c.Into[:0], answer.ProtoSize())), nil
}

// store writes a message, and again only where nobody was there to take it.
func (n *binding) store(ctx context.Context, m *nats.Msg) (uint64, error) {
	patience := time.Now().Add(electionTime)
	for wait := 25 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		ack, err := n.publish(ctx, m)
		if err == nil {
			return ack.Sequence, nil
		}
		if !errors.Is(err, jetstream.ErrNoStreamResponse) || time.Now().After(patience) {
			return 0, n.explain(err)
		}
		// The server may have started anew, without what it kept.
		try, cancel := context.WithTimeout(ctx, ensureTime)
		err = n.ensure(try)
		cancel()
		if err != nil && ctx.Err() != nil {
			return 0, err
		}
		if err := pause(ctx, wait); err != nil {
			return 0, err
		}
	}
}

// publish is one attempt to store a message.
func (n *binding) publish(ctx context.Context, m *nats.Msg) (*jetstream.PubAck, error) {
	try := ctx
	if n.stream.Replicas > 1 {
		var cancel context.CancelFunc
		try, cancel = context.WithTimeout(ctx, ackTime)
		defer cancel()
	}
	ack, err := n.js.PublishMsg(try, m, jetstream.WithRetryAttempts(0))
	if err != nil && try.Err() != nil && ctx.Err() == nil {
		return nil, n.unavailable("does not say that the event is stored, as where a server of its cluster was lost; whether it is stored is open")
	}
	return ack, err
}

// query answers the events of a stream.
func (n *binding) query(ctx context.Context, c capability.Call) ([]byte, error) {
	var req pb.StreamQuery
	if err := req.UnmarshalProto(c.Payload); err != nil {
		return nil, natsconn.Invalid("the payload cannot be decoded: %s", err)
	}
	if err := checkStreamID(req.StreamID); err != nil {
		return nil, err
	}
	q := &search{binding: n, subject: n.subject(req.StreamID), stream: req.StreamID, to: math.MaxInt64, most: req.Count}
	if req.Range != nil {
		if req.Range.MaxTime != 0 {
			q.to = int64(min(req.Range.MaxTime, lastMillisecond))
		}
		if req.Range.MaxTime != 0 && req.Range.MinTime > req.Range.MaxTime {
			return nil, natsconn.Invalid("the range ends at %d, before it begins at %d", req.Range.MaxTime, req.Range.MinTime)
		}
		q.from = int64(min(req.Range.MinTime, lastMillisecond+1))
	}
	if q.most == 0 {
		q.most = math.MaxUint64
	}
	if err := n.conn.Do(ctx, q.subject, q.run); err != nil {
		return nil, err
	}
	return q.results.AppendProto(slices.Grow(c.Into[:0], q.results.ProtoSize())), nil
}

// search is a query under way.
type search struct {
	*binding
	subject, stream string
	from, to        int64  // Unix milliseconds, both included
	most            uint64 // events

	last    *jetstream.RawStreamMsg // the newest event that must be found
	seen    uint64                  // sequence of the last event that was read
	arrived uint64                  // events, from the present reader
	results pb.StreamResults
	size    int // of the encoded results
	largest int // of the events
}

// run asks first what the newest event is: the leader knows that of every event
// that was acknowledged. A reader is given another server's copy, which may lag
// behind, and so reads on until it has seen that event.
func (q *search) run(ctx context.Context) error {
	found, err := q.newest(ctx)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return q.ensure(ctx) // the server has started anew: all streams are empty
	}
	if err != nil {
		return q.explain(err)
	}
	if !found || q.last.Time.UnixMilli() < q.from {
		return nil
	}
	for {
		if err := q.readOn(ctx); !errors.Is(err, errLost) {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// errLost says that events did not arrive which the server has sent: the client gives
// a pull up after a second, and drops what comes then.
var errLost = errors.New("events were lost on the way")

// readOn makes a reader and takes the events after the last one that was read, until
// there is what was asked for. The error matches errLost where another reader has to
// go on.
func (q *search) readOn(ctx context.Context) error {
	config := jetstream.ConsumerConfig{
		FilterSubject: q.subject, AckPolicy: jetstream.AckNonePolicy, DeliverPolicy: jetstream.DeliverAllPolicy,
		MemoryStorage: true, Replicas: 1, InactiveThreshold: time.Minute,
	}
	switch {
	case q.seen > 0:
		config.DeliverPolicy, config.OptStartSeq = jetstream.DeliverByStartSequencePolicy, q.seen+1
	case q.from > 0:
		start := time.UnixMilli(q.from)
		config.DeliverPolicy, config.OptStartTime = jetstream.DeliverByStartTimePolicy, &start
	}
	reader, err := q.reader(ctx, config)
	if err != nil {
		return q.explain(err)
	}
	q.arrived = 0
	err = q.read(ctx, reader)
	if ctx.Err() == nil {
		// Where this fails, it goes when nobody has used it for a while.
		q.js.DeleteConsumer(ctx, q.settings.stream.Name, reader.CachedInfo().Name)
	}
	return err
}

// reader makes a reader. A cluster may give it to a server that is away, where nobody
// makes it: so it is asked for again, and another server gets it.
func (q *search) reader(ctx context.Context, config jetstream.ConsumerConfig) (jetstream.Consumer, error) {
	for {
		try, cancel := ctx, context.CancelFunc(func() {})
		if q.settings.stream.Replicas > 1 {
			try, cancel = context.WithTimeout(ctx, readerTime)
		}
		reader, err := q.js.CreateConsumer(try, q.settings.stream.Name, config)
		late := err != nil && try.Err() != nil && ctx.Err() == nil
		cancel()
		if !late {
			return reader, err
		}
	}
}

// newest finds the newest event, and tells whether there is any.
func (q *search) newest(ctx context.Context) (found bool, err error) {
	q.last, err = (*q.handle.Load()).GetLastMsgForSubject(ctx, q.subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, nil
	}
	return err == nil, err
}

// read takes events until there is what was asked for.
func (q *search) read(ctx context.Context, reader jetstream.Consumer) error {
	for progress := time.Now(); ; {
		batch := uint64(firstBatch)
		if q.largest > 0 {
			batch = uint64(min(maxBatch, batchBytes/q.largest+1))
		}
		fetched, err := reader.FetchNoWait(int(min(batch, q.most-uint64(len(q.results.Events)))))
		if err != nil {
			return q.explain(err)
		}
		before := q.arrived
		if done, err := q.takeAll(ctx, fetched.Messages()); done || err != nil {
			return err
		}
		if err := fetched.Error(); err != nil {
			return q.explain(err)
		}
		if q.arrived > before {
			progress = time.Now()
			continue
		}
		// The copy lags behind, or what was the newest event is gone.
		if found, err := q.newest(ctx); err != nil || !found {
			return q.explain(err)
		}
		if time.Since(progress) >= stalled {
			return errLost
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
}

// takeAll takes the events of a batch, and tells whether the last one was among
// them.
func (q *search) takeAll(ctx context.Context, batch <-chan jetstream.Msg) (done bool, err error) {
	for {
		select {
		case msg, ok := <-batch:
			if !ok {
				return false, nil
			}
			if done, err := q.take(msg); done || err != nil {
				return done, err
			}
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// take adds an event to the results, and tells whether it was the last one.
func (q *search) take(msg jetstream.Msg) (done bool, err error) {
	meta, err := msg.Metadata()
	if err != nil {
		return true, err
	}
	if q.arrived++; meta.Sequence.Consumer != q.arrived {
		return true, errLost
	}
	q.seen = meta.Sequence.Stream
	if meta.Timestamp.UnixMilli() > q.to {
		return true, nil
	}
	event, err := decode(msg.Data(), meta)
	if err != nil {
		return true, err
	}
	q.results.Events = append(q.results.Events, event)
	q.largest = max(q.largest, len(msg.Data()))
	if q.size += 1 + wire.SizeLen(event.ProtoSize()); q.size > maxResponse {
		return true, tooLarge("the events of the stream %s that were asked for take more than %d bytes: ask for a shorter range of time, or give a count", natsconn.Quote(q.stream), maxResponse)
	}
	return uint64(len(q.results.Events)) >= q.most || meta.Sequence.Stream >= q.last.Sequence, nil
}

// decode makes an event of what is stored.
func decode(data []byte, meta *jetstream.MsgMetadata) (*pb.Event, error) {
	event := new(pb.Event)
	if err := event.UnmarshalProto(data); err != nil {
		return nil, &capability.Error{Code: capability.CodeInternal, Message: fmt.Sprintf("what is stored as event %d is none: %s", meta.Sequence.Stream, err)}
	}
	event.EventID = strconv.FormatUint(meta.Sequence.Stream, 10)
	return event, nil
}

func tooLarge(format string, args ...any) error {
	return &capability.Error{Code: capability.CodeTooLarge, Message: fmt.Sprintf(format, args...)}
}
