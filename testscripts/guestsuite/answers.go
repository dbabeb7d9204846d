package guestsuite

import (
	"strings"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/payload/httppb"
	"github.com/waxosuit/waxo/capability/payload/registry"
)

// lookAtAnswer notes what is wrong with a response.
func (s *session) lookAtAnswer(o *outcome, known []registry.Operation) {
	if len(known) == 0 || known[0].Response == nil {
		return
	}
	m := known[0].Response()
	if !s.lookAtMessage("undecodable-answer", "the response to "+o.operation, o.response, m) {
		return
	}
	if response, ok := m.(*httppb.Response); ok && known[0].Name == capability.OpHandleRequest {
		s.looked[ofHTTP]++
		s.lookAtHTTP(o, response)
	}
}

func (s *session) lookAtHTTP(o *outcome, r *httppb.Response) {
	if r.StatusCode < 200 || r.StatusCode > 599 {
		s.note("http-status", "%s: the status is %d", o.operation, r.StatusCode)
	}
	for name, value := range r.Header {
		if !isToken(name) {
			s.note("http-header", "%s: the header's name %q is no token", o.operation, name)
		}
		if strings.EqualFold(name, "Set-Cookie") {
			value = strings.ReplaceAll(value, "\n", "")
		}
		if strings.ContainsFunc(value, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }) {
			s.note("http-header", "%s: the header %s has the value %q", o.operation, name, value)
		}
	}
}

// isToken tells whether a name is a token of RFC 9110, section 5.6.2.
func isToken(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(c rune) bool {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		return !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", c)
	})
}
