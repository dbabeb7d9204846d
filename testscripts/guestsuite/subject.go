package guestsuite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/payload/registry"
	"github.com/waxosuit/waxo/testscripts/report"
	"github.com/waxosuit/waxo/wapc"
	"github.com/waxosuit/waxo/wapc/wasm"
	"github.com/waxosuit/waxo/wascap"
)

// subject is the module under test: what all checks share.
type subject struct {
	opts   *Options
	module []byte

	refusal      *wascap.VerifyError // nil: the claims hold
	claims       *wascap.Claims      // nil: there are none that can be read
	capabilities []string            // what the module claims, or is taken to
	generation   capability.Generation

	requests []request

	parts  *wasm.Module // nil: see broken
	broken error        // why the module cannot be taken apart

	engine *wapc.Engine
	code   *wapc.Module // nil: see refused
	// refused says why the engine does not take the module.
	refused error
	// What the checks cannot have of this module, and why: see words.
	missing map[string]string
	// crashing are the requests of the suite that crash the guest as they are, by
	// name. What else is done with them would tell nothing new.
	crashing map[string]bool
}

// The words of "Needs:" and of conditions, beside the names of capabilities.
const (
	needSigning  = "signing"    // claims were asked for
	needSection  = "section"    // there is a section for them
	needClaims   = "claims"     // there are some that can be read
	needParts    = "structure"  // the module can be taken apart
	needCode     = "code"       // the engine takes the module
	needInstance = "instance"   // an instance can be started
	needAnswers  = "answers"    // its calls come to an end
	needHealth   = "health"     // it says that it is well
	needHandler  = "operations" // it claims a capability whose operations a guest handles
)

var needs = []string{needSigning, needSection, needClaims, needParts, needCode, needInstance, needAnswers, needHealth, needHandler}

// isNeed tells whether a word is one of those, or the name of a capability.
func isNeed(word string) bool { return slices.Contains(needs, word) || strings.Contains(word, ":") }

func newSubject(ctx context.Context, module []byte, opts *Options) (*subject, error) {
	s := &subject{opts: opts, module: module, missing: make(map[string]string)}
	var err error
	if s.requests, err = readRequests(opts.Requests); err != nil {
		return nil, err
	}
	s.requests = slices.Concat(requests(), s.requests)
	s.readClaims()
	if s.parts, s.broken = wasm.Decode(module); s.broken != nil {
		s.missing[needParts] = "the module cannot be taken apart: " + s.broken.Error()
	}
	if s.engine, err = wapc.NewEngine(&wapc.EngineOptions{CacheDir: opts.CacheDir, Traced: true}); err != nil {
		return nil, err
	}
	if s.code, s.refused = s.engine.Compile(ctx, module); ctx.Err() != nil {
		return nil, errors.Join(s.refused, s.close(context.WithoutCancel(ctx)))
	}
	if err := s.tryOut(ctx); err != nil {
		return nil, errors.Join(err, s.close(context.WithoutCancel(ctx)))
	}
	return s, nil
}

func (s *subject) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return s.engine.Close(ctx)
}

func (s *subject) readClaims() {
	token, err := wascap.Verify(s.module, time.Now())
	if errors.As(err, &s.refusal) {
		token, err = wascap.Extract(s.module)
	}
	if r := s.refusal; r != nil && (r.Reason == wascap.ReasonUnsigned || r.Reason == wascap.ReasonNotModule) {
		s.missing[needSection] = "the module has no claims section"
	}
	s.capabilities = s.opts.Capabilities
	if err == nil {
		s.claims, s.capabilities = &token.Claims, token.Claims.Capabilities
	} else {
		s.missing[needClaims] = "the module has no claims that can be read: " + err.Error()
	}
	if s.opts.Unsigned {
		s.missing[needSigning] = "claims were not asked for"
		s.missing[needClaims] = s.missing[needSigning]
	}
	s.generation = capability.GenerationOf(s.capabilities)
	if len(s.handled()) == 0 {
		s.missing[needHandler] = "the module claims no capability whose operations a guest handles"
	}
}

// tryOut finds out how far the module gets, so that a check which needs more of
// it is skipped instead of failing for a reason that another one reports.
func (s *subject) tryOut(ctx context.Context) error {
	lacking := func(reason string, words ...string) error {
		for _, w := range words {
			s.missing[w] = cmp.Or(s.missing[w], reason)
		}
		return ctx.Err()
	}
	if s.refused != nil {
		return lacking("the engine refuses the module: "+s.refused.Error(), needCode, needInstance, needAnswers, needHealth)
	}
	play := &session{subject: s}
	defer play.end()
	if err := play.start(ctx, 0); err != nil {
		return lacking("the guest does not start: "+err.Error(), needInstance, needAnswers, needHealth)
	}
	if o := play.perform(ctx, s.spell(capability.Core, capability.OpHealthRequest), nil); !o.answered {
		_ = lacking("the guest does not say that it is well: "+o.String(), needHealth)
	}
	play.drive(ctx, &driving{all: true})
	if hung := play.find("hang"); hung != nil {
		return lacking("the guest does not come to an end: "+hung[0], needAnswers)
	}
	s.crashing = play.crashed
	return ctx.Err()
}

// runs is a check about no rule: a module of which nothing could be run has not
// been checked.
func (s *subject) runs(match *regexp.Regexp) []report.Check {
	c := report.Check{
		Name: "module-runs", Title: "The engine takes the module: else little of it can be looked at.", Status: report.Pass,
	}
	if s.refused != nil {
		c.Status, c.Message = report.Fail, "the engine refuses the module, so nothing of it was run: "+s.refused.Error()
	}
	if match != nil && !match.MatchString(c.Name) {
		return nil
	}
	return []report.Check{c}
}

// lacks says why something cannot be had of the module, or returns "".
func (s *subject) lacks(need string) string {
	if !strings.Contains(need, ":") {
		return s.missing[need]
	}
	if slices.ContainsFunc(s.capabilities, func(c string) bool { return standard(c) == need }) {
		return ""
	}
	return "the module does not claim " + need
}

// standard is the name of waxosuit's generation for a capability of either.
func standard(id string) string {
	if name, ok := strings.CutPrefix(id, "wascc:"); ok {
		return "wascap:" + name
	}
	return id
}

// handled are the operations that the module must handle for what it claims.
func (s *subject) handled() []registry.Operation {
	var all []registry.Operation
	for _, o := range registry.Operations() {
		if o.ToGuest && o.Capability != capability.Core && s.lacks(o.Capability) == "" {
			all = append(all, o)
		}
	}
	return all
}

// spell gives an operation in the form that the guest expects.
func (s *subject) spell(id, operation string) string {
	return s.generation.Spell(id, operation)
}

// standardOperations are the operations of the standard, by capability and bare
// name.
var standardOperations = sync.OnceValue(func() map[[2]string]registry.Operation {
	all := make(map[[2]string]registry.Operation)
	for _, o := range registry.Operations() {
		all[[2]string{o.Capability, o.Name}] = o
	}
	return all
})

// operation finds an operation that guests handle by its bare name.
func operation(name string) (registry.Operation, error) {
	for _, o := range registry.Named(name) {
		if o.ToGuest {
			return o, nil
		}
	}
	return registry.Operation{}, fmt.Errorf("guests handle no operation %s", name)
}
