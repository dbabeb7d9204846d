package parity

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	pb "github.com/waxosuit/waxo/capability/payload/messagingpb"
)

// moment is how long the suite waits for what must not happen.
const moment = 50 * time.Millisecond

// ask makes a request and checks the answer, or the error that text begins with.
func (s *Session) ask(subject, body string, timeoutMs int64, want string) {
	req := &pb.RequestMessage{Subject: subject, Body: []byte(body), TimeoutMs: timeoutMs}
	answer, err := s.Raw(request, req.AppendProto(nil))
	if err != nil || string(answer) != want {
		s.Errorf("%s is answered by %q, %v; want %q", show(req), answer, err, want)
	}
}

func requests(s *Session) {
	echo(s)
	for _, body := range []string{"", "hello", "\x00\xff", "世界🙂"} {
		s.ask(s.Name("echo"), body, 10_000, "re: "+body)
	}
	s.ask(s.Name("echo"), "as long as it takes", 0, "re: as long as it takes")
}

func firstReply(s *Session) {
	s.Handle(deliver, func(_ context.Context, payload []byte) ([]byte, error) {
		m, err := s.delivered(payload)
		if err != nil {
			return nil, err
		}
		for _, reply := range []string{"first ", "second "} {
			if _, err := s.Quiet(pub, broker(m.ReplyTo, "", append([]byte(reply), m.Body...)).AppendProto(nil)); err != nil {
				return nil, err
			}
		}
		return []byte("no reply at all"), nil
	})
	for _, body := range []string{"a", "b"} {
		s.ask(s.Name("echo"), body, 10_000, "first "+body)
	}
}

func requestsAtOnce(s *Session) {
	echo(s)
	s.atOnce(func(i int) {
		body := fmt.Sprint("request ", i)
		answer, err := s.Quiet(request, (&pb.RequestMessage{Subject: s.Name("echo"), Body: []byte(body)}).AppendProto(nil))
		if err != nil || string(answer) != "re: "+body {
			s.Errorf("the answer to %q is %q, %v", body, answer, err)
		}
	})
}

func nobodyThere(s *Session) {
	s.WantError(request, &pb.RequestMessage{Subject: s.Name("nobody"), TimeoutMs: 1000},
		`not_found: nobody subscribes to "`+s.Name("nobody")+`", so nobody answers`)
}

func negativeTimeout(s *Session) {
	s.WantError(request, &pb.RequestMessage{Subject: s.Name("hole"), TimeoutMs: -1},
		"invalid: a request cannot wait for -1 ms: give 0 for as long as the call may take, or a positive number")
}

// late makes a request that nobody answers, and checks when and how it ends. The
// call may take limit, and the request timeoutMs.
func (s *Session) late(limit time.Duration, timeoutMs int64, least, most time.Duration) {
	ctx, cancel := context.WithTimeout(s.Context, limit)
	defer cancel()
	req := &pb.RequestMessage{Subject: s.Name("hole"), TimeoutMs: timeoutMs}
	begun := time.Now()
	_, err := s.quiet(ctx, request, req.AppendProto(nil))
	took := time.Since(begun)
	s.Note("nobody answers: %s", s.outcome(nil, err))
	what := fmt.Sprintf("a request that may take %d ms, in a call that may take %v, and that nobody answers", timeoutMs, limit)
	s.wantError(what, err, `deadline: no answer to the request to "`+s.Name("hole")+`" came in time`)
	if took < least || took > most {
		s.Errorf("%s ended after %v", what, took)
	}
}

func noAnswer(s *Session) {
	messages := inbox(s, 10)
	s.late(6*time.Second, 100, 100*time.Millisecond-slack, 4*time.Second)
	if m := Receive(s, messages, "the request"); m.ReplyTo == "" {
		s.Errorf("the request has no reply_to")
	}
	s.late(300*time.Millisecond, 0, 300*time.Millisecond-slack, 4*time.Second)
}

func requestOutOfTime(s *Session) {
	inbox(s, 10)
	s.late(100*time.Millisecond, 6000, 100*time.Millisecond-slack, 4*time.Second)
}

