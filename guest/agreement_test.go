package guest_test

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/keyvalue"
	pb "github.com/waxosuit/waxo/capability/payload/keyvaluepb"
	"github.com/waxosuit/waxo/emulators/redis"
	waxo "github.com/waxosuit/waxo/guest/go"
	"github.com/waxosuit/waxo/guest/go/waxotest"
)

// TestStoresAgree performs the same operations on the store of waxotest and on the
// one of production, and compares every answer.
func TestStoresAgree(t *testing.T) {
	waxotest.New(t).Grant(capability.KeyValue)
	provider, id := keyvalue.New(nil), capability.BindingID{Guest: "guest", Name: capability.DefaultBinding}
	server, err := redis.Start(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	if err := provider.Bind(t.Context(), capability.Binding{BindingID: id, Config: map[string]string{"url": server.URL()}}, nil); err != nil {
		t.Fatal(err)
	}
	defer provider.Close(t.Context())

	operations := provider.Describe().Operations
	succeeded := make(map[string]int)
	random := rand.New(rand.NewPCG(1, 1))
	for range 6_000 {
		operation := operations[random.IntN(len(operations))]
		payload := randomPayload(operation, random)
		want, err := provider.Call(t.Context(), capability.Call{BindingID: id, Operation: operation, Payload: payload})
		wantCode := ""
		if err != nil {
			wantCode = string(capability.AsError(err).Code)
		}
		got, gotErr := waxo.Call(id.Name, capability.KeyValue, capability.KeyValue+"!"+operation, payload)
		gotCode := ""
		if gotErr != nil {
			gotCode = waxo.ParseError(gotErr.Error()).Code
		}
		if gotCode != wantCode || !bytes.Equal(got, want) {
			t.Fatalf("%s %q = %q %v, in production %q %v", operation, payload, got, gotErr, want, err)
		}
		if err == nil {
			succeeded[operation]++
		}
	}
	if len(succeeded) != len(operations) {
		t.Errorf("only these ever succeeded: %v", succeeded)
	}
}

// randomPayload makes a payload out of few keys and values, so that operations meet.
func randomPayload(operation string, random *rand.Rand) []byte {
	pick := func(from ...string) string { return from[random.IntN(len(from))] }
	key := pick("a", "b", "ä", "")
	value := pick("x", "y", "", "7", "-1", "+1", "01", "3000000000", "9223372036854775807", strconv.Itoa(math.MaxInt32))
	position := func() int32 {
		return slices.Concat([]int32{math.MinInt32, math.MaxInt32}, []int32{-3, -2, -1, 0, 1, 2, 3})[random.IntN(9)]
	}
	switch operation {
	case capability.OpGet:
		return (&pb.GetRequest{Key: key}).AppendProto(nil)
	case capability.OpSet:
		return (&pb.SetRequest{Key: key, Value: value, ExpiresS: []int32{0, 0, 1000, -1}[random.IntN(4)]}).AppendProto(nil)
	case capability.OpDel:
		return (&pb.DelRequest{Key: key}).AppendProto(nil)
	case capability.OpAdd:
		return (&pb.AddRequest{Key: key, Value: position()}).AppendProto(nil)
	case capability.OpKeyExists:
		return (&pb.KeyExistsQuery{Key: key}).AppendProto(nil)
	case capability.OpPush:
		return (&pb.ListPushRequest{Key: key, Value: value}).AppendProto(nil)
	case capability.OpRange:
		return (&pb.ListRangeRequest{Key: key, Start: position(), Stop: position()}).AppendProto(nil)
	case capability.OpListItemDelete:
		return (&pb.ListDelItemRequest{Key: key, Value: value}).AppendProto(nil)
	case capability.OpClear:
		return (&pb.ListClearRequest{Key: key}).AppendProto(nil)
	case capability.OpSetAdd:
		return (&pb.SetAddRequest{Key: key, Value: value}).AppendProto(nil)
	case capability.OpSetRemove:
		return (&pb.SetRemoveRequest{Key: key, Value: value}).AppendProto(nil)
	case capability.OpSetQuery:
		return (&pb.SetQueryRequest{Key: key}).AppendProto(nil)
	}
	keys := make([]string, random.IntN(4))
	for i := range keys {
		keys[i] = pick("a", "b", "ä", "absent")
	}
	return (&pb.SetUnionRequest{Keys: keys}).AppendProto(nil) // an intersection is encoded alike
}
