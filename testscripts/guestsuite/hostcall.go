package guestsuite

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/payload/registry"
	"github.com/waxosuit/waxo/wapc"
)

// hostCall is a host call that a guest made.
type hostCall struct {
	binding, namespace, operation string // as the guest spelled them
	capability, bare              string // what it meant; empty if that is not known
	payload, answer               []byte
	err                           error
}

// services serve a guest's host calls: with what a script says, or as the
// capabilities do.
type services struct {
	session *session
	live    *world
	// answers are those of a script, by bare operation; "*" is any other.
	answers map[string]answer
	fixed   bool // each call finds everything as it was at first
	quiet   bool // nothing is looked at
	calls   []*hostCall
}

// answer is what a script has a host call answered with.
type answer struct {
	payload []byte
	err     error
}

func newServices(s *session, answers map[string]answer) *services {
	v := &services{session: s, live: newWorld(), answers: make(map[string]answer)}
	maps.Copy(v.answers, answers)
	if s.services != nil {
		v.fixed = s.services.fixed
	}
	return v
}

// HostCall implements wapc.Host.
func (v *services) HostCall(_ context.Context, c wapc.HostCall) ([]byte, error) {
	id, bare, err := capability.Resolve(c.Namespace, c.Operation)
	if v.quiet {
		return v.serve(id, bare, err, c.Payload)
	}
	h := &hostCall{
		binding: c.Binding, namespace: c.Namespace, operation: c.Operation,
		capability: id, bare: bare, payload: bytes.Clone(c.Payload),
	}
	v.calls = append(v.calls, h)
	v.session.lookAtHostCall(h, err)
	h.answer, h.err = v.serve(id, bare, err, h.payload)
	return h.answer, h.err
}

// ConsoleLog implements wapc.Host.
func (*services) ConsoleLog(context.Context, string) {}

func (v *services) serve(id, bare string, unclear error, payload []byte) ([]byte, error) {
	if unclear != nil {
		return nil, unclear
	}
	if !slices.Contains(v.session.capabilities, id) {
		return nil, capability.Denied("the guest", id, bare)
	}
	a, said := v.answers[bare]
	if !said {
		a, said = v.answers["*"]
	}
	switch {
	case said:
		return a.payload, a.err
	case v.fixed:
		return newWorld().perform(standard(id), bare, payload)
	}
	return v.live.perform(standard(id), bare, payload)
}

// next takes the next operation that the services have for the guest.
func (v *services) next() *delivery {
	if len(v.live.deliveries) == 0 {
		return nil
	}
	d := v.live.deliveries[0]
	v.live.deliveries = v.live.deliveries[1:]
	return &d
}

// lookAtHostCall notes what is wrong with a host call; unclear is why it is not
// known what it means.
func (s *session) lookAtHostCall(h *hostCall, unclear error) {
	s.looked[ofHostCall]++
	if unclear != nil {
		s.note("misspelt", "%q.%q: %v", h.namespace, h.operation, plain(unclear))
		return
	}
	if !slices.Contains(s.capabilities, h.capability) {
		s.note("ungranted", "%s of %s was called, and the claims name %s", h.bare, h.capability, list(s.capabilities))
		return
	}
	if h.namespace != "" && h.namespace != h.capability {
		s.note("other-namespace", "%s was called in the namespace %q; the claims name it %q", h.bare, h.namespace, h.capability)
	}
	id := standard(h.capability)
	if !slices.ContainsFunc(registry.Operations(), func(o registry.Operation) bool { return o.Capability == id }) {
		return // a vendor's
	}
	o, known := standardOperations()[[2]string{id, h.bare}]
	if !known || o.ToGuest {
		s.note("unknown-operation", "%s has no operation %q that a guest could call", h.capability, h.bare)
		return
	}
	s.lookAtMessage("undecodable-call", "the payload of "+h.operation, h.payload, o.Request())
}

func list(names []string) string {
	if len(names) == 0 {
		return "nothing"
	}
	return strings.Join(names, ", ")
}

// plain is an error's message without its code.
func plain(err error) string {
	if e := new(capability.Error); errors.As(err, &e) {
		return e.Message
	}
	return err.Error()
}
