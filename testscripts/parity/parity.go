// Package parity holds providers to one behaviour: for each capability a suite
// of conversations, which a guest could have with any provider of it.
//
// A suite is run against a Target, such as a provider on an embedded server, the
// same one on the real service, or a plugin. Each conversation checks what it knows
// by itself, with the rules of docs/protocol.md that it is about, and leaves a
// transcript of every call, every answer and every delivery to the guest. Compare
// says where two transcripts differ.
//
// What a suite stores has names that begin with a prefix of that conversation's own,
// and is removed again through the provider's operations, as far as there are any.
// Nothing else of the target is touched.
//
// The package starts no service, apart from the HTTP server that wascap:http_client
// is tried with, and needs no test to run in.
package parity

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/waxosuit/waxo/capability"
)

// Target is a provider, and how it is bound.
type Target struct {
	Name     string // for reports, such as "embedded"
	Provider capability.Provider
	Config   map[string]string // of every binding

	// Exact holds the provider to more than the rules say: to the bytes of this
	// module's encoders, and to the limits and the words of errors of its own
	// providers. Default: false, which is for providers of others.
	Exact bool

	// Terse keeps the words of errors out of transcripts, and leaves their codes.
	Terse bool

	// Open makes another provider like this one. The caller closes it. Default:
	// what needs one is skipped.
	Open func(ctx context.Context) (capability.Provider, error)

	// Forget removes what is kept for a binding of that configuration beyond its end,
	// and no operation removes. Default: it stays.
	Forget func(ctx context.Context, config map[string]string) error

	// Logged has what the provider of wascap:logging has written. Default: nobody
	// looks at it.
	Logged *Logbook

	// Timeout bounds each case. Default: a minute.
	Timeout time.Duration
}

// Suite is what providers of one capability have in common.
type Suite struct {
	Capability string
	Cases      []Case

	// watch sees each call of a session, and what came of it; it may know how to undo
	// what the call did, or may have done.
	watch func(s *Session, operation string, payload []byte, err error)
}

// Case is one conversation of one guest.
type Case struct {
	Name  string
	Rules []string // of docs/protocol.md

	// Operations are those that it calls. Where a provider does not offer all of
	// them, the case is skipped.
	Operations []string

	// Config is in addition to the target's. A provider of others that does not
	// know a key of it is not asked.
	Config map[string]string

	// Optional are the keys of Config, and of what Prepare adds, that are left out
	// where a provider of others does not know them.
	Optional []string

	// Prepare is called before the guest is bound, and adds to its configuration.
	// Default: nothing is prepared.
	Prepare func(s *Session) map[string]string

	Run func(s *Session)
}

// Result is what a case came to with one target.
type Result struct {
	Case       string
	Rules      []string
	Skipped    string   // why it was not run, empty where it was
	Failures   []string // what was not as it should be, target or not
	Transcript []string // a line each; what differs from run to run is named alike
	Took       time.Duration
}

const (
	caseTimeout = time.Minute

	// atOnce is how many cases run side by side: they wait more than they work.
	atOnce = 4

	// patience bounds the end of a case, whose own time may be over.
	patience = time.Minute
)

// All returns the suites of the capabilities of the standard, and ours.
func All() []Suite {
	return []Suite{KeyValue(), Messaging(), EventStreams(), Blobstore(), HTTPClient(), HTTPServer(), Logging(), Extras(), Clock()}
}

// Run holds the suite's conversations, each as a guest of its own, some of them side
// by side. The results come in the order of the cases. The error is that of ctx.
func (s Suite) Run(ctx context.Context, t Target) ([]Result, error) {
	if t.Timeout == 0 {
		t.Timeout = caseTimeout
	}
	results := make([]Result, len(s.Cases))
	slots := make(chan struct{}, atOnce)
	var running sync.WaitGroup
	for i, c := range s.Cases {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			results[i] = s.run(ctx, t, c, i)
		})
	}
	running.Wait()
	return results, ctx.Err()
}

// Probe binds a guest to the target and ends that again. The error is that of Bind.
func (s Suite) Probe(ctx context.Context, t Target) error {
	session := newSession(ctx, s, t, 0)
	session.undo(session.forget)
	config := map[string]string(nil)
	if t.Forget != nil {
		config = map[string]string{"prefix": NamePlaceholder} // or what it leaves would be somebody's
	}
	err := session.bind(config)
	session.end()
	return err
}

