// Package msg sends and receives messages, through the capability
// "wascap:messaging".
//
// A guest is given the messages of the subjects that its binding subscribes to,
// and replies by publishing:
//
//	func init() { msg.Handle(greet) }
//
//	func greet(m *msg.Message) error {
//		return m.Reply([]byte("hello " + string(m.Body)))
//	}
//
// Which subjects these are stands in waxo.toml:
//
//	[[bind]]
//	capability = "wascap:messaging"
//	config = { subscriptions = "greet.*, news" }
//
// A message comes once or, where a guest fails or is not there, not at all; what
// must not get lost is for package events. Messages may be handled side by side, in
// different instances.
//
// Subjects are words with dots between, such as "orders.new". The functions of the
// package use the default binding; Open names another. Every error is a *waxo.Error.
package msg

import (
	"strconv"

	waxo "github.com/waxosuit/waxo/guest/go"
	"github.com/waxosuit/waxo/guest/go/internal/abi"
	pb "github.com/waxosuit/waxo/guest/go/internal/messagingpb"
)

// Capability is the name under which a manifest asks for messages.
const Capability = "wascap:messaging"

const op = Capability + "!" // leads every operation's name

// Message is a message. One that a handler is given is valid until the handler
// returns: its strings may be kept, its Body may not.
type Message struct {
	Subject string
	ReplyTo string // where a reply is to go, another subject; "" where none is expected
	Body    []byte
}

// Handle has handler take all messages. Where it returns an error, that is logged
// by the host, and the message is gone. Call it in func init. It panics where
// handler is nil, where it was called before, or where a call has come before.
func Handle(handler func(*Message) error) {
	if handler == nil {
		panic("msg: the handler is nil")
	}
	waxo.Handle(op+"DeliverMessage", func(payload []byte) ([]byte, error) {
		var delivery pb.DeliverMessage
		if err := delivery.UnmarshalProto(payload); err != nil {
			return nil, &waxo.Error{Code: "invalid", Message: "msg: the message: " + err.Error()}
		}
		m := delivery.Message
		if m == nil {
			return nil, &waxo.Error{Code: "invalid", Message: "msg: the delivery has no message"}
		}
		return nil, handler(&Message{Subject: m.Subject, ReplyTo: m.ReplyTo, Body: m.Body})
	})
}

// Reply publishes a reply under the default binding. It is a waxo.ErrInvalid where
// none is expected.
func (m *Message) Reply(body []byte) error {
	if m.ReplyTo == "" {
		return &waxo.Error{Code: "invalid", Message: "msg: the message to " + m.Subject + " expects no reply"}
	}
	return std.Publish(m.ReplyTo, body)
}

// Broker takes and brings messages under one binding.
type Broker struct{ binding string }

// Open returns the broker that is bound to the guest under the given name. It calls
// nothing: a binding that is missing is the error of the first operation.
func Open(binding string) *Broker { return &Broker{binding} }

var std = Open(waxo.DefaultBinding)

// Publish sends a message to all who subscribe to a subject. It returns when the
// server has taken it. Where the error is a waxo.ErrUnavailable, whether it has may
// be open.
func (b *Broker) Publish(subject string, body []byte) error {
	return b.Send(&Message{Subject: subject, Body: body})
}

// Send is Publish for a message with a ReplyTo.
func (b *Broker) Send(m *Message) error {
	x := abi.Begin()
	defer x.End()
	request := pb.PublishMessage{Message: &pb.BrokerMessage{Subject: m.Subject, ReplyTo: m.ReplyTo, Body: m.Body}}
	x.Request = request.AppendProto(x.Request)
	if _, failure, ok := x.Call(b.binding, Capability, op+"Publish"); !ok {
		return waxo.ParseError(failure)
	}
	return nil
}

// Request sends a message and returns the first answer to it, which is the caller's
// own. It waits for a number of milliseconds, 0 for as long as the host lets a call
// take; an answer that does not come in time is a waxo.ErrDeadline. Where nobody
// subscribes to the subject it is a waxo.ErrNotFound.
func (b *Broker) Request(subject string, body []byte, milliseconds int) ([]byte, error) {
	if milliseconds < 0 {
		return nil, &waxo.Error{Code: "invalid", Message: "msg: a request cannot wait for " + strconv.Itoa(milliseconds) + " milliseconds: 0 is for as long as the call may take"}
	}
	x := abi.Begin()
	defer x.End()
	request := pb.RequestMessage{Subject: subject, Body: body, TimeoutMs: int64(milliseconds)}
	x.Request = request.AppendProto(x.Request)
	answer, failure, ok := x.Call(b.binding, Capability, op+"Request")
	if !ok {
		return nil, waxo.ParseError(failure)
	}
	return append([]byte(nil), answer...), nil
}

// Publish is Broker.Publish of the default binding.
func Publish(subject string, body []byte) error { return std.Publish(subject, body) }

// Send is Broker.Send of the default binding.
func Send(m *Message) error { return std.Send(m) }

// Request is Broker.Request of the default binding.
func Request(subject string, body []byte, milliseconds int) ([]byte, error) {
	return std.Request(subject, body, milliseconds)
}
