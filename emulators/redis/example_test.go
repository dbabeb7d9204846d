package redis_test

import (
	"context"
	"fmt"

	goredis "github.com/redis/go-redis/v9"

	"github.com/waxosuit/waxo/emulators/redis"
)

func ExampleStart() {
	ctx := context.Background()
	server, err := redis.Start(ctx, nil)
	if err != nil {
		panic(err)
	}
	defer server.Close()

	client := goredis.NewClient(&goredis.Options{Addr: server.Addr()})
	defer client.Close()
	fmt.Println(client.Incr(ctx, "visitors").Val())
	// Output: 1
}
