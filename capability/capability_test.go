package capability_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waxosuit/waxo/capability"
)

// operations are those of the standard, with their spelling in the original
// codec.
var operations = []struct{ capability, operation, waxosuit string }{
	{capability.HTTPServer, capability.OpHandleRequest, "wascap:httpserver!HandleRequest"},
	{capability.HTTPClient, capability.OpPerformRequest, "wascap:httpclient!PerformRequest"},
	{capability.Core, capability.OpHealthRequest, "wascap:httpsrv!HealthRequest"},
	{capability.Core, capability.OpPerformLiveUpdate, "wascap:httpsrv!PerformLiveUpdate"},
	{capability.KeyValue, capability.OpAdd, "wascap:keyvalue!Add"},
	{capability.KeyValue, capability.OpGet, "wascap:keyvalue!Get"},
	{capability.KeyValue, capability.OpSet, "wascap:keyvalue!Set"},
	{capability.KeyValue, capability.OpDel, "wascap:keyvalue!Del"},
	{capability.KeyValue, capability.OpClear, "wascap:keyvalue!Clear"},
	{capability.KeyValue, capability.OpRange, "wascap:keyvalue!Range"},
	{capability.KeyValue, capability.OpPush, "wascap:keyvalue!Push"},
	{capability.KeyValue, capability.OpListItemDelete, "wascap:keyvalue!ListItemDelete"},
	{capability.KeyValue, capability.OpSetAdd, "wascap:keyvalue!SetAdd"},
	{capability.KeyValue, capability.OpSetRemove, "wascap:keyvalue!SetRemove"},
	{capability.KeyValue, capability.OpSetUnion, "wascap:keyvalue!SetUnion"},
	{capability.KeyValue, capability.OpSetIntersection, "wascap:keyvalue!SetIntersection"},
	{capability.KeyValue, capability.OpSetQuery, "wascap:keyvalue!SetQuery"},
	{capability.KeyValue, capability.OpKeyExists, "wascap:keyvalue!KeyExists"},
	{capability.Logging, capability.OpWriteLog, "wascap:logging!WriteLog"},
	{capability.Extras, capability.OpRequestGuid, "wascap:extras!RequestGuid"},
	{capability.Extras, capability.OpRequestSequence, "wascap:extras!RequestSequence"},
	{capability.Extras, capability.OpRequestRandom, "wascap:extras!RequestRandom"},
	{capability.Clock, capability.OpNow, "waxo:clock!Now"},
	{"vendor:thing", "Do", "vendor:thing!Do"},
}

func TestSpelling(t *testing.T) {
	for _, o := range operations {
		if got := capability.Waxosuit.Spell(o.capability, o.operation); got != o.waxosuit {
			t.Errorf("Waxosuit: %s %s is spelled %q, want %q", o.capability, o.operation, got, o.waxosuit)
		}
		if got := capability.Wascc.Spell(o.capability, o.operation); got != o.operation {
			t.Errorf("Wascc: %s %s is spelled %q, want %q", o.capability, o.operation, got, o.operation)
		}
		prefix, _, _ := strings.Cut(o.waxosuit, "!")
		for _, call := range [][2]string{
			{"", o.waxosuit}, {o.capability, o.waxosuit}, {prefix, o.waxosuit}, {o.capability, o.operation}, {prefix, o.operation},
		} {
			c, op, err := capability.Resolve(call[0], call[1])
			if c != o.capability || op != o.operation || err != nil {
				t.Errorf("Resolve(%q, %q) = %q, %q, %v", call[0], call[1], c, op, err)
			}
		}
	}
}

func TestResolveRefuses(t *testing.T) {
	for _, c := range []struct{ namespace, operation, want string }{
		{"", "", "names no capability"},
		{"", "Get", `write it as "capability!Operation"`},
		{"", "!Get", "names no capability"},
		{"wascap:keyvalue", "!Get", "names no capability"},
		{"", "!", "names no capability"},
		{"wascap:keyvalue", "", "names no operation"},
		{"", "wascap:keyvalue!", "names no operation"},
		{"wascap:keyvalue", "wascap:keyvalue!", "names no operation"},
		{"wascap:keyvalue", "wascap:messaging!Publish", "does not belong to the namespace"},
		{"wascc:keyvalue", "wascap:keyvalue!Get", "does not belong to the namespace"},
		{"wascap:http_server", "wascap:httpclient!PerformRequest", "does not belong to the namespace"},
	} {
		name, op, err := capability.Resolve(c.namespace, c.operation)
		if !errors.Is(err, &capability.Error{Code: capability.CodeInvalid}) || !strings.Contains(err.Error(), c.want) || name != "" || op != "" {
			t.Errorf("Resolve(%q, %q) = %q, %q, %v; want an error with %q", c.namespace, c.operation, name, op, err, c.want)
		}
	}
}

