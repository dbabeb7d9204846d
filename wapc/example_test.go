package wapc_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/waxosuit/waxo/wapc"
)

// upper is a Host with one operation.
type upper struct{}

func (upper) HostCall(_ context.Context, call wapc.HostCall) ([]byte, error) {
	if call.Operation != "echo" {
		return nil, errors.New("no such operation")
	}
	return []byte(strings.ToUpper(string(call.Payload))), nil
}

func (upper) ConsoleLog(_ context.Context, line string) { fmt.Println("guest:", line) }

func Example() {
	ctx := context.Background()
	code, err := os.ReadFile("testdata/echo.wasm")
	if err != nil {
		fmt.Println(err)
		return
	}
	engine, err := wapc.NewEngine(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer engine.Close(ctx)
	module, err := engine.Compile(ctx, code)
	if err != nil {
		fmt.Println(err)
		return
	}
	pool, err := module.NewPool(&wapc.PoolOptions{Host: upper{}})
	if err != nil {
		fmt.Println(err)
		return
	}
	response, err := pool.Call(ctx, "hello", []byte("by way of the host"))
	fmt.Printf("%s %v\n", response, err)
	// Output: BY WAY OF THE HOST <nil>
}
