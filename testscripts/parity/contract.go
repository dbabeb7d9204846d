package parity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/waxosuit/waxo/capability"
)

// contract is what is asked of the provider of any capability.
type contract struct {
	// sample is a call that succeeds, however often it is made. Without one, what a
	// guest may call is looked at less.
	sample func(s *Session) (operation string, request Message)

	// setUp has the guest ready for the sample, in the cases that addPayloads adds.
	// Default: nothing need be done.
	setUp func(s *Session)

	// decoy is a request of the same kind that has another value for every field
	// that the sample's has, for addPayloads.
	decoy func(s *Session) Message

	// text is the number of a field of the sample that is a string, 0 for none.
	text byte

	// answer is an empty one of the kind that the sample is answered by, nil where
	// that is no message.
	answer func() Message

	// empty is an operation that takes a payload of no bytes, "" for none.
	empty string

	// steady says that the sample has one answer.
	steady bool

	operations []string // that guests call
	delivered  []string // that guests are called with, and call none themselves

	// remote says that a call goes to a service, so that it fails when its time is
	// over.
	remote bool

	// config is what one more binding needs in addition to the target's. Default:
	// nothing.
	config func(s *Session) map[string]string

	optional []string // keys of it that a provider of others need not know
}

// Contract is the suite of a capability that is not of the standard: what is asked
// of every provider.
func Contract(id string) Suite {
	suite := Suite{Capability: id}
	contract{}.addTo(&suite)
	return suite
}

// addTo adds the cases of the contract to a suite.
func (c contract) addTo(suite *Suite) {
	add := func(name string, run func(s *Session), rules ...string) {
		suite.Cases = append(suite.Cases, Case{Name: "contract: " + name, Rules: rules, Prepare: c.config, Optional: c.optional, Run: run})
	}
	add("what it says of itself", c.describe, "CAP-300")
	add("a second Bind of a binding", c.secondBind, "CAP-34")
	add("configuration that nobody knows", c.unknownConfig, "CAP-35")
	add("the end of a binding", c.endOfBinding, "CAP-34")
	add("the end of what is not bound", c.endOfNothing, "CAP-37")
	add("bindings side by side", c.sideBySide, "CAP-302")
	add("the end of the provider", c.endOfProvider, "CAP-301")
	add("operations that are not there", c.unknownOperations, "CAP-41")
	if c.sample == nil {
		return
	}
	add("errors have codes", c.codes, "CAP-40")
	add("calls of those that are not bound", c.notBound, "CAP-34")
	add("bindings that come and go", c.comeAndGo, "CAP-302", "CAP-48")
	if c.remote {
		add("a call whose time is over", c.outOfTime, "CAP-46")
	}
	c.addMalformed(suite)
}

// more is the configuration of one more binding.
func (c contract) more(s *Session) map[string]string {
	if c.config == nil {
		return nil
	}
	return c.config(s)
}

// works checks that a guest is served.
func (c contract) works(s *Session, when string) {
	if c.sample == nil {
		return
	}
	if err := c.try(s); err != nil {
		s.Errorf("%s, a call fails: %v", when, err)
	}
}

// refused checks that a guest is not served.
func (c contract) refused(s *Session, when string) {
	if c.sample == nil {
		return
	}
	s.wantError(when+", a call", c.try(s), string(capability.CodeUnavailable)+": ...")
}

func (c contract) try(s *Session) error {
	op, request := c.sample(s)
	_, err := s.Quiet(op, request.AppendProto(nil))
	return err
}

func (c contract) describe(s *Session) {
	d := s.target.Provider.Describe()
	if d.Capability != s.suite.Capability {
		s.Errorf("it offers %q instead of %q", d.Capability, s.suite.Capability)
	}
	if d.Name == "" || d.Version == "" {
		s.Errorf("it has the name %q and the version %q", d.Name, d.Version)
	}
	for _, op := range d.Operations {
		if slices.Contains(c.delivered, op) {
			s.Errorf("it offers %s, which guests are called with, for guests to call", op)
		}
	}
	if again := s.target.Provider.Describe(); again.Name != d.Name || !slices.Equal(again.Operations, d.Operations) {
		s.Errorf("it describes itself as %+v at first, and then as %+v", d, again)
	}
}

func (c contract) secondBind(s *Session) {
	b := capability.Binding{BindingID: s.id, GuestName: guestName, Config: s.config(c.more(s))}
	s.wantError("Bind of what is bound", s.target.Provider.Bind(s.Context, b, s), "conflict: ...")
	c.works(s, "after the second Bind")
}

func (c contract) unknownConfig(s *Session) {
	other := s.unbound("X", "")
	config := s.config(c.more(s))
	config["no_provider_has_this_key"] = "1"
	err := s.target.Provider.Bind(s.Context, capability.Binding{BindingID: other.id, GuestName: guestName, Config: config}, other)
	if err == nil {
		s.undo(other.unbind)
	}
	s.wantError("Bind with an unknown key in its configuration", err, "invalid: ...")
	c.refused(other, "after a Bind that failed")
}

func (c contract) endOfBinding(s *Session) {
	if err := s.unbind(s.Context); err != nil {
		s.Fatalf("%v", err)
	}
	c.refused(s, "after Unbind")
	if err := s.bind(c.more(s)); err != nil {
		s.Fatalf("Bind after Unbind: %v", err)
	}
	c.works(s, "bound again")
}