func TestGenerations(t *testing.T) {
	for want, claims := range map[capability.Generation][][]string{
		capability.Waxosuit: {nil, {"wascap:keyvalue"}, {"vendor:thing"}, {"xwascc:keyvalue"}},
		capability.Wascc:    {{"wascc:keyvalue"}, {"vendor:thing", "wascc:http_server"}},
	} {
		for _, c := range claims {
			if got := capability.GenerationOf(c); got != want {
				t.Errorf("%q are of generation %v, want %v", c, got, want)
			}
		}
	}
}

// FuzzResolve: what is resolved names a capability and an operation, and comes
// out again from its own spelling.
func FuzzResolve(f *testing.F) {
	for _, o := range operations {
		f.Add("", o.waxosuit)
		f.Add(o.capability, o.operation)
	}
	f.Add("a", "a!b!c")
	f.Add("wascap:http_server", "wascap:httpserver!")
	f.Fuzz(func(t *testing.T, namespace, operation string) {
		c, op, err := capability.Resolve(namespace, operation)
		if err != nil {
			if !errors.Is(err, &capability.Error{Code: capability.CodeInvalid}) || c != "" || op != "" {
				t.Fatalf("%q, %q, %v", c, op, err)
			}
			return
		}
		if c == "" || op == "" {
			t.Fatalf("resolved to %q, %q", c, op)
		}
		if strings.Contains(c, "!") {
			return // a namespace that no prefix can spell
		}
		again, op2, err := capability.Resolve(c, capability.Waxosuit.Spell(c, op))
		if again != c || op2 != op || err != nil {
			t.Errorf("%q, %q came back as %q, %q, %v", c, op, again, op2, err)
		}
	})
}

func TestErrors(t *testing.T) {
	base := &capability.Error{Code: capability.CodeConflict, Message: "there is one", Detail: "stack"}
	wrapped := fmt.Errorf("outer: %w", base)
	if got := capability.AsError(wrapped); got != base {
		t.Errorf("AsError of a wrapped error: %v", got)
	}
	if capability.AsError(nil) != nil {
		t.Error("AsError(nil) is not nil")
	}
	for err, want := range map[error]capability.Code{
		context.Canceled: capability.CodeCanceled,
		fmt.Errorf("read: %w", context.DeadlineExceeded): capability.CodeDeadline,
		errors.New("anything"):                           capability.CodeInternal,
	} {
		if got := capability.AsError(err); got.Code != want || got.Message != err.Error() {
			t.Errorf("AsError(%v) = %v, want one of %s", err, got, want)
		}
	}
	if !errors.Is(wrapped, &capability.Error{Code: capability.CodeConflict}) {
		t.Error("errors.Is does not find the code")
	}
	for _, other := range []error{&capability.Error{Code: capability.CodeInvalid}, &capability.Error{Code: capability.CodeConflict, Message: "another"}, context.Canceled} {
		if errors.Is(wrapped, other) {
			t.Errorf("errors.Is takes it for %v", other)
		}
	}
	if strings.Contains(base.Error(), base.Detail) {
		t.Error("the detail is in the text that leaves the host")
	}
}

func TestParseError(t *testing.T) {
	for text, want := range map[string]capability.Error{
		"denied: no":           {Code: capability.CodeDenied, Message: "no"},
		"trap: a: b":           {Code: capability.CodeTrap, Message: "a: b"},
		"denied: ":             {Code: capability.CodeDenied},
		"denied":               {Code: capability.CodeInternal, Message: "denied"},
		"denied:no":            {Code: capability.CodeInternal, Message: "denied:no"},
		"Denied: no":           {Code: capability.CodeInternal, Message: "Denied: no"},
		"unheard_of: no":       {Code: capability.CodeInternal, Message: "unheard_of: no"},
		" denied: no":          {Code: capability.CodeInternal, Message: " denied: no"},
		"":                     {Code: capability.CodeInternal},
		"internal: denied: no": {Code: capability.CodeInternal, Message: "denied: no"},
	} {
		if got := capability.ParseError(text); *got != want {
			t.Errorf("ParseError(%q) = %+v, want %+v", text, *got, want)
		}
	}
}

// FuzzParseError: any text is an error, and that error survives the boundary.
func FuzzParseError(f *testing.F) {
	for _, text := range []string{"", "denied: no", "guest: denied: no", "denied", "x: y", ": "} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e := capability.ParseError(text)
		if again := capability.ParseError(e.Error()); !reflect.DeepEqual(again, e) {
			t.Errorf("%q: %+v became %+v", text, e, again)
		}
		if e.Code != capability.CodeInternal && e.Error() != text {
			t.Errorf("%q became %q", text, e.Error())
		}
	})
}

