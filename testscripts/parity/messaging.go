package parity

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/waxosuit/waxo/capability"
	pb "github.com/waxosuit/waxo/capability/payload/messagingpb"
)

// Messaging is the suite of "wascap:messaging". Its provider needs the keys
// "subscriptions", "queue_group" and "concurrency" in its configuration, and a
// server that takes messages of 1 MiB. Subjects begin with the prefix of the run;
// nothing is stored.
func Messaging() Suite {
	suite := Suite{Capability: capability.Messaging}
	const n = NamePlaceholder
	for _, c := range []struct {
		name          string
		rules         []string
		subscriptions string
		concurrency   string
		run           func(s *Session)
	}{
		{"publish and deliver", rules("MSG-1"), n + "in.*", "1", publishAndDeliver},
		{"subjects of any letters", rules("MSG-1"), n + "in.>", "1", oddSubjects},
		{"subscriptions", rules("MSG-11"), n + "a.*.c," + n + "b.>, " + n + "b.*", "1", subscriptions},
		{"order", rules("MSG-12"), n + "in", "1", orderOfMessages},
		{"request", rules("MSG-3"), n + "echo", "16", requests},
		{"the first reply counts", rules("MSG-3"), n + "echo", "1", firstReply},
		{"requests at once", rules("MSG-3", "CAP-48"), n + "echo", "64", requestsAtOnce},
		{"nobody subscribes", rules("MSG-6"), "", "", nobodyThere},
		{"no answer", rules("MSG-4"), n + "hole", "1", noAnswer},
		{"a negative time-out", rules("MSG-5"), "", "", negativeTimeout},
		{"a request within the time of its call", rules("CAP-46"), n + "hole", "1", requestOutOfTime},
		{"what a guest answers", rules("MSG-7"), n + "in," + n + "there", "1", droppedAnswers},
		{"a guest that fails", rules("MSG-8"), n + "in", "1", failingGuest},
		{"subjects that are none", rules("MSG-9"), "", "", badSubjects},
		{"subjects of the server", rules("MSG-10"), "", "", serverSubjects},
		{"published, and gone", rules("MSG-2"), n + "in", "1", publishedAndGone},
		{"payloads: a message in two parts", rules("PAY-14"), n + "in", "1", messageInParts},
		{"sizes", rules("MSG-1"), n + "in", "1", sizesOfMessages},
		{"a message that is too large", rules("MSG-13"), n + "in", "1", tooLargeMessage},
		{"deliveries side by side", rules("CAP-48"), n + "in", "8", deliveriesAtOnce},
		{"Unbind waits for a delivery", rules("CAP-38"), n + "in", "1", unbindInDelivery},
		{"Unbind waits for a call", rules("CAP-38"), n + "hole", "1", unbindInCall},
		{"nothing after Unbind", rules("CAP-36"), n + "in", "4", nothingAfterUnbind},
	} {
		var config map[string]string
		ops := []string{pub, request}
		if c.subscriptions != "" {
			config = map[string]string{"subscriptions": c.subscriptions, "concurrency": c.concurrency}
		}
		suite.Cases = append(suite.Cases, Case{Name: c.name, Rules: c.rules, Operations: ops, Config: config, Run: c.run})
	}
	suite.Cases = append(suite.Cases, Case{
		Name: "guests that subscribe to the same", Rules: rules("MSG-1"), Operations: []string{pub},
		Config: map[string]string{"subscriptions": n + "in"}, Run: sameSubscription,
	}, Case{
		Name: "queue groups", Rules: rules("MSG-300"), Operations: []string{pub},
		Config: map[string]string{"subscriptions": n + "in", "queue_group": n + "group"}, Run: queueGroups,
	})
	contract{
		sample:     func(s *Session) (string, Message) { return pub, broker(s.Name("sample"), "", []byte("sample")) },
		operations: []string{pub, request}, delivered: []string{deliver},
		remote: true,
	}.addTo(&suite)
	contract{
		config: func(*Session) map[string]string { return map[string]string{"subscriptions": n + "echo"} },
		setUp:  echo,
		sample: func(s *Session) (string, Message) {
			return request, &pb.RequestMessage{Subject: s.Name("echo"), Body: []byte("sample"), TimeoutMs: 10_000}
		},
		decoy: func(s *Session) Message {
			return &pb.RequestMessage{Subject: s.Name("decoy"), Body: []byte("decoy"), TimeoutMs: 1}
		},
		text:   1,
		steady: true,
	}.addPayloads(&suite)
	return suite
}

