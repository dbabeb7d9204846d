package parity

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
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

	*record // is shared by the guests of a case
	suite   Suite
	target  Target
	id      capability.BindingID
	prefix  string

	optional []string // keys of configurations

	guest    sync.Mutex // guards what follows
	handlers map[string]handler
	stands   bool              // its binding
	last     map[string]string // the configuration of that, also when it has ended
}

// record is what a conversation leaves.
type record struct {
	provider capability.Provider // of the target

	mu         sync.Mutex
	prefix     string
	aliases    []alias
	transcript []string
	failures   []string
	skipped    string
	undos      []func(ctx context.Context) error
	bound      []map[string]string // the configurations of bindings, some several times
	toUndo     map[string]bool     // what undoOnce was asked for, and whether it is there
	origin     *origin             // of the cases of wascap:http_client
	address    string              // of those of wascap:http_server
}

type (
	alias   struct{ value, name string }
	handler = func(ctx context.Context, payload []byte) ([]byte, error)
)

const (
	// callTimeout is the deadline that a host would set for a call.
	callTimeout = 20 * time.Second

	// receiveTimeout is how long something may take to reach the guest.
	receiveTimeout = 10 * time.Second

	guestName = "parity"

	maxFailure = 2000 // bytes that are kept of one

	// NamePlaceholder in the Config of a case or a target stands for what
	// Session.Name puts before a name.
	NamePlaceholder = "{parity}"

	// placeholder stands in transcripts for the prefix that names have; it is as
	// long, so that lengths within payloads are the same.
	placeholder = "p~~~~~~~~~~~"
)

// ended is the panic that ends a conversation early.
type ended struct{}

func newSession(ctx context.Context, suite Suite, t Target, number int) *Session {
	p := prefix()
	return &Session{
		Context: ctx, suite: suite, target: t, prefix: p, record: &record{provider: t.Provider, prefix: p, toUndo: make(map[string]bool)},
		id:       capability.BindingID{Guest: fmt.Sprintf("MPARITY%s%d", strings.ToUpper(p), number), Name: capability.DefaultBinding},
		handlers: make(map[string]handler),
	}
}

// prefix makes names that no earlier run has used: services keep what they are
// told. It holds what is safe in keys, subjects and names of buckets.
func prefix() string {
	var random [5]byte
	rand.Read(random[:]) // never fails
	return "p" + hex.EncodeToString(random[:]) + "-"
}

// As is another guest, or the same one under another binding, in the same
// conversation. It is bound, and its binding ends with the case.
func (s *Session) As(guest, binding string, config map[string]string) *Session {
	other := s.unbound(guest, binding)
	if err := other.bind(config); err != nil {
		s.Fatalf("Bind of the guest %q as %q: %v", guest, binding, err)
	}
	return other
}

// unbound is another guest that is not bound. An empty name is that of s.
func (s *Session) unbound(guest, binding string) *Session {
	other := &Session{
		Context: s.Context, record: s.record, suite: s.suite, target: s.target, id: s.id, prefix: s.prefix, optional: s.optional, handlers: make(map[string]handler),
	}
	other.id.Guest += guest
	if binding != "" {
		other.id.Name = binding
	}
	return other
}

// through is a session with the same guest at another provider.
func (s *Session) through(p capability.Provider) *Session {
	other := s.unbound("", "")
	other.target.Provider = p
	return other
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
	if err == nil {
		answer = s.decode(operation, answer, response)
	}
	s.Note("%s %q -> %s", operation, s.clean(payload), s.outcome(answer, err))
	return err
}

// decode decodes an answer and returns it as this module would encode it. No
// message at all is expected where response is nil.
func (s *Session) decode(operation string, answer []byte, response Message) []byte {
	if response == nil {
		if len(answer) > 0 {
			s.Errorf("%s answers %q, where there should be nothing", operation, answer)
		}
		return answer
	}
	if err := response.UnmarshalProto(answer); err != nil {
		s.Errorf("%s: the answer %q cannot be decoded: %v", operation, answer, err)
		return answer
	}
	encoded := response.AppendProto(nil)
	if s.target.Exact && !bytes.Equal(encoded, answer) {
		s.Errorf("%s: the answer %q is not encoded as %q", operation, answer, encoded)
	}
	return encoded
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
	ctx, cancel := context.WithTimeout(s.Context, callTimeout)
	defer cancel()
	return s.quiet(ctx, operation, payload)
}

