package parity

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/waxosuit/waxo/capability/payload/wire"
)

// addMalformed adds what is asked of everyone who decodes payloads that mean
// nothing.
func (c contract) addMalformed(suite *Suite) {
	for _, bad := range []struct {
		name, rule string
		payloads   []string
	}{
		{"what ends too soon", "PAY-21", []string{"\x0a", "\x0a\x7f" + NamePlaceholder, "\xff", "\x08\x80", "\xa3\x06\x08", "\xa5\x06\x00", "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f"}},
		{"numbers that are too long", "PAY-22", []string{"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"}},
		{"field numbers that are none", "PAY-23", []string{"\x00\x00", "\x02\x00", "\x80\x80\x80\x80\x10\x00"}},
		{"wire types that are none", "PAY-24", []string{"\x0e", "\x0f", "\x0c", "\xa4\x06", "\xa3\x06\xac\x06"}},
	} {
		suite.Cases = append(suite.Cases, Case{
			Name: "payloads: " + bad.name, Rules: rules(bad.rule, "CAP-42"), Prepare: c.config, Optional: c.optional,
			Run: func(s *Session) { c.undecodable(s, bad.payloads) },
		})
	}
	if c.empty == "" {
		return
	}
	suite.Cases = append(suite.Cases, Case{
		Name: "payloads: the empty one", Rules: rules("PAY-10"), Operations: []string{c.empty}, Prepare: c.config, Optional: c.optional,
		Run: func(s *Session) {
			if _, err := s.Quiet(c.empty, nil); err != nil {
				s.Errorf("%s with a payload of no bytes: %v", c.empty, err)
			}
		},
	})
}

// addPayloads adds what is asked of everyone who decodes payloads that mean
// something: the sample's, written in all the ways that mean the same.
func (c contract) addPayloads(suite *Suite) {
	add := func(name, rule string, ways func(s *Session, payload []byte) [][]byte) {
		suite.Cases = append(suite.Cases, Case{Name: "payloads: " + name, Rules: rules(rule), Prepare: c.config, Optional: c.optional, Run: func(s *Session) {
			c.same(s, func(payload []byte) [][]byte { return ways(s, payload) })
		}})
	}
	add("fields that nobody knows", "PAY-11", func(_ *Session, p []byte) [][]byte {
		return [][]byte{append(bytes.Clone(p), unknownFields...), append([]byte(unknownFields), p...)}
	})
	add("a field that is there twice", "PAY-13", func(s *Session, p []byte) [][]byte {
		return [][]byte{append(c.decoy(s).AppendProto(nil), p...)}
	})
	add("fields in another order", "PAY-12", func(_ *Session, p []byte) [][]byte { return [][]byte{reversed(p)} })
	add("numbers that are longer than need be", "PAY-18", func(_ *Session, p []byte) [][]byte { return [][]byte{stretched(p)} })
	suite.Cases = append(suite.Cases, Case{
		Name: "payloads: the answer", Rules: rules("PAY-1", "PAY-2"), Prepare: c.config, Optional: c.optional,
		Run: func(s *Session) { c.answered(s, false) },
	}, Case{
		Name: "payloads: the answer as others write it", Rules: rules("PAY-3", "PAY-4"), Prepare: c.config, Optional: c.optional,
		Run: func(s *Session) { c.answered(s, true) },
	})
	if c.text == 0 {
		return
	}
	add("a field of another wire type", "PAY-20", func(_ *Session, p []byte) [][]byte {
		return [][]byte{append(bytes.Clone(p), c.text<<3|byte(wire.Varint), 7), append([]byte{c.text<<3 | byte(wire.Fixed32), 1, 2, 3, 4}, p...)}
	})
	suite.Cases = append(suite.Cases, Case{
		Name: "payloads: text that is not UTF-8", Rules: rules("PAY-25", "CAP-42"), Prepare: c.config, Optional: c.optional, Run: c.noText,
	})
}

