package project

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/payload/messagingpb"
	"github.com/waxosuit/waxo/testscripts/script"
)

func messageCommands() []command {
	return []command{
		{Command: script.Command{
			Name: "publish", Args: "SUBJECT [TEXT|@FILE]",
			Short:   "Publishes a message, when the guest runs.",
			Example: "publish jobs.new one\neventually 10s kv get done",
		}, run: runPublish},
		{Command: script.Command{
			Name: "request", Args: "SUBJECT [TEXT|@FILE]",
			Short:   "Sends a message and writes the answer to stdout. It fails where nobody answers within 10 s.",
			Example: "request jobs.echo hello\nstdout '^hello$'",
		}, run: runRequest},
		{Command: script.Command{
			Name: "listen", Args: "SUBJECT [ANSWER|@FILE]",
			Short: "Takes from now on the messages of a subject, for `await`; `*` stands for a word, `>` at the end for the rest.",
			Long:  "With ANSWER, a message that asks for one gets it: the script plays a service that the guest uses. What the script publishes itself comes, too.",
			Example: "listen jobs.done\npublish jobs.new one\nawait jobs.done\nstdout '^one$'\n" +
				"listen prices.tea 7\nhttp POST /price/tea\njson .price 7",
		}, run: runListen},
		{Command: script.Command{
			Name: "await", Args: "SUBJECT [DURATION]",
			Short:   "Waits for the next message of a subject that `listen` takes, and writes its body to stdout. DURATION is 5s unless it is said.",
			Long:    "Each message is awaited once. With `!` before it, none may have come yet or, with DURATION, none may come that long.",
			Example: "listen jobs.>\npublish jobs.new one\nawait jobs.done 10s\n! await jobs.failed",
		}, run: runAwait},
	}
}

func runPublish(ctx context.Context, c *call) error {
	body, err := c.outgoing()
	if err != nil {
		return err
	}
	message := &messagingpb.BrokerMessage{Subject: c.args[0], Body: body}
	return c.perform(ctx, capability.Messaging, capability.OpPublish, &messagingpb.PublishMessage{Message: message}, nil)
}

// outgoing is the body of a message that the script sends while the guest runs.
func (c *call) outgoing() ([]byte, error) {
	if err := c.takes(1, 2); err != nil {
		return nil, err
	}
	body, err := c.body()
	if err != nil {
		return nil, err
	}
	return body, c.serve()
}

// body is the second argument, or nothing.
func (c *call) body() ([]byte, error) {
	if len(c.args) < 2 {
		return nil, nil
	}
	text, err := c.text(c.args[1])
	return []byte(text), err
}

// answerTimeout is how long request waits.
const answerTimeout = 10 * time.Second

func runRequest(ctx context.Context, c *call) error {
	body, err := c.outgoing()
	if err != nil {
		return err
	}
	request := &messagingpb.RequestMessage{Subject: c.args[0], Body: body, TimeoutMs: answerTimeout.Milliseconds()}
	answer, err := c.ask(ctx, capability.Messaging, capability.DefaultBinding, capability.OpRequest, request.AppendProto(nil))
	if err != nil {
		return err
	}
	c.print(string(answer))
	return nil
}

// mailbox has the messages of a subject.
type mailbox struct {
	pattern string

	mu       sync.Mutex
	messages []*messagingpb.BrokerMessage // that were not awaited yet
	came     chan struct{}                // closed, and made anew, when one comes
}

func (m *mailbox) add(message *messagingpb.BrokerMessage) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.messages = append(m.messages, message)
	close(m.came)
	m.came = make(chan struct{})
}

// take takes the first message of a subject out, or tells when to look again.
func (m *mailbox) take(subject string) (message *messagingpb.BrokerMessage, came <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, message := range m.messages {
		if matches(subject, message.Subject) {
			m.messages = append(m.messages[:i:i], m.messages[i+1:]...)
			return message, nil
		}
	}
	return nil, m.came
}

// waiting are the subjects of the messages that wait.
func (m *mailbox) waiting() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var subjects []string
	for _, message := range m.messages {
		subjects = append(subjects, message.Subject)
	}
	return subjects
}

