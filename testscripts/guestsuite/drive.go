package guestsuite

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/waxosuit/waxo/capability/payload/blobstorepb"
	"github.com/waxosuit/waxo/capability/payload/eventstreampb"
	"github.com/waxosuit/waxo/capability/payload/httppb"
	"github.com/waxosuit/waxo/capability/payload/messagingpb"
	"github.com/waxosuit/waxo/capability/payload/registry"
)

//go:embed requests.txtar
var requestsFile []byte

// request is something that a guest is asked to handle.
type request struct {
	name    string // such as "HandleRequest/get"
	op      registry.Operation
	message registry.Message
}

// requests are those of requests.txtar, in its order.
var requests = sync.OnceValue(func() []request {
	all, err := readRequests(requestsFile)
	if err != nil {
		panic(err) // a test reads them
	}
	return all
})

func readRequests(archive []byte) (all []request, err error) {
	for _, file := range txtar.Parse(archive).Files {
		r, err := readRequest(file.Name, file.Data)
		if err != nil {
			return nil, fmt.Errorf("requests: %w", err)
		}
		all = append(all, r)
	}
	return all, nil
}

func readRequest(name string, data []byte) (r request, err error) {
	bare, _, _ := strings.Cut(name, "/")
	r.name = name
	if r.op, err = operation(bare); err != nil {
		return r, err
	}
	r.message = r.op.Request()
	if err := registry.UnmarshalJSON(data, r.message); err != nil {
		return r, fmt.Errorf("%s: %w", name, err)
	}
	return r, nil
}

// driving says with what a guest is driven. Its zero value is everything that the
// suite has for what the module claims.
type driving struct {
	operations []string // bare; none: all
	only       *regexp.Regexp
	variant    variant  // nil: the messages as they are
	plain      bool     // the messages as they are, those that the variant knows
	tails      [][]byte // each message is sent with each of them at its end
	all        bool     // those too that crash the guest as they are
	empty      bool     // an empty payload for each operation, instead of messages
	size       int      // a message of so many bytes for each operation, instead of those of the suite
}

// drive has the guest handle requests, until it hangs. It returns how many there
// were.
func (s *session) drive(ctx context.Context, d *driving) (n int) {
	for _, r := range s.chosen(d) {
		payload := r.message.AppendProto(make([]byte, 0, r.message.ProtoSize()))
		payloads := [][]byte{payload}
		switch {
		case d.variant != nil:
			changed, ok := d.variant(r.op, payload)
			if !ok {
				continue
			}
			if !d.plain {
				payloads[0] = changed
			}
		case d.tails != nil:
			payloads = nil
			for _, tail := range d.tails {
				payloads = append(payloads, append(bytes.Clone(payload), tail...))
			}
		}
		for _, p := range payloads {
			if ctx.Err() != nil || s.find("hang") != nil {
				return n
			}
			crashes := len(s.find("crash"))
			s.call(ctx, r.name, r.op, p)
			s.crashed[r.name] = s.crashed[r.name] || len(s.find("crash")) > crashes
			n++
		}
	}
	return n
}

// chosen are the requests that d is about.
func (s *session) chosen(d *driving) []request {
	var all []request
	for _, op := range s.handled() {
		if len(d.operations) > 0 && !slices.Contains(d.operations, op.Name) {
			continue
		}
		switch {
		case d.empty:
			all = append(all, request{op.Name + "/empty", op, op.Request()})
		case d.size > 0:
			all = append(all, request{fmt.Sprintf("%s/of-%d-bytes", op.Name, d.size), op, large(op, d.size)})
		}
	}
	if all != nil || d.empty || d.size > 0 {
		return all
	}
	for _, r := range s.requests {
		if s.lacks(r.op.Capability) == "" && (len(d.operations) == 0 || slices.Contains(d.operations, r.op.Name)) &&
			(d.only == nil || d.only.MatchString(r.name)) && (d.all || !s.crashing[r.name]) {
			all = append(all, r)
		}
	}
	return all
}

// large makes a message with so many bytes in it.
func large(op registry.Operation, size int) registry.Message {
	data := bytes.Repeat([]byte("waxo"), size/4+1)[:size]
	switch m := op.Request().(type) {
	case *httppb.Request:
		m.Method, m.Path, m.Body = "POST", "/", data
		return m
	case *messagingpb.DeliverMessage:
		m.Message = &messagingpb.BrokerMessage{Subject: "orders.new", ReplyTo: "_INBOX.1", Body: data}
		return m
	case *blobstorepb.FileChunk:
		m.Container, m.ID, m.TotalBytes, m.ChunkSize, m.ChunkBytes = "images", "large.png", uint64(size), uint64(size), data
		return m
	case *eventstreampb.Event:
		m.EventID, m.Stream, m.Values = "1", "orders", map[string]string{"data": string(data)}
		return m
	default:
		return m
	}
}
