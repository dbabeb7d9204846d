package msg_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	waxo "github.com/waxosuit/waxo/guest/go"
	"github.com/waxosuit/waxo/guest/go/internal/abi"
	"github.com/waxosuit/waxo/guest/go/msg"
	"github.com/waxosuit/waxo/guest/go/waxotest"
)

// handle is what the guest does with a message in a test.
var handle func(*msg.Message) error

func init() { msg.Handle(func(m *msg.Message) error { return handle(m) }) }

func newHost(t *testing.T) *waxotest.Host {
	h := waxotest.New(t)
	h.Grant(msg.Capability)
	return h
}

func TestPublish(t *testing.T) {
	h := newHost(t)
	body := []byte("hello\x00\xff")
	if err := msg.Publish("a.b", body); err != nil {
		t.Fatal(err)
	}
	body[0] = 'x'
	if err := msg.Open("other").Send(&msg.Message{Subject: "世界", ReplyTo: "there"}); err != nil {
		t.Fatal(err)
	}
	if err := msg.Send(&msg.Message{Subject: "c", ReplyTo: "here", Body: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	want := []waxotest.Message{
		{Subject: "a.b", Body: "hello\x00\xff", Binding: "default"},
		{Subject: "世界", ReplyTo: "there", Binding: "other"},
		{Subject: "c", ReplyTo: "here", Body: "x", Binding: "default"},
	}
	if got := h.Published(); !slices.Equal(got, want) {
		t.Errorf("published %q, want %q", got, want)
	}
	if got := h.Published(); len(got) != 0 {
		t.Errorf("published again %q", got)
	}
	for _, subject := range []string{"", "a..b", "a b", "a.*", ">", strings.Repeat("x", 1025)} {
		if err := msg.Publish(subject, nil); !errors.Is(err, waxo.ErrInvalid) {
			t.Errorf("to %.20q: %v", subject, err)
		}
	}
	if err := msg.Publish("$JS.API", nil); !errors.Is(err, waxo.ErrDenied) {
		t.Errorf("to the server's own: %v", err)
	}
	if err := msg.Publish("a", make([]byte, 1<<20+1)); !errors.Is(err, waxo.ErrTooLarge) {
		t.Errorf("a large one: %v", err)
	}
}

func TestRequest(t *testing.T) {
	h := newHost(t)
	if _, err := msg.Request("a", nil, 0); !errors.Is(err, waxo.ErrNotFound) {
		t.Errorf("nobody there: %v", err)
	}
	h.Answering(func(m waxotest.Message) (string, error) {
		switch m.Subject {
		case "late":
			return "", waxo.ErrDeadline
		case "again":
			// The test may look at the host, and have the guest called, meanwhile.
			return h.Ask("echo", m.Body)
		}
		return "re: " + m.Body, nil
	})
	handle = func(m *msg.Message) error { return m.Reply(m.Body) }
	first, err := msg.Request("a", []byte("x"), 1000)
	if err != nil || string(first) != "re: x" {
		t.Errorf("%q, %v", first, err)
	}
	if again, err := msg.Request("again", []byte("y"), 0); err != nil || string(again) != "y" || string(first) != "re: x" {
		t.Errorf("%q, %v; the first answer is %q now", again, err, first)
	}
	if _, err := msg.Request("late", nil, 10); !errors.Is(err, waxo.ErrDeadline) {
		t.Errorf("late: %v", err)
	}
	if _, err := msg.Request("a", nil, -1); !errors.Is(err, waxo.ErrInvalid) || !strings.Contains(err.Error(), "-1") {
		t.Errorf("a negative time: %v", err)
	}
}

func TestHandle(t *testing.T) {
	h := newHost(t)
	var got msg.Message
	handle = func(m *msg.Message) error {
		got = msg.Message{Subject: m.Subject, ReplyTo: m.ReplyTo, Body: slices.Clone(m.Body)}
		return nil
	}
	if err := h.Deliver(waxotest.Message{Subject: "a.世", ReplyTo: "b", Body: "\x00\xff"}); err != nil {
		t.Fatal(err)
	}
	if got.Subject != "a.世" || got.ReplyTo != "b" || string(got.Body) != "\x00\xff" {
		t.Errorf("%+v", got)
	}
	handle = func(m *msg.Message) error { return m.Reply(nil) }
	if err := h.Deliver(waxotest.Message{Subject: "a"}); !errors.Is(err, waxo.ErrInvalid) || !strings.Contains(err.Error(), "expects no reply") {
		t.Errorf("a reply to nobody: %v", err)
	}
	handle = func(*msg.Message) error { return errors.New("not today") }
	if err := h.Deliver(waxotest.Message{Subject: "a"}); !errors.Is(err, waxo.ErrGuest) {
		t.Errorf("a guest that fails: %v", err)
	}
	for payload, want := range map[string]string{"\x0a\x05": "ends in the middle", "": "has no message"} {
		if _, err := h.Call("wascap:messaging!DeliverMessage", []byte(payload)); !errors.Is(err, waxo.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", payload, err)
		}
	}
}

func TestHandleNothing(t *testing.T) {
	defer func() {
		if text := recover(); text != "msg: the handler is nil" {
			t.Errorf("panicked with %v", text)
		}
	}()
	msg.Handle(nil)
}

// answers is a host that gives the same answer to everything, at no cost.
type answers []byte

func (a answers) Call(_, _, _ string, _ []byte) ([]byte, error) { return a, nil }
func (answers) Console(string)                                  {}

func TestAllocations(t *testing.T) {
	var host abi.Host = answers("an answer")
	if !abi.Install(host) {
		t.Fatal("there is a host")
	}
	defer abi.Uninstall()
	body := []byte("body")
	var err error
	for _, test := range []struct {
		name string
		call func()
		most float64
	}{
		{"Publish", func() { err = msg.Publish("a subject", body) }, 0},
		{"Request", func() { _, err = msg.Request("a subject", body, 1000) }, 1},
	} {
		if got := testing.AllocsPerRun(1000, test.call); got > test.most || err != nil {
			t.Errorf("%s: %v allocations, want %v; %v", test.name, got, test.most, err)
		}
	}
}
