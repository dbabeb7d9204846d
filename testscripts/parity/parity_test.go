package parity_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/payload/keyvaluepb"
	"github.com/waxosuit/waxo/testscripts/parity"
)

// odd is a provider that answers its own text to everything.
type odd struct {
	says string
	err  error
	seen capability.Binding
}

func (o *odd) Describe() capability.Descriptor { return capability.Descriptor{} }
func (o *odd) Bind(_ context.Context, b capability.Binding, d capability.Dispatcher) error {
	o.seen = b
	return nil
}
func (o *odd) Call(_ context.Context, c capability.Call) ([]byte, error) {
	if o.err != nil {
		return nil, o.err
	}
	return (&keyvaluepb.GetResponse{Value: o.says + o.seen.Config["prefix"]}).AppendProto(nil), nil
}
func (o *odd) Unbind(context.Context, capability.BindingID) error { return nil }
func (o *odd) Close(context.Context) error                        { return nil }

func run(t *testing.T, o *odd, f func(s *parity.Session)) []parity.Result {
	t.Helper()
	suite := parity.Suite{Cases: []parity.Case{{Name: "case", Config: map[string]string{"prefix": parity.NamePlaceholder}, Run: f}}}
	results, err := suite.Run(t.Context(), parity.Target{Name: "odd", Provider: o, Exact: true})
	if err != nil {
		t.Fatal(err)
	}
	return results
}

// TestCompare: what two targets answer differently is found, and names that
// differ in each run are not taken for a difference.
func TestCompare(t *testing.T) {
	get := func(s *parity.Session) {
		s.Call("Get", &keyvaluepb.GetRequest{Key: s.Name("k")}, &keyvaluepb.GetResponse{})
	}
	a, same, b := run(t, &odd{says: "a"}, get), run(t, &odd{says: "a"}, get), run(t, &odd{says: "b"}, get)
	if d := parity.Compare(a, same); len(d) > 0 {
		t.Errorf("equal answers differ: %v", d)
	}
	if d := parity.Compare(a, b); len(d) != 1 || d[0].Line != 1 || !strings.Contains(d[0].B, "b") {
		t.Errorf("different answers are told as %v", d)
	}
	failed := run(t, &odd{err: &capability.Error{Code: capability.CodeDenied, Message: "no"}}, get)
	if d := parity.Compare(a, failed); len(d) != 1 || !strings.HasSuffix(d[0].B, "denied: no") {
		t.Errorf("an error is told as %v", d)
	}
	if d := parity.Compare(a, nil); len(d) != 1 {
		t.Errorf("a case that is missing is told as %v", d)
	}
}

// TestFailures: each way of not being as expected is a failure.
func TestFailures(t *testing.T) {
	request, response := &keyvaluepb.GetRequest{Key: "k"}, &keyvaluepb.GetResponse{Value: "v"}
	for name, c := range map[string]struct {
		odd  odd
		call func(s *parity.Session)
		want string
	}{
		"another answer":       {odd{says: "x"}, func(s *parity.Session) { s.Want("Get", request, response) }, "want"},
		"an error instead":     {odd{err: &capability.Error{Code: capability.CodeDenied}}, func(s *parity.Session) { s.Want("Get", request, response) }, "fails"},
		"no error":             {odd{}, func(s *parity.Session) { s.WantError("Get", request, "denied: no") }, "succeeds"},
		"another error":        {odd{err: &capability.Error{Code: capability.CodeDenied, Message: "no!"}}, func(s *parity.Session) { s.WantError("Get", request, "denied: no") }, "denied: no!"},
		"an error of no kind":  {odd{err: errors.New("plain")}, func(s *parity.Session) { s.Quiet("Get", nil) }, "is no *capability.Error"},
		"an answer to nothing": {odd{says: "x"}, func(s *parity.Session) { s.Call("Get", request, nil) }, "there should be nothing"},
		"a panic":              {odd{}, func(*parity.Session) { panic("at the disco") }, "at the disco"},
		"the end":              {odd{}, func(s *parity.Session) { s.Fatalf("stop"); s.Errorf("went on") }, "stop"},
	} {
		t.Run(name, func(t *testing.T) {
			failures := run(t, &c.odd, c.call)[0].Failures
			if len(failures) != 1 || !strings.Contains(failures[0], c.want) {
				t.Errorf("%q; want one failure with %q", failures, c.want)
			}
		})
	}
	ok := run(t, &odd{err: &capability.Error{Code: capability.CodeDenied, Message: "no, never"}}, func(s *parity.Session) {
		s.WantError("Get", request, "denied: no...")
	})
	if len(ok[0].Failures) > 0 {
		t.Errorf("an error with an open end fails: %q", ok[0].Failures)
	}
}

// TestDispatch: what the provider brings reaches the guest's handler, and its
// error comes back as the guest's.
func TestDispatch(t *testing.T) {
	run(t, &odd{}, func(s *parity.Session) {
		s.Handle("Deliver", func(_ context.Context, payload []byte) ([]byte, error) { return slices.Concat(payload, payload), nil })
		s.Handle("Fail", func(context.Context, []byte) ([]byte, error) { return nil, errors.New("not today") })
		reply, err := s.Dispatch(t.Context(), "Deliver", []byte("ab"), nil)
		if string(reply.Payload) != "abab" || err != nil {
			t.Errorf("%q, %v", reply.Payload, err)
		}
		for operation, want := range map[string]string{"Fail": "guest: not today", "Other": "guest: the guest does not handle Other"} {
			if _, err := s.Dispatch(t.Context(), operation, nil, nil); fmt.Sprint(err) != want {
				t.Errorf("%s: %v", operation, err)
			}
		}
	})
}
