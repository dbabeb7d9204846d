package guest_test

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/eventstreams"
	"github.com/waxosuit/waxo/capability/keyvalue"
	"github.com/waxosuit/waxo/capability/messaging"
	"github.com/waxosuit/waxo/capability/payload/eventstreampb"
	pb "github.com/waxosuit/waxo/capability/payload/keyvaluepb"
	"github.com/waxosuit/waxo/capability/payload/messagingpb"
	"github.com/waxosuit/waxo/emulators/nats"
	"github.com/waxosuit/waxo/emulators/redis"
	waxo "github.com/waxosuit/waxo/guest/go"
	"github.com/waxosuit/waxo/guest/go/waxotest"
)

// TestStoresAgree performs the same operations on the store of waxotest and on the
// one of production, and compares every answer.
func TestStoresAgree(t *testing.T) {
	waxotest.New(t).Grant(capability.KeyValue)
	server, err := redis.Start(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	agree(t, keyvalue.New(nil), server.URL(), 6_000, randomPayload)
}

// TestBrokersAgree does so with messages, to which nobody listens.
func TestBrokersAgree(t *testing.T) {
	waxotest.New(t).Grant(capability.Messaging)
	agree(t, messaging.New(nil), natsURL(t), 2_000, func(operation string, random *rand.Rand) []byte {
		subject := func() string {
			words := []string{"a", "b", "ä🙂", "", "*", ">", "$JS", "a b", "\x00", "\x7f", "_INBOX", strings.Repeat("x", 1020)}
			var parts []string
			for range 1 + random.IntN(2) {
				parts = append(parts, words[random.IntN(len(words))])
			}
			return strings.Join(parts, ".")
		}
		body := make([]byte, []int{0, 3, 1 << 20, 1<<20 + 1}[random.IntN(4)])
		if operation == capability.OpRequest {
			return (&messagingpb.RequestMessage{Subject: subject(), Body: body, TimeoutMs: []int64{0, 1000, -1}[random.IntN(3)]}).AppendProto(nil)
		}
		m := &messagingpb.BrokerMessage{Subject: subject(), Body: body}
		if random.IntN(2) == 0 {
			m.ReplyTo = subject()
		}
		return (&messagingpb.PublishMessage{Message: m}).AppendProto(nil)
	}, capability.OpRequest) // which never succeeds where nobody listens
}

// TestStreamsAgree does so with events.
func TestStreamsAgree(t *testing.T) {
	waxotest.New(t).Grant(capability.EventStreams)
	agree(t, eventstreams.New(nil), natsURL(t), 1_000, func(operation string, random *rand.Rand) []byte {
		ids := []string{"a", "A", "ä.*", "a b", "", strings.Repeat("x", 256), strings.Repeat("x", 257)}
		id := ids[random.IntN(len(ids))]
		if operation == capability.OpWriteEvent {
			e := &eventstreampb.Event{EventID: "7", Stream: id}
			for range random.IntN(4) {
				e.Values = map[string]string{"name": strconv.Itoa(random.IntN(1000)), "": "ä"}
			}
			if random.IntN(100) == 0 {
				e.Values = map[string]string{"large": strings.Repeat("x", 1<<20-30+random.IntN(40))}
			}
			return e.AppendProto(nil)
		}
		q := &eventstreampb.StreamQuery{StreamID: id, Count: uint64(random.IntN(4))}
		if random.IntN(2) == 0 { // the times of the two differ, so the ends are far away
			ends := []uint64{0, 1, 1 << 50, math.MaxUint64}
			q.Range = &eventstreampb.TimeRange{MinTime: ends[random.IntN(4)], MaxTime: ends[random.IntN(4)]}
		}
		return q.AppendProto(nil)
	})
}

func natsURL(t *testing.T) string {
	t.Helper()
	server, err := nats.Start(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return server.URL()
}

// agree performs random operations on the host of waxotest and on a provider of
// production, and compares the answers and the kinds of the errors. Each operation
// must have succeeded at least once, other than those that cannot.
func agree(t *testing.T, provider capability.Provider, url string, calls int, payloadOf func(string, *rand.Rand) []byte, cannot ...string) {
	t.Helper()
	id := capability.BindingID{Guest: "guest", Name: capability.DefaultBinding}
	if err := provider.Bind(t.Context(), capability.Binding{BindingID: id, Config: map[string]string{"url": url}}, nil); err != nil {
		t.Fatal(err)
	}
	defer provider.Close(t.Context())
	name, operations := provider.Describe().Capability, provider.Describe().Operations
	succeeded := make(map[string]int)
	random := rand.New(rand.NewPCG(1, 1))
	for range calls {
		operation := operations[random.IntN(len(operations))]
		payload := payloadOf(operation, random)
		want, err := provider.Call(t.Context(), capability.Call{BindingID: id, Operation: operation, Payload: payload})
		wantCode := ""
		if err != nil {
			wantCode = string(capability.AsError(err).Code)
		}
		got, gotErr := waxo.Call(id.Name, name, name+"!"+operation, payload)
		gotCode := ""
		if gotErr != nil {
			gotCode = waxo.ParseError(gotErr.Error()).Code
		}
		if gotCode != wantCode || !bytes.Equal(got, want) {
			t.Fatalf("%s %.300q = %.300q %v, in production %.300q %v", operation, payload, got, gotErr, want, err)
		}
		if err == nil {
			succeeded[operation]++
		}
	}
	if len(succeeded)+len(cannot) != len(operations) {
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
