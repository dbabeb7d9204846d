package parity

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/waxosuit/waxo/capability"
)

// Message is a payload of package capability/payload.
type Message interface {
	AppendProto([]byte) []byte
	UnmarshalProto([]byte) error
}

// Session is a guest in one conversation. Its methods may be called from several
// goroutines at once; what they record then is in no certain order, so a
// conversation that does so records by itself (Quiet, Note).
type Session struct {
	Context context.Context // ends with the case
	Limits  Limits

	target Target
	id     capability.BindingID
	prefix string

	mu         sync.Mutex
	aliases    []alias
	handlers   map[string]func(payload []byte) ([]byte, error)
	transcript []string
	failures   []string
}

type alias struct{ value, name string }

// Limits are those that a host would set.
type Limits struct {
	CallTimeout time.Duration
}

// ended is the panic that ends a conversation early.
type ended struct{}

func newSession(ctx context.Context, t Target, number int) *Session {
	p := prefix()
	return &Session{
		Context: ctx, Limits: Limits{CallTimeout: 20 * time.Second}, target: t, prefix: p,
		id:       capability.BindingID{Guest: fmt.Sprintf("MPARITY%s%d", strings.ToUpper(p), number), Name: capability.DefaultBinding},
		handlers: make(map[string]func([]byte) ([]byte, error)),
	}
}

// Name returns a name of a key, a subject, a container that is this run's own. It
// appears alike in every transcript.
func (s *Session) Name(name string) string { return s.prefix + name }

// Alias has value, which a service made up, appear as name in transcripts. The
// two should be of one length where value is part of payloads that are recorded.
func (s *Session) Alias(value, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.aliases = append(s.aliases, alias{value, name})
}

// Call performs an operation, records request and answer, and decodes the answer
// into response, which may be nil where none is expected.
func (s *Session) Call(operation string, request, response Message) error {
	payload := request.AppendProto(nil)
	answer, err := s.Quiet(operation, payload)
	s.Note("%s %q -> %s", operation, s.clean(payload), s.outcome(answer, err))
	if err != nil {
		return err
	}
	if response == nil {
		if len(answer) > 0 {
			s.Errorf("%s answers %q, where there should be nothing", operation, answer)
		}
		return nil
	}
	if err := response.UnmarshalProto(answer); err != nil {
		s.Errorf("%s: the answer %q cannot be decoded: %v", operation, answer, err)
	}
	return nil
}

// Raw performs an operation with any payload, and records both.
func (s *Session) Raw(operation string, payload []byte) ([]byte, error) {
	answer, err := s.Quiet(operation, payload)
	s.Note("%s %q -> %s", operation, s.clean(payload), s.outcome(answer, err))
	return answer, err
}

// Quiet performs an operation and records nothing. An error is always an
// *capability.Error.
func (s *Session) Quiet(operation string, payload []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(s.Context, s.Limits.CallTimeout)
	defer cancel()
	answer, err := s.target.Provider.Call(ctx, capability.Call{
		BindingID: s.id, Operation: operation, Payload: bytes.Clone(payload), Into: []byte("what is in the room means nothing"),
	})
	if err == nil {
		return bytes.Clone(answer), nil
	}
	if typed := new(capability.Error); !errors.As(err, &typed) {
		s.Errorf("%s: the error is no *capability.Error but a %T: %v", operation, err, err)
	}
	return nil, capability.AsError(err)
}

// Want performs an operation that must give exactly response, nil for nothing.
func (s *Session) Want(operation string, request, response Message) {
	answer, err := s.Raw(operation, request.AppendProto(nil))
	var want []byte
	if response != nil {
		want = response.AppendProto(nil)
	}
	switch {
	case err != nil:
		s.Errorf("%s %+v fails: %v", operation, request, err)
	case !bytes.Equal(answer, want):
		s.Errorf("%s %+v answers %q; want %q", operation, request, answer, want)
	}
}

// WantError performs an operation that must fail with an error of that text,
// code included; "..." at its end lets the rest be.
func (s *Session) WantError(operation string, request Message, text string) {
	_, err := s.Raw(operation, request.AppendProto(nil))
	if err == nil {
		s.Errorf("%s %+v succeeds; want the error %q", operation, request, text)
		return
	}
	got := string(s.clean([]byte(err.Error())))
	head, open := strings.CutSuffix(text, "...")
	if got != text && !(open && strings.HasPrefix(got, head)) {
		s.Errorf("%s %+v fails with %q; want %q", operation, request, got, text)
	}
}

// Handle has the guest answer an operation of the host with f.
func (s *Session) Handle(operation string, f func(payload []byte) ([]byte, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handlers[operation] = f
}

// Dispatch implements capability.Dispatcher. What is delivered is not recorded:
// the conversation knows which order and which repetitions mean something.
func (s *Session) Dispatch(ctx context.Context, operation string, payload, _ []byte) (capability.Reply, error) {
	s.mu.Lock()
	f := s.handlers[operation]
	s.mu.Unlock()
	if f == nil {
		return capability.Reply{}, &capability.Error{Code: capability.CodeGuest, Message: "the guest does not handle " + operation}
	}
	answer, err := f(bytes.Clone(payload))
	if err != nil {
		return capability.Reply{}, &capability.Error{Code: capability.CodeGuest, Message: err.Error()}
	}
	return capability.Reply{Payload: answer}, nil
}

// Receive returns what comes from c, or ends the conversation where nothing comes
// within ten seconds.
func Receive[T any](s *Session, c <-chan T, what string) T {
	select {
	case v := <-c:
		return v
	case <-time.After(10 * time.Second):
	case <-s.Context.Done():
	}
	s.Fatalf("%s has not come", what)
	panic("unreachable")
}

// Note adds a line to the transcript.
func (s *Session) Note(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.transcript = append(s.transcript, string(s.neutral([]byte(line))))
}

// Errorf says that something is not as it should be.
func (s *Session) Errorf(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures = append(s.failures, string(s.neutral([]byte(line))))
}

// Fatalf does the same and ends the conversation. It must be called from the
// goroutine of Case.Run.
func (s *Session) Fatalf(format string, args ...any) {
	s.Errorf(format, args...)
	panic(ended{})
}

func (s *Session) clean(b []byte) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.neutral(b)
}

// outcome is an answer or an error in words.
func (s *Session) outcome(answer []byte, err error) string {
	if err != nil {
		return string(s.clean([]byte(err.Error())))
	}
	return fmt.Sprintf("%q", s.clean(answer))
}

func (s *Session) result(name string) Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Result{Case: name, Failures: s.failures, Transcript: s.transcript}
}