// answered decodes the sample's answer, and looks whether it is written as this
// module writes it.
func (c contract) answered(s *Session, exactly bool) {
	c.begin(s)
	op, request := c.sample(s)
	answer, err := s.Quiet(op, request.AppendProto(nil))
	if err != nil {
		s.Fatalf("%s %s: %v", op, show(request), err)
	}
	if c.answer == nil {
		return
	}
	m := c.answer()
	if err := m.UnmarshalProto(answer); err != nil {
		s.Errorf("%s: the answer %q cannot be decoded: %v", op, answer, err)
	} else if exactly && !bytes.Equal(answer, m.AppendProto(nil)) {
		s.Errorf("%s: the answer %q is not written as %q", op, answer, m.AppendProto(nil))
	}
}

// noText: an octet that is none, one that is longer than need be, a surrogate, one
// beyond the last, and one that is cut off.
func (c contract) noText(s *Session) {
	c.begin(s)
	var payloads []string
	for _, text := range []string{"\xff", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "a\xe4\xb8"} {
		payloads = append(payloads, string([]byte{c.text<<3 | byte(wire.Bytes), byte(len(text))})+text)
	}
	op, _ := c.sample(s)
	c.operations = []string{op}
	c.undecodable(s, payloads)
}

func (c contract) begin(s *Session) {
	if c.setUp != nil {
		c.setUp(s)
	}
	op, _ := c.sample(s)
	s.need(op)
}

// unknownFields are one of each wire type, with the numbers 100 to 104.
const unknownFields = "\xa0\x06\x2a" + "\xa9\x0612345678" + "\xb2\x06\x02hi" + "\xbd\x061234" + "\xc3\x06\x08\x01\xcb\x06\xcc\x06\xc4\x06"

// same checks that the sample's request, written in other ways, has the answer that
// it has as this module writes it.
func (c contract) same(s *Session, ways func(payload []byte) [][]byte) {
	c.begin(s)
	op, request := c.sample(s)
	want, err := s.Quiet(op, request.AppendProto(nil))
	if err != nil {
		s.Fatalf("%s %s: %v", op, show(request), err)
	}
	for _, payload := range ways(request.AppendProto(nil)) {
		answer, err := s.Quiet(op, payload)
		if err != nil {
			s.Errorf("%s with the payload %q: %v", op, payload, err)
		} else if c.steady && !bytes.Equal(answer, want) {
			s.Errorf("%s with the payload %q answers %q instead of %q", op, payload, answer, want)
		}
	}
}

// undecodable checks that every operation refuses payloads.
func (c contract) undecodable(s *Session, payloads []string) {
	offered := s.target.Provider.Describe().Operations
	for _, op := range c.operations {
		if len(offered) > 0 && !slices.Contains(offered, op) {
			continue
		}
		for _, payload := range payloads {
			payload = strings.ReplaceAll(payload, NamePlaceholder, s.prefix) // who takes it all the same, harms nobody
			_, err := s.Quiet(op, []byte(payload))
			s.wantError(fmt.Sprintf("%s with the payload %q", op, payload), err, "invalid: ...")
		}
	}
	c.works(s, "after that")
}

// reversed has the fields of a payload in the opposite order.
func reversed(payload []byte) []byte {
	var fields [][]byte
	for rest := payload; len(rest) > 0; {
		number, t, after, err := wire.ReadTag(rest)
		if err == nil {
			after, err = wire.Skip(after, number, t)
		}
		if err != nil {
			panic(err) // this module has written it
		}
		fields = append(fields, rest[:len(rest)-len(after)])
		rest = after
	}
	slices.Reverse(fields)
	return bytes.Join(fields, nil)
}

// stretched has a byte more in each tag, and in each number and length of the fields
// of a payload.
func stretched(payload []byte) []byte {
	var out []byte
	for rest := payload; len(rest) > 0; {
		number, t, after, err := wire.ReadTag(rest)
		out = append(out, longer(rest[:len(rest)-len(after)])...)
		var v uint64
		if err == nil {
			v, rest, err = wire.ReadVarint(after)
		}
		if err != nil || t != wire.Varint && t != wire.Bytes {
			panic(fmt.Sprintf("field %d: %v", number, err)) // this module has written it
		}
		out = append(out, longer(after[:len(after)-len(rest)])...)
		if t == wire.Bytes {
			out = append(out, rest[:v]...)
			rest = rest[v:]
		}
	}
	return out
}

// longer is a varint with a byte more that adds nothing.
func longer(varint []byte) []byte {
	out := bytes.Clone(varint)
	out[len(out)-1] |= 0x80
	return append(out, 0)
}