// matches tells whether a subject is one of a pattern.
func matches(pattern, subject string) bool {
	wanted, words := strings.Split(pattern, "."), strings.Split(subject, ".")
	for i, w := range wanted {
		switch {
		case w == ">" && i == len(wanted)-1:
			return len(words) > i
		case i >= len(words) || w != "*" && w != words[i]:
			return false
		}
	}
	return len(words) == len(wanted)
}

func runListen(ctx context.Context, c *call) error {
	if err := c.takes(1, 2); err != nil {
		return err
	}
	answer, err := c.body()
	if err != nil {
		return err
	}
	if err := c.connect(); err != nil {
		return err
	}
	b, err := c.stand.bind(capability.Messaging, capability.DefaultBinding)
	if err != nil {
		return usage{err}
	}
	box := &mailbox{pattern: c.args[0], came: make(chan struct{})}
	key := capability.BindingID{Guest: own, Name: fmt.Sprintf("listen-%d", len(c.mailboxes))}
	reply := func(ctx context.Context, to string) error {
		payload := (&messagingpb.PublishMessage{Message: &messagingpb.BrokerMessage{Subject: to, Body: answer}}).AppendProto(nil)
		_, err := b.Provider.Call(ctx, capability.Call{BindingID: key, Operation: capability.OpPublish, Payload: payload})
		return err
	}
	answers := len(c.args) == 2
	take := taker(func(operation string, payload []byte) error {
		var d messagingpb.DeliverMessage
		if err := d.UnmarshalProto(payload); err != nil || d.Message == nil {
			return err
		}
		box.add(d.Message)
		if answers && d.Message.ReplyTo != "" {
			return reply(context.WithoutCancel(ctx), d.Message.ReplyTo)
		}
		return nil
	})
	config := map[string]string{"url": b.Config["url"], "subscriptions": box.pattern, "concurrency": "1"}
	for _, credential := range []string{"client_jwt", "client_seed"} {
		if v, ok := b.Config[credential]; ok {
			config[credential] = v
		}
	}
	if err := c.bindOwn(ctx, b.Provider, key, config, take); err != nil {
		return usage{err}
	}
	c.mailboxes = append(c.mailboxes, box)
	return nil
}

func runAwait(ctx context.Context, c *call) error {
	if err := c.takes(1, 2); err != nil {
		return err
	}
	limit := 5 * time.Second
	if c.not {
		limit = 0
	}
	if len(c.args) == 2 {
		var err error
		if limit, err = time.ParseDuration(c.args[1]); err != nil || limit <= 0 {
			return usagef("%q is no duration such as 5s", c.args[1])
		}
	}
	boxes := c.boxesFor(c.args[0])
	if len(boxes) == 0 {
		return usagef("nobody listens: put `listen %s` before what leads to the message", c.args[0])
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		var came <-chan struct{}
		for _, box := range boxes {
			var message *messagingpb.BrokerMessage
			if message, came = box.take(c.args[0]); message != nil {
				c.print(string(message.Body))
				return nil
			}
		}
		if limit == 0 {
			return c.silence(limit)
		}
		select {
		case <-came:
		case <-timer.C:
			return c.silence(limit)
		case <-ctx.Done():
			return c.silence(limit)
		}
	}
}

// boxesFor are the mailboxes that a subject's messages come into: one, the first
// that takes them, so that no message is awaited twice.
func (c *call) boxesFor(subject string) []*mailbox {
	for _, box := range c.mailboxes {
		if box.pattern == subject || matches(box.pattern, subject) || matches(subject, box.pattern) {
			return []*mailbox{box}
		}
	}
	return nil
}

// silence is the error where no message came.
func (c *call) silence(limit time.Duration) error {
	var waiting []string
	for _, box := range c.mailboxes {
		waiting = append(waiting, box.waiting()...)
	}
	others := "no other came"
	if len(waiting) > 0 {
		others = "there are messages of " + strings.Join(waiting, ", ")
	}
	if limit == 0 {
		return fmt.Errorf("no message of %s has come; %s", c.args[0], others)
	}
	return fmt.Errorf("no message of %s came within %v; %s", c.args[0], limit, others)
}
