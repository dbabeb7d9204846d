package providersuite

import (
	"context"
	"strings"
	"sync"

	"github.com/waxosuit/waxo/capability"
	pb "github.com/waxosuit/waxo/capability/payload/messagingpb"
)

func messagingFaults() []fault {
	msg := capability.Messaging
	return []fault{
		{"reply_to is dropped", msg, delivers(capability.OpDeliverMessage, func(r *pb.DeliverMessage) { r.Message.ReplyTo = "" }), []string{"MSG-1"},
			[]string{"MSG-3", "MSG-4", "CAP-38", "CAP-48", "PAY-1", "PAY-2", "PAY-3", "PAY-4", "PAY-11", "PAY-12", "PAY-13", "PAY-18", "PAY-20", "PAY-25", "CAP-42"}},
		{"bodies are texts", msg, delivers(capability.OpDeliverMessage, func(r *pb.DeliverMessage) { r.Message.Body = []byte(strings.ToValidUTF8(string(r.Message.Body), "?")) }), []string{"MSG-1"}, []string{"MSG-3"}},
		{"a queue group is ignored", msg, binds(func(config map[string]string) { delete(config, "queue_group") }), []string{"MSG-300"}, nil},
		{"a message comes again where the guest fails", msg, func() spoil {
			return spoil{dispatch: func(_ capability.Provider, d delivery) (capability.Reply, error) {
				reply, err := d.pass(d.payload)
				if err != nil {
					return d.pass(d.payload)
				}
				return reply, nil
			}}
		}, []string{"MSG-8"}, nil},
		{"timeout_ms is ignored", msg, asks(capability.OpRequest, func(r *pb.RequestMessage) { r.TimeoutMs = min(r.TimeoutMs, 0) }), []string{"MSG-4"}, nil},
		{"timeout_ms is one of seconds", msg, asks(capability.OpRequest, func(r *pb.RequestMessage) { r.TimeoutMs = max(r.TimeoutMs, r.TimeoutMs*1000) }), []string{"MSG-4"}, nil},
		{"a negative timeout_ms is none", msg, asks(capability.OpRequest, func(r *pb.RequestMessage) { r.TimeoutMs = max(r.TimeoutMs, 0) }), []string{"MSG-5"}, nil},
		{"the first message is overtaken", msg, overtakes, []string{"MSG-12"}, []string{"MSG-8", "CAP-36"}},
		{"what a guest answers is published", msg, publishesAnswers, []string{"MSG-7"}, []string{"MSG-3"}},
		{"* stands for several words", msg, binds(func(config map[string]string) {
			config["subscriptions"] = strings.ReplaceAll(config["subscriptions"], ".*.c", ".>")
			if config["subscriptions"] == "" {
				delete(config, "subscriptions")
			}
		}), []string{"MSG-11"}, nil},
		{"a subscription is not made twice", msg, oneForEach, []string{"MSG-11"}, nil},
		{"spaces around subjects are cut off", msg, asks(capability.OpPublish, func(r *pb.PublishMessage) {
			if r.Message != nil {
				r.Message.Subject = strings.Trim(r.Message.Subject, " .\x00")
			}
		}), []string{"MSG-9"}, nil},
		{"subjects of the server are invalid", msg, instead(capability.CodeDenied, capability.CodeInvalid), []string{"MSG-10"}, nil},
		{"large messages are cut off", msg, asks(capability.OpPublish, func(r *pb.PublishMessage) {
			if r.Message != nil && len(r.Message.Body) > 1<<20 {
				r.Message.Body = nil
				r.Message.Subject += "-cut"
			}
		}), []string{"MSG-13"}, nil},
		{"nobody is waited for", msg, instead(capability.CodeNotFound, capability.CodeDeadline), []string{"MSG-6"}, nil},
		{"the answer is a message", msg, calls(func(p capability.Provider, ctx context.Context, c capability.Call) ([]byte, error) {
			answer, err := p.Call(ctx, c)
			if err == nil && c.Operation == capability.OpRequest {
				answer = (&pb.BrokerMessage{Body: answer}).AppendProto(nil)
			}
			return answer, err
		}), []string{"MSG-3"}, []string{"CAP-38", "CAP-48"}},
		{"Publish does not wait for the server", msg, publishesLater, []string{"MSG-2"}, nil},
		{"Unbind does not wait", msg, unbindsLater, []string{"CAP-38"}, []string{"CAP-34", "CAP-36", "CAP-37", "CAP-302", "CAP-48", "MSG-300", "MSG-2"}},
		{"a binding does not end", msg, func() spoil {
			return spoil{unbind: func(capability.Provider, context.Context, capability.BindingID) error { return nil }}
		}, []string{"CAP-34", "CAP-36"}, []string{"CAP-38", "CAP-302", "CAP-48"}},
		{"one delivery at a time, whatever the binding asks for", msg, binds(func(config map[string]string) {
			if config["concurrency"] == "8" {
				config["concurrency"] = "1"
			}
		}), []string{"CAP-48"}, nil},
		{"messages are not merged", msg, calls(func(p capability.Provider, ctx context.Context, c capability.Call) ([]byte, error) {
			if all := fields(c.Payload); c.Operation == capability.OpPublish && len(all) == 2 {
				c.Payload = all[1].bytes
			}
			return p.Call(ctx, c)
		}), []string{"PAY-14"}, nil},
	}
}