func (s Suite) run(ctx context.Context, t Target, c Case, number int) Result {
	begun := time.Now()
	ctx, cancel := context.WithTimeout(ctx, t.Timeout)
	defer cancel()
	session := newSession(ctx, s, t, number)
	session.undo(session.forget)
	session.play(func() {
		session.need(c.Operations...)
		session.bindFor(c)
		c.Run(session)
	})
	if ctx.Err() != nil {
		session.Errorf("it did not end within %v", t.Timeout)
	}
	session.end()
	r := session.result()
	r.Case, r.Rules, r.Took = c.Name, c.Rules, time.Since(begun)
	return r
}

// need skips the case unless the provider offers operations.
func (s *Session) need(operations ...string) {
	offered := s.target.Provider.Describe().Operations
	if len(offered) == 0 {
		return
	}
	for _, op := range operations {
		if !slices.Contains(offered, op) {
			s.Skip("the provider does not offer %s", op)
		}
	}
}

// bindFor binds the guest of a case.
func (s *Session) bindFor(c Case) {
	config := maps.Clone(c.Config)
	if c.Prepare != nil {
		if config == nil {
			config = make(map[string]string)
		}
		maps.Copy(config, c.Prepare(s))
	}
	s.optional = c.Optional
	err := s.bind(config)
	if err == nil {
		return
	}
	required := slices.DeleteFunc(slices.Sorted(maps.Keys(config)), func(key string) bool { return slices.Contains(c.Optional, key) })
	if !s.target.Exact && len(required) > 0 && errors.Is(err, &capability.Error{Code: capability.CodeInvalid}) {
		s.Skip("the provider does not take the configuration of this case (%s): %v", strings.Join(required, ", "), err)
	}
	s.Fatalf("Bind: %v", err)
}

// bind binds the session's guest, without the optional keys where they are not
// known. A service that does not answer at once may be busy: it is tried again.
func (s *Session) bind(config map[string]string) error {
	b := capability.Binding{BindingID: s.id, GuestName: guestName, Config: s.config(config)}
	var err error
	for range 3 {
		err = s.target.Provider.Bind(s.Context, b, s)
		if !errors.Is(err, &capability.Error{Code: capability.CodeUnavailable}) && !errors.Is(err, &capability.Error{Code: capability.CodeDeadline}) {
			break
		}
	}
	if errors.Is(err, &capability.Error{Code: capability.CodeInvalid}) && !s.target.Exact && len(s.optional) > 0 {
		for _, key := range s.optional {
			delete(b.Config, key)
		}
		err = s.target.Provider.Bind(s.Context, b, s)
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.bound = append(s.bound, b.Config)
	s.mu.Unlock()
	s.guest.Lock()
	s.stands, s.last = true, b.Config
	s.guest.Unlock()
	s.undo(func(ctx context.Context) error {
		s.guest.Lock()
		stands := s.stands
		s.guest.Unlock()
		if !stands {
			return nil
		}
		return s.unbind(ctx)
	})
	return nil
}

// forget removes what is left of all bindings of the case.
func (s *Session) forget(ctx context.Context) error {
	if s.target.Forget == nil {
		return nil
	}
	var errs []error
	for _, config := range s.bound {
		errs = append(errs, s.target.Forget(ctx, config))
	}
	return errors.Join(errs...)
}

// config is the target's configuration with another on top.
func (s *Session) config(more map[string]string) map[string]string {
	merged := make(map[string]string)
	for _, config := range []map[string]string{s.target.Config, more} {
		for k, v := range config {
			merged[k] = strings.ReplaceAll(v, NamePlaceholder, s.prefix)
		}
	}
	return merged
}

// play runs a part of the conversation. Fatalf and Skip end it.
func (s *Session) play(part func()) {
	defer func() {
		switch e := recover().(type) {
		case nil, ended:
		default:
			s.Errorf("panic: %v\n%s", e, debug.Stack())
		}
	}()
	part()
}

// end undoes what the conversation did, the latest first.
func (s *Session) end() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.Context), patience)
	defer cancel()
	for {
		s.mu.Lock()
		n := len(s.undos)
		if n == 0 {
			s.mu.Unlock()
			return
		}
		undo := s.undos[n-1]
		s.undos = s.undos[:n-1]
		s.mu.Unlock()
		s.play(func() {
			if err := undo(ctx); err != nil {
				s.Errorf("at the end: %v", err)
			}
		})
	}
}

// unbind ends the session's binding. To do so twice is no error.
func (s *Session) unbind(ctx context.Context) error {
	if err := s.target.Provider.Unbind(ctx, s.id); err != nil {
		return fmt.Errorf("the end of a binding: %w", err)
	}
	s.guest.Lock()
	s.stands = false
	s.guest.Unlock()
	return nil
}
