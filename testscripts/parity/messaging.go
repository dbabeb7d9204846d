package parity

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/waxosuit/waxo/capability"
	pb "github.com/waxosuit/waxo/capability/payload/messagingpb"
)

// Messaging is the suite of "wascap:messaging". Its provider needs the keys
// "subscriptions" and "concurrency" in its configuration, and a server that takes
// messages of 1 MiB.
func Messaging() Suite {
	suite := Suite{Capability: capability.Messaging}
	add := func(name, subscriptions, concurrency string, run func(s *Session)) {
		config := map[string]string{"concurrency": concurrency}
		if subscriptions != "" {
			config["subscriptions"] = subscriptions
		}
		suite.Cases = append(suite.Cases, Case{Name: name, Config: config, Run: run})
	}
	const n = NamePlaceholder
	add("publish and deliver", n+"in.*", "1", publishAndDeliver)
	add("subscriptions", n+"a.*.c,"+n+"b.>, "+n+"b.*", "1", subscriptions)
	add("order", n+"in", "1", orderOfMessages)
	add("request", n+"echo", "16", requests)
	add("requests at once", n+"echo", "64", requestsAtOnce)
	add("no answer", n+"hole", "1", noAnswer)
	add("a guest that fails", n+"in", "1", failingGuest)
	add("subjects", "", "1", badSubjects)
	add("sizes", n+"in", "1", sizesOfMessages)
	add("what cannot be decoded", "", "1", undecodableMessages)
	return suite
}

const pub, request, deliver = capability.OpPublish, capability.OpRequest, capability.OpDeliverMessage

func broker(subject, replyTo string, body []byte) *pb.PublishMessage {
	return &pb.PublishMessage{Message: &pb.BrokerMessage{Subject: subject, ReplyTo: replyTo, Body: body}}
}

// inbox has the guest put what it is given into a channel.
func inbox(s *Session, room int) <-chan *pb.BrokerMessage {
	messages := make(chan *pb.BrokerMessage, room)
	s.Handle(deliver, func(payload []byte) ([]byte, error) {
		var d pb.DeliverMessage
		if err := d.UnmarshalProto(payload); err != nil || d.Message == nil {
			s.Errorf("%s %q: %v", deliver, payload, err)
			return nil, errors.New("no message")
		}
		messages <- d.Message
		return nil, nil
	})
	return messages
}

// echo has the guest reply to what it is given.
func echo(s *Session) {
	s.Handle(deliver, func(payload []byte) ([]byte, error) {
		var d pb.DeliverMessage
		if err := d.UnmarshalProto(payload); err != nil {
			return nil, err
		}
		return s.Quiet(pub, broker(d.Message.ReplyTo, "", append([]byte("re: "), d.Message.Body...)).AppendProto(nil))
	})
}

