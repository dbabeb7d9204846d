package kv_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	waxo "github.com/waxosuit/waxo/guest/go"
	"github.com/waxosuit/waxo/guest/go/kv"
	"github.com/waxosuit/waxo/guest/go/waxotest"
)

func newHost(t *testing.T) *waxotest.Host {
	h := waxotest.New(t)
	h.Grant(kv.Capability)
	return h
}

// check compares what an operation returned, its error last.
func check(t *testing.T, name, want string, got ...any) {
	t.Helper()
	if text := fmt.Sprint(got...); text != want {
		t.Errorf("%s = %s, want %s", name, text, want)
	}
}

func join[T any](v T, err error) string { return fmt.Sprint(v, " ", err) }

func TestValues(t *testing.T) {
	h := newHost(t)
	get := func(key string) string {
		v, ok, err := kv.Get(key)
		return fmt.Sprintf("%q %v %v", v, ok, err)
	}
	check(t, "Get of nothing", `"" false <nil>`, get("a"))
	check(t, "Set", "<nil>", kv.Set("a", "ä"))
	check(t, "Get", `"ä" true <nil>`, get("a"))
	check(t, "Set of nothing", "<nil>", kv.Set("empty", ""))
	check(t, "Get of the empty value", `"" true <nil>`, get("empty"))
	check(t, "Exists", "true <nil>", join(kv.Exists("a")))
	check(t, "Delete", "<nil>", kv.Delete("a"))
	check(t, "Delete again", "<nil>", kv.Delete("a"))
	check(t, "Exists", "false <nil>", join(kv.Exists("a")))

	check(t, "SetFor", "<nil>", kv.SetFor("a", "1", 10))
	h.Advance(10*time.Second - 1)
	check(t, "Get in time", `"1" true <nil>`, get("a"))
	check(t, "Add in time", "2 <nil>", join(kv.Add("a", 1)))
	h.Advance(1)
	check(t, "Get too late", `"" false <nil>`, get("a"))
	check(t, "SetFor", "<nil>", kv.SetFor("a", "1", 10))
	check(t, "Set", "<nil>", kv.Set("a", "2"))
	h.Advance(time.Hour)
	check(t, "Get after Set for ever", `"2" true <nil>`, get("a"))
	for _, seconds := range []int{0, -1, math.MinInt, math.MaxInt32 + 1} {
		if err := kv.SetFor("b", "1", seconds); !errors.Is(err, waxo.ErrInvalid) {
			t.Errorf("SetFor %d seconds = %v", seconds, err)
		}
	}
	if err := kv.Set("a", "\xff"); !errors.Is(err, waxo.ErrInvalid) {
		t.Errorf("Set of no UTF-8 = %v", err)
	}
}

func TestAdd(t *testing.T) {
	newHost(t)
	check(t, "Add to nothing", "-5 <nil>", join(kv.Add("n", -5)))
	check(t, "Add", "0 <nil>", join(kv.Add("n", 5)))
	check(t, "Add up to the limit", fmt.Sprint(math.MaxInt32, " <nil>"), join(kv.Add("n", math.MaxInt32)))
	if _, err := kv.Add("n", 1); !errors.Is(err, waxo.ErrOutOfRange) {
		t.Errorf("Add beyond the limit = %v", err)
	}
	check(t, "Add of nothing", fmt.Sprint(math.MaxInt32, " <nil>"), join(kv.Add("n", 0)))
	for _, value := range []string{"x", "", "1.5", "+1", "01", " 1", "-0"} {
		if err := kv.Set("text", value); err != nil {
			t.Fatal(err)
		}
		if _, err := kv.Add("text", 1); err == nil {
			t.Errorf("Add to %q has no error", value)
		}
	}
}

func TestLists(t *testing.T) {
	newHost(t)
	for i, item := range []string{"b", "a", "b", "c"} {
		check(t, "ListPush", fmt.Sprint(i+1, " <nil>"), join(kv.ListPush("l", item)))
	}
	for _, test := range []struct {
		start, stop int32
		want        string
	}{
		{0, -1, "[b a b c] <nil>"}, {0, 0, "[b] <nil>"}, {1, 2, "[a b] <nil>"}, {-2, 100, "[b c] <nil>"}, {-100, 0, "[b] <nil>"},
		{2, 1, "[] <nil>"}, {4, 9, "[] <nil>"}, {0, -100, "[] <nil>"}, {math.MinInt32, math.MaxInt32, "[b a b c] <nil>"},
	} {
		check(t, fmt.Sprint("ListRange ", test.start, test.stop), test.want, join(kv.ListRange("l", test.start, test.stop)))
	}
	check(t, "ListRemove", "2 <nil>", join(kv.ListRemove("l", "b")))
	check(t, "ListRemove again", "2 <nil>", join(kv.ListRemove("l", "b")))
	check(t, "ListRange", "[a c] <nil>", join(kv.ListRange("l", 0, -1)))
	check(t, "ListClear", "<nil>", kv.ListClear("l"))
	check(t, "Exists", "false <nil>", join(kv.Exists("l")))
	check(t, "ListRange of nothing", "[] <nil>", join(kv.ListRange("l", 0, -1)))
	check(t, "ListPush", "1 <nil>", join(kv.ListPush("l", "")))
	check(t, "ListRemove of the last", "0 <nil>", join(kv.ListRemove("l", "")))
	check(t, "Exists", "false <nil>", join(kv.Exists("l")))
}