// quiet does so with a deadline of the conversation's choice. What the provider
// was lent is of no use to it any more when the call has returned.
func (s *Session) quiet(ctx context.Context, operation string, payload []byte) ([]byte, error) {
	lent, room := bytes.Clone(payload), []byte("what is in the room means nothing")
	answer, err := s.target.Provider.Call(ctx, capability.Call{BindingID: s.id, Operation: operation, Payload: lent, Into: room})
	if err == nil {
		answer = bytes.Clone(answer)
	}
	spoil(lent)
	spoil(room)
	if s.suite.watch != nil {
		s.suite.watch(s, operation, payload, err)
	}
	if err == nil {
		return answer, nil
	}
	if typed := new(capability.Error); !errors.As(err, &typed) {
		s.Errorf("%s: the error is no *capability.Error but a %T: %v", operation, err, err)
	}
	return nil, capability.AsError(err)
}

func spoil(b []byte) {
	for i := range b {
		b[i] = 0xee
	}
}

// Want performs an operation that must give exactly response, nil for nothing.
func (s *Session) Want(operation string, request, response Message) {
	var got Message
	if response != nil {
		got = reflect.New(reflect.TypeOf(response).Elem()).Interface().(Message)
	}
	err := s.Call(operation, request, got)
	switch {
	case err != nil:
		s.Errorf("%s %s fails: %v", operation, show(request), err)
	case response != nil && !bytes.Equal(got.AppendProto(nil), response.AppendProto(nil)):
		s.Errorf("%s %s answers %s; want %s", operation, show(request), show(got), show(response))
	}
}

// WantError performs an operation that must fail with an error of that text,
// which begins with its code; "..." at its end lets the rest be. Of a provider of
// others, the code alone counts.
func (s *Session) WantError(operation string, request Message, text string) {
	_, err := s.Raw(operation, request.AppendProto(nil))
	s.wantError(operation+" "+show(request), err, text)
}

func (s *Session) wantError(what string, err error, text string) {
	if err == nil {
		s.Errorf("%s succeeds; want an error: %s", what, text)
		return
	}
	got, want := capability.AsError(err), capability.ParseError(text)
	same := got.Code == want.Code
	if head, open := strings.CutSuffix(want.Message, "..."); same && s.target.Exact {
		same = got.Message == want.Message || open && strings.HasPrefix(got.Message, head)
	}
	if !same {
		s.Errorf("%s fails with %q; want %q", what, err, text)
	}
}

// Handle has the guest answer an operation of the host with f.
func (s *Session) Handle(operation string, f func(ctx context.Context, payload []byte) ([]byte, error)) {
	s.guest.Lock()
	defer s.guest.Unlock()
	s.handlers[operation] = f
}

// Dispatch implements capability.Dispatcher. What is delivered is not recorded:
// the conversation knows which order and which repetitions mean something.
func (s *Session) Dispatch(ctx context.Context, operation string, payload, into []byte) (capability.Reply, error) {
	s.guest.Lock()
	f := s.handlers[operation]
	s.guest.Unlock()
	if f == nil {
		return capability.Reply{}, &capability.Error{Code: capability.CodeGuest, Message: "the guest does not handle " + operation}
	}
	answer, err := f(ctx, bytes.Clone(payload))
	if err == nil {
		return capability.Reply{Payload: append(into[:0], answer...)}, nil
	}
	if typed := new(capability.Error); errors.As(err, &typed) {
		return capability.Reply{}, typed
	}
	return capability.Reply{}, &capability.Error{Code: capability.CodeGuest, Message: err.Error()}
}

// Receive returns what comes from c, or ends the conversation where nothing comes
// within ten seconds.
func Receive[T any](s *Session, c <-chan T, what string) T {
	timer := time.NewTimer(receiveTimeout)
	defer timer.Stop()
	select {
	case v := <-c:
		return v
	case <-timer.C:
	case <-s.Context.Done():
	}
	s.Fatalf("%s has not come", what)
	panic("unreachable")
}

// ordered is a map in the order of its keys, so that transcripts can be compared.
func ordered[K cmp.Ordered, V any](m map[K]V) iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		for _, k := range slices.Sorted(maps.Keys(m)) {
			if !yield(k, m[k]) {
				return
			}
		}
	}
}

// barrier holds those who come until all have come. Where they do not, nobody waits
// any more.
type barrier struct {
	missing atomic.Int32
	open    chan struct{} // closed when all have come
	broken  chan struct{} // closed when one has waited in vain
	breaks  sync.Once
}

func newBarrier(n int32) *barrier {
	b := &barrier{open: make(chan struct{}), broken: make(chan struct{})}
	b.missing.Store(n)
	return b
}

