// A guest that uses every operation on messages and events: the last word of a
// message's subject names the deed.
package main

import (
	"errors"
	"strings"

	"github.com/waxosuit/waxo/guest/go/events"
	"github.com/waxosuit/waxo/guest/go/msg"
)

func init() {
	msg.Handle(receive)
	events.Handle(settle)
}

func main() {}

func receive(m *msg.Message) error {
	body := string(m.Body)
	first, rest, _ := strings.Cut(body, " ")
	switch m.Subject[strings.LastIndexByte(m.Subject, '.')+1:] {
	case "echo":
		return m.Reply(m.Body)
	case "forward": // to the subject that the body names
		return msg.Send(&msg.Message{Subject: first, ReplyTo: m.ReplyTo, Body: []byte(rest)})
	case "ask": // the subject that the body names
		answer, err := msg.Request(first, []byte(rest), 5000)
		if err != nil {
			answer = []byte(err.Error())
		}
		return m.Reply(append([]byte("they say "), answer...))
	case "write": // to the stream that the body names
		id, err := events.Write(first, map[string]string{"text": rest, "世界": "🙂"})
		if err != nil {
			id = err.Error()
		}
		return m.Reply([]byte(id))
	case "query": // the stream that the body names
		found, err := events.Query(first, events.Window{})
		if err != nil {
			return m.Reply([]byte(err.Error()))
		}
		var texts []string
		for _, e := range found {
			texts = append(texts, e.ID+" "+e.Values["text"])
		}
		return m.Reply([]byte(strings.Join(texts, ",")))
	}
	return errors.New("there is no such deed: " + m.Subject)
}

// settle tells of each event in a message.
func settle(e *events.Event) error {
	return msg.Publish("settled", []byte(e.ID+" "+e.Stream+" "+e.Values["text"]))
}