// droppedAnswers: what the guest answers goes nowhere, not to reply_to either.
func droppedAnswers(s *Session) {
	seen := make(chan string, 100)
	s.Handle(deliver, func(_ context.Context, payload []byte) ([]byte, error) {
		m, err := s.delivered(payload)
		if err != nil {
			return nil, err
		}
		seen <- m.Subject
		return (&pb.PublishMessage{Message: &pb.BrokerMessage{Subject: s.Name("there"), Body: []byte("x")}}).AppendProto(nil), nil
	})
	for range 10 { // what came of the first one is there before the last one is
		s.perform(pub, broker(s.Name("in"), s.Name("there"), nil), nil)
		if subject := Receive(s, seen, "the message"); subject != s.Name("in") {
			s.Fatalf("what the guest answered was delivered to %q", subject)
		}
	}
	select {
	case subject := <-seen:
		s.Errorf("what the guest answered was delivered to %q", subject)
	case <-time.After(moment):
	}
}

// failingGuest: a message on which the guest fails is gone, and the next one comes.
func failingGuest(s *Session) {
	seen := make(chan string, 10)
	s.Handle(deliver, func(_ context.Context, payload []byte) ([]byte, error) {
		m, err := s.delivered(payload)
		if err != nil {
			return nil, err
		}
		seen <- string(m.Body)
		return nil, errors.New("not today")
	})
	for i := range 4 {
		s.perform(pub, broker(s.Name("in"), "", fmt.Appendf(nil, "%d", i)), nil)
		if body := Receive(s, seen, "the message"); body != fmt.Sprint(i) {
			s.Errorf("message %s came when it was the turn of %d", body, i)
		}
	}
	select {
	case body := <-seen:
		s.Errorf("message %s came again", body)
	case <-time.After(moment):
	}
}

func badSubjects(s *Session) {
	for subject, text := range map[string]string{
		"":                        "invalid: the subject is empty",
		" ":                       `invalid: the subject " " has a space or a control character in it`,
		"a b":                     `invalid: the subject "a b" has a space or a control character in it`,
		"a\r\nb":                  `invalid: the subject "a\r\nb" has a space or a control character in it`,
		"a\x00":                   `invalid: the subject "a\x00" has a space or a control character in it`,
		".a":                      `invalid: the subject ".a" has an empty word: it must be of words with dots between`,
		"a.":                      `invalid: the subject "a." has an empty word: it must be of words with dots between`,
		"a..b":                    `invalid: the subject "a..b" has an empty word: it must be of words with dots between`,
		"a.*":                     `invalid: the subject "a.*" has a wildcard, and a message goes to one subject`,
		"a.>":                     `invalid: the subject "a.>" has a wildcard, and a message goes to one subject`,
		strings.Repeat("x", 1025): "invalid: the subject has 1025 bytes, and may have 1024",
	} {
		s.refusesSubject(subject, text)
	}
	s.WantError(pub, &pb.PublishMessage{}, "invalid: the request has no message")
}

func serverSubjects(s *Session) {
	for _, subject := range []string{"$JS.API.STREAM.DELETE.x", "$SYS.x", "$"} {
		s.refusesSubject(subject, `denied: the subject "`+subject+`" is one of the server's own, as all that start with "$"; wascap:messaging does not grant them`)
	}
}

// refusesSubject tries a subject in every place. In no order, so not in the
// transcript.
func (s *Session) refusesSubject(subject, text string) {
	for op, req := range map[string]Message{pub: broker(subject, "", nil), request: &pb.RequestMessage{Subject: subject, TimeoutMs: 1000}} {
		_, err := s.Quiet(op, req.AppendProto(nil))
		s.wantError(fmt.Sprintf("%s to %.40q", op, subject), err, text)
	}
	if subject == "" {
		return // no reply_to
	}
	_, err := s.Quiet(pub, broker(s.Name("x"), subject, nil).AppendProto(nil))
	s.wantError(fmt.Sprintf("%s with the reply_to %.40q", pub, subject), err, strings.Replace(text, "the subject", "the reply_to", 1))
}