func (c contract) endOfNothing(s *Session) {
	if err := s.unbound("X", "").unbind(s.Context); err != nil {
		s.Errorf("of what was never bound: %v", err)
	}
	for range 2 {
		if err := s.unbind(s.Context); err != nil {
			s.Errorf("%v", err)
		}
	}
}

func (c contract) sideBySide(s *Session) {
	guest, named := s.As("X", "", c.more(s)), s.As("", "second", c.more(s))
	c.works(guest, "of another guest")
	c.works(named, "under another name")
	if err := s.unbind(s.Context); err != nil {
		s.Fatalf("%v", err)
	}
	c.refused(s, "after Unbind")
	c.works(guest, "after the end of another guest's binding")
	c.works(named, "after the end of another binding")
}

func (c contract) endOfProvider(s *Session) {
	if s.target.Open == nil {
		s.Skip("there is no other provider like this one, and the suite still needs it")
	}
	p, err := s.target.Open(s.Context)
	if err != nil {
		s.Fatalf("another provider like this one cannot be had: %v", err)
	}
	other := s.through(p)
	s.undo(p.Close)
	if err := other.bind(c.more(s)); err != nil {
		s.Fatalf("Bind: %v", err)
	}
	c.works(other, "before Close")
	for _, what := range []string{"Close", "a second Close"} {
		if err := p.Close(s.Context); err != nil {
			s.Errorf("%s: %v", what, err)
		}
	}
	c.refused(other, "after Close")
	b := capability.Binding{BindingID: other.unbound("X", "").id, GuestName: guestName, Config: s.config(c.more(s))}
	s.wantError("Bind after Close", p.Bind(s.Context, b, other), "unavailable: ...")
}

func (c contract) unknownOperations(s *Session) {
	if c.sample == nil && len(c.delivered) == 0 && len(s.target.Provider.Describe().Operations) == 0 {
		s.Skip("the provider leaves open which operations it has")
	}
	unknown := append([]string{"Frobnicate", ""}, c.delivered...)
	for _, op := range c.operations {
		unknown = append(unknown, capability.Waxosuit.Spell(s.suite.Capability, op))
	}
	for _, op := range unknown {
		_, err := s.Quiet(op, nil)
		s.wantError(fmt.Sprintf("the operation %q", op), err, "unsupported: ...")
	}
	c.works(s, "after that")
}

// codes: whatever the error is, it is of a kind that guests know.
func (c contract) codes(s *Session) {
	known := []capability.Code{
		capability.CodeInvalid, capability.CodeNotFound, capability.CodeConflict, capability.CodeWrongKind, capability.CodeOutOfRange,
		capability.CodeTooLarge, capability.CodeUnsupported, capability.CodeDenied, capability.CodeUnavailable, capability.CodeOverloaded,
		capability.CodeDeadline, capability.CodeCanceled, capability.CodeInternal,
	}
	op, request := c.sample(s)
	for what, call := range map[string]func() error{
		"an unknown operation":   func() error { _, err := s.Quiet("Frobnicate", nil); return err },
		"a payload that is none": func() error { _, err := s.Quiet(op, []byte("\xff")); return err },
		"a guest without a binding": func() error {
			_, err := s.unbound("X", "").Quiet(op, request.AppendProto(nil))
			return err
		},
	} {
		if err := call(); err == nil || !slices.Contains(known, capability.AsError(err).Code) {
			s.Errorf("%s: the error is %v", what, err)
		}
	}
}

func (c contract) notBound(s *Session) {
	c.refused(s.unbound("X", ""), "of a guest that is not bound")
	c.refused(s.unbound("", "second"), "under a name that is not bound")
	c.works(s, "after that")
}

// comeAndGo: a call is served or refused, whatever happens to the binding at the
// same time, and the bindings of others see nothing of it.
func (c contract) comeAndGo(s *Session) {
	steady := s.As("X", "", c.more(s))
	var callers sync.WaitGroup
	over := make(chan struct{})
	for i := range 8 {
		callers.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
				}
				if err := c.try(s); err != nil && !errors.Is(err, &capability.Error{Code: capability.CodeUnavailable}) {
					s.Errorf("while a binding ends, a call of it fails: %v", err)
					return
				}
				if err := c.try(steady); i == 0 && err != nil {
					s.Errorf("while another binding ends, a call fails: %v", err)
					return
				}
			}
		})
	}
	for range 10 {
		if err := s.unbind(s.Context); err != nil {
			s.Errorf("%v", err)
		}
		if err := s.bind(c.more(s)); err != nil {
			s.Errorf("Bind: %v", err)
		}
	}
	close(over)
	callers.Wait()
	c.works(s, "at last")
}

// outOfTime: who calls too late hears so, at once.
func (c contract) outOfTime(s *Session) {
	late, cancel := context.WithTimeout(s.Context, 0)
	defer cancel()
	gone, leave := context.WithCancel(s.Context)
	leave()
	op, request := c.sample(s)
	for _, test := range []struct {
		ctx  context.Context
		want string
	}{{late, "deadline: ..."}, {gone, "canceled: ..."}} {
		_, err := s.quiet(test.ctx, op, request.AppendProto(nil))
		s.wantError(op+" of a caller whose time is over", err, test.want)
	}
	c.works(s, "after that")
}

// show is a message for people.
func show(m Message) string {
	text, err := json.Marshal(m)
	if err != nil {
		return fmt.Sprintf("%+v", m)
	}
	return string(text)
}
