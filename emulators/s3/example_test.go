package s3_test

import (
	"context"
	"fmt"
	"net/url"

	"github.com/waxosuit/waxo/emulators/s3"
)

func Example() {
	server, err := s3.Start(context.Background(), nil) // or &s3.Options{Dir: "state"}, to keep what comes
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	u, err := url.Parse(server.URL())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("access key:", u.User.Username())
	fmt.Println("region:", u.Query().Get("region"))
	// Output:
	// access key: waxo
	// region: us-east-1
}
