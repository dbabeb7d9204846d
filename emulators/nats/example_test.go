package nats_test

import (
	"context"
	"fmt"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"github.com/waxosuit/waxo/emulators/nats"
)

func ExampleStart() {
	server, err := nats.Start(context.Background(), nil)
	if err != nil {
		panic(err)
	}
	defer server.Close()

	client, err := natsgo.Connect(server.URL())
	if err != nil {
		panic(err)
	}
	defer client.Close()
	_, err = client.Subscribe("greet", func(m *natsgo.Msg) { m.Respond([]byte("hello " + string(m.Data))) })
	if err != nil {
		panic(err)
	}
	reply, err := client.Request("greet", []byte("world"), 10*time.Second)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(reply.Data))
	// Output: hello world
}
