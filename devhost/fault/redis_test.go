package fault_test

import (
	"errors"
	"testing"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/keyvalue"
	"github.com/waxosuit/waxo/capability/payload/keyvaluepb"
	"github.com/waxosuit/waxo/devhost/fault"
	"github.com/waxosuit/waxo/emulators/redis"
)

// TestRedisIsCut: the client of Redis finds its connections gone, and finds its
// way back.
func TestRedisIsCut(t *testing.T) {
	server, err := redis.Start(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	i := fault.New(nil)
	defer i.Close(t.Context())
	p := i.Wrap(keyvalue.New(nil))
	defer p.Close(t.Context())
	if err := p.Bind(t.Context(), capability.Binding{BindingID: id, Config: map[string]string{"url": server.URL()}}, nil); err != nil {
		t.Fatal(err)
	}
	add := func() error {
		request := keyvaluepb.AddRequest{Key: "n", Value: 1}
		_, err := p.Call(t.Context(), capability.Call{BindingID: id, Operation: capability.OpAdd, Payload: request.AppendProto(nil)})
		return err
	}
	for round := range 3 {
		if err := add(); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if err := i.Set(t.Context(), fault.Fault{Capability: capability.KeyValue, Cut: true}); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if err := add(); !errors.Is(err, &capability.Error{Code: capability.CodeUnavailable}) {
				t.Errorf("round %d, while it is cut: %v", round, err)
			}
		}
		if _, err := i.Clear(t.Context(), "", ""); err != nil {
			t.Fatal(err)
		}
	}
	request := keyvaluepb.GetRequest{Key: "n"}
	answer, err := p.Call(t.Context(), capability.Call{BindingID: id, Operation: capability.OpGet, Payload: request.AppendProto(nil)})
	var got keyvaluepb.GetResponse
	if err := errors.Join(err, got.UnmarshalProto(answer)); err != nil || got.Value != "3" {
		t.Errorf("it counts %q, %v: nothing that failed was done, nothing that was done failed", got.Value, err)
	}
}
