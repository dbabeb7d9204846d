package eventstreams_test

import (
	"context"
	"fmt"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/eventstreams"
	pb "github.com/waxosuit/waxo/capability/payload/eventstreampb"
	"github.com/waxosuit/waxo/emulators/nats"
)

func Example() {
	ctx := context.Background()
	server, err := nats.Start(ctx, nil)
	if err != nil {
		panic(err)
	}
	defer server.Close()

	p := eventstreams.New(nil)
	defer p.Close(ctx)
	id := capability.BindingID{Guest: "M...", Name: capability.DefaultBinding}
	config := map[string]string{eventstreams.KeyURL: server.URL()}
	if err := p.Bind(ctx, capability.Binding{BindingID: id, Config: config}, nil); err != nil {
		panic(err)
	}
	for _, what := range []string{"opened", "paid in", "closed"} {
		event := pb.Event{Stream: "account-17", Values: map[string]string{"what": what}}
		if _, err := p.Call(ctx, capability.Call{BindingID: id, Operation: capability.OpWriteEvent, Payload: event.AppendProto(nil)}); err != nil {
			panic(err)
		}
	}
	query := pb.StreamQuery{StreamID: "account-17"}
	answer, err := p.Call(ctx, capability.Call{BindingID: id, Operation: capability.OpQueryStream, Payload: query.AppendProto(nil)})
	if err != nil {
		panic(err)
	}
	var results pb.StreamResults
	if err := results.UnmarshalProto(answer); err != nil {
		panic(err)
	}
	for _, e := range results.Events {
		fmt.Println(e.EventID, e.Values["what"])
	}
	// Output:
	// 1 opened
	// 2 paid in
	// 3 closed
}
