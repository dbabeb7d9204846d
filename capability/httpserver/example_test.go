package httpserver_test

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/waxosuit/waxo/capability"
	"github.com/waxosuit/waxo/capability/httpserver"
	"github.com/waxosuit/waxo/capability/payload/httppb"
)

// hello stands for the host and its guest.
type hello struct{}

func (hello) Dispatch(_ context.Context, _ string, payload, _ []byte) (capability.Reply, error) {
	var request httppb.Request
	if err := request.UnmarshalProto(payload); err != nil {
		return capability.Reply{}, &capability.Error{Code: capability.CodeGuest, Message: err.Error()}
	}
	response := httppb.Response{StatusCode: 200, Body: []byte("hello from " + request.Path)}
	return capability.Reply{Payload: response.AppendProto(nil)}, nil
}

func ExampleProvider() {
	ctx := context.Background()
	provider := httpserver.New(&httpserver.Options{
		AccessLog: func(a httpserver.Access) { fmt.Println(a.Method, a.Path, a.Status) },
	})
	id := capability.BindingID{Guest: "MDHELLO", Name: capability.DefaultBinding}
	err := provider.Bind(ctx, capability.Binding{
		BindingID: id,
		Config:    map[string]string{httpserver.ConfigAddress: "127.0.0.1:0"},
	}, hello{})
	if err != nil {
		fmt.Println(err)
		return
	}
	res, err := http.Get("http://" + provider.Addr(id).String() + "/world")
	if err != nil {
		fmt.Println(err)
		return
	}
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	fmt.Println(string(body), err)
	fmt.Println(provider.Close(ctx))
	// Output:
	// GET /world 200
	// hello from /world <nil>
	// <nil>
}
