package keyvalue_test

import (
	"context"
	"fmt"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/keyvalue"
	pb "github.com/waxosuit/waxo/capability/payload/keyvaluepb"
	"github.com/waxosuit/waxo/emulators/redis"
)

func Example() {
	ctx := context.Background()
	server, err := redis.Start(ctx, nil)
	if err != nil {
		panic(err)
	}
	defer server.Close()

	p := keyvalue.New(nil)
	defer p.Close(ctx)
	id := capability.BindingID{Guest: "M...", Name: capability.DefaultBinding}
	config := map[string]string{"url": server.URL()}
	if err := p.Bind(ctx, capability.Binding{BindingID: id, Config: config}, nil); err != nil {
		panic(err)
	}
	req := pb.AddRequest{Key: "visitors", Value: 1}
	for range 2 {
		answer, err := p.Call(ctx, capability.Call{BindingID: id, Operation: capability.OpAdd, Payload: req.AppendProto(nil)})
		if err != nil {
			panic(err)
		}
		var sum pb.AddResponse
		if err := sum.UnmarshalProto(answer); err != nil {
			panic(err)
		}
		fmt.Println(sum.Value)
	}
	// Output:
	// 1
	// 2
}