func publishAndDeliver(s *Session) {
	messages := inbox(s, 1)
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	for _, m := range []*pb.BrokerMessage{
		{Subject: s.Name("in.plain"), Body: []byte("hello")},
		{Subject: s.Name("in.empty")},
		{Subject: s.Name("in.reply"), ReplyTo: s.Name("there"), Body: []byte("x")},
		{Subject: s.Name("in.binary"), Body: every},
		{Subject: s.Name("in.世界🙂"), Body: []byte("世界🙂")},
		{Subject: s.Name("in.a-b_c:d/e$f\"\\'{}~"), Body: []byte("\r\nPUB x 1\r\n")},
		{Subject: s.Name("in." + strings.Repeat("x", 1024-len(s.Name("in.")))), ReplyTo: strings.Repeat("y", 1024), Body: []byte("long")},
	} {
		s.Want(pub, &pb.PublishMessage{Message: m}, nil)
		got := Receive(s, messages, "the message")
		s.Note("delivered %q", s.clean(got.AppendProto(nil)))
		if want := m.AppendProto(nil); !bytes.Equal(got.AppendProto(nil), want) {
			s.Errorf("%+v was delivered as %+v", m, got)
		}
	}
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

func requests(s *Session) {
	echo(s)
	for _, body := range []string{"", "hello", "\x00\xff", "世界🙂"} {
		answer, err := s.Raw(request, (&pb.RequestMessage{Subject: s.Name("echo"), Body: []byte(body), TimeoutMs: 10_000}).AppendProto(nil))
		if err != nil || string(answer) != "re: "+body {
			s.Errorf("the answer to %q is %q, %v", body, answer, err)
		}
	}
	answer, err := s.Raw(request, (&pb.RequestMessage{Subject: s.Name("echo")}).AppendProto(nil))
	if err != nil || string(answer) != "re: " {
		s.Errorf("without a time-out, the answer is %q, %v", answer, err)
	}
}

func requestsAtOnce(s *Session) {
	echo(s)
	var all sync.WaitGroup
	for i := range 500 {
		all.Go(func() {
			body := fmt.Sprint("request ", i)
			answer, err := s.Quiet(request, (&pb.RequestMessage{Subject: s.Name("echo"), Body: []byte(body)}).AppendProto(nil))
			if err != nil || string(answer) != "re: "+body {
				s.Errorf("the answer to %q is %q, %v", body, answer, err)
			}
		})
	}
	all.Wait()
}

func noAnswer(s *Session) {
	messages := inbox(s, 10)
	s.WantError(request, &pb.RequestMessage{Subject: s.Name("nobody"), TimeoutMs: 10_000},
		`not_found: nobody subscribes to "p~~~~~~~~~~~nobody", so nobody answers`)
	s.WantError(request, &pb.RequestMessage{Subject: s.Name("hole"), TimeoutMs: 50},
		`deadline: no answer to the request to "p~~~~~~~~~~~hole" came in time`)
	s.WantError(request, &pb.RequestMessage{Subject: s.Name("hole"), TimeoutMs: -1},
		"invalid: a request cannot wait for -1 ms: give 0 for as long as the call may take, or a positive number")
	if m := Receive(s, messages, "the request"); m.ReplyTo == "" {
		s.Errorf("the request has no reply_to")
	}
}

// failingGuest: a message on which the guest fails is gone, and the next one comes.
func failingGuest(s *Session) {
	seen := make(chan string, 10)
	s.Handle(deliver, func(payload []byte) ([]byte, error) {
		var d pb.DeliverMessage
		if err := d.UnmarshalProto(payload); err != nil {
			return nil, err
		}
		seen <- string(d.Message.Body)
		return nil, errors.New("not today")
	})
	for i := range 3 {
		s.Want(pub, broker(s.Name("in"), "", fmt.Appendf(nil, "%d", i)), nil)
		s.Note("delivered %s", Receive(s, seen, "the message"))
	}
	s.Want(pub, broker(s.Name("in"), "", []byte("last")), nil)
	if text := Receive(s, seen, "the message"); text != "last" {
		s.Errorf("%q came again", text)
	}
}

func badSubjects(s *Session) {
	tooLong := strings.Repeat("x", 1025)
	for subject, text := range map[string]string{
		"":       "invalid: the subject is empty",
		" ":      `invalid: the subject " " has a space or a control character in it`,
		"a b":    `invalid: the subject "a b" has a space or a control character in it`,
		"a\r\nb": `invalid: the subject "a\r\nb" has a space or a control character in it`,
		"a\x00":  `invalid: the subject "a\x00" has a space or a control character in it`,
		".a":     `invalid: the subject ".a" has an empty word: it must be of words with dots between`,
		"a.":     `invalid: the subject "a." has an empty word: it must be of words with dots between`,
		"a..b":   `invalid: the subject "a..b" has an empty word: it must be of words with dots between`,
		"a.*":    `invalid: the subject "a.*" has a wildcard, and a message goes to one subject`,
		"a.>":    `invalid: the subject "a.>" has a wildcard, and a message goes to one subject`,
		"$JS.API.STREAM.DELETE.x": `denied: the subject "$JS.API.STREAM.DELETE.x" is one of the server's own, ` +
			`as all that start with "$"; wascap:messaging does not grant them`,
		tooLong: "invalid: the subject has 1025 bytes, and may have 1024",
	} {
		// In no order, so not in the transcript.
		for op, req := range map[string]Message{pub: broker(subject, "", nil), request: &pb.RequestMessage{Subject: subject}} {
			if _, err := s.Quiet(op, req.AppendProto(nil)); err == nil || err.Error() != text {
				s.Errorf("%s to %.40q: %v; want %s", op, subject, err, text)
			}
		}
		if subject == "" {
			continue // no reply_to
		}
		text = strings.Replace(text, "the subject", "the reply_to", 1)
		if _, err := s.Quiet(pub, broker(s.Name("x"), subject, nil).AppendProto(nil)); err == nil || err.Error() != text {
			s.Errorf("with the reply_to %.40q: %v; want %s", subject, err, text)
		}
	}
	s.WantError(pub, &pb.PublishMessage{}, "invalid: the request has no message")
}

// sizesOfMessages: up to 1 MiB goes through, and not a byte more.
func sizesOfMessages(s *Session) {
	const limit = 1 << 20
	messages := inbox(s, 1)
	for _, size := range []int{0, 1, 4095, 4096, 65_536, 1_000_000, limit} {
		body := bytes.Repeat([]byte{'0', 0xff, '\n', 0}, size/4+1)[:size]
		if _, err := s.Quiet(pub, broker(s.Name("in"), "", body).AppendProto(nil)); err != nil {
			s.Fatalf("%d bytes: %v", size, err)
		}
		if m := Receive(s, messages, "the message"); !bytes.Equal(m.Body, body) {
			s.Errorf("%d bytes came as %d", size, len(m.Body))
		}
	}
	text := `too_large: the message for "` + s.Name("in") + `" is larger than the 1048576 bytes that the server takes`
	for op, req := range map[string]Message{
		pub:     broker(s.Name("in"), "", make([]byte, limit+1)),
		request: &pb.RequestMessage{Subject: s.Name("in"), Body: make([]byte, limit+1)},
	} {
		if _, err := s.Quiet(op, req.AppendProto(nil)); err == nil || err.Error() != text {
			s.Errorf("%s of a byte too much: %v", op, err)
		}
	}
	s.Want(pub, broker(s.Name("in"), "", []byte("still here")), nil)
}

func undecodableMessages(s *Session) {
	for _, op := range []string{pub, request} {
		if _, err := s.Raw(op, []byte("\x0a\xff")); err == nil || capability.AsError(err).Code != capability.CodeInvalid {
			s.Errorf("%s takes a payload that is none: %v", op, err)
		}
	}
	for _, op := range []string{"Frobnicate", deliver} {
		if _, err := s.Raw(op, nil); err == nil || capability.AsError(err).Code != capability.CodeUnsupported {
			s.Errorf("there is an operation %s for guests: %v", op, err)
		}
	}
}