const pub, request, deliver = capability.OpPublish, capability.OpRequest, capability.OpDeliverMessage

func broker(subject, replyTo string, body []byte) *pb.PublishMessage {
	return &pb.PublishMessage{Message: &pb.BrokerMessage{Subject: subject, ReplyTo: replyTo, Body: body}}
}

// inbox has the guest put what it is given into a channel.
func inbox(s *Session, room int) <-chan *pb.BrokerMessage {
	messages := make(chan *pb.BrokerMessage, room)
	s.Handle(deliver, func(ctx context.Context, payload []byte) ([]byte, error) {
		m, err := s.delivered(payload)
		if err != nil {
			return nil, err
		}
		select {
		case messages <- m:
			return nil, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	})
	return messages
}

// delivered decodes what DeliverMessage brings.
func (s *Session) delivered(payload []byte) (*pb.BrokerMessage, error) {
	var d pb.DeliverMessage
	err := d.UnmarshalProto(payload)
	if err == nil && d.Message == nil {
		err = errors.New("there is no message in it")
	}
	if err != nil {
		s.Errorf("%s %q: %v", deliver, payload, err)
	}
	return d.Message, err
}

// echo has the guest reply to what it is given.
func echo(s *Session) {
	s.Handle(deliver, func(_ context.Context, payload []byte) ([]byte, error) {
		m, err := s.delivered(payload)
		if err != nil {
			return nil, err
		}
		return s.Quiet(pub, broker(m.ReplyTo, "", append([]byte("re: "), m.Body...)).AppendProto(nil))
	})
}

// passOn publishes messages, and checks that they are delivered as they are.
func passOn(s *Session, messages <-chan *pb.BrokerMessage, all ...*pb.BrokerMessage) {
	for _, m := range all {
		s.Want(pub, &pb.PublishMessage{Message: m}, nil)
		got := Receive(s, messages, "the message")
		s.Note("delivered %q", s.clean(got.AppendProto(nil)))
		if !bytes.Equal(got.AppendProto(nil), m.AppendProto(nil)) {
			s.Errorf("%.500s was delivered as %.500s", show(m), show(got))
		}
	}
}

func publishAndDeliver(s *Session) {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	passOn(s, inbox(s, 1),
		&pb.BrokerMessage{Subject: s.Name("in.plain"), Body: []byte("hello")},
		&pb.BrokerMessage{Subject: s.Name("in.empty")},
		&pb.BrokerMessage{Subject: s.Name("in.reply"), ReplyTo: s.Name("there"), Body: []byte("x")},
		&pb.BrokerMessage{Subject: s.Name("in.binary"), Body: every},
		&pb.BrokerMessage{Subject: s.Name("in.text"), Body: []byte("\r\nPUB x 1\r\n世界🙂")})
}

// publishedAndGone: what Publish was answered for needs nobody any more.
func publishedAndGone(s *Session) {
	messages := inbox(s, 100)
	for i := range 20 {
		sender := s.As(fmt.Sprint("X", i), "", nil)
		sender.perform(pub, broker(s.Name("in"), "", fmt.Appendf(nil, "%d", i)), nil)
		if err := sender.unbind(s.Context); err != nil {
			s.Errorf("%v", err)
		}
		if m := Receive(s, messages, "the message of a guest that is not bound any more"); string(m.Body) != fmt.Sprint(i) {
			s.Errorf("the message in place %d is %q", i, m.Body)
		}
	}
}

func messageInParts(s *Session) {
	messages := inbox(s, 1)
	payload := append(broker(s.Name("another"), "", []byte("body")).AppendProto(nil), broker(s.Name("in"), "", nil).AppendProto(nil)...)
	if _, err := s.Quiet(pub, payload); err != nil {
		s.Fatalf("%s %q: %v", pub, payload, err)
	}
	if m := Receive(s, messages, "the message"); string(m.Body) != "body" {
		s.Errorf("it comes as %s", show(m))
	}
}

func oddSubjects(s *Session) {
	passOn(s, inbox(s, 1),
		&pb.BrokerMessage{Subject: s.Name("in.世界🙂"), Body: []byte("x")},
		&pb.BrokerMessage{Subject: s.Name("in.a-b_c:d/e$f\"\\'{}~"), Body: []byte("x")},
		&pb.BrokerMessage{Subject: s.Name("in." + strings.Repeat("x", 1024-len(s.Name("in.")))), ReplyTo: strings.Repeat("y", 1024), Body: []byte("long")},
		&pb.BrokerMessage{Subject: s.Name("in.a.b.c.d.e.f.g.h.i.j.k"), Body: []byte("x")})
}

// subscriptions: what is delivered, and how often, is said by all of them.
func subscriptions(s *Session) {
	messages := inbox(s, 100)
	for _, subject := range []string{
		"a.x.c", "a.x.y.c", "a.c", "a.x", "b.x", "b.x.y.z", "b", "c.x", "A.x.c", "a.*x.c", "b.>x",
		"a.end.c", "b.end", // the last ones of each subscription
	} {
		s.Want(pub, broker(s.Name(subject), "", nil), nil)
	}
	var delivered []string
	for ends := 0; ends < 3; { // two of them for b.end
		m := Receive(s, messages, "the end")
		delivered = append(delivered, m.Subject)
		if m.Subject == s.Name("a.end.c") || m.Subject == s.Name("b.end") {
			ends++
		}
	}
	slices.Sort(delivered)
	s.Note("delivered %q", delivered)
	var want []string
	for _, subject := range []string{"a.*x.c", "a.end.c", "a.x.c", "b.>x", "b.>x", "b.end", "b.end", "b.x", "b.x", "b.x.y.z"} {
		want = append(want, s.Name(subject))
	}
	if !slices.Equal(delivered, want) {
		s.Errorf("delivered %q; want %q", delivered, want)
	}
}

func orderOfMessages(s *Session) {
	const n = 1000
	messages := inbox(s, n)
	for i := range n {
		if _, err := s.Quiet(pub, broker(s.Name("in"), "", fmt.Appendf(nil, "%d", i)).AppendProto(nil)); err != nil {
			s.Fatalf("message %d: %v", i, err)
		}
	}
	for i := range n {
		if m := Receive(s, messages, "a message"); string(m.Body) != fmt.Sprint(i) {
			s.Fatalf("the message in place %d is %s", i, m.Body)
		}
	}
}

// sizesOfMessages: up to 1 MiB goes through.
func sizesOfMessages(s *Session) {
	messages := inbox(s, 1)
	for _, size := range []int{0, 1, 4095, 4096, 65_536, 1_000_000, 1 << 20} {
		body := bytes.Repeat([]byte{'0', 0xff, '\n', 0}, size/4+1)[:size]
		if _, err := s.Quiet(pub, broker(s.Name("in"), "", body).AppendProto(nil)); err != nil {
			s.Fatalf("%d bytes: %v", size, err)
		}
		if m := Receive(s, messages, "the message"); !bytes.Equal(m.Body, body) {
			s.Errorf("%d bytes came as %d", size, len(m.Body))
		}
	}
}

// tooLargeMessage: of a server that takes 1 MiB, and of what no server takes.
func tooLargeMessage(s *Session) {
	messages := inbox(s, 1)
	size := 1<<20 + 1
	if !s.target.Exact {
		size = 64<<20 + 1 // the largest that NATS can be told to take, and a byte
	}
	text := `too_large: the message for "` + s.Name("in") + `" is larger than the 1048576 bytes that the server takes`
	for op, req := range map[string]Message{
		pub:     broker(s.Name("in"), "", make([]byte, size)),
		request: &pb.RequestMessage{Subject: s.Name("in"), Body: make([]byte, size)},
	} {
		_, err := s.Quiet(op, req.AppendProto(nil))
		s.wantError(op+" of too much", err, text)
	}
	passOn(s, messages, &pb.BrokerMessage{Subject: s.Name("in"), Body: []byte("still here")})
}

// sameSubscription: each of two guests is given each message.
func sameSubscription(s *Session) {
	const n = 50
	other := s.As("X", "", map[string]string{"subscriptions": NamePlaceholder + "in"})
	mine, theirs := inbox(s, n), inbox(other, n)
	for i := range n {
		s.perform(pub, broker(s.Name("in"), "", fmt.Appendf(nil, "%d", i)), nil)
	}
	for name, messages := range map[string]<-chan *pb.BrokerMessage{"one": mine, "the other": theirs} {
		seen := make(map[string]int)
		for range n {
			seen[string(Receive(s, messages, "a message for "+name).Body)]++
		}
		if len(seen) != n {
			s.Errorf("%s guest was given %d different messages of %d", name, len(seen), n)
		}
	}
}

// queueGroups: of the bindings of a group, one is given each message, and so is one
// that is in no group.
func queueGroups(s *Session) {
	const n = 200
	grouped := map[string]string{"subscriptions": NamePlaceholder + "in", "queue_group": NamePlaceholder + "group"}
	all := make(chan string, 10*n)
	for i, guest := range []*Session{s, s.As("X", "", grouped), s.As("Y", "", grouped)} {
		guest.Handle(deliver, func(_ context.Context, payload []byte) ([]byte, error) {
			m, err := s.delivered(payload)
			if err == nil {
				all <- fmt.Sprintf("%s for %d", m.Body, i)
			}
			return nil, err
		})
	}
	alone := inbox(s.As("Z", "", map[string]string{"subscriptions": NamePlaceholder + "in"}), n)
	for i := range n {
		s.perform(pub, broker(s.Name("in"), "", fmt.Appendf(nil, "%d", i)), nil)
	}
	seen := make(map[string]bool)
	for range n {
		body, _, _ := strings.Cut(Receive(s, all, "a message for the group"), " ")
		if seen[body] {
			s.Errorf("message %s came to two members of the group", body)
		}
		seen[body] = true
		Receive(s, alone, "a message for the guest in no group")
	}
	for _, guest := range []string{"", "X", "Y"} { // what comes late, comes before the end
		if err := s.unbound(guest, "").unbind(s.Context); err != nil {
			s.Errorf("%v", err)
		}
	}
	if extra := len(all); extra > 0 {
		s.Errorf("the group was given %d messages too many", extra)
	}
}

// deliveriesAtOnce: where the binding asks for 8 at a time, 8 guests' calls wait for
// each other.
func deliveriesAtOnce(s *Session) {
	const n = 8
	all, done := newBarrier(n), make(chan bool, n)
	s.Handle(deliver, func(ctx context.Context, _ []byte) ([]byte, error) {
		done <- all.wait(ctx)
		return nil, nil
	})
	for range n {
		s.perform(pub, broker(s.Name("in"), "", nil), nil)
	}
	for range n {
		if !Receive(s, done, "a delivery") {
			s.Errorf("of %d deliveries that were to be under way at once, some have not come", n)
		}
	}
}