// ending ends the session's binding in the background.
func (s *Session) ending() <-chan error {
	ended := make(chan error, 1)
	var running sync.WaitGroup
	running.Go(func() { ended <- s.unbind(s.Context) })
	s.undo(func(context.Context) error { running.Wait(); return nil })
	return ended
}

// stillEnding checks that the end of a binding has not come.
func (s *Session) stillEnding(ended <-chan error, what string) {
	select {
	case err := <-ended:
		s.Fatalf("Unbind returned (%v) while %s was in hand", err, what)
	case <-time.After(moment):
	}
}

// unbindInDelivery: the end of a binding waits for what the guest works on, and the
// guest can still call.
func unbindInDelivery(s *Session) {
	arrived, proceed := make(chan struct{}, 10), make(chan struct{})
	release := sync.OnceFunc(func() { close(proceed) })
	defer release()
	var done atomic.Bool
	s.Handle(deliver, func(context.Context, []byte) ([]byte, error) {
		arrived <- struct{}{}
		<-proceed
		if _, err := s.Quiet(pub, broker(s.Name("elsewhere"), "", nil).AppendProto(nil)); err != nil {
			s.Errorf("a call that the guest makes for a message in hand, while its binding ends: %v", err)
		}
		done.Store(true)
		return nil, nil
	})
	s.perform(pub, broker(s.Name("in"), "", nil), nil)
	Receive(s, arrived, "the message")
	ended := s.ending()
	s.stillEnding(ended, "a delivery")
	release()
	if err := Receive(s, ended, "the end of the binding"); err != nil {
		s.Errorf("%v", err)
	}
	if !done.Load() {
		s.Errorf("Unbind returned before the guest was done")
	}
}

// unbindInCall: the end of a binding waits for the guest's call, which has its
// answer.
func unbindInCall(s *Session) {
	answering := s.As("X", "", map[string]string{"subscriptions": NamePlaceholder + "answered"})
	arrived, proceed := make(chan struct{}, 10), make(chan struct{})
	release := sync.OnceFunc(func() { close(proceed) })
	defer release()
	answering.Handle(deliver, func(_ context.Context, payload []byte) ([]byte, error) {
		m, err := s.delivered(payload)
		if err != nil {
			return nil, err
		}
		arrived <- struct{}{}
		<-proceed
		return answering.Quiet(pub, broker(m.ReplyTo, "", []byte("here")).AppendProto(nil))
	})
	called := make(chan error, 1)
	var calling sync.WaitGroup
	defer calling.Wait()
	calling.Go(func() {
		answer, err := s.Quiet(request, (&pb.RequestMessage{Subject: s.Name("answered")}).AppendProto(nil))
		if err == nil && string(answer) != "here" {
			err = fmt.Errorf("the answer is %q", answer)
		}
		called <- err
	})
	defer release() // before that is waited for
	Receive(s, arrived, "the request")
	ended := s.ending()
	s.stillEnding(ended, "a call")
	release()
	if err := Receive(s, called, "the end of the call"); err != nil {
		s.Errorf("a call in hand, while its binding ends: %v", err)
	}
	if err := Receive(s, ended, "the end of the binding"); err != nil {
		s.Errorf("%v", err)
	}
}

// nothingAfterUnbind: whatever is published, the guest is given none of it once its
// binding has ended.
func nothingAfterUnbind(s *Session) {
	sender := s.As("X", "", map[string]string{"subscriptions": NamePlaceholder + "in"})
	others := inbox(sender, 1000)
	var over atomic.Bool
	first := make(chan struct{}, 1000)
	s.Handle(deliver, func(context.Context, []byte) ([]byte, error) {
		if over.Load() {
			s.Errorf("a message was delivered after the end of the binding")
		}
		first <- struct{}{}
		return nil, nil
	})
	const n = 200
	var sending sync.WaitGroup
	defer sending.Wait()
	sending.Go(func() {
		sender.play(func() {
			for range n {
				sender.perform(pub, broker(s.Name("in"), "", nil), nil)
			}
		})
	})
	Receive(s, first, "a message")
	if err := s.unbind(s.Context); err != nil {
		s.Errorf("%v", err)
	}
	over.Store(true)
	for range n {
		Receive(s, others, "a message for somebody else")
	}
}
