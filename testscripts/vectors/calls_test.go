package vectors_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/testscripts/vectors"
	"github.com/waxosuit/waxo/wapc"
)

func engine(t *testing.T) *wapc.Engine {
	t.Helper()
	e, err := wapc.NewEngine(&wapc.EngineOptions{Interpreter: true}) // it starts sooner
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return e
}

func TestModules(t *testing.T) {
	e := engine(t)
	for _, v := range load[vectors.Module](t, vectors.ModulesFile) {
		_, err := e.Compile(t.Context(), unhex(t, v.Module))
		if v.Result != vectors.Accepted && v.Result != vectors.Refused {
			t.Errorf("%s: there is no result %q", v.Name, v.Result)
		}
		if (err == nil) != (v.Result == vectors.Accepted) {
			t.Errorf("%s: %v; want %s", v.Name, err, v.Result)
			continue
		}
		var imports *wapc.ImportError
		errors.As(err, &imports)
		for _, name := range v.Names {
			if !told(err, imports, name) {
				t.Errorf("%s: the refusal does not name %s: %v", v.Name, name, err)
			}
		}
	}
}

// told tells whether a refusal names an import, or an export.
func told(err error, imports *wapc.ImportError, name string) bool {
	if imports == nil {
		return strings.Contains(err.Error(), name)
	}
	return slices.ContainsFunc(imports.Imports, func(i wapc.BadImport) bool { return i.Module+"."+i.Name == name })
}

// scripted is the host of a sequence: it serves the host calls of the steps in
// their order, and notes what it did not expect.
type scripted struct {
	form int

	mu      sync.Mutex
	coming  []vectors.Served
	lines   []string
	trouble []string
}

func (s *scripted) ConsoleLog(_ context.Context, line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, line)
}

func (s *scripted) HostCall(_ context.Context, call wapc.HostCall) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	got := vectors.Seen{Binding: call.Binding, Namespace: call.Namespace, Operation: call.Operation, Payload: hex.EncodeToString(call.Payload)}
	if len(s.coming) == 0 {
		s.trouble = append(s.trouble, fmt.Sprintf("it was called with %+v", got))
		return nil, errors.New("internal: nothing is to come")
	}
	next := s.coming[0]
	s.coming = s.coming[1:]
	if s.form == 4 {
		var err error
		if got.Namespace, got.Operation, err = capability.Resolve(call.Namespace, call.Operation); err != nil {
			s.trouble = append(s.trouble, err.Error())
		}
	}
	if got != *next.Sees {
		s.trouble = append(s.trouble, fmt.Sprintf("it was called with %+v; want %+v", got, *next.Sees))
	}
	if next.Fails != nil {
		return []byte("what nobody must see"), errors.New(*next.Fails)
	}
	return hex.DecodeString(*next.Answers)
}

// begins says what is to come.
func (s *scripted) begins(steps []vectors.Step) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.coming, s.lines, s.trouble = nil, nil, nil
	for _, step := range steps {
		if served := servedOf(step); served.Sees != nil {
			s.coming = append(s.coming, served)
		}
	}
}

func servedOf(s vectors.Step) (served vectors.Served) {
	switch {
	case s.HostCall != nil:
		served = s.HostCall.Served
	case s.Raw != nil:
		served = s.Raw.Served
	}
	return served
}

func (s *scripted) ended(t *testing.T, call vectors.Call) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, trouble := range s.trouble {
		t.Errorf("%s: the host: %s", call.Operation, trouble)
	}
	if len(s.coming) > 0 {
		t.Errorf("%s: %d host calls did not come", call.Operation, len(s.coming))
	}
	if !slices.Equal(s.lines, call.Log) {
		t.Errorf("%s: logged %.200q, want %.200q", call.Operation, s.lines, call.Log)
	}
}

func TestCallSequences(t *testing.T) {
	e := engine(t)
	for _, v := range load[vectors.Sequence](t, vectors.CallsFile) {
		t.Run(v.Name, func(t *testing.T) { play(t, e, v) })
	}
}

func play(t *testing.T, e *wapc.Engine, v vectors.Sequence) {
	m, err := e.Compile(t.Context(), unhex(t, v.Module))
	if err != nil {
		t.Fatal(err)
	}
	host := &scripted{form: v.Form}
	pool, err := m.NewPool(&wapc.PoolOptions{Host: host, MaxInstances: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, call := range v.Calls {
		host.begins(call.Steps)
		response, err := pool.Call(t.Context(), call.Operation, unhex(t, call.Payload))
		host.ended(t, call)
		if !slices.ContainsFunc(call.Outcome, func(o vectors.Outcome) bool { return matches(o, response, err) }) {
			t.Errorf("%s: %x, %v", call.Operation, response, err)
		}
		if errors.As(err, new(*wapc.TrapError)) && pool.Stats().Instances != 0 {
			t.Errorf("%s: the instance was kept", call.Operation)
		}
	}
}

// matches tells whether a call came to an outcome.
func matches(o vectors.Outcome, response []byte, err error) bool {
	var guest *wapc.GuestError
	var start *wapc.StartError
	reported := errors.As(err, &guest)
	unstarted := errors.As(err, &start)
	switch {
	case o.Response != nil:
		return err == nil && hex.EncodeToString(response) == *o.Response
	case o.Error != nil:
		return reported && guest.Message == *o.Error
	case o.Failed:
		return reported && guest.Message == ""
	case o.Unstarted:
		return unstarted
	}
	return o.Broken && !unstarted && errors.As(err, new(*wapc.TrapError))
}
