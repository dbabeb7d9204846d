package clock_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/clock"
	"github.com/waxosuit/waxo/capability/payload/clockpb"
)

var id = capability.BindingID{Guest: "MGUEST", Name: capability.DefaultBinding}

func now(t testing.TB, p *clock.Provider) time.Time {
	t.Helper()
	answer, err := p.Call(t.Context(), capability.Call{BindingID: id, Operation: capability.OpNow, Into: []byte("x")})
	var resp clockpb.NowResponse
	if err := errors.Join(err, resp.UnmarshalProto(answer)); err != nil {
		t.Fatal(err)
	}
	return time.Unix(0, resp.UnixNanos)
}

func TestNow(t *testing.T) {
	p := clock.New(nil)
	if err := p.Bind(t.Context(), capability.Binding{BindingID: id}, nil); err != nil {
		t.Fatal(err)
	}
	before := time.Now().Round(0)
	got := now(t, p)
	if after := time.Now().Round(0); got.Before(before) || got.After(after) {
		t.Errorf("it is %v, not between %v and %v", got, before, after)
	}
	for _, want := range []time.Time{time.Unix(0, 0), time.Unix(-1, 5), time.Unix(1e9, 123456789)} {
		p := clock.New(&clock.Options{Now: func() time.Time { return want }})
		if err := p.Bind(t.Context(), capability.Binding{BindingID: id}, nil); err != nil {
			t.Fatal(err)
		}
		if got := now(t, p); !got.Equal(want) {
			t.Errorf("it is %v, want %v", got, want)
		}
	}
}

func TestContract(t *testing.T) {
	p, ctx := clock.New(nil), t.Context()
	call := func(operation, payload string) error {
		_, err := p.Call(ctx, capability.Call{BindingID: id, Operation: operation, Payload: []byte(payload)})
		return err
	}
	bind := func(config map[string]string) error {
		return p.Bind(ctx, capability.Binding{BindingID: id, Config: config}, nil)
	}
	for i, c := range []struct {
		err  error
		want capability.Code
	}{
		{call(capability.OpNow, ""), capability.CodeUnavailable},
		{bind(map[string]string{"zone": "UTC"}), capability.CodeInvalid},
		{bind(nil), ""},
		{bind(nil), capability.CodeConflict},
		{call("Then", ""), capability.CodeUnsupported},
		{call(capability.OpNow, "\x00"), capability.CodeInvalid},
		{call(capability.OpNow, ""), ""},
		{p.Unbind(ctx, id), ""},
		{p.Unbind(ctx, id), ""},
		{call(capability.OpNow, ""), capability.CodeUnavailable},
		{bind(nil), ""},
		{p.Close(ctx), ""},
		{p.Close(ctx), ""},
		{call(capability.OpNow, ""), capability.CodeUnavailable},
		{bind(nil), capability.CodeUnavailable},
	} {
		if c.want == "" && c.err != nil || c.want != "" && !errors.Is(c.err, &capability.Error{Code: c.want}) {
			t.Errorf("step %d: %v, want %q", i, c.err, c.want)
		}
	}
	if d := p.Describe(); d.Capability != capability.Clock || len(d.Operations) != 1 {
		t.Errorf("%+v", d)
	}
}

func Example() {
	p := clock.New(&clock.Options{Now: func() time.Time { return time.Unix(1, 0) }})
	ctx := context.Background()
	id := capability.BindingID{Guest: "M...", Name: capability.DefaultBinding}
	if err := p.Bind(ctx, capability.Binding{BindingID: id}, nil); err != nil {
		panic(err)
	}
	defer p.Close(ctx)
	answer, err := p.Call(ctx, capability.Call{BindingID: id, Operation: capability.OpNow})
	if err != nil {
		panic(err)
	}
	var now clockpb.NowResponse
	if err := now.UnmarshalProto(answer); err != nil {
		panic(err)
	}
	fmt.Println(now.UnixNanos)
	// Output: 1000000000
}
