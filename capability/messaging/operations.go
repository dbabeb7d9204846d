package messaging

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/internal/natsconn"
	pb "github.com/waxosuit/waxo/capability/payload/messagingpb"
)

// publish sends a message, and answers when the server has taken it.
func (n *binding) publish(ctx context.Context, c capability.Call) ([]byte, error) {
	var req pb.PublishMessage
	if err := req.UnmarshalProto(c.Payload); err != nil {
		return nil, natsconn.Invalid("the payload cannot be decoded: %s", err)
	}
	m := req.Message
	if m == nil {
		return nil, natsconn.Invalid("the request has no message")
	}
	if err := checkSubject("subject", m.Subject); err != nil {
		return nil, err
	}
	if m.ReplyTo != "" {
		if err := checkSubject("reply_to", m.ReplyTo); err != nil {
			return nil, err
		}
	}
	return nil, n.conn.Do(ctx, m.Subject, func(ctx context.Context) error {
		err := n.conn.NATS.PublishMsg(&nats.Msg{Subject: m.Subject, Reply: m.ReplyTo, Data: m.Body})
		if err != nil {
			return err
		}
		return n.conn.Flush(ctx)
	})
}

// request sends a message and waits for the first answer to it.
func (n *binding) request(ctx context.Context, c capability.Call) (answer []byte, err error) {
	var req pb.RequestMessage
	if err := req.UnmarshalProto(c.Payload); err != nil {
		return nil, natsconn.Invalid("the payload cannot be decoded: %s", err)
	}
	if err := checkSubject("subject", req.Subject); err != nil {
		return nil, err
	}
	if req.TimeoutMs < 0 {
		return nil, natsconn.Invalid("a request cannot wait for %d ms: give 0 for as long as the call may take, or a positive number", req.TimeoutMs)
	}
	if req.TimeoutMs > 0 {
		const longest = 24 * time.Hour // beyond it a Duration might not hold it
		limit := min(req.TimeoutMs, longest.Milliseconds())
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(limit)*time.Millisecond)
		defer cancel()
	}
	err = n.conn.Do(ctx, req.Subject, func(ctx context.Context) error {
		reply, err := n.conn.NATS.RequestWithContext(ctx, req.Subject, req.Body)
		switch {
		case errors.Is(err, nats.ErrNoResponders):
			return &capability.Error{Code: capability.CodeNotFound, Message: fmt.Sprintf("nobody subscribes to %s, so nobody answers", natsconn.Quote(req.Subject))}
		case errors.Is(err, context.DeadlineExceeded):
			return &capability.Error{Code: capability.CodeDeadline, Message: fmt.Sprintf("no answer to the request to %s came in time", natsconn.Quote(req.Subject))}
		case err == nil:
			answer = reply.Data
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return answer, nil
}
