package manifest

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/waxosuit/waxo/capability"
)

// Fault is what goes wrong on purpose with a capability, to see how a guest takes
// it: a table of [[dev.fault]].
type Fault struct {
	Capability string        `json:"capability"`
	Binding    string        `json:"binding,omitempty"`    // its name; empty: all bindings of the capability
	Latency    time.Duration `json:"latency_ns,omitempty"` // before each call
	Jitter     time.Duration `json:"jitter_ns,omitempty"`  // at most this much more, at random
	Error      string        `json:"error,omitempty"`      // the code of the error that calls fail with, one of FaultErrors
	Deny       bool          `json:"deny,omitempty"`       // calls are denied, as if the claims did not grant them
	Rate       float64       `json:"rate,omitempty"`       // of the calls that Error or Deny is for; 0: all
	Cut        bool          `json:"cut,omitempty"`        // the service cannot be reached
	Times      int           `json:"times,omitempty"`      // so many calls, then it is over; 0: any number; not for Cut
	For        time.Duration `json:"for_ns,omitempty"`     // so long, then it is over; 0: until it is cleared
}

// FaultErrors lists the codes that Fault.Error can be.
func FaultErrors() []string {
	var list []string
	for _, code := range []capability.Code{
		capability.CodeUnavailable, capability.CodeDeadline, capability.CodeOverloaded, capability.CodeInternal, capability.CodeInvalid,
		capability.CodeNotFound, capability.CodeConflict, capability.CodeWrongKind, capability.CodeOutOfRange, capability.CodeTooLarge,
		capability.CodeUnsupported, capability.CodeCanceled,
	} {
		list = append(list, string(code))
	}
	return list
}

// maxFault bounds the times of a fault.
const maxFault = 24 * time.Hour

// Check says what is wrong with a fault.
func (f Fault) Check() error {
	kinds := 0
	for _, has := range []bool{f.Error != "", f.Deny, f.Cut} {
		if has {
			kinds++
		}
	}
	switch {
	case CheckCapability(f.Capability) != nil:
		return CheckCapability(f.Capability)
	case f.Binding != "" && !isWord(f.Binding):
		return fmt.Errorf("the binding's name %q must be of letters, digits, '_', '-' and '.'", f.Binding)
	case f.Error != "" && !slices.Contains(FaultErrors(), f.Error):
		return fmt.Errorf("unknown error %q%s", f.Error, didYouMean(f.Error, FaultErrors()))
	case kinds > 1:
		return errors.New("error, deny and cut exclude each other: take one of them")
	case kinds == 0 && f.Latency == 0 && f.Jitter == 0:
		return errors.New("nothing goes wrong: give latency, jitter, error, deny or cut")
	case !(f.Rate >= 0 && f.Rate <= 1):
		return fmt.Errorf("rate is %v; it is a part of the calls, above 0 and up to 1", f.Rate)
	case f.Rate != 0 && f.Error == "" && !f.Deny:
		return errors.New("rate is for error and deny")
	case f.Times != 0 && f.Cut:
		return errors.New("times counts calls, and a cut is one of connections: bound it with for")
	case f.Times < 0:
		return fmt.Errorf("times is %d; it counts calls", f.Times)
	}
	for _, d := range []time.Duration{f.Latency, f.Jitter, f.For} {
		if d < 0 || d > maxFault {
			return fmt.Errorf("%v is out of range: 0 to 24h are possible", d)
		}
	}
	return nil
}

// String says in a few words what the fault does.
func (f Fault) String() string {
	var parts []string
	if f.Latency > 0 || f.Jitter > 0 {
		text := f.Latency.String() + " later"
		if f.Jitter > 0 {
			text = fmt.Sprintf("%v to %v later", f.Latency, f.Latency+f.Jitter)
		}
		parts = append(parts, text)
	}
	rate := ""
	if f.Rate > 0 && f.Rate < 1 {
		rate = fmt.Sprintf(" (%g%% of the calls)", f.Rate*100)
	}
	switch {
	case f.Error != "":
		parts = append(parts, "error "+f.Error+rate)
	case f.Deny:
		parts = append(parts, "denied"+rate)
	case f.Cut:
		parts = append(parts, "cut off")
	}
	if f.Times > 0 {
		parts = append(parts, fmt.Sprintf("%d times", f.Times))
	}
	if f.For > 0 {
		parts = append(parts, "for "+f.For.String())
	}
	return strings.Join(parts, ", ")
}

func readFaults(tables []*table) []Fault {
	var faults []Fault
	for _, t := range tables {
		before := len(t.errs)
		f := Fault{
			Capability: t.text("capability", ""),
			Binding:    t.text("binding", ""),
			Latency:    limit(t, "latency", 0, parseWait),
			Jitter:     limit(t, "jitter", 0, parseWait),
			Error:      t.text("error", ""),
			Deny:       t.boolean("deny"),
			Rate:       t.fraction("rate"),
			Cut:        t.boolean("cut"),
			Times:      t.integer("times", 0, maxQueue),
			For:        limit(t, "for", 0, parseWait),
		}
		t.done()
		if f.Capability == "" && t.values["capability"] == nil {
			t.fail(join(t.path, "capability"), `[[dev.fault]] needs capability = "..."`)
		} else if err := f.Check(); err != nil && len(t.errs) == before {
			t.fail(t.path, "%v", err)
		}
		for _, other := range faults {
			if other.Capability == f.Capability && other.Binding == f.Binding {
				t.fail(t.path, "there are two faults for %q under the same binding: make one of them", f.Capability)
				break
			}
		}
		faults = append(faults, f)
	}
	return faults
}

// checkFaults finds the faults of what is not there.
func checkFaults(t *table, m *Manifest) {
	for i, f := range m.Dev.Faults {
		key := element("dev.fault", i)
		var known []string
		for _, b := range m.Binds {
			if b.Capability == f.Capability {
				known = append(known, b.Name)
			}
		}
		if known == nil {
			known = []string{capability.DefaultBinding}
		}
		switch {
		case CheckCapability(f.Capability) != nil: // reported already
		case !slices.Contains(m.Capabilities, f.Capability):
			t.fail(join(key, "capability"), "%q is not claimed, so nothing can go wrong with it: add it to capabilities, or remove the [[dev.fault]]", f.Capability)
		case f.Binding != "" && isWord(f.Binding) && !slices.Contains(known, f.Binding):
			t.fail(join(key, "binding"), "%s has no binding %q%s", f.Capability, f.Binding, didYouMean(f.Binding, known))
		}
	}
}

func parseWait(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("%q is not a time: write a number and ms, s or m, such as \"200ms\"", s)
	}
	if d <= 0 || d > maxFault {
		return 0, fmt.Errorf("%q is out of range: above 0, and up to 24h", s)
	}
	return d, nil
}

func (t *table) boolean(key string) bool {
	v, path, ok := t.take(key)
	b, isBool := v.(bool)
	if ok && !isBool {
		t.want(path, "true or false", v)
	}
	return b
}

// fraction reads a number above 0 and up to 1.
func (t *table) fraction(key string) float64 {
	v, path, ok := t.take(key)
	if !ok {
		return 0
	}
	n, isNumber := v.(float64)
	if whole, ok := v.(int64); ok {
		n, isNumber = float64(whole), true
	}
	switch {
	case !isNumber:
		t.want(path, "a number", v)
	case !(n > 0 && n <= 1):
		t.fail(path, "%s: %s is out of range: above 0, and up to 1", path, strconv.FormatFloat(n, 'g', -1, 64))
	default:
		return n
	}
	return 0
}
