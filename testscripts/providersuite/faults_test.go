package providersuite

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/testscripts/parity"
)

// fault is one thing that is wrong with a provider, and the rules that it breaks.
type fault struct {
	name       string
	capability string
	spoil      func() spoil
	want       []string // rules that must be reported as broken
	also       []string // that may be as well, because what they are about needs what is spoiled
}

// heavy are cases that take long and find none of these faults alone.
var heavy = []string{
	"calls at random", "large values", "large blobs", "a long list", "large bodies", "large events",
	"events and answers that are too large", "a long line", "payloads: the answer as others write it",
}

// TestFaults: each fault is found, by the rule that it breaks and no other; and the
// good provider, wrapped in the same way, breaks none.
func TestFaults(t *testing.T) {
	t.Parallel()
	faults := slices.Concat(keyValueFaults(), contractFaults(), messagingFaults(), eventFaults(), blobFaults(), httpFaults(), smallFaults())
	for _, suite := range parity.All() {
		faults = append(faults, fault{name: "none", capability: suite.Capability, spoil: func() spoil { return spoil{} }})
	}
	results := make([]found, len(faults))
	slots := make(chan struct{}, 4) // they wait more than they work
	var running sync.WaitGroup
	for i, f := range faults {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			results[i] = f.find(t.Context())
		})
	}
	running.Wait()
	for i, f := range faults {
		t.Run(shortName(f.capability)+"/"+f.name, func(t *testing.T) { f.judge(t, results[i]) })
	}
}

// found is what came of a fault.
type found struct {
	broken []string // rules
	log    string
	err    error
}

func (f fault) judge(t *testing.T, got found) {
	if got.err != nil {
		t.Fatal(got.err)
	}
	for _, id := range f.want {
		if !slices.Contains(got.broken, id) {
			t.Errorf("%s is not reported as broken", id)
		}
	}
	for _, id := range got.broken {
		if !slices.Contains(f.want, id) && !slices.Contains(f.also, id) {
			t.Errorf("%s is reported as broken", id)
		}
	}
	if t.Failed() {
		t.Logf("broken are %q:\n%s", got.broken, got.log)
	}
}

// find runs the suite, as the command does, against the spoiled provider.
func (f fault) find(ctx context.Context) (got found) {
	target, err := ParseTarget("embedded", []string{f.capability})
	if err != nil {
		return found{err: err}
	}
	opts := &Options{}
	all, err := opts.open(ctx, target)
	defer func() { got.err = errors.Join(got.err, shut(ctx, all)) }()
	if err != nil {
		return found{err: err}
	}
	one := all[0]
	open := one.target.Open
	one.target.Provider = &spoiled{one.target.Provider, f.spoil()}
	one.target.Open = func(ctx context.Context) (capability.Provider, error) {
		p, err := open(ctx)
		if err != nil {
			return nil, err
		}
		return &spoiled{p, f.spoil()}, nil
	}
	one.target.Exact = false // it is one of others
	one.suite.Cases = slices.DeleteFunc(one.suite.Cases, func(c parity.Case) bool { return slices.Contains(heavy, c.Name) })
	outcomes, err := opts.play(ctx, [][]*opened{all})
	if err != nil {
		return found{err: err}
	}
	for _, r := range outcomes[0][0].results {
		switch {
		case len(r.Failures) > 0:
			got.broken = append(got.broken, r.Rules...)
			got.log += fmt.Sprintf("%s %q: %.300s\n", r.Case, r.Rules, strings.Join(r.Failures, "; "))
		case r.Skipped != "" && f.name == "none":
			got.err = errors.Join(got.err, fmt.Errorf("%s is skipped: %s", r.Case, r.Skipped))
		}
	}
	slices.Sort(got.broken)
	got.broken = slices.Compact(got.broken)
	return got
}
