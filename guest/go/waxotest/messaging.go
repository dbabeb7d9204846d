package waxotest

import (
	"errors"
	"fmt"
	"strings"

	waxo "github.com/waxosuit/waxo/guest/go"
	pb "github.com/waxosuit/waxo/guest/go/internal/messagingpb"
)

// Message is a message that the guest sent, or is to be given.
type Message struct {
	Subject string
	ReplyTo string // where a reply is to go; "" where none is expected
	Body    string
	Binding string // by which the guest sent it
}

// Published returns the messages that the guest has published so far, and forgets
// them. None of them is given to the guest by itself: which subjects it subscribes to
// is for its binding to say.
func (h *Host) Published() []Message {
	h.mu.Lock()
	defer h.mu.Unlock()
	published := h.published
	h.published = nil
	return published
}

// Deliver has the guest handle a message. The error is a *waxo.Error; in production
// it would be logged, and the message be gone.
func (h *Host) Deliver(m Message) error {
	d := pb.DeliverMessage{Message: &pb.BrokerMessage{Subject: m.Subject, ReplyTo: m.ReplyTo, Body: []byte(m.Body)}}
	_, err := h.Call("wascap:messaging!DeliverMessage", d.AppendProto(nil))
	return err
}

// Ask has the guest handle a message that expects a reply, and returns the first one
// that it publishes. It fails the test where there is none. The reply is not among
// Published.
func (h *Host) Ask(subject, body string) (reply string, err error) {
	h.t.Helper()
	h.mu.Lock()
	h.asked++
	inbox := fmt.Sprint("_INBOX.waxotest.", h.asked)
	h.mu.Unlock()
	if err := h.Deliver(Message{Subject: subject, ReplyTo: inbox, Body: body}); err != nil {
		return "", err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	var others []Message
	replied := false
	for _, m := range h.published {
		switch {
		case m.Subject != inbox:
			others = append(others, m)
		case !replied:
			reply, replied = m.Body, true
		}
	}
	h.published = others
	if !replied {
		h.t.Fatalf("waxotest: the guest did not reply to the message %q to %s", body, subject)
	}
	return reply, nil
}

// Answering has answer stand for those who answer what the guest requests, until it
// is called again. An error fails the request with it: waxo.ErrDeadline is for an
// answer that does not come. Without Answering nobody subscribes to anything.
func (h *Host) Answering(answer func(Message) (string, error)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answering = answer
}

// maxMessage is the largest message in bytes, as NATS has it.
const maxMessage = 1 << 20

// message performs an operation on messages. h.mu is held, but not while the test's
// own function runs.
func (h *Host) message(binding, operation string, payload []byte) ([]byte, error) {
	switch operation {
	case "Publish":
		var req pb.PublishMessage
		if err := decode(payload, &req); err != nil {
			return nil, err
		}
		if req.Message == nil {
			return nil, &waxo.Error{Code: "invalid", Message: "the request has no message"}
		}
		m := Message{Subject: req.Message.Subject, ReplyTo: req.Message.ReplyTo, Body: string(req.Message.Body), Binding: binding}
		if err := m.check(); err != nil {
			return nil, err
		}
		h.published = append(h.published, m)
		return nil, nil
	case "Request":
		var req pb.RequestMessage
		if err := decode(payload, &req); err != nil {
			return nil, err
		}
		return h.request(Message{Subject: req.Subject, Body: string(req.Body), Binding: binding}, req.TimeoutMs)
	}
	return nil, unsupported(operation)
}

func (h *Host) request(m Message, milliseconds int64) ([]byte, error) {
	if err := checkSubject("subject", m.Subject); err != nil {
		return nil, err
	}
	if milliseconds < 0 {
		return nil, &waxo.Error{Code: "invalid", Message: fmt.Sprintf("a request cannot wait for %d ms", milliseconds)}
	}
	if err := m.check(); err != nil {
		return nil, err
	}
	answer := h.answering
	if answer == nil {
		return nil, &waxo.Error{Code: "not_found", Message: "nobody subscribes to " + m.Subject + ", so nobody answers: in a test, Host.Answering stands for others"}
	}
	h.mu.Unlock()
	defer h.mu.Lock()
	reply, err := answer(m)
	if e := new(waxo.Error); errors.As(err, &e) && e.Message == "" { // such as waxo.ErrDeadline
		return nil, &waxo.Error{Code: e.Code, Message: "as the test has it"}
	}
	return []byte(reply), err
}

// check tells whether a server would take the message.
func (m Message) check() error {
	if err := checkSubject("subject", m.Subject); err != nil {
		return err
	}
	if m.ReplyTo != "" {
		if err := checkSubject("reply_to", m.ReplyTo); err != nil {
			return err
		}
	}
	if len(m.Body) > maxMessage {
		return &waxo.Error{Code: "too_large", Message: fmt.Sprintf("the message for %q is larger than the %d bytes that the server takes", m.Subject, maxMessage)}
	}
	return nil
}

func checkSubject(what, subject string) error {
	invalid := func(text string) error {
		return &waxo.Error{Code: "invalid", Message: fmt.Sprintf("the %s %.100q %s", what, subject, text)}
	}
	const longest = 1024
	switch {
	case len(subject) > longest:
		return invalid(fmt.Sprintf("has %d bytes, and may have %d", len(subject), longest))
	case strings.ContainsFunc(subject, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return invalid("has a space or a control character in it")
	}
	for word := range strings.SplitSeq(subject, ".") {
		switch word {
		case "":
			return invalid("is empty or has an empty word: it must be of words with dots between")
		case "*", ">":
			return invalid("has a wildcard, and a message goes to one subject")
		}
	}
	if subject[0] == '$' {
		return &waxo.Error{Code: "denied", Message: fmt.Sprintf("the %s %q is one of the server's own, as all that start with \"$\"", what, subject)}
	}
	return nil
}