func TestSets(t *testing.T) {
	newHost(t)
	check(t, "SetAdd", "1 <nil>", join(kv.SetAdd("s", "a")))
	check(t, "SetAdd again", "1 <nil>", join(kv.SetAdd("s", "a")))
	kv.SetAdd("s", "b")
	kv.SetAdd("t", "b")
	kv.SetAdd("t", "c")
	sorted := func(v []string, err error) string { slices.Sort(v); return join(v, err) }
	check(t, "SetMembers", "[a b] <nil>", sorted(kv.SetMembers("s")))
	check(t, "SetMembers of nothing", "[] <nil>", sorted(kv.SetMembers("none")))
	check(t, "SetUnion", "[a b c] <nil>", sorted(kv.SetUnion("s", "t", "none")))
	check(t, "SetIntersection", "[b] <nil>", sorted(kv.SetIntersection("s", "t")))
	check(t, "SetIntersection with nothing", "[] <nil>", sorted(kv.SetIntersection("s", "none")))
	check(t, "SetIntersection with itself", "[a b] <nil>", sorted(kv.SetIntersection("s", "s")))
	check(t, "SetRemove", "1 <nil>", join(kv.SetRemove("s", "a")))
	check(t, "SetRemove again", "1 <nil>", join(kv.SetRemove("s", "a")))
	check(t, "SetRemove of the last", "0 <nil>", join(kv.SetRemove("s", "b")))
	check(t, "Exists", "false <nil>", join(kv.Exists("s")))
	if _, err := kv.SetUnion(); !errors.Is(err, waxo.ErrInvalid) {
		t.Errorf("SetUnion of no sets = %v", err)
	}
}

func TestWrongKinds(t *testing.T) {
	newHost(t)
	kv.Set("value", "1")
	kv.ListPush("list", "a")
	kv.SetAdd("set", "a")
	second := func(_ any, err error) error { return err }
	for name, operation := range map[string]struct {
		kind string
		do   func(key string) error
	}{
		"Get":             {"value", func(key string) error { _, _, err := kv.Get(key); return err }},
		"Add":             {"value", func(key string) error { return second(kv.Add(key, 1)) }},
		"ListPush":        {"list", func(key string) error { return second(kv.ListPush(key, "a")) }},
		"ListRange":       {"list", func(key string) error { return second(kv.ListRange(key, 0, -1)) }},
		"ListRemove":      {"list", func(key string) error { return second(kv.ListRemove(key, "b")) }},
		"SetAdd":          {"set", func(key string) error { return second(kv.SetAdd(key, "a")) }},
		"SetRemove":       {"set", func(key string) error { return second(kv.SetRemove(key, "b")) }},
		"SetMembers":      {"set", func(key string) error { return second(kv.SetMembers(key)) }},
		"SetUnion":        {"set", func(key string) error { return second(kv.SetUnion("set", key)) }},
		"SetIntersection": {"set", func(key string) error { return second(kv.SetIntersection("set", key)) }},
	} {
		for _, key := range []string{"value", "list", "set"} {
			err := operation.do(key)
			if key == operation.kind && err != nil || key != operation.kind && !errors.Is(err, waxo.ErrWrongKind) {
				t.Errorf("%s of a %s = %v", name, key, err)
			}
		}
	}
	for _, key := range []string{"value", "list", "set"} {
		check(t, "Set over a "+key, "<nil>", kv.Set(key, "new"))
	}
}

func TestBindings(t *testing.T) {
	newHost(t)
	sessions := kv.Open("sessions")
	check(t, "Set", "<nil>", sessions.Set("a", "1"))
	check(t, "Exists", "true <nil>", join(sessions.Exists("a")))
	check(t, "Exists in the default binding", "false <nil>", join(kv.Exists("a")))
}

func BenchmarkAdd(b *testing.B) {
	waxotest.New(b).Grant(kv.Capability)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := kv.Add("n", 0); err != nil {
			b.Fatal(err)
		}
	}
}
