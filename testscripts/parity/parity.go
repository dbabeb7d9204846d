// Package parity holds providers to one behaviour: for each capability a suite
// of conversations, which a guest could have with any provider of it.
//
// A suite is run against a Target, such as a provider on an embedded server and
// the same one on the real service. Each conversation checks what it knows by
// itself, and leaves a transcript of every call, every answer and every delivery
// to the guest. Compare says where two transcripts differ, to the byte.
//
// The package starts no server and needs no test to run in.
package parity

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/waxosuit/waxo/capability"
)

// Target is a provider, and how it is bound.
type Target struct {
	Name     string // for reports, such as "embedded"
	Provider capability.Provider
	Config   map[string]string // of every binding
}

// Suite is what providers of one capability have in common.
type Suite struct {
	Capability string
	Cases      []Case
}

// Case is one conversation of one guest.
type Case struct {
	Name   string
	Config map[string]string // in addition to the target's
	Run    func(s *Session)
}

// Result is what a case came to with one target.
type Result struct {
	Case       string
	Failures   []string // what was not as it should be, target or not
	Transcript []string // a line each; what differs from run to run is named alike
}

// caseTimeout bounds a case.
const caseTimeout = time.Minute

// Run holds the suite's conversations, one after another, each as a guest of its
// own. The error is that of ctx, or says that a case could not be bound.
func (s Suite) Run(ctx context.Context, t Target) ([]Result, error) {
	var results []Result
	for i, c := range s.Cases {
		r, err := c.run(ctx, t, i)
		if err != nil {
			return results, fmt.Errorf("parity: %s with %s: %w", c.Name, t.Name, err)
		}
		results = append(results, r)
	}
	return results, ctx.Err()
}

func (c Case) run(ctx context.Context, t Target, number int) (_ Result, err error) {
	ctx, cancel := context.WithTimeout(ctx, caseTimeout)
	defer cancel()
	s := newSession(ctx, t, number)
	binding := capability.Binding{BindingID: s.id, GuestName: "parity", Config: make(map[string]string)}
	for _, config := range []map[string]string{t.Config, c.Config} {
		for k, v := range config {
			binding.Config[k] = strings.ReplaceAll(v, NamePlaceholder, s.prefix)
		}
	}
	if err := t.Provider.Bind(ctx, binding, s); err != nil {
		return Result{}, err
	}
	defer func() {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		err = errors.Join(err, t.Provider.Unbind(stop, s.id))
	}()
	s.play(c)
	return s.result(c.Name), ctx.Err()
}

// play runs the conversation. Fatalf ends it.
func (s *Session) play(c Case) {
	defer func() {
		switch e := recover().(type) {
		case nil, ended:
		default:
			s.Errorf("panic: %v\n%s", e, debug.Stack())
		}
	}()
	c.Run(s)
}

// NamePlaceholder in a Case's Config stands for what Session.Name puts before a
// name.
const NamePlaceholder = "{parity}"

// placeholder stands in transcripts for the prefix that names have; it is as
// long, so that lengths within payloads are the same.
const placeholder = "p~~~~~~~~~~~"

// prefix makes names that no earlier run has used: services keep what they are
// told. It holds what is safe in keys, subjects and names of buckets.
func prefix() string {
	var random [5]byte
	rand.Read(random[:]) // never fails
	return "p" + hex.EncodeToString(random[:]) + "-"
}

// Difference is where two targets were told apart.
type Difference struct {
	Case string
	Line int    // of the transcript, from 1
	A, B string // the lines; empty where one has ended
}

func (d Difference) String() string {
	return fmt.Sprintf("%s, line %d:\n\t%s\n\t%s", d.Case, d.Line, d.A, d.B)
}

// Compare says where the results of two targets differ: the first line of each
// case.
func Compare(a, b []Result) []Difference {
	var found []Difference
	for i := range max(len(a), len(b)) {
		var x, y Result
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if d, ok := compare(x, y); !ok {
			found = append(found, d)
		}
	}
	return found
}

func compare(x, y Result) (Difference, bool) {
	line := func(r Result, i int) string {
		if i < len(r.Transcript) {
			return r.Transcript[i]
		}
		return ""
	}
	if x.Case != y.Case {
		return Difference{Case: x.Case + "|" + y.Case}, false
	}
	for i := range max(len(x.Transcript), len(y.Transcript)) {
		if a, b := line(x, i), line(y, i); a != b {
			return Difference{Case: x.Case, Line: i + 1, A: a, B: b}, false
		}
	}
	return Difference{}, true
}

// neutral replaces what differs from run to run.
func (s *Session) neutral(b []byte) []byte {
	b = bytes.ReplaceAll(b, []byte(s.prefix), []byte(placeholder))
	for _, a := range s.aliases {
		b = bytes.ReplaceAll(b, []byte(a.value), []byte(a.name))
	}
	return b
}