var id = capability.BindingID{Guest: "MGUEST", Name: capability.DefaultBinding}

func TestBindings(t *testing.T) {
	var table capability.Bindings[string]
	ctx := t.Context()
	if _, err := table.Use(id); !errors.Is(err, &capability.Error{Code: capability.CodeUnavailable}) {
		t.Errorf("Use before Add: %v", err)
	}
	if _, ok, err := table.Remove(ctx, id); ok || err != nil {
		t.Errorf("Remove before Add: %v, %v", ok, err)
	}
	if err := table.Add(id, "value"); err != nil {
		t.Fatal(err)
	}
	if err := table.Add(id, "other"); !errors.Is(err, &capability.Error{Code: capability.CodeConflict}) {
		t.Errorf("a second Add: %v", err)
	}
	if err := table.Add(capability.BindingID{Guest: id.Guest, Name: "second"}, "second"); err != nil {
		t.Errorf("another binding of the guest: %v", err)
	}
	b, err := table.Use(id)
	if err != nil || b.Value != "value" || !table.Has(id) {
		t.Fatalf("Use: %+v, %v", b, err)
	}
	b.Release()
	if v, ok, err := table.Remove(ctx, id); v != "value" || !ok || err != nil {
		t.Errorf("Remove: %q, %v, %v", v, ok, err)
	}
	if table.Has(id) {
		t.Error("still there after Remove")
	}
	if values, err := table.Close(ctx); len(values) != 1 || values[0] != "second" || err != nil {
		t.Errorf("Close: %q, %v", values, err)
	}
	if values, err := table.Close(ctx); len(values) != 0 || err != nil {
		t.Errorf("a second Close: %q, %v", values, err)
	}
	if err := table.Add(id, "late"); !errors.Is(err, &capability.Error{Code: capability.CodeUnavailable}) {
		t.Errorf("Add after Close: %v", err)
	}
}

// TestBindingsWait: Remove returns when the calls in hand have ended, or its
// time has.
func TestBindingsWait(t *testing.T) {
	var table capability.Bindings[string]
	if err := table.Add(id, "value"); err != nil {
		t.Fatal(err)
	}
	first, _ := table.Use(id)
	second, _ := table.Use(id)
	ended, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if v, ok, err := table.Remove(ended, id); v != "value" || !ok || !errors.Is(err, &capability.Error{Code: capability.CodeDeadline}) {
		t.Errorf("Remove with calls in hand: %q, %v, %v", v, ok, err)
	}
	if err := table.Add(id, "again"); err != nil {
		t.Fatal(err)
	}
	third, _ := table.Use(id)
	removed := make(chan error, 1)
	go func() {
		_, _, err := table.Remove(context.Background(), id)
		removed <- err
	}()
	first.Release() // of the former binding: not waited for
	second.Release()
	for table.Has(id) {
		select {
		case err := <-removed:
			t.Fatalf("Remove did not wait: %v", err)
		default:
		}
	}
	select {
	case err := <-removed:
		t.Fatalf("Remove did not wait: %v", err)
	default:
	}
	third.Release()
	if err := <-removed; err != nil {
		t.Error(err)
	}
}

// TestBindingsTogether: uses and changes at once; no use outlives its binding.
func TestBindingsTogether(t *testing.T) {
	var table capability.Bindings[*bool]
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 8 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if b, err := table.Use(id); err == nil {
					if *b.Value {
						t.Error("in use after Remove had returned")
					}
					b.Release()
				}
			}
		})
	}
	for range 500 {
		over := new(bool)
		if err := table.Add(id, over); err != nil {
			t.Error(err)
		}
		if _, _, err := table.Remove(t.Context(), id); err != nil {
			t.Error(err)
		}
		*over = true // the race detector watches
	}
	close(stop)
	wg.Wait()
}

func TestNoConfig(t *testing.T) {
	if err := (capability.Binding{}).NoConfig("waxo:clock"); err != nil {
		t.Error(err)
	}
	b := capability.Binding{Config: map[string]string{"zone": "UTC"}}
	if err := b.NoConfig("waxo:clock"); !errors.Is(err, &capability.Error{Code: capability.CodeInvalid}) || !strings.Contains(err.Error(), `"zone"`) {
		t.Errorf("%v", err)
	}
}

func BenchmarkBindings(b *testing.B) {
	var table capability.Bindings[int]
	if err := table.Add(id, 1); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			bound, err := table.Use(id)
			if err != nil {
				b.Error(err)
				return
			}
			bound.Release()
		}
	})
}
