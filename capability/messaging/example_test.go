package messaging_test

import (
	"context"
	"fmt"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/messaging"
	pb "github.com/waxosuit/waxo/capability/payload/messagingpb"
	"github.com/waxosuit/waxo/emulators/nats"
)

func Example() {
	ctx := context.Background()
	server, err := nats.Start(ctx, nil)
	if err != nil {
		panic(err)
	}
	defer server.Close()

	p := messaging.New(nil)
	defer p.Close(ctx)
	id := capability.BindingID{Guest: "M...", Name: capability.DefaultBinding}
	config := map[string]string{messaging.KeyURL: server.URL(), messaging.KeySubscriptions: "greetings"}
	done := make(chan struct{})
	// A host hands in what reaches a guest.
	dispatcher := guest(func(_ context.Context, m *pb.BrokerMessage) ([]byte, error) {
		fmt.Printf("%s: %s\n", m.Subject, m.Body)
		close(done)
		return nil, nil
	})
	if err := p.Bind(ctx, capability.Binding{BindingID: id, Config: config}, dispatcher); err != nil {
		panic(err)
	}
	req := pb.PublishMessage{Message: &pb.BrokerMessage{Subject: "greetings", Body: []byte("hello")}}
	if _, err := p.Call(ctx, capability.Call{BindingID: id, Operation: capability.OpPublish, Payload: req.AppendProto(nil)}); err != nil {
		panic(err)
	}
	<-done
	// Output: greetings: hello
}
