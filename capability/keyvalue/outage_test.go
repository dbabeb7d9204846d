package keyvalue_test

import (
	"testing"

	"github.com/waxosuit/waxo/capability"
	pb "github.com/waxosuit/waxo/capability/payload/keyvaluepb"
	"github.com/waxosuit/waxo/emulators/redis"
)

// TestServesAtOnceWhenTheServerIsBack: however many calls failed while it was away,
// the next one after its return does not, nor any other.
func TestServesAtOnceWhenTheServerIsBack(t *testing.T) {
	for _, params := range []string{"", "?pool_size=3", "?pool_size=3&min_idle_conns=2"} {
		server, err := redis.Start(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		p := bind(t, server.URL()+params)
		call := func() error {
			_, err := p.Call(t.Context(), capability.Call{BindingID: id, Operation: capability.OpSet, Payload: (&pb.SetRequest{Key: "k", Value: "v"}).AppendProto(nil)})
			return err
		}
		works := func() {
			t.Helper()
			if err := call(); err != nil {
				t.Error(err)
			}
		}
		works()
		server.Close()
		for range 300 {
			is(t, call(), capability.CodeUnavailable, "cannot be reached")
		}
		if server, err = redis.Start(t.Context(), &redis.Options{Addr: server.Addr()}); err != nil {
			t.Fatal(err)
		}
		for range 300 {
			works()
		}
		server.Close()
	}
}