// wait tells whether all have come.
func (b *barrier) wait(ctx context.Context) bool {
	if b.missing.Add(-1) == 0 {
		close(b.open)
	}
	timer := time.NewTimer(receiveTimeout / 2)
	defer timer.Stop()
	select {
	case <-b.open:
		return true
	case <-b.broken:
	case <-ctx.Done():
	case <-timer.C:
		b.breaks.Do(func() { close(b.broken) })
	}
	return false
}

// undo has f called at the end of the case, before what was done earlier is undone.
func (s *Session) undo(f func(ctx context.Context) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.undos = append(s.undos, f)
}

// undoOnce has an operation called at the end of the case that removes something,
// also where it is asked for several times. Where that is gone, with its binding or
// otherwise, or never was, or the provider has no such operation, there is nothing to
// do.
func (s *Session) undoOnce(operation string, payload []byte) {
	key := s.undoKey(operation, payload)
	s.mu.Lock()
	defer s.mu.Unlock()
	_, known := s.toUndo[key]
	s.toUndo[key] = true
	if known {
		return
	}
	s.undos = append(s.undos, func(ctx context.Context) error {
		s.mu.Lock()
		there := s.toUndo[key]
		s.mu.Unlock()
		if !there {
			return nil
		}
		err := s.remove(ctx, operation, payload)
		if err == nil {
			return nil
		}
		switch capability.AsError(err).Code {
		case capability.CodeUnavailable, capability.CodeUnsupported, capability.CodeNotFound, capability.CodeInvalid:
			return nil
		}
		return fmt.Errorf("%s: %w", operation, err)
	})
}

// isUndone says that the conversation itself has called what undoOnce was asked for.
func (s *Session) isUndone(operation string, payload []byte) {
	key := s.undoKey(operation, payload)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.toUndo[key] {
		s.toUndo[key] = false
	}
}

func (s *Session) undoKey(operation string, payload []byte) string {
	return fmt.Sprintf("%v %s %q", s.id, operation, payload)
}

// remove calls an operation that removes something: where the session's binding, or
// its provider, has ended, for another guest.
func (s *Session) remove(ctx context.Context, operation string, payload []byte) error {
	c := capability.Call{BindingID: s.id, Operation: operation, Payload: payload}
	s.guest.Lock()
	stands, config := s.stands, s.last
	s.guest.Unlock()
	if stands || config == nil {
		_, err := s.target.Provider.Call(ctx, c)
		if config == nil || !errors.Is(err, &capability.Error{Code: capability.CodeUnavailable}) {
			return err
		}
	}
	c.Guest += "REMOVER"
	if err := s.provider.Bind(ctx, capability.Binding{BindingID: c.BindingID, GuestName: guestName, Config: config}, s); err != nil {
		return err
	}
	_, err := s.provider.Call(ctx, c)
	return errors.Join(err, s.provider.Unbind(ctx, c.BindingID))
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
	if len(line) > maxFailure {
		line = strings.ToValidUTF8(line[:maxFailure], "") + "..."
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures = append(s.failures, s.short(line))
}

// Fatalf does the same and ends the conversation. It must be called from the
// goroutine of Case.Run, as must Skip.
func (s *Session) Fatalf(format string, args ...any) {
	s.Errorf(format, args...)
	panic(ended{})
}

// Skip ends a conversation that has nothing to talk about, and says why.
func (s *Session) Skip(format string, args ...any) {
	s.mu.Lock()
	s.skipped = s.short(fmt.Sprintf(format, args...))
	s.mu.Unlock()
	panic(ended{})
}

func (r *record) clean(b []byte) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.neutral(b)
}

// short is a text for people: the prefix of names, which is gone at the end, is "~".
func (r *record) short(text string) string { return strings.ReplaceAll(text, r.prefix, "~") }

// neutral replaces what differs from run to run. r.mu is held.
func (r *record) neutral(b []byte) []byte {
	b = bytes.ReplaceAll(b, []byte(r.prefix), []byte(placeholder))
	for _, a := range r.aliases {
		b = bytes.ReplaceAll(b, []byte(a.value), []byte(a.name))
	}
	return b
}

// outcome is an answer or an error in words.
func (s *Session) outcome(answer []byte, err error) string {
	switch {
	case err != nil && s.target.Terse:
		return string(capability.AsError(err).Code)
	case err != nil:
		return string(s.clean([]byte(err.Error())))
	}
	return fmt.Sprintf("%q", s.clean(answer))
}

func (r *record) result() Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Result{Skipped: r.skipped, Failures: r.failures, Transcript: r.transcript}
}