// overtakes holds the message "0" back until the next one has come.
func overtakes() spoil {
	came := make(chan struct{})
	var once sync.Once
	return spoil{
		bind: func(b *capability.Binding) {
			if b.Config["concurrency"] == "1" {
				b.Config["concurrency"] = "4"
			}
		},
		dispatch: func(_ capability.Provider, d delivery) (capability.Reply, error) {
			var r pb.DeliverMessage
			if r.UnmarshalProto(d.payload) == nil && d.operation == capability.OpDeliverMessage && strings.HasSuffix(r.Message.Subject, "-in") {
				switch string(r.Message.Body) {
				case "1":
					reply, err := d.pass(d.payload)
					once.Do(func() { close(came) })
					return reply, err
				case "0":
					select {
					case <-came:
					case <-d.ctx.Done():
					}
				}
			}
			return d.pass(d.payload)
		},
	}
}

func publishesAnswers() spoil {
	return spoil{dispatch: func(p capability.Provider, d delivery) (capability.Reply, error) {
		reply, err := d.pass(d.payload)
		var r pb.DeliverMessage
		if err == nil && len(reply.Payload) > 0 && r.UnmarshalProto(d.payload) == nil && r.Message.ReplyTo != "" {
			p.Call(d.ctx, capability.Call{BindingID: d.id, Operation: capability.OpPublish, Payload: (&pb.PublishMessage{
				Message: &pb.BrokerMessage{Subject: r.Message.ReplyTo, Body: reply.Payload},
			}).AppendProto(nil)})
		}
		return reply, err
	}}
}

// oneForEach brings a guest each message once, however many subscriptions it fits.
func oneForEach() spoil {
	var mu sync.Mutex
	seen := make(map[string]bool)
	return spoil{dispatch: func(_ capability.Provider, d delivery) (capability.Reply, error) {
		var r pb.DeliverMessage
		if r.UnmarshalProto(d.payload) == nil && strings.Contains(r.Message.Subject, "-b.") {
			mu.Lock()
			before := seen[r.Message.Subject]
			seen[r.Message.Subject] = true
			mu.Unlock()
			if before {
				return capability.Reply{}, nil
			}
		}
		return d.pass(d.payload)
	}}
}

// publishesLater keeps messages of guests named "...X0" and so on for the next call.
func publishesLater() spoil {
	var mu sync.Mutex
	waiting := make(map[capability.BindingID]bool)
	return spoil{call: func(p capability.Provider, ctx context.Context, c capability.Call) ([]byte, error) {
		if c.Operation != capability.OpPublish || !strings.Contains(c.Guest, "X") {
			return p.Call(ctx, c)
		}
		var r pb.PublishMessage
		if r.UnmarshalProto(c.Payload) != nil || r.Message == nil || !strings.HasSuffix(r.Message.Subject, "-in") || !strings.ContainsAny(string(r.Message.Body), "0123456789") {
			return p.Call(ctx, c)
		}
		mu.Lock()
		defer mu.Unlock()
		if !waiting[c.BindingID] {
			waiting[c.BindingID] = true
			return nil, nil // with the next one, that never comes
		}
		return p.Call(ctx, c)
	}}
}

// unbindsLater says that a binding has ended, and ends it afterwards.
func unbindsLater() spoil {
	return spoil{unbind: func(p capability.Provider, ctx context.Context, id capability.BindingID) error {
		go p.Unbind(context.WithoutCancel(ctx), id) // the end of the provider waits for it
		return nil
	}}
}
